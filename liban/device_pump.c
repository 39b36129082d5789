/* The thread that feeds a device. The DESIGN stands in device_parts_private.h. */
#include <string.h>

#include "augment/loader.h"
#include "base/clock.h"
#include "liban/device_parts_private.h"

enum {
    SOON_NS = 100000,  /* between two questions whether a batch is done */
    LATE_NS = 1000000, /* the same when it has not been for long: it waits for who used the place before */
    LONG = 50          /* questions */
};

/* ---- places ----------------------------------------------------------------------------------------------------- */

/* All places are lent, and somebody asks for more. The lock is held. */
static bool is_short(const an_lib_device *d)
{
    return d->asking && d->lent == d->made && d->made < d->places_max && !d->no_place.code;
}

static int make_place(an_lib_device *d)
{
    int rc = an_lib_device_prepare_place(d);
    return rc ? rc : an_batch_feed_grow(d->feed);
}

/* The lock is held, but not while memory is made. */
static void grow(an_lib_device *d)
{
    pthread_mutex_unlock(&d->lock);
    int rc = make_place(d);
    pthread_mutex_lock(&d->lock);
    if (!rc) {
        an_lib_device_add_place(d);
        return;
    }
    an_error_save(&d->no_place, rc);
    pthread_cond_broadcast(&d->changed);
}

/* Waits until there is a free place and takes it. AN_STOPPED. */
static int claim(an_lib_device *d, uint32_t *number)
{
    pthread_mutex_lock(&d->lock);
    while (!d->stop && !d->free.count)
        if (is_short(d))
            grow(d);
        else
            pthread_cond_wait(&d->returned, &d->lock);
    int rc = d->stop ? AN_STOPPED : AN_OK;
    if (!rc)
        *number = an_lib_line_pop(&d->free);
    pthread_mutex_unlock(&d->lock);
    return rc;
}

/* The same without waiting: AN_AGAIN. */
static int try_claim(an_lib_device *d, uint32_t *number)
{
    pthread_mutex_lock(&d->lock);
    int rc = d->stop ? AN_STOPPED : d->free.count ? AN_OK : AN_AGAIN;
    if (!rc)
        *number = an_lib_line_pop(&d->free);
    pthread_mutex_unlock(&d->lock);
    return rc;
}

static void move_to(an_lib_device *d, an_lib_line *line, uint32_t number)
{
    pthread_mutex_lock(&d->lock);
    an_lib_line_push(line, number);
    if (line == &d->ready)
        pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

/* ---- a batch's way ---------------------------------------------------------------------------------------------- */

/* What the host keeps of a batch when its records are gone. */
static void keep(const an_lib_device *d, an_lib_place *p)
{
    const an_batch *records = &p->records;
    an_batch kept = *records;
    kept.lease = 0;
    kept.data = p->batch.data;
    kept.size = records->count * d->sample;
    kept.labels = p->batch.labels;
    kept.indices = p->batch.indices;
    kept.draws = p->batch.draws;
    memcpy(kept.labels, records->labels, records->count * sizeof *kept.labels);
    memcpy(kept.indices, records->indices, records->count * sizeof *kept.indices);
    memcpy(kept.draws, records->draws, records->count * sizeof *kept.draws);
    p->batch = kept;
}

/* Queue what the loader lent for this place. */
static int send(an_lib_device *d, uint32_t number)
{
    an_lib_place *p = &d->places[number];
    keep(d, p);
    int rc = an_batch_feed_put(d->feed, number, p->records.data, p->records.size, p->records.count);
    d->broken = rc;
    move_to(d, &d->sent, number); /* also if it failed: part of it may be queued */
    return rc;
}

static int blame(an_lib_device *d, int rc, uint64_t record)
{
    pthread_mutex_lock(&d->lock);
    d->damaged = true;
    d->damaged_record = record;
    pthread_mutex_unlock(&d->lock);
    return an_loader_name_error(d->dataset, rc, record);
}

/* The oldest batch on the device is done. */
static int deliver(an_lib_device *d, int rc, uint32_t sample)
{
    uint32_t number = an_lib_line_pop(&d->sent);
    an_lib_place *p = &d->places[number];
    d->broken = rc;
    if (rc)
        return sample < p->batch.count ? blame(d, rc, p->batch.indices[sample]) : rc;
    move_to(d, &d->ready, number);
    return an_loader_release(d->loader, &p->records);
}

/* Sleeps a little, unless a place comes back meanwhile and can be used at once. */
static int pause_for(an_lib_device *d, uint64_t nanoseconds)
{
    pthread_mutex_lock(&d->lock);
    if (!d->stop)
        (void)an_lib_device_sleep(d, &d->returned, an_clock_ns() + nanoseconds);
    int rc = d->stop ? AN_STOPPED : AN_OK;
    pthread_mutex_unlock(&d->lock);
    return rc;
}

/* ---- the thread ------------------------------------------------------------------------------------------------- */

/* Nothing is on the device. */
static int start(an_lib_device *d)
{
    uint32_t number;
    int rc = claim(d, &number);
    if (rc)
        return rc;
    rc = an_loader_next(d->loader, &d->places[number].records);
    if (!rc)
        return send(d, number);
    move_to(d, &d->free, number);
    return rc;
}

/* One more behind those that are on the device, if its records are there. AN_AGAIN: not now. */
static int add(an_lib_device *d)
{
    uint32_t number;
    if (d->sent.count == AN_LIB_DEVICE_SENT)
        return AN_AGAIN;
    int rc = try_claim(d, &number);
    if (rc)
        return rc;
    rc = an_loader_try_next(d->loader, &d->places[number].records);
    if (!rc)
        return send(d, number);
    move_to(d, &d->free, number);
    return rc;
}

/* Ask whether the oldest batch on the device is done, and deliver it; else sleep a little. *asked: how often so far. */
static int ask(an_lib_device *d, int *asked)
{
    uint32_t sample = UINT32_MAX;
    int rc = an_batch_feed_done(d->feed, d->sent.numbers[d->sent.first], &sample);
    if (rc == AN_AGAIN)
        return pause_for(d, ++*asked < LONG ? SOON_NS : LATE_NS);
    *asked = 0;
    return deliver(d, rc, sample);
}

static int work(an_lib_device *d)
{
    for (int asked = 0;;) {
        int rc = d->sent.count ? add(d) : start(d);
        if (rc == AN_AGAIN)
            rc = ask(d, &asked);
        if (rc)
            return rc;
    }
}

/* The loader has come to an end: the batches before it are delivered first. */
static int drain(an_lib_device *d)
{
    int rc = AN_OK;
    for (int asked = 0; !rc && d->sent.count;)
        rc = ask(d, &asked);
    return rc;
}

void *an_lib_device_pump(void *argument)
{
    an_lib_device *d = argument;
    an_error_state end, drained = {0};
    int rc = work(d);
    an_error_save(&end, rc);
    if (rc != AN_STOPPED && !d->broken)
        an_error_save(&drained, drain(d));
    pthread_mutex_lock(&d->lock);
    if (!d->end.code)
        d->end = drained.code ? drained : end; /* what comes first in the order of batches */
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
    return NULL;
}
