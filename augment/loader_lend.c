/* What the callers of the loader do: take batches, give them back, interrupt. The DESIGN stands in loader.c. */
#include <stdatomic.h>

#include "augment/loader_private.h"
#include "base/clock.h"

#define SECOND UINT64_C(1000000000)

/* A lease number: a count of all loans in the process, times AN_LOADER_SLOTS_MAX, plus the number of the slot. */
static uint64_t new_lease(const an_loader *l, const an_loader_slot *s)
{
    static atomic_uint_fast64_t loans;
    uint64_t loan = atomic_fetch_add_explicit(&loans, 1, memory_order_relaxed) + 1;
    return loan * AN_LOADER_SLOTS_MAX + (uint64_t)(s - l->slots);
}

/* The slot that is lent under this number, or NULL. The lock is held. */
static an_loader_slot *lent_slot(an_loader *l, uint64_t lease)
{
    uint64_t number = lease % AN_LOADER_SLOTS_MAX;
    if (lease == 0 || number >= (uint64_t)l->slot_count || l->slots[number].batch.lease != lease)
        return NULL;
    return &l->slots[number];
}

/* The lock is held. */
static void restart_stats(an_loader *l)
{
    l->stats = (an_loader_stats){.threads = l->options.threads};
    l->started_ns = an_clock_ns();
}

/* This failure is what every call gets from now on. The lock is held. */
static int fail_for_good(an_loader *l, const an_error_state *failure)
{
    l->failure = *failure;
    pthread_cond_broadcast(&l->delivery);
    return an_error_restore(&l->failure);
}

/* An epoch's last batch is delivered if the epoch's records are those that were written. The lock is held. */
static int end_epoch(an_loader *l, an_loader_slot *due, an_loader_slot **out)
{
    an_error_state failure;
    int rc = an_loader_check_epoch(l);
    if (rc) {
        an_error_save(&failure, rc);
        return fail_for_good(l, &failure);
    }
    *out = due;
    return AN_OK;
}

/* Whether the next batch is there. *out: its slot; NULL, with 0 returned: not yet. AN_AGAIN: all slots are lent. The
 * lock is held. */
static int look(an_loader *l, uint64_t interruptions, an_loader_slot **out)
{
    *out = NULL;
    if (l->stop || l->interrupted || l->interruptions != interruptions)
        return AN_STOPPED;
    if (l->failure.code)
        return an_error_restore(&l->failure);
    if (l->delivered == l->total)
        return AN_END;
    if (l->lent == l->slot_count)
        return l->growing ? AN_OK : AN_AGAIN;
    an_loader_slot *due = l->open[l->delivered % (uint64_t)l->slots_max];
    if (due->done && due->error.code) {
        l->failed_record = due->error_record;
        return fail_for_good(l, &due->error);
    }
    if (!due->done && l->reader_failure.code)
        return fail_for_good(l, &l->reader_failure);
    if (!due->done)
        return AN_OK;
    if (due->batch.last)
        return end_epoch(l, due, out);
    *out = due;
    return AN_OK;
}

/* Sleep until something changes, but not beyond the deadline, a time of an_clock_ns. False: it is over. The lock is
 * held. */
static bool await_change(an_loader *l, uint64_t deadline)
{
    int rc = 0;
    const struct timespec until = {.tv_sec = (time_t)(deadline / SECOND), .tv_nsec = (long)(deadline % SECOND)};
    l->consumers_waiting++;
    if (deadline == UINT64_MAX)
        pthread_cond_wait(&l->delivery, &l->lock);
    else
        rc = pthread_cond_timedwait(&l->delivery, &l->lock, &until);
    l->consumers_waiting--;
    return !rc;
}

/* The same, but where all slots are lent and there may be more, the next batch gets another one. The lock is held, but
 * not all the time. */
static int look_harder(an_loader *l, uint64_t interruptions, an_loader_slot **out)
{
    int rc = look(l, interruptions, out);
    while (rc == AN_AGAIN && l->slot_count < l->slots_max) {
        rc = an_loader_slots_add(l);
        if (rc)
            return rc;
        rc = look(l, interruptions, out);
    }
    return rc;
}

/* Look until the next batch is there, waiting in between. 0 with *out NULL: the deadline came first. The lock is held.
 */
static int await(an_loader *l, uint64_t deadline, an_loader_slot **out)
{
    uint64_t interruptions = l->interruptions, start = an_clock_ns();
    int rc = look_harder(l, interruptions, out);
    for (bool more = true; !rc && !*out && more; rc = look_harder(l, interruptions, out))
        more = await_change(l, deadline);
    l->stats.consumer_wait_ns += an_loader_since(l, start);
    if (rc == AN_AGAIN)
        return an_error(AN_EINVAL, "all %d batches are lent: release one first", l->slot_count);
    return rc;
}

