/* DESIGN: each thread takes the next CHUNK indices from a shared counter, until the counter reaches the end or a thread
 * has failed and set stop. The calling thread shows progress, joins the threads and returns the failure of the first
 * thread that has one. */
#include "ingest/commands/each.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/error.h"
#include "base/program/progress.h"
#include "base/program/stop.h"
#include "base/thread.h"

#define CHUNK 64u

typedef struct each each;

typedef struct {
    each *owner;
    pthread_t thread;
    an_each_worker own;
    an_error_state failure;
} each_thread;

struct each {
    const an_dataset *dataset;
    an_each_visit visit;
    void *context;
    atomic_uint_fast64_t next, done;
    atomic_bool stop;
    atomic_int running;
};

static int visit_chunk(each_thread *t, uint64_t first)
{
    each *e = t->owner;
    uint64_t count = an_dataset_count(e->dataset), end = first + CHUNK < count ? first + CHUNK : count;
    int rc = AN_OK;
    for (uint64_t i = first; i < end && !rc; i++) {
        rc = e->visit(e->context, &t->own, i);
        atomic_fetch_add(&e->done, 1);
    }
    return rc;
}

static void *run_thread(void *argument)
{
    each_thread *t = argument;
    each *e = t->owner;
    int rc = AN_OK;
    uint64_t first;
    while (!rc && !atomic_load(&e->stop) && !an_stop_requested() &&
           (first = atomic_fetch_add(&e->next, CHUNK)) < an_dataset_count(e->dataset))
        rc = visit_chunk(t, first);
    if (rc) {
        an_error_save(&t->failure, rc);
        atomic_store(&e->stop, true);
    }
    atomic_fetch_sub(&e->running, 1);
    return NULL;
}

static void watch(each *e, const char *label)
{
    an_progress progress;
    an_progress_start(&progress, label, "records", 0, an_dataset_count(e->dataset), false);
    while (atomic_load(&e->running)) {
        nanosleep(&(struct timespec){0, 20000000}, NULL);
        an_progress_update(&progress, atomic_load(&e->done), NULL);
    }
    an_progress_finish(&progress, atomic_load(&e->done), NULL);
}

static int run_threads(each *e, each_thread *threads, int count, const char *label, bool quiet)
{
    int rc = AN_OK, started = 0;
    for (int i = 0; i < count && !rc; i++) {
        threads[i].owner = e;
        threads[i].own.thread = i;
        rc = an_decoder_create(&threads[i].own.decoder);
    }
    while (started < count && !rc) {
        atomic_fetch_add(&e->running, 1);
        rc = an_thread_start(&threads[started].thread, "ingest-each", run_thread, &threads[started]);
        started += !rc;
    }
    if (rc)
        atomic_store(&e->stop, true);
    else if (!quiet)
        watch(e, label);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i].thread, NULL);
    for (int i = 0; i < started && !rc; i++)
        if (threads[i].failure.code)
            rc = an_error_restore(&threads[i].failure);
    return rc;
}

int an_each_record(const an_dataset *dataset, int threads, const char *label, bool quiet, an_each_visit visit,
                   void *context)
{
    each e = {.dataset = dataset, .visit = visit, .context = context};
    threads = threads ? threads : an_thread_cpu_count();
    each_thread *all = calloc((size_t)threads, sizeof(*all));
    if (!all)
        return an_error(AN_ENOMEM, "out of memory for %d threads", threads);
    int rc = run_threads(&e, all, threads, label, quiet);
    for (int i = 0; i < threads; i++) {
        an_decoder_free(all[i].own.decoder);
        an_image_free(&all[i].own.image);
    }
    free(all);
    return !rc && an_stop_requested() ? AN_STOPPED : rc;
}

int an_each_decode(const an_dataset *dataset, an_each_worker *worker, uint64_t index, an_record *record)
{
    int rc = an_dataset_record(dataset, index, record);
    if (!rc)
        rc = an_record_verify(record);
    uint32_t width = rc ? 0 : record->header.width, height = rc ? 0 : record->header.height;
    if (!rc)
        rc = an_image_set_size(&worker->image, width, height);
    return rc ? rc
              : an_decoder_window(worker->decoder, record, 0, 0, width, height, worker->image.pixels,
                                  (size_t)3 * width);
}
