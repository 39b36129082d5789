/* DESIGN
 *
 *   lister thread -> work queue -> worker threads -> done queue -> calling thread -> an_writer
 *         ^                                                              |
 *         +----------------------------- free queue <--------------------+
 *
 * A fixed set of jobs goes round: memory does not depend on the number of images. The lister numbers items as the
 * source gives them; the calling thread writes in that order, parking what comes early in pending[number % jobs]
 * (numbers in flight never span more than the set). The work queue is short, so that few inputs wait in memory, the
 * set of jobs is large, so that workers go on while a commit waits for the disk.
 *
 * Statistics are summed by the workers, in two sums each, used in turn by groups of GROUP items: when a group's last
 * item has been written, all its items have been summed (a job reaches the calling thread after that), and no item of
 * the group after next can have started, because there are no more jobs than GROUP. So its sums are whole and quiescent
 * and are merged; only here, when the total fits the records, a commit is possible.
 *
 * End: the lister closes the work queue at the end of the source, on a signal, or when told to stop; workers leave when
 * it is drained; the last one closes the done queue; the calling thread leaves when that is drained. It keeps
 * recycling jobs until then, also after a failure, so nobody waits for ever. */
#include "ingest/run/pipeline.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/program/stop.h"
#include "base/queue.h"
#include "base/thread.h"

#define GROUP 1024u
#define COMMIT_NS 250000000u          /* between commits at least: a kill costs about so much work */
#define COMMIT_SHARE 10u              /* and at least so many times the last commit took: slow disks commit rarely */
#define JOBS_BYTES ((size_t)64 << 20) /* payloads that may wait for a commit */

typedef struct {
    uint64_t number;
    an_item item;
    an_recording made;
    an_error_state failure; /* code 0: none */
} job;

typedef struct pipeline pipeline;

typedef struct {
    pipeline *owner;
    pthread_t thread;
    an_recorder *recorder;
    an_statistics_sums sums[2];
} worker;

struct pipeline {
    an_source *source;
    an_writer *writer;
    an_statistics_sums *total;
    const an_pipeline_options *options;
    an_pipeline_state *state;

    job *jobs, **pending;
    uint32_t job_count;
    an_queue *free_jobs, *work, *done;
    worker *workers;
    int started;
    pthread_t lister;
    atomic_int running; /* workers */
    atomic_bool stop;
    uint64_t next; /* number to be written next */
    uint64_t commit_due_ns;
    an_error_state failure;    /* of writing or of a worker; the calling thread's */
    an_error_state told;       /* watch's wish to stop */
    an_error_state list_error; /* the lister's, read after it was joined */
};

/* --- lister ---------------------------------------------------------------------------------------------------- */

static int list_one(pipeline *p, uint64_t number)
{
    void *item;
    int rc = an_queue_pop(p->free_jobs, &item);
    if (rc)
        return rc;
    job *j = item;
    j->number = number;
    rc = an_source_next(p->source, &j->item);
    return rc ? rc : an_queue_push(p->work, j);
}

static void *list_items(void *argument)
{
    pipeline *p = argument;
    int rc = AN_OK;
    for (uint64_t number = p->next; !rc && !atomic_load(&p->stop) && !an_stop_requested(); number++)
        rc = list_one(p, number);
    if (rc < 0)
        an_error_save(&p->list_error, rc);
    an_queue_close(p->work);
    return NULL;
}

/* --- workers --------------------------------------------------------------------------------------------------- */

static int process(worker *w, job *j)
{
    int rc = an_recorder_make(w->recorder, &j->item, j->number, &j->made);
    if (rc || j->made.rejected)
        return rc;
    return an_statistics_sums_add(&w->sums[j->number / GROUP % 2], an_recorder_image(w->recorder));
}

