/* Batches among threads: releases in any order, interrupting, closing, batches that outlive their loader. */
#include "support.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

#define THREADS 4
#define HELD 6
#define RELEASES 10000

static atomic_int lent, wrong;

/* ---- releases in any order --------------------------------------------------------------------------------------- */

typedef struct {
    liban_loader *loader;
    uint64_t number;
    liban_batch *held[HELD];
    uint64_t hashes[HELD];
} consumer;

/* Release what lies at i, if anything: nothing was written to it meanwhile. */
static void put_back(consumer *c, uint32_t i)
{
    if (!c->held[i])
        return;
    if (hash_of(c->held[i]) != c->hashes[i] || liban_batch_release(c->held[i]))
        atomic_fetch_add(&wrong, 1);
    c->held[i] = NULL;
}

static void *consume(void *argument)
{
    consumer *c = argument;
    an_rng rng = an_rng_make(5, AN_RNG_TEST, 0, c->number);
    while (atomic_fetch_add(&lent, 1) < RELEASES) {
        uint32_t i = an_rng_u32(&rng) % HELD;
        put_back(c, i);
        int rc = liban_loader_next(c->loader, &c->held[i]);
        if (rc == LIBAN_END)
            rc = liban_loader_next_within(c->loader, &c->held[i], 1000000);
        if (rc < 0)
            atomic_fetch_add(&wrong, 1);
        if (c->held[i])
            c->hashes[i] = hash_of(c->held[i]);
    }
    for (uint32_t i = 0; i < HELD; i++)
        put_back(c, i);
    return NULL;
}

static void batches_may_be_released_in_any_order_by_any_thread(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    consumer consumers[THREADS] = {{0}};
    liban_loader_options options = small();
    options.batch = 3;
    options.crop = 8;
    options.slots = 2;
    options.mixup = 0.2;
    liban_loader *loader = start(&options);
    atomic_store(&lent, 0);
    for (uint64_t i = 0; i < THREADS; i++) {
        consumers[i] = (consumer){.loader = loader, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, consume, &consumers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&wrong), 0);
    liban_loader_free(loader);
}

/* ---- epochs among threads ---------------------------------------------------------------------------------------- */

typedef struct {
    liban_loader *loader;
    uint64_t batches[3], ends; /* of each epoch */
} worker;

static void *share_epochs(void *argument)
{
    worker *w = argument;
    liban_batch *batch;
    int rc;
    while ((rc = liban_loader_next(w->loader, &batch)) != LIBAN_INTERRUPTED) {
        if (rc == LIBAN_END && ++w->ends)
            continue;
        if (batch->epoch < 3)
            w->batches[batch->epoch]++;
        else
            liban_loader_interrupt(w->loader);
        (void)liban_batch_release(batch);
    }
    return NULL;
}

