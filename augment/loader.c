/* DESIGN
 *
 * Threads. One reading thread, `threads` workers, and the consumer, who is whatever thread calls an_loader_next and
 * an_loader_release. One mutex guards everything that two of them touch; it is held for a few pointer moves every
 * few samples.
 *
 * Items. A fixed set of items, each with the buffer of one record, moves in a circle:
 *
 *     free -> (reading thread: submit, wait) -> ready -> (worker: decode, augment) -> free
 *                                            \-> parked -> ready
 *
 * Batches are numbered from 0 in the order of delivery; batch b lives in slot b % slots and is open, so that workers
 * may write into it, once batch b - slots has been released. The reading thread runs ahead of that as far as it has
 * free items: a record of a batch that is not open yet is parked, and an_loader_release moves what belongs to the batch
 * it opens to ready. So a worker never holds a record that it may not write. Records are submitted in the order of
 * delivery, but for windows: with order block and O_DIRECT each block is submitted in the order of the file, where the
 * disk is fastest. There are more items than records in a window: however many of a window's records are parked, an
 * item is left for the next one, so every record of the oldest open batch is read sooner or later: no deadlock.
 *
 * Ordering. Reads complete and workers finish in any order. A sample's place is decided when it is submitted, and what
 * is drawn for it depends on (seed, epoch, record) alone, so the bytes of a batch depend on neither.
 *
 * Who wakes whom. Reading thread -> workers (work): items became ready; release does the same. Worker -> reading thread
 * (room): enough items are free, where enough is a quarter of them, so that it sleeps through single ones. The worker
 * that completes a batch -> consumer (delivery). Stopping wakes all.
 *
 * Errors. A record that cannot be read or decoded marks its batch, and an_loader_next fails when that batch's turn
 * comes: the batches before it are delivered, whatever the timing. A failure of the reader as a whole is reported as
 * soon as no finished batch is left. Either way the loader stays failed and only an_loader_free remains.
 *
 * Memory. Slots, items and record buffers are made at creation; nothing is allocated afterwards. */
#include "augment/loader_private.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"

uint64_t an_loader_epoch_of(const an_loader *l, uint64_t batch)
{
    return l->options.first_epoch + (l->options.first_step + batch) / l->steps_per_epoch;
}

static uint64_t step_of(const an_loader *l, uint64_t batch)
{
    return (l->options.first_step + batch) % l->steps_per_epoch;
}

/* Position in the epoch of the batch's first sample. */
uint64_t an_loader_first_of(const an_loader *l, uint64_t batch)
{
    return (step_of(l, batch) * l->options.world + l->options.rank) * l->options.batch;
}

uint32_t an_loader_count_of(const an_loader *l, uint64_t batch)
{
    uint64_t left = l->count - an_loader_first_of(l, batch);
    return left < l->options.batch ? (uint32_t)left : l->options.batch;
}

bool an_loader_is_open(const an_loader *l, uint64_t batch)
{
    return batch - l->released < (uint64_t)l->options.slots;
}

void an_loader_open(an_loader *l, uint64_t batch)
{
    slot *s = &l->slots[batch % (uint64_t)l->options.slots];
    if (batch >= l->total)
        return;
    s->batch.count = s->missing = an_loader_count_of(l, batch);
    s->batch.epoch = an_loader_epoch_of(l, batch);
    s->batch.step = step_of(l, batch);
    s->batch.last = s->batch.step == l->steps_per_epoch - 1;
    s->done = false;
    s->error.code = AN_OK;
}

static void init_sync(an_loader *l)
{
    /* None of these can fail on Linux. The lock is held for less time than it takes to fall asleep: spin a little. */
    pthread_mutexattr_t adaptive;
    pthread_mutexattr_init(&adaptive);
    pthread_mutexattr_settype(&adaptive, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&l->lock, &adaptive);
    pthread_mutexattr_destroy(&adaptive);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->room, NULL);
    pthread_cond_init(&l->delivery, NULL);
}

int an_loader_create(an_loader **out, const an_loader_options *options)
{
    *out = NULL;
    an_loader *l = calloc(1, sizeof *l);
    if (!l)
        return an_error(AN_ENOMEM, "out of memory for a loader");
    l->options = *options;
    l->advice_fd = -1;
    l->index = an_dataset_index(options->dataset);
    an_item_list_init(&l->free);
    an_item_list_init(&l->ready);
    an_item_list_init(&l->parked);
    init_sync(l);
    int rc = an_loader_build(l);
    if (rc != AN_OK) {
        an_loader_free(l);
        return rc;
    }
    *out = l;
    return AN_OK;
}

static void stop_threads(an_loader *l)
{
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->work);
    pthread_cond_broadcast(&l->room);
    pthread_mutex_unlock(&l->lock);
    if (l->reading_started)
        pthread_join(l->reading_thread, NULL);
    for (int i = 0; i < l->workers_started; i++) {
        pthread_join(l->workers[i].thread, NULL);
        an_sample_scratch_free(l->workers[i].scratch);
    }
}

