/* Makes and frees what the threads of the pipeline work with. */
#include <stdlib.h>

#include "ingest/run/pipeline_private.h"

#define JOBS_BYTES ((size_t)64 << 20) /* payloads that may wait for a commit */

static uint32_t choose_jobs(const an_pipeline_options *options)
{
    size_t largest = (size_t)3 * options->recorder.picture.side * options->recorder.picture.side;
    size_t jobs = JOBS_BYTES / largest, least = 4 * (size_t)options->threads;
    jobs = jobs < least ? least : jobs;
    return (uint32_t)(jobs < AN_PIPELINE_GROUP ? jobs : AN_PIPELINE_GROUP);
}

int an_pipeline_make_jobs(an_pipeline *p)
{
    p->job_count = choose_jobs(p->options);
    p->jobs = calloc(p->job_count, sizeof(*p->jobs));
    p->pending = calloc(p->job_count, sizeof(*p->pending));
    if (!p->jobs || !p->pending)
        return an_error(AN_ENOMEM, "out of memory for %u jobs", p->job_count);
    int rc = an_queue_create(&p->free_jobs, p->job_count);
    if (!rc)
        rc = an_queue_create(&p->work, 2 * (size_t)p->options->threads + 2);
    if (!rc)
        rc = an_queue_create(&p->done, p->job_count);
    for (uint32_t i = 0; i < p->job_count && !rc; i++)
        rc = an_queue_push(p->free_jobs, &p->jobs[i]);
    return rc;
}

static int make_worker(an_pipeline *p, an_pipeline_worker *w)
{
    w->owner = p;
    int rc = an_recorder_create(&w->recorder, &p->options->recorder);
    for (int i = 0; i < 2 && !rc; i++)
        rc = an_statistics_sums_init(&w->sums[i], p->options->recorder.picture.side);
    return rc;
}

int an_pipeline_make_workers(an_pipeline *p)
{
    int rc = AN_OK;
    p->workers = calloc((size_t)p->options->threads, sizeof(*p->workers));
    if (!p->workers)
        return an_error(AN_ENOMEM, "out of memory for %d threads", p->options->threads);
    for (int i = 0; i < p->options->threads && !rc; i++)
        rc = make_worker(p, &p->workers[i]);
    return rc;
}

static void free_worker(an_pipeline_worker *w)
{
    an_recorder_free(w->recorder);
    an_statistics_sums_free(&w->sums[0]);
    an_statistics_sums_free(&w->sums[1]);
}

void an_pipeline_free(an_pipeline *p)
{
    for (int i = 0; p->workers && i < p->options->threads; i++)
        free_worker(&p->workers[i]);
    free(p->workers);
    for (uint32_t i = 0; p->jobs && i < p->job_count; i++) {
        an_item_free(&p->jobs[i].item);
        an_buffer_free(&p->jobs[i].made.payload);
    }
    free(p->jobs);
    free(p->pending);
    an_queue_free(p->free_jobs);
    an_queue_free(p->work);
    an_queue_free(p->done);
}