static void *work_items(void *argument)
{
    worker *w = argument;
    void *item;
    while (!an_queue_pop(w->owner->work, &item)) {
        job *j = item;
        int rc = process(w, j);
        if (rc)
            an_error_prefix(rc, "'%s'", (const char *)j->item.name.data);
        an_error_save(&j->failure, rc);
        an_buffer_free(&j->item.bytes); /* a streamed item's: many more jobs wait than there are workers */
        if (an_queue_push(w->owner->done, j))
            break; /* never closed while a worker runs */
    }
    if (atomic_fetch_sub(&w->owner->running, 1) == 1)
        an_queue_close(w->owner->done);
    return NULL;
}

/* --- calling thread -------------------------------------------------------------------------------------------- */

static void merge_sums(pipeline *p, int slot)
{
    for (int i = 0; i < p->options->threads; i++) {
        an_statistics_sums_merge(p->total, &p->workers[i].sums[slot]);
        an_statistics_sums_clear(&p->workers[i].sums[slot]);
    }
}

static int write_job(pipeline *p, job *j)
{
    const char *name = (const char *)j->item.name.data;
    if (j->failure.code)
        return an_error_restore(&j->failure);
    if (j->made.rejected) {
        p->state->set_aside++;
        return an_writer_reject(p->writer, name, j->made.reason, j->item.size);
    }
    p->state->images++;
    p->state->payload_bytes += j->made.payload.size;
    p->state->warnings += j->made.warned;
    p->state->passed += j->made.passed;
    return an_writer_put(p->writer, &j->made.header, j->made.payload.data, name);
}

static int write_next(pipeline *p, job *j)
{
    int rc = write_job(p, j);
    if (rc)
        return rc;
    p->state->consumed = p->next + 1;
    if (p->state->consumed % GROUP)
        return AN_OK;
    merge_sums(p, (int)(p->next / GROUP % 2));
    uint64_t start = an_clock_ns();
    if (start < p->commit_due_ns)
        return AN_OK;
    rc = an_writer_commit(p->writer);
    uint64_t pause = COMMIT_SHARE * (an_clock_ns() - start);
    p->commit_due_ns = an_clock_ns() + (pause > COMMIT_NS ? pause : COMMIT_NS);
    return rc;
}

static void end_with(pipeline *p, an_error_state *state, int code)
{
    an_error_save(state, code);
    atomic_store(&p->stop, true);
}

/* After a failure nothing is written any more, but the jobs keep going round until everyone has left. */
static void finish_next(pipeline *p, job *j, an_pipeline_watch watch, void *context)
{
    int code = p->failure.code ? AN_OK : write_next(p, j);
    if (code)
        end_with(p, &p->failure, code);
    else if (!p->failure.code && !p->told.code && (code = watch(context, p->state)))
        end_with(p, &p->told, code);
    p->next++;
}

static int write_all(pipeline *p, an_pipeline_watch watch, void *context)
{
    void *item;
    int rc = AN_OK;
    while (!rc && !an_queue_pop(p->done, &item)) {
        job *j = item;
        p->pending[j->number % p->job_count] = j;
        while (!rc && (j = p->pending[p->next % p->job_count])) {
            p->pending[p->next % p->job_count] = NULL;
            finish_next(p, j, watch, context);
            rc = an_queue_push(p->free_jobs, j);
        }
    }
    return rc;
}

/* --- building and ending --------------------------------------------------------------------------------------- */

static uint32_t choose_jobs(const an_pipeline_options *options)
{
    size_t largest = (size_t)3 * options->recorder.picture.side * options->recorder.picture.side;
    size_t jobs = JOBS_BYTES / largest, least = 4 * (size_t)options->threads;
    jobs = jobs < least ? least : jobs;
    return (uint32_t)(jobs < GROUP ? jobs : GROUP);
}

static int make_jobs(pipeline *p)
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

