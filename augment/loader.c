/* DESIGN
 *
 * Threads. One reading thread, `threads` workers, and the consumers: whatever threads call an_loader_next and
 * an_loader_release. One mutex guards everything that two of them touch. It is held for a few pointer moves every few
 * samples.
 *
 * Items. There is a fixed number of items, each with the buffer of one record. They go round:
 *
 *     free -> (reading thread: submit, wait) -> ready -> (worker: decode, augment) -> free
 *                                            \-> parked -> ready
 *
 * Batches and slots. Batches are numbered from 0 in the order of delivery. A batch is open, so that workers may write
 * to it, from the moment it is given a slot. Batches are opened in order: at the start each slot takes one, and
 * whenever a batch is released, in whatever order, its slot takes the next batch that has none. So the open batches
 * that were not delivered yet follow each other, and open[b % slots_max] finds the slot of each. When all slots are
 * lent and there may be more, the consumer that asks for a batch makes one, which takes the next batch as if it had
 * been released. It does so without the lock; `growing` makes other consumers wait for it instead of making slots, too.
 *
 * The reading thread runs ahead of the open batches as far as it has free items: a record of a batch that is not open
 * yet is parked, and an_loader_release moves the records of the batch that it opens to ready. So a worker never holds a
 * record that it may not write. Records are submitted in the order of delivery, but for windows: with order block and
 * O_DIRECT each block is submitted in the order of the file, where the disk is fastest. There are more items than
 * records in a window. So however many of a window's records are parked, an item is left for the next one, and every
 * record of the oldest open batch is read sooner or later: no deadlock.
 *
 * Payloads. Where a device decodes, a slot holds a block of payloads (augment/payload.h). A worker takes the bytes that
 * its payload needs from the block's end by an atomic addition, outside the lock, so payloads lie in the order in which
 * workers came to them. A slot has room for the largest records together, so there is always enough. The worker that
 * completes a batch fixes its size.
 *
 * Leases. A slot that is lent carries a lease number that no other loan in the process has, and that names the slot. A
 * release must show it, so releasing twice, or to another loader, finds another number in the slot and is refused.
 *
 * Order. Reads complete and workers finish in any order. A sample's place is decided when it is submitted, and what is
 * drawn for it depends on (seed, epoch, record) alone, so the bytes of a batch depend on neither.
 *
 * Who wakes whom. The reading thread and an_loader_release wake workers when items became ready (work). A worker wakes
 * the reading thread when a quarter of the items is free (room): one at a time would wake it too often. The worker that
 * completes a batch wakes the consumers (delivery), all of them, because only the one that takes the batch that is due
 * can go on. So do a failure and an_loader_interrupt. Workers wake others without the lock, lest those find it taken.
 * Closing wakes everybody: threads end, and consumers return. It is done once; who closes a loader that another thread
 * is closing waits until that is done.
 *
 * Failures. A record that cannot be read or decoded marks its batch, and an_loader_next fails when that batch is due:
 * the batches before it are delivered, whatever the timing. A failure of the reader as a whole is reported as soon as
 * the batch that is due is not complete. Either is kept as the loader's failure when it is first reported, and returned
 * ever after, even if a worker completes the batch in question later.
 *
 * Memory. Slots, items and record buffers are made at creation; nothing is allocated afterwards but slots beyond those,
 * which the loader keeps until it is freed. */
#include "augment/loader_private.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/buffer.h"

bool an_loader_is_open(const an_loader *l, uint64_t batch)
{
    return batch < l->opened;
}

