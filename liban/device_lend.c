/* What those who take batches on a device call. The DESIGN stands in device_parts_private.h. */
#include <inttypes.h>

#include "base/clock.h"
#include "liban/device_parts_private.h"

#define SECOND UINT64_C(1000000000)

bool an_lib_device_sleep(an_lib_device *d, pthread_cond_t *condition, uint64_t deadline_ns)
{
    const struct timespec until = {.tv_sec = (time_t)(deadline_ns / SECOND), .tv_nsec = (long)(deadline_ns % SECOND)};
    if (deadline_ns != UINT64_MAX)
        return !pthread_cond_timedwait(condition, &d->lock, &until);
    pthread_cond_wait(condition, &d->lock);
    return true;
}

/* Whether a batch is there. AN_AGAIN: not yet. The lock is held. */
static int look(an_lib_device *d, uint64_t interruptions)
{
    if (d->stop || d->interrupted || d->interruptions != interruptions)
        return AN_STOPPED;
    if (d->ready.count && !d->at_once)
        return AN_OK;
    if (d->end.code)
        return an_error_restore(&d->end);
    if (d->lent == d->places_max)
        return an_error(AN_EINVAL, "all %u batches are lent: release one first", d->places_max);
    if (d->no_place.code && d->lent == d->made) {
        int rc = an_error_restore(&d->no_place);
        d->no_place.code = 0; /* whoever asks again tries again */
        return rc;
    }
    return AN_AGAIN;
}

/* Look until a batch is there, or the deadline is. The lock is held. */
static int await(an_lib_device *d, uint64_t deadline_ns)
{
    uint64_t interruptions = d->interruptions, start = an_clock_ns();
    int rc = look(d, interruptions);
    d->asking++;
    if (rc == AN_AGAIN)
        pthread_cond_signal(&d->returned); /* the pump may have to make a place */
    for (bool more = true; rc == AN_AGAIN && more; rc = look(d, interruptions))
        more = an_lib_device_sleep(d, &d->changed, deadline_ns);
    d->asking--;
    d->wait_ns += an_clock_ns() - start;
    return rc;
}

/* The lock is held. */
static void lend(an_lib_device *d, an_batch *out)
{
    uint32_t number = an_lib_line_pop(&d->ready);
    an_lib_place *p = &d->places[number];
    p->batch.lease = ++d->loans * d->places_max + number;
    d->lent++;
    d->batches++;
    d->samples += p->batch.count;
    if (d->asking && d->lent == d->made)
        pthread_cond_signal(&d->returned); /* for whoever waits beside */
    *out = p->batch;
}

int an_lib_device_next(an_lib_device *d, an_batch *out, uint64_t nanoseconds)
{
    uint64_t now = an_clock_ns();
    uint64_t deadline_ns = nanoseconds < UINT64_MAX - now ? now + nanoseconds : UINT64_MAX;
    *out = (an_batch){0};
    pthread_mutex_lock(&d->lock);
    if (!d->started_ns)
        d->started_ns = now;
    int rc = await(d, deadline_ns);
    if (!rc)
        lend(d, out);
    pthread_mutex_unlock(&d->lock);
    return rc;
}

/* The place that is lent under this number, or UINT32_MAX. */
static uint32_t lent_place(an_lib_device *d, const an_batch *batch)
{
    uint32_t number = (uint32_t)(batch->lease % d->places_max);
    pthread_mutex_lock(&d->lock);
    bool lent = batch->lease && number < d->made && d->places[number].batch.lease == batch->lease;
    pthread_mutex_unlock(&d->lock);
    return lent ? number : UINT32_MAX;
}

/* The place is free again. rc: of recording what its users were given; without that it must never be used again. */
static void take_back(an_lib_device *d, uint32_t number, int rc)
{
    pthread_mutex_lock(&d->lock);
    d->places[number].batch.lease = 0;
    d->lent--;
    if (!rc)
        an_lib_line_push(&d->free, number);
    else if (!d->end.code)
        an_error_save(&d->end, rc);
    d->at_once = d->at_once || rc;
    pthread_cond_signal(&d->returned);
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

int an_lib_device_release(an_lib_device *d, const an_batch *batch)
{
    pthread_mutex_lock(&d->borrowing);
    uint32_t number = lent_place(d, batch);
    if (number != UINT32_MAX)
        take_back(d, number, an_batch_feed_unuse(d->feed, number));
    pthread_mutex_unlock(&d->borrowing);
    if (number == UINT32_MAX)
        return an_error(AN_EINVAL,
                        "cannot release a batch (epoch %" PRIu64 ", step %" PRIu64
                        ") that this loader has not lent, or has back",
                        batch->epoch, batch->step);
    return AN_OK;
}

int an_lib_device_use(an_lib_device *d, const an_batch *batch, void *stream)
{
    pthread_mutex_lock(&d->borrowing);
    uint32_t number = lent_place(d, batch);
    int rc = number == UINT32_MAX ? an_error(AN_EINVAL, "cannot use a batch that is not lent")
                                  : an_batch_feed_use(d->feed, number, stream);
    pthread_mutex_unlock(&d->borrowing);
    return rc;
}

void an_lib_device_interrupt(an_lib_device *d)
{
    pthread_mutex_lock(&d->lock);
    d->interrupted = true;
    d->interruptions++;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

void an_lib_device_resume(an_lib_device *d)
{
    pthread_mutex_lock(&d->lock);
    d->interrupted = false;
    pthread_mutex_unlock(&d->lock);
}

void an_lib_device_stats(an_lib_device *d, an_loader_stats *out)
{
    an_loader_stats_get(d->loader, out);
    pthread_mutex_lock(&d->lock);
    out->batches = d->batches;
    out->samples = d->samples;
    out->slots = (int)d->made;
    out->consumer_wait_ns = d->wait_ns;
    out->elapsed_ns = d->started_ns ? an_clock_ns() - d->started_ns : 0;
    pthread_mutex_unlock(&d->lock);
}

bool an_lib_device_has_failed(an_lib_device *d)
{
    pthread_mutex_lock(&d->lock);
    bool failed = d->end.code < 0;
    pthread_mutex_unlock(&d->lock);
    return failed;
}

bool an_lib_device_failed_record(an_lib_device *d, uint64_t *out)
{
    pthread_mutex_lock(&d->lock);
    bool failed = d->end.code, damaged = failed && d->damaged;
    if (damaged)
        *out = d->damaged_record;
    pthread_mutex_unlock(&d->lock);
    return damaged || (failed && an_loader_failed_record(d->loader, out));
}
