/* DESIGN
 *
 * A liban_loader is a place in the data, (epoch, position), and at most one run that delivers from there on: a loader
 * of augment/ with threads of its own (run.c). It has no threads of its own. A run goes on into the next epoch without
 * being asked, so the first batches of that are ready when they are wanted. It is stopped, and another one begins,
 * where crops change their size, and when the loader is sent to a place that the run would not come to next.
 *
 * The turn. Callers of next take turns, because the end of an epoch must come after its last batch and before the next
 * epoch's first one, whichever threads these go to. Whoever has the turn waits in the run without holding the lock.
 * Others wait for the turn (condition `turn`); all of them are woken when it is given back, by an interruption, and
 * when the loader is closed. Whoever changes the run or the place has the turn and holds the lock while it does so; so
 * with either one may read them.
 *
 * Interruptions are counted, so that a call which waits notices one that is over before it wakes.
 *
 * Locks. A loader's lock may be held when its run's loader is called. A run never calls its liban_loader. */
#include "liban/loader_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "liban/common_private.h"
#include "liban/dataset_private.h"

/* ---- the turn --------------------------------------------------------------------------------------------------- */

/* Returns false when the deadline is over. The lock is held. */
static bool wait_for_turn(liban_loader *l, uint64_t deadline_ns)
{
    if (deadline_ns == UINT64_MAX) {
        pthread_cond_wait(&l->turn, &l->lock);
        return true;
    }
    const uint64_t second = 1000000000;
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / second), .tv_nsec = (long)(deadline_ns % second)};
    return pthread_cond_timedwait(&l->turn, &l->lock, &until) != ETIMEDOUT;
}

int an_lib_loader_take_turn(liban_loader *l, uint64_t deadline_ns)
{
    int rc = LIBAN_OK;
    pthread_mutex_lock(&l->lock);
    uint64_t interruptions = l->interruptions, start = an_clock_ns();
    bool in_time = true, waited = false;
    while (in_time && l->busy && !l->closed && !l->interrupted && l->interruptions == interruptions) {
        waited = true;
        in_time = wait_for_turn(l, deadline_ns);
    }
    if (waited)
        l->past.consumer_wait_ns += an_clock_ns() - start;
    if (l->closed || l->interrupted || l->interruptions != interruptions)
        rc = LIBAN_INTERRUPTED;
    else if (l->busy)
        rc = LIBAN_AGAIN;
    else
        l->busy = true;
    pthread_mutex_unlock(&l->lock);
    return rc;
}

int an_lib_loader_claim_turn(liban_loader *l)
{
    pthread_mutex_lock(&l->lock);
    while (l->busy && !l->closed)
        pthread_cond_wait(&l->turn, &l->lock);
    bool closed = l->closed;
    if (!closed)
        l->busy = true;
    pthread_mutex_unlock(&l->lock);
    return closed ? LIBAN_INTERRUPTED : LIBAN_OK;
}

void an_lib_loader_give_turn(liban_loader *l)
{
    pthread_mutex_lock(&l->lock);
    l->busy = false;
    pthread_cond_broadcast(&l->turn);
    pthread_mutex_unlock(&l->lock);
}

/* A run of more epochs may as well be endless: it is stopped anyway where crops change their size. */
#define EPOCHS_MAX UINT32_MAX

/* ---- runs ------------------------------------------------------------------------------------------------------- */

uint32_t an_lib_loader_crop(const liban_loader *l, uint64_t epoch, uint64_t *epochs)
{
    uint32_t crop = l->crop;
    size_t i = 0;
    while (i < l->change_count && l->changes[i].epoch <= epoch)
        crop = l->changes[i++].crop;
    while (i < l->change_count && l->changes[i].crop == crop)
        i++;
    *epochs = i < l->change_count ? l->changes[i].epoch - epoch : 0;
    return crop;
}

static int keep_note(liban_loader *l, const char *note)
{
    char *copy = note ? strdup(note) : NULL;
    if (note && !copy)
        return an_error(LIBAN_ENOMEM, "out of memory for a loader");
    pthread_mutex_lock(&l->lock);
    free(l->note);
    l->note = copy;
    pthread_mutex_unlock(&l->lock);
    return LIBAN_OK;
}

/* From now on others see the run. Of an interruption that came before, it does not know yet. */
static void publish(liban_loader *l, an_lib_run *run)
{
    pthread_mutex_lock(&l->lock);
    l->run = run;
    if (l->interrupted || l->closed)
        an_lib_source_interrupt(an_lib_run_source(run));
    pthread_mutex_unlock(&l->lock);
}