static int make_worker(pipeline *p, worker *w)
{
    w->owner = p;
    int rc = an_recorder_create(&w->recorder, &p->options->recorder);
    for (int i = 0; i < 2 && !rc; i++)
        rc = an_statistics_sums_init(&w->sums[i], p->options->recorder.picture.side);
    return rc;
}

static int make_workers(pipeline *p)
{
    int rc = AN_OK;
    p->workers = calloc((size_t)p->options->threads, sizeof(*p->workers));
    if (!p->workers)
        return an_error(AN_ENOMEM, "out of memory for %d threads", p->options->threads);
    for (int i = 0; i < p->options->threads && !rc; i++)
        rc = make_worker(p, &p->workers[i]);
    return rc;
}

static void free_worker(worker *w)
{
    an_recorder_free(w->recorder);
    an_statistics_sums_free(&w->sums[0]);
    an_statistics_sums_free(&w->sums[1]);
}

static void pipeline_free(pipeline *p)
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

static int start_threads(pipeline *p)
{
    int rc = AN_OK;
    atomic_store(&p->running, p->options->threads);
    while (p->started < p->options->threads && !rc) {
        rc = an_thread_start(&p->workers[p->started].thread, "ingest-worker", work_items, &p->workers[p->started]);
        p->started += !rc;
    }
    if (!rc)
        rc = an_thread_start(&p->lister, "ingest-lister", list_items, p);
    if (rc)
        an_queue_close(p->work); /* those that run leave */
    return rc;
}

static int run_threads(pipeline *p, an_pipeline_watch watch, void *context)
{
    int rc = start_threads(p);
    if (!rc) {
        rc = write_all(p, watch, context);
        pthread_join(p->lister, NULL);
    }
    for (int i = 0; i < p->started; i++)
        pthread_join(p->workers[i].thread, NULL);
    if (!rc && p->failure.code)
        rc = an_error_restore(&p->failure);
    return rc;
}

/* All threads have left and everything listed is written: make it last, then say how it ended. */
static int conclude(pipeline *p)
{
    merge_sums(p, 0);
    merge_sums(p, 1);
    int rc = an_writer_commit(p->writer);
    if (rc)
        return rc;
    if (p->told.code)
        return an_error_restore(&p->told);
    if (p->list_error.code)
        return an_error_restore(&p->list_error);
    return an_stop_requested() ? AN_STOPPED : AN_OK;
}

/* Pass over what an interrupted run has consumed. A list was compared as a whole, through the manifest; a stream shows
 * only now whether it is the same. */
static int pass_over(an_source *source, an_writer *writer, uint64_t items)
{
    an_item item = {0};
    int rc = AN_OK;
    if (source->operations->skip)
        return an_source_skip(source, items);
    for (uint64_t i = 0; i < items && !rc; i++) {
        rc = an_source_next(source, &item);
        if (!rc)
            rc = an_writer_expect(writer, item.label, (const char *)item.name.data);
    }
    an_item_free(&item);
    return rc == AN_END ? an_error(AN_ECORRUPT, "the stream holds fewer images than were read from it before") : rc;
}

int an_pipeline_run(an_source *source, an_writer *writer, an_statistics_sums *sums, const an_pipeline_options *options,
                    an_pipeline_watch watch, void *context, an_pipeline_state *state)
{
    pipeline p = {.source = source,
                  .writer = writer,
                  .total = sums,
                  .options = options,
                  .state = state,
                  .commit_due_ns = an_clock_ns() + COMMIT_NS};
    memset(state, 0, sizeof(*state));
    p.next = state->consumed = an_writer_position(writer);
    state->images = an_writer_count(writer);
    state->set_aside = an_writer_rejects(writer);
    int rc = pass_over(source, writer, p.next);
    if (!rc)
        rc = make_jobs(&p);
    if (!rc)
        rc = make_workers(&p);
    if (!rc)
        rc = run_threads(&p, watch, context);
    if (!rc)
        rc = conclude(&p);
    pipeline_free(&p);
    return rc;
}
