/* DESIGN
 *
 *   lister thread -> work queue -> worker threads -> done queue -> calling thread -> an_writer
 *         ^                                                              |
 *         +----------------------------- free queue <--------------------+
 *
 * Jobs: a fixed number of jobs circulates, so that memory does not depend on the number of images. The lister numbers
 * the items in the order of the source, and the calling thread writes them in this order. A job that arrives early
 * waits in pending[number % job_count]; no two jobs ever need the same place. The work queue is short, so that few
 * inputs wait in memory. There are many jobs, so that workers can go on while a commit waits for the disk.
 *
 * Statistics: each worker has two sums. Items are numbered in groups of AN_PIPELINE_GROUP, and successive groups use
 * the two sums in turn. When the last item of a group has been written, every item of the group has been added to a
 * sum, as workers do that before they pass a job on. And no worker has begun with the group after the next, which uses
 * the same sums, as there are no more jobs than AN_PIPELINE_GROUP. So at this moment the sums of the group are complete
 * and no one changes them: the calling thread adds them to the total. Only then do the total and the written records
 * agree, and only then can they be committed.
 *
 * Going on: what an interrupted run set aside is tried again before the source is read on. The threads run twice, first
 * with these items in place of the source's. That run commits once, at its end.
 *
 * End: the lister closes the work queue at the end of the source, on a signal, or when told to stop. Workers leave when
 * that queue is empty, and the last one closes the done queue. The calling thread leaves when that is empty. Until then
 * it returns jobs to the free queue, even after a failure, so that no thread waits for ever. */
#include "ingest/run/pipeline.h"

#include <string.h>

#include "base/clock.h"
#include "base/program/stop.h"
#include "base/thread.h"
#include "ingest/run/pipeline_private.h"

#define COMMIT_NS 250000000u /* shortest time between commits: SIGKILL costs about this much work */
#define COMMIT_SHARE 10u     /* shortest time between commits, in durations of the last commit */

/* --- lister ---------------------------------------------------------------------------------------------------- */

/* The job's item: the next one of the source, or the next one that is tried again. */
static int take_item(an_pipeline *p, an_pipeline_job *j)
{
    if (!p->again) {
        j->position = j->number;
        return an_source_next(p->source, &j->item);
    }
    if (j->number == p->again->count)
        return AN_END;
    an_again_item *one = &p->again->items[j->number];
    an_item before = j->item;
    j->position = one->position;
    j->item = one->item;
    one->item = before; /* its buffers are freed with the list */
    return AN_OK;
}

static int list_one(an_pipeline *p, uint64_t number)
{
    void *item;
    int rc = an_queue_pop(p->free_jobs, &item);
    if (rc)
        return rc;
    an_pipeline_job *j = item;
    j->number = number;
    rc = take_item(p, j);
    return rc ? rc : an_queue_push(p->work, j);
}

static void *list_items(void *argument)
{
    an_pipeline *p = argument;
    int rc = AN_OK;
    for (uint64_t number = p->next; !rc && !atomic_load(&p->stop) && !an_stop_requested(); number++)
        rc = list_one(p, number);
    if (rc < 0 && !an_stop_requested()) /* a stream that waits ends with an error when the user stops it */
        an_error_save(&p->list_error, rc);
    an_queue_close(p->work);
    return NULL;
}

/* --- workers --------------------------------------------------------------------------------------------------- */

static int process(an_pipeline_worker *w, an_pipeline_job *j)
{
    int rc = an_recorder_make(w->recorder, &j->item, j->position, &j->made);
    if (rc || j->made.rejected)
        return rc;
    return an_statistics_sums_add(&w->sums[j->number / AN_PIPELINE_GROUP % 2], an_recorder_image(w->recorder));
}

static void *work_items(void *argument)
{
    an_pipeline_worker *w = argument;
    void *item;
    while (!an_queue_pop(w->owner->work, &item)) {
        an_pipeline_job *j = item;
        int rc = process(w, j);
        if (rc)
            an_error_prefix(rc, "'%s'", (const char *)j->item.name.data);
        an_error_save(&j->failure, rc);
        an_buffer_free(&j->item.bytes); /* of a stream's item: finished jobs must not hold its bytes while they wait */
        if (an_queue_push(w->owner->done, j))
            break; /* cannot happen: the last worker closes this queue */
    }
    if (atomic_fetch_sub(&w->owner->running, 1) == 1)
        an_queue_close(w->owner->done);
    return NULL;
}

/* --- calling thread -------------------------------------------------------------------------------------------- */

static void merge_sums(an_pipeline *p, int slot)
{
    for (int i = 0; i < p->options->threads; i++) {
        an_statistics_sums_merge(p->total, &p->workers[i].sums[slot]);
        an_statistics_sums_clear(&p->workers[i].sums[slot]);
    }
}

static int reject_job(an_pipeline *p, const an_pipeline_job *j)
{
    const char *name = (const char *)j->item.name.data;
    if (p->again)
        return an_writer_reject_again(p->writer, p->again->items[j->number].number, name, j->made.reason, j->item.size);
    p->state->set_aside++;
    return an_writer_reject(p->writer, name, j->made.reason, j->item.size);
}