static void threads_share_an_epoch_and_one_hears_of_its_end(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    worker workers[THREADS] = {{0}};
    liban_loader_options options = small();
    uint64_t batches[3] = {0}, ends = 0;
    liban_loader *loader = start(&options);
    for (int i = 0; i < THREADS; i++) {
        workers[i].loader = loader;
        assert_int_equal(pthread_create(&threads[i], NULL, share_epochs, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        for (int epoch = 0; epoch < 3; epoch++)
            batches[epoch] += workers[i].batches[epoch];
        ends += workers[i].ends;
    }
    for (int epoch = 0; epoch < 3; epoch++)
        assert_int_equal(batches[epoch], liban_loader_steps(loader));
    assert_int_equal(ends, 3);
    liban_loader_free(loader);
}

/* ---- interrupting and closing ------------------------------------------------------------------------------------ */

/* Take batches until that is interrupted. */
static void *take_until_interrupted(void *argument)
{
    uint64_t *count = calloc(1, sizeof *count);
    liban_batch *batch;
    int rc;
    while ((rc = liban_loader_next(argument, &batch)) != LIBAN_INTERRUPTED) {
        atomic_fetch_add(&lent, 1);
        if (rc == LIBAN_END)
            continue;
        ++*count;
        (void)liban_batch_release(batch);
    }
    return count;
}

static uint64_t taken_by(pthread_t thread)
{
    void *result;
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_non_null(result);
    uint64_t count = *(uint64_t *)result;
    free(result);
    return count;
}

static void interrupting_loses_nothing(void **state)
{
    (void)state;
    liban_loader_options options = small();
    liban_batch *batch;
    uint64_t count = 0;
    liban_loader *loader = start(&options);
    for (int i = 0; i < 20; i++) {
        pthread_t threads[2];
        atomic_store(&lent, 0);
        for (int k = 0; k < 2; k++)
            assert_int_equal(pthread_create(&threads[k], NULL, take_until_interrupted, loader), 0);
        while (atomic_load(&lent) < 5)
            sched_yield();
        liban_loader_interrupt(loader);
        count += taken_by(threads[0]) + taken_by(threads[1]);
        assert_int_equal(liban_loader_next(loader, &batch), LIBAN_INTERRUPTED);
        assert_int_equal(liban_loader_next_within(loader, &batch, 5), LIBAN_INTERRUPTED);
        liban_loader_resume(loader);
    }
    int rc = liban_loader_next(loader, &batch);
    if (rc == LIBAN_END)
        rc = liban_loader_next(loader, &batch);
    assert_int_equal(rc, LIBAN_OK);
    assert_int_equal(batch->epoch * liban_loader_steps(loader) + batch->step, count);
    give(batch);
    liban_loader_free(loader);
}

static void a_loader_that_goes_elsewhere_stays_interrupted(void **state)
{
    (void)state;
    liban_loader_options options = small();
    liban_batch *batch;
    liban_loader *loader = start(&options);
    liban_loader_interrupt(loader);
    assert_int_equal(liban_loader_set_epoch(loader, 4), LIBAN_OK);
    assert_int_equal(liban_loader_next(loader, &batch), LIBAN_INTERRUPTED);
    liban_loader_resume(loader);
    batch = take(loader);
    assert_int_equal(batch->epoch, 4);
    give(batch);
    liban_loader_free(loader);
}

static void a_closed_loader_still_answers(void **state)
{
    (void)state;
    liban_loader_options options = small();
    liban_loader_state place;
    liban_loader_stats stats;
    char text[256];
    liban_batch *batch;
    pthread_t thread;
    liban_loader *loader = start(&options);
    atomic_store(&lent, 0);
    assert_int_equal(pthread_create(&thread, NULL, take_until_interrupted, loader), 0);
    while (atomic_load(&lent) < 20)
        sched_yield();
    liban_loader_close(loader);
    uint64_t count = taken_by(thread);
    liban_loader_resume(loader); /* closed is for good */
    assert_int_equal(liban_loader_next(loader, &batch), LIBAN_INTERRUPTED);
    assert_int_equal(liban_loader_set_epoch(loader, 0), LIBAN_INTERRUPTED);
    liban_loader_stats_get(loader, &stats);
    assert_int_equal(stats.batches, count);
    assert_int_equal(stats.samples, count * BATCH);
    assert_true(stats.elapsed_ns > 0 && stats.worker_busy_ns > 0 && stats.bytes_read > 0);
    assert_int_equal(stats.threads, 2);
    assert_int_equal(stats.slots, 4);
    liban_loader_state_get(loader, &place);
    assert_int_equal(place.position % BATCH, 0);
    assert_int_equal(place.epoch * liban_loader_steps(loader) + place.position / BATCH, count);
    const char *limit = liban_loader_verdict(loader, text, sizeof text);
    assert_memory_equal(text, limit, strlen(limit));
    (void)liban_loader_note(loader);
    liban_loader_close(loader);
    liban_loader_free(loader);
}

/* ---- batches that outlive their loader --------------------------------------------------------------------------- */

typedef struct {
    pthread_mutex_t lock;
    size_t memory;
} ledger;

static int ledger_alloc(void *context, void **out, size_t size)
{
    ledger *l = context;
    pthread_mutex_lock(&l->lock);
    l->memory += size;
    pthread_mutex_unlock(&l->lock);
    *out = aligned_alloc(4096, size); /* whole pages */
    return *out ? LIBAN_OK : LIBAN_ENOMEM;
}

static void ledger_free(void *context, void *memory, size_t size)
{
    ledger *l = context;
    pthread_mutex_lock(&l->lock);
    l->memory -= size;
    pthread_mutex_unlock(&l->lock);
    free(memory);
}

static void *release_one(void *argument)
{
    return liban_batch_release(argument) ? argument : NULL;
}

static void batches_outlive_their_loader_and_dataset(void **state)
{
    (void)state;
    enum { KEPT = 9 };
    liban_dataset *mine;
    liban_loader *loader;
    liban_batch *kept[KEPT];
    uint64_t hashes[KEPT];
    pthread_t threads[KEPT];
    ledger account = {.lock = PTHREAD_MUTEX_INITIALIZER};
    liban_loader_options options = small();
    options.memory_alloc = ledger_alloc;
    options.memory_free = ledger_free;
    options.memory_context = &account;
    assert_int_equal(liban_dataset_open(&mine, set.path), LIBAN_OK);
    assert_int_equal(liban_loader_create(&loader, mine, &options), LIBAN_OK);
    liban_dataset_free(mine);
    for (int i = 0; i < KEPT; i++) {
        kept[i] = take(loader);
        hashes[i] = hash_of(kept[i]);
    }
    liban_loader_free(loader);
    for (int i = 0; i < KEPT; i++)
        assert_int_equal(hash_of(kept[i]), hashes[i]);
    assert_true(account.memory > 0);
    for (int i = 0; i < KEPT; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, release_one, kept[i]), 0);
    for (int i = 0; i < KEPT; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(account.memory, 0); /* the last release freed it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_may_be_released_in_any_order_by_any_thread),
        cmocka_unit_test(threads_share_an_epoch_and_one_hears_of_its_end),
        cmocka_unit_test(interrupting_loses_nothing),
        cmocka_unit_test(a_loader_that_goes_elsewhere_stays_interrupted),
        cmocka_unit_test(a_closed_loader_still_answers),
        cmocka_unit_test(batches_outlive_their_loader_and_dataset),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