/* The lock is held. */
static void lend(an_loader *l, an_loader_slot *s, an_batch *out)
{
    s->batch.lease = new_lease(l, s);
    l->lent++;
    l->delivered++;
    l->stats.batches++;
    l->stats.samples += s->batch.count;
    *out = s->batch;
}

static int next_until(an_loader *l, uint64_t deadline, an_batch *out)
{
    an_loader_slot *due;
    *out = (an_batch){0};
    pthread_mutex_lock(&l->lock);
    if (!l->started_ns)
        restart_stats(l);
    int rc = await(l, deadline, &due);
    if (!rc && !due)
        rc = AN_AGAIN;
    if (!rc)
        lend(l, due, out);
    pthread_mutex_unlock(&l->lock);
    return rc;
}

int an_loader_next(an_loader *loader, an_batch *out)
{
    return next_until(loader, UINT64_MAX, out);
}

int an_loader_next_within(an_loader *loader, an_batch *out, uint64_t nanoseconds)
{
    uint64_t deadline;
    if (__builtin_add_overflow(an_clock_ns(), nanoseconds, &deadline))
        deadline = UINT64_MAX;
    return next_until(loader, deadline, out);
}

int an_loader_try_next(an_loader *loader, an_batch *out)
{
    an_loader_slot *due;
    *out = (an_batch){0};
    pthread_mutex_lock(&loader->lock);
    if (!loader->started_ns)
        restart_stats(loader);
    int rc = look(loader, loader->interruptions, &due);
    if (!rc && !due)
        rc = AN_AGAIN;
    if (!rc)
        lend(loader, due, out);
    pthread_mutex_unlock(&loader->lock);
    return rc;
}

/* Parked records whose batch is open now become ready, the others stay in their order. */
int an_loader_take_slot(an_loader *l, an_loader_slot *s)
{
    an_loader_open(l, s);
    for (int left = l->parked.count; left > 0; left--) {
        an_loader_item *it = an_loader_list_pop(&l->parked);
        an_loader_list_push(an_loader_is_open(l, it->batch) ? &l->ready : &l->parked, it);
    }
    return an_loader_workers_wanted(l);
}

/* The slot is free again and takes the next batch. Returns how many workers to wake. The lock is held. */
static int take_back(an_loader *l, an_loader_slot *s)
{
    s->batch.lease = 0;
    l->lent--;
    return l->stop ? 0 : an_loader_take_slot(l, s);
}

int an_loader_release(an_loader *loader, const an_batch *batch)
{
    pthread_mutex_lock(&loader->lock);
    an_loader_slot *s = lent_slot(loader, batch->lease);
    int wanted = s ? take_back(loader, s) : 0;
    pthread_mutex_unlock(&loader->lock);
    if (!s)
        return an_error(AN_EINVAL,
                        "cannot release a batch (epoch %llu, step %llu) that this loader has not lent, or has back",
                        (unsigned long long)batch->epoch, (unsigned long long)batch->step);
    an_loader_wake_workers(loader, wanted);
    return AN_OK;
}

void an_loader_interrupt(an_loader *loader)
{
    pthread_mutex_lock(&loader->lock);
    loader->interrupted = true;
    loader->interruptions++;
    pthread_cond_broadcast(&loader->delivery);
    pthread_mutex_unlock(&loader->lock);
}

void an_loader_resume(an_loader *loader)
{
    pthread_mutex_lock(&loader->lock);
    loader->interrupted = false;
    pthread_mutex_unlock(&loader->lock);
}

int an_loader_lent(an_loader *loader)
{
    pthread_mutex_lock(&loader->lock);
    int lent = loader->lent;
    pthread_mutex_unlock(&loader->lock);
    return lent;
}

bool an_loader_has_failed(an_loader *loader)
{
    pthread_mutex_lock(&loader->lock);
    bool failed = loader->failure.code;
    pthread_mutex_unlock(&loader->lock);
    return failed;
}

bool an_loader_failed_record(an_loader *loader, uint64_t *out)
{
    pthread_mutex_lock(&loader->lock);
    *out = loader->failed_record;
    pthread_mutex_unlock(&loader->lock);
    return *out != UINT64_MAX;
}

void an_loader_stats_get(an_loader *loader, an_loader_stats *out)
{
    pthread_mutex_lock(&loader->lock);
    *out = loader->stats;
    out->threads = loader->options.threads;
    out->slots = loader->slot_count;
    out->elapsed_ns = loader->started_ns ? an_clock_ns() - loader->started_ns : 0;
    pthread_mutex_unlock(&loader->lock);
}

void an_loader_stats_reset(an_loader *loader)
{
    pthread_mutex_lock(&loader->lock);
    restart_stats(loader);
    pthread_mutex_unlock(&loader->lock);
}