void an_loader_open(an_loader *l, an_loader_slot *s)
{
    uint64_t batch = l->opened;
    if (batch == l->total)
        return;
    an_loader_span span = an_loader_span_of(l, batch);
    s->batch.count = s->missing = span.count;
    s->batch.carried = span.carried;
    s->batch.repeated = span.repeated;
    s->batch.epoch = span.epoch;
    s->batch.step = span.step;
    s->batch.position = span.position;
    s->batch.last = span.last;
    s->batch.size = s->batch.count * an_sampler_bytes(l->sampler);
    if (l->block_size)
        an_loader_payload_open(s);
    s->done = false;
    s->error.code = 0;
    l->open[batch % (uint64_t)l->slots_max] = s;
    l->opened++;
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
    pthread_condattr_t monotonic; /* it is waited for with a limit, which setting the clock must not move */
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&l->delivery, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

int an_loader_create(an_loader **out, const an_loader_options *options)
{
    *out = NULL;
    an_loader *l = calloc(1, sizeof *l);
    if (!l)
        return an_error(AN_ENOMEM, "out of memory for a loader");
    l->options = *options;
    l->failed_record = UINT64_MAX;
    l->advice_fd = -1;
    an_loader_list_init(&l->free);
    an_loader_list_init(&l->ready);
    an_loader_list_init(&l->parked);
    init_sync(l);
    int rc = an_loader_build(l);
    if (rc) {
        an_loader_free(l);
        return rc;
    }
    *out = l;
    return AN_OK;
}

/* False: another call has begun to close the loader, and has done it by now. */
static bool begin_closing(an_loader *l)
{
    pthread_mutex_lock(&l->lock);
    bool first = !l->stop;
    l->stop = true;
    pthread_cond_broadcast(&l->work);
    pthread_cond_broadcast(&l->room);
    pthread_cond_broadcast(&l->delivery);
    while (!first && !l->closed)
        pthread_cond_wait(&l->delivery, &l->lock);
    pthread_mutex_unlock(&l->lock);
    return first;
}

static void join_threads(an_loader *l)
{
    if (l->reading_started)
        pthread_join(l->reading_thread, NULL);
    for (int i = 0; i < l->workers_started; i++) {
        pthread_join(l->workers[i].thread, NULL);
        an_sample_scratch_free(l->workers[i].scratch);
        free(l->workers[i].sample);
    }
}

void an_loader_close(an_loader *loader)
{
    an_loader *l = loader;
    if (!begin_closing(l))
        return;
    join_threads(l);
    an_reader_free(l->reader); /* before its buffers: it waits for what is in flight */
    an_pages_free(l->record_memory, l->record_memory_size);
    if (l->advice_fd >= 0)
        (void)close(l->advice_fd); /* opened for reading: nothing to lose */
    pthread_mutex_lock(&l->lock);
    l->closed = true;
    pthread_cond_broadcast(&l->delivery);
    pthread_mutex_unlock(&l->lock);
}

void an_loader_free(an_loader *loader)
{
    an_loader *l = loader;
    if (!l)
        return;
    an_loader_close(l);
    an_loader_slots_free(l);
    an_dataset_headers_free(l->headers);
    an_sampler_free(l->sampler);
    an_weighted_free(l->weighted);
    free(l->items);
    free(l->places);
    free(l->workers);
    free(l->subset);
    free(l->note);
    pthread_cond_destroy(&l->delivery);
    pthread_cond_destroy(&l->room);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

uint64_t an_loader_steps_per_epoch(const an_loader *loader)
{
    return an_epochs_steps(&loader->epochs, 1);
}

const char *an_loader_note(const an_loader *loader)
{
    return loader->note;
}

an_reader_engine an_loader_engine(const an_loader *loader)
{
    return loader->engine;
}

int an_loader_name_error(const an_dataset *dataset, int code, uint64_t record)
{
    const char *name;
    size_t length;
    an_error_state failure;
    an_error_save(&failure, code);
    bool named = !an_dataset_name(dataset, record, &name, &length);
    an_error_restore(&failure);
    return an_error_prefix(code, "record %llu ('%.*s') of '%s'", (unsigned long long)record, named ? (int)length : 1,
                           named ? name : "?", an_dataset_path(dataset));
}