void an_loader_free(an_loader *loader)
{
    an_loader *l = loader;
    if (!l)
        return;
    stop_threads(l);
    an_reader_free(l->reader); /* before its buffers: it waits for what is in flight */
    if (l->slot_memory)
        l->options.memory_free(l->options.memory_context, l->slot_memory, l->slot_memory_size);
    for (int i = 0; l->slots && i < l->options.slots; i++) {
        free(l->slots[i].batch.labels);
        free(l->slots[i].batch.indices);
    }
    an_pages_free(l->record_memory, l->record_memory_size);
    if (l->advice_fd >= 0)
        (void)close(l->advice_fd); /* opened for reading: nothing to lose */
    an_sampler_free(l->sampler);
    free(l->slots);
    free(l->items);
    free(l->places);
    free(l->workers);
    free(l->subset);
    pthread_cond_destroy(&l->delivery);
    pthread_cond_destroy(&l->room);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* ---- the consumer ------------------------------------------------------------------------------------------------ */

uint64_t an_loader_steps_per_epoch(const an_loader *loader)
{
    return loader->steps_per_epoch;
}

/* The lock is held. */
static void restart_stats(an_loader *l)
{
    l->stats = (an_loader_stats){.threads = l->options.threads};
    l->started_ns = an_clock_ns();
}

/* The lock is held. AN_OK: the batch or the failure of the next batch is decided. */
static int await(an_loader *l, slot *s, bool block)
{
    bool held = l->delivered - l->released == (uint64_t)l->options.slots;
    if (!block)
        return !held && (s->done || l->failure.code) ? AN_OK : AN_AGAIN;
    if (held)
        return an_error(AN_EINVAL, "all %d batches are held: release one first", l->options.slots);
    uint64_t start = an_clock_ns();
    l->consumer_waiting = true;
    while (!s->done && !l->failure.code)
        pthread_cond_wait(&l->delivery, &l->lock);
    l->consumer_waiting = false;
    l->stats.consumer_wait_ns += an_loader_since(l, start);
    return AN_OK;
}

/* The lock is held. */
static int deliver(an_loader *l, bool block, an_batch **out)
{
    slot *s = &l->slots[l->delivered % (uint64_t)l->options.slots];
    if (!l->started_ns)
        restart_stats(l);
    if (l->delivered == l->total)
        return AN_END;
    int rc = await(l, s, block);
    if (rc != AN_OK)
        return rc;
    if (!s->done || s->error.code)
        return an_error_restore(s->done ? &s->error : &l->failure);
    l->delivered++;
    l->stats.batches++;
    l->stats.samples += s->batch.count;
    *out = &s->batch;
    return AN_OK;
}

static int next(an_loader *l, bool block, an_batch **out)
{
    *out = NULL;
    pthread_mutex_lock(&l->lock);
    int rc = deliver(l, block, out);
    pthread_mutex_unlock(&l->lock);
    return rc;
}

int an_loader_next(an_loader *loader, an_batch **out)
{
    return next(loader, true, out);
}

int an_loader_try_next(an_loader *loader, an_batch **out)
{
    return next(loader, false, out);
}

/* The lock is held. Parked records whose batch is open now become ready, the others stay in their order. Returns how
 * many workers to wake. */
static int unpark(an_loader *l)
{
    for (int left = l->parked.count; left > 0; left--) {
        item *it = an_item_list_pop(&l->parked);
        an_item_list_push(an_loader_is_open(l, it->batch) ? &l->ready : &l->parked, it);
    }
    return an_loader_workers_wanted(l);
}

void an_loader_release(an_loader *loader, an_batch *batch)
{
    an_loader *l = loader;
    if (!batch)
        return;
    pthread_mutex_lock(&l->lock);
    an_loader_open(l, l->released + (uint64_t)l->options.slots);
    l->released++;
    int wanted = unpark(l);
    pthread_mutex_unlock(&l->lock);
    an_loader_wake_workers(l, wanted);
}

void an_loader_stats_get(an_loader *loader, an_loader_stats *out)
{
    pthread_mutex_lock(&loader->lock);
    *out = loader->stats;
    out->threads = loader->options.threads;
    out->elapsed_ns = loader->started_ns ? an_clock_ns() - loader->started_ns : 0;
    pthread_mutex_unlock(&loader->lock);
}

void an_loader_stats_reset(an_loader *loader)
{
    pthread_mutex_lock(&loader->lock);
    restart_stats(loader);
    pthread_mutex_unlock(&loader->lock);
}

const char *an_loader_note(const an_loader *loader)
{
    return an_reader_note(loader->reader);
}

an_reader_engine an_loader_engine(const an_loader *loader)
{
    return an_reader_engine_used(loader->reader);
}

int an_loader_name_error(const an_dataset *dataset, int code, uint64_t record)
{
    const char *name;
    size_t length;
    an_error_state error;
    an_error_save(&error, code);
    bool named = an_dataset_name(dataset, record, &name, &length) == AN_OK;
    an_error_restore(&error);
    return an_error_prefix(code, "record %llu ('%.*s') of '%s'", (unsigned long long)record, named ? (int)length : 1,
                           named ? name : "?", an_dataset_path(dataset));
}