int an_lib_loader_start(liban_loader *l)
{
    uint64_t epochs;
    uint32_t crop = an_lib_loader_crop(l, l->epoch, &epochs);
    if (l->run && an_lib_run_crop(l->run) == crop)
        return LIBAN_OK;
    an_lib_loader_stop(l);
    an_lib_run *run;
    an_lib_run_options options = l->run_options;
    options.loader.sample.crop = crop;
    options.loader.first_epoch = l->epoch;
    options.loader.first_position = l->position;
    options.loader.epochs = epochs <= EPOCHS_MAX ? epochs : 0;
    int rc = an_lib_run_create(&run, l->dataset, &options);
    if (rc)
        return rc;
    publish(l, run);
    rc = keep_note(l, an_lib_source_note(an_lib_run_source(run)));
    if (rc)
        an_lib_loader_stop(l);
    return rc;
}

void an_lib_loader_stop(liban_loader *l)
{
    an_loader_stats counted = {0};
    pthread_mutex_lock(&l->lock);
    an_lib_run *run = l->run;
    l->run = NULL;
    pthread_mutex_unlock(&l->lock);
    if (!run)
        return;
    an_lib_run_retire(run, &counted);
    pthread_mutex_lock(&l->lock);
    an_lib_stats_add(&l->past, &counted);
    pthread_mutex_unlock(&l->lock);
}

/* ---- making and freeing ----------------------------------------------------------------------------------------- */

static void init_sync(liban_loader *l)
{
    /* None of these can fail on Linux. */
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&l->turn, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&l->lock, NULL);
}

static void destroy(liban_loader *l)
{
    an_lib_loader_stop(l);
    an_lib_dataset_drop(l->dataset);
    pthread_cond_destroy(&l->turn);
    pthread_mutex_destroy(&l->lock);
    free(l->changes);
    free(l->indices);
    free(l->weights);
    free(l->device);
    free(l->note);
    free(l);
}

/* Takes no turn: nobody else knows the loader yet. */
static int build(liban_loader *l, const liban_loader_options *options)
{
    int rc = an_lib_loader_translate(l, options);
    if (rc)
        return rc;
    rc = an_lib_loader_place(l, options->epoch, options->position);
    return rc ? rc : an_lib_loader_start(l);
}

static int take_options(liban_loader_options *to, const liban_loader_options *from)
{
    static const size_t sizes[] = {AN_LIB_END_OF(liban_loader_options, memory_context)};
    *to = (liban_loader_options)LIBAN_LOADER_OPTIONS_INIT;
    return an_lib_take_options(to, from, sizes, LIBAN_LOADER_OPTIONS_VERSION, "liban_loader_options");
}

int liban_loader_create(liban_loader **out, liban_dataset *dataset, const liban_loader_options *options)
{
    *out = NULL;
    liban_loader_options mine;
    if (!dataset)
        return an_error(LIBAN_EINVAL, "a loader needs a dataset");
    int rc = an_lib_dataset_check(dataset);
    if (rc)
        return rc;
    rc = take_options(&mine, options);
    if (rc)
        return rc;
    liban_loader *l = calloc(1, sizeof *l);
    if (!l)
        return an_error(LIBAN_ENOMEM, "out of memory for a loader");
    l->dataset = dataset;
    l->process = getpid();
    an_lib_dataset_hold(dataset);
    init_sync(l);
    rc = build(l, &mine);
    if (rc) {
        destroy(l);
        return rc;
    }
    *out = l;
    return LIBAN_OK;
}

void liban_loader_close(liban_loader *loader)
{
    liban_loader *l = loader;
    if (!l || an_lib_is_forked(l->process))
        return;
    pthread_mutex_lock(&l->lock);
    l->closed = true;
    if (l->run)
        an_lib_source_interrupt(an_lib_run_source(l->run));
    pthread_cond_broadcast(&l->turn);
    while (l->busy)
        pthread_cond_wait(&l->turn, &l->lock);
    pthread_mutex_unlock(&l->lock);
    an_lib_loader_stop(l); /* nobody gets the turn any more */
}

void liban_loader_free(liban_loader *loader)
{
    if (!loader || an_lib_is_forked(loader->process))
        return;
    liban_loader_close(loader);
    destroy(loader);
}
