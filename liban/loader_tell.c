/* What a loader says of its work: counters, the verdict, notes, the record that it failed for. */
#include <stdio.h>

#include "base/error.h"
#include "liban/common_private.h"
#include "liban/loader_private.h"

/* Of all runs so far. */
static an_loader_stats collect(liban_loader *l)
{
    an_loader_stats now;
    pthread_mutex_lock(&l->lock);
    an_loader_stats all = l->past;
    if (l->run) {
        an_lib_source_stats_get(an_lib_run_source(l->run), &now);
        an_lib_stats_add(&all, &now);
    }
    pthread_mutex_unlock(&l->lock);
    return all;
}

void liban_loader_stats_get(liban_loader *loader, liban_loader_stats *out)
{
    *out = (liban_loader_stats){0};
    if (an_lib_is_forked(loader->process))
        return;
    an_loader_stats all = collect(loader);
    *out = (liban_loader_stats){.batches = all.batches,
                                .samples = all.samples,
                                .bytes_read = all.bytes_read,
                                .consumer_wait_ns = all.consumer_wait_ns,
                                .worker_wait_read_ns = all.worker_wait_read_ns,
                                .worker_wait_slot_ns = all.worker_wait_slot_ns,
                                .worker_busy_ns = all.worker_busy_ns,
                                .reader_wait_ns = all.reader_wait_ns,
                                .reader_blocked_ns = all.reader_blocked_ns,
                                .elapsed_ns = all.elapsed_ns,
                                .threads = all.threads,
                                .slots = all.slots};
}

const char *liban_loader_verdict(liban_loader *loader, char *text, size_t size)
{
    int rc = an_lib_check_process(loader->process, "loader");
    if (rc) {
        snprintf(text, size, "%s", an_error_message());
        return "unknown";
    }
    an_loader_stats all = collect(loader);
    return an_loader_verdict(&all, text, size);
}

const char *liban_loader_note(liban_loader *loader)
{
    if (an_lib_is_forked(loader->process))
        return NULL;
    pthread_mutex_lock(&loader->lock);
    const char *note = loader->note;
    pthread_mutex_unlock(&loader->lock);
    return note;
}

int liban_loader_failed_record(liban_loader *loader, uint64_t *out)
{
    *out = UINT64_MAX;
    int rc = an_lib_check_process(loader->process, "loader");
    if (rc)
        return rc;
    pthread_mutex_lock(&loader->lock);
    bool failed = loader->run && an_lib_source_failed_record(an_lib_run_source(loader->run), out);
    pthread_mutex_unlock(&loader->lock);
    return failed ? LIBAN_OK : an_error(LIBAN_ENOTFOUND, "the loader has not failed for a record");
}