static int accept_job(an_pipeline *p, const an_pipeline_job *j)
{
    if (!p->again)
        return AN_OK;
    p->state->set_aside--;
    p->state->mended++;
    return an_writer_accept(p->writer, p->again->items[j->number].number);
}

static int write_job(an_pipeline *p, an_pipeline_job *j)
{
    if (j->failure.code)
        return an_error_restore(&j->failure);
    if (j->made.rejected)
        return reject_job(p, j);
    p->state->images++;
    p->state->payload_bytes += j->made.payload.size;
    p->state->warnings += j->made.warned;
    p->state->passed += j->made.passed;
    int rc = an_writer_put(p->writer, &j->made.header, j->made.payload.data, (const char *)j->item.name.data);
    return rc ? rc : accept_job(p, j);
}

static int write_next(an_pipeline *p, an_pipeline_job *j)
{
    int rc = write_job(p, j);
    if (rc)
        return rc;
    if (!p->again)
        p->state->consumed = p->next + 1;
    if ((p->next + 1) % AN_PIPELINE_GROUP)
        return AN_OK;
    merge_sums(p, (int)(p->next / AN_PIPELINE_GROUP % 2));
    uint64_t start = an_clock_ns();
    if (start < p->commit_due_ns || p->again) /* a commit would number what was set aside anew */
        return AN_OK;
    rc = an_writer_commit(p->writer);
    uint64_t pause = COMMIT_SHARE * (an_clock_ns() - start);
    p->commit_due_ns = an_clock_ns() + (pause > COMMIT_NS ? pause : COMMIT_NS);
    return rc;
}

static void end_with(an_pipeline *p, an_error_state *state, int code)
{
    an_error_save(state, code);
    atomic_store(&p->stop, true);
}

/* After a failure nothing more is written, but jobs still circulate until all threads have left. */
static void finish_next(an_pipeline *p, an_pipeline_job *j, an_pipeline_watch watch, void *context)
{
    int code = p->failure.code ? AN_OK : write_next(p, j);
    if (code)
        end_with(p, &p->failure, code);
    else if (!p->failure.code && !p->told.code && !p->again && (code = watch(context, p->state)))
        end_with(p, &p->told, code);
    p->next++;
}

static int write_all(an_pipeline *p, an_pipeline_watch watch, void *context)
{
    void *item;
    int rc = AN_OK;
    while (!rc && !an_queue_pop(p->done, &item)) {
        an_pipeline_job *j = item;
        p->pending[j->number % p->job_count] = j;
        while (!rc && (j = p->pending[p->next % p->job_count])) {
            p->pending[p->next % p->job_count] = NULL;
            finish_next(p, j, watch, context);
            rc = an_queue_push(p->free_jobs, j);
        }
    }
    return rc;
}

/* --- starting and ending ----------------------------------------------------------------------------------------- */

static int start_threads(an_pipeline *p)
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
        an_queue_close(p->work); /* threads that run already leave */
    return rc;
}

static int run_threads(an_pipeline *p, an_pipeline_watch watch, void *context)
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

/* All threads have left and everything that was listed is written: commit it, then say how the run ended. */
static int conclude(an_pipeline *p)
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

/* Pass over the items that an interrupted run has done already. The manifest has shown that a listed source is the same
 * as then; a stream is compared now, item by item. */
static int pass_over(an_source *source, an_writer *writer, uint64_t items, an_again *again)
{
    an_item item = {0};
    int rc = AN_OK;
    if (source->operations->skip && an_writer_rejects(writer))
        return an_again_collect(again, source, writer, items);
    if (source->operations->skip)
        return an_source_skip(source, items);
    for (uint64_t i = 0; i < items && !rc && !an_stop_requested(); i++) {
        rc = an_source_next(source, &item);
        if (!rc)
            rc = an_writer_expect(writer, item.label, (const char *)item.name.data);
    }
    an_item_free(&item);
    if (an_stop_requested())
        return AN_STOPPED;
    return rc == AN_END ? an_error(AN_ECORRUPT, "the stream holds fewer images than were read from it before") : rc;
}

/* From making the threads to the last commit, for the source or for what is tried again. */
static int run_whole(an_pipeline *p, an_pipeline_watch watch, void *context)
{
    p->commit_due_ns = an_clock_ns() + COMMIT_NS;
    int rc = an_pipeline_make_jobs(p);
    if (!rc)
        rc = an_pipeline_make_workers(p);
    if (!rc)
        rc = run_threads(p, watch, context);
    if (!rc)
        rc = conclude(p);
    an_pipeline_free(p);
    return rc;
}

int an_pipeline_run(an_source *source, an_writer *writer, an_statistics_sums *sums, const an_pipeline_options *options,
                    an_pipeline_watch watch, void *context, an_pipeline_state *state)
{
    an_again again = {0};
    an_pipeline p = {.source = source, .writer = writer, .total = sums, .options = options, .state = state};
    an_pipeline first = p;
    memset(state, 0, sizeof(*state));
    p.next = state->consumed = an_writer_position(writer);
    state->images = an_writer_count(writer);
    state->set_aside = an_writer_rejects(writer);
    first.again = &again;
    int rc = pass_over(source, writer, p.next, &again);
    if (!rc && again.count)
        rc = run_whole(&first, watch, context);
    an_again_free(&again);
    return rc ? rc : run_whole(&p, watch, context);
}
