/* Batches as loans: released in any order, by any thread, once; calls that wait can be interrupted. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "augment/loader_private.h"
#include "base/queue.h"
#include "base/rng.h"
#include "loader_support.h"

static digest hash_of(const an_batch *batch)
{
    an_loader_options o = plain();
    return XXH3_128bits(batch->data, batch->count * sample_bytes(&o));
}

/* What each batch of an epoch holds, from a loader whose batches are taken one by one. */
static void reference(digest out[STEPS])
{
    an_batch batch;
    an_loader_options o = plain();
    an_loader *loader = start(&o);
    for (uint64_t step = 0; step < STEPS; step++) {
        assert_int_equal(an_loader_next(loader, &batch), AN_OK);
        out[step] = hash_of(&batch);
        assert_int_equal(an_loader_release(loader, &batch), AN_OK);
    }
    an_loader_free(loader);
}

static void refuse_release(an_loader *loader, const an_batch *batch)
{
    assert_int_equal(an_loader_release(loader, batch), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "cannot release"));
}

/* Its slot is lent again in the meantime: that loan must not end. */
static void a_second_release_is_refused(void **state)
{
    (void)state;
    an_batch first, second, third, none = {0};
    an_loader_options o = plain();
    an_loader *loader = start(&o), *other = start(&o);
    assert_int_equal(an_loader_next(loader, &first), AN_OK);
    assert_int_equal(an_loader_release(loader, &first), AN_OK);
    refuse_release(loader, &first);
    assert_int_equal(an_loader_next(loader, &second), AN_OK);
    assert_int_equal(an_loader_next(loader, &third), AN_OK);
    assert_ptr_equal(third.data, first.data);
    refuse_release(loader, &first);
    assert_int_equal(an_loader_try_next(loader, &none), AN_AGAIN);
    refuse_release(loader, &none);
    refuse_release(other, &third);
    assert_int_equal(an_loader_next(loader, &none), AN_EINVAL); /* still lent, both */
    assert_int_equal(an_loader_release(loader, &third), AN_OK);
    assert_int_equal(an_loader_release(loader, &second), AN_OK);
    an_loader_free(other);
    an_loader_free(loader);
}

/* Batches that are held keep their bytes, whatever was released before them. */
static void batches_are_released_in_any_order(void **state)
{
    (void)state;
    enum { HELD = 4 };
    digest wanted[STEPS];
    reference(wanted);
    for (uint64_t seed = 0; seed < 20; seed++) {
        an_rng rng = an_rng_make(seed, AN_RNG_TEST, 5, 0);
        an_batch held[HELD];
        uint32_t count = 0;
        an_loader_options o = plain();
        o.slots = HELD;
        o.threads = 1 + (int)(seed % 4);
        an_loader *loader = start(&o);
        for (uint64_t step = 0; step < STEPS; step++) {
            assert_int_equal(an_loader_next(loader, &held[count++]), AN_OK);
            assert_int_equal(held[count - 1].step, step);
            while (count == HELD || (count > 0 && an_rng_below(&rng, 3) == 0)) {
                uint32_t i = an_rng_below(&rng, count);
                assert_true(same(hash_of(&held[i]), wanted[held[i].step]));
                assert_int_equal(an_loader_release(loader, &held[i]), AN_OK);
                held[i] = held[--count];
            }
        }
        for (uint32_t i = 0; i < count; i++)
            assert_true(same(hash_of(&held[i]), wanted[held[i].step]));
        an_loader_free(loader);
    }
}

/* One batch held for long takes one slot, not those of the batches after it. */
static void the_other_slots_go_on(void **state)
{
    (void)state;
    digest wanted[STEPS];
    an_batch kept, batch;
    an_loader_options o = plain();
    reference(wanted);
    an_loader *loader = start(&o);
    assert_int_equal(an_loader_next(loader, &kept), AN_OK);
    for (uint64_t step = 1; step < STEPS; step++) {
        assert_int_equal(an_loader_next(loader, &batch), AN_OK);
        assert_true(same(hash_of(&batch), wanted[step]));
        assert_int_equal(an_loader_release(loader, &batch), AN_OK);
    }
    assert_int_equal(an_loader_next(loader, &batch), AN_END);
    assert_true(same(hash_of(&kept), wanted[0]));
    assert_int_equal(an_loader_release(loader, &kept), AN_OK);
    an_loader_free(loader);
}

/* ---- several consumers ------------------------------------------------------------------------------------------- */

enum { CONSUMERS = 4, EPOCHS = 6 };

typedef struct {
    an_loader *loader;
    an_queue *queue; /* of batches that another thread releases */
    an_batch batches[EPOCHS * STEPS];
    digest found[EPOCHS * STEPS];
    atomic_int times[EPOCHS * STEPS], problems;
} crowd;

static void *consume(void *argument)
{
    crowd *c = argument;
    uint64_t last = 0;
    an_batch batch;
    int rc = an_loader_next(c->loader, &batch);
    for (; !rc; rc = an_loader_next(c->loader, &batch)) {
        uint64_t number = batch.epoch * STEPS + batch.step;
        if (number < last)
            atomic_fetch_add(&c->problems, 1);
        last = number;
        c->found[number] = hash_of(&batch);
        atomic_fetch_add(&c->times[number], 1);
        c->batches[number] = batch;
        if (number % 3 == 0) {
            if (an_queue_push(c->queue, &c->batches[number]))
                atomic_fetch_add(&c->problems, 1);
        } else if (an_loader_release(c->loader, &batch)) {
            atomic_fetch_add(&c->problems, 1);
        }
    }
    if (rc != AN_END)
        atomic_fetch_add(&c->problems, 1);
    return NULL;
}

/* Releases what others took; two at a time, the second one first. */
static void *release_reversed(void *argument)
{
    crowd *c = argument;
    void *first, *second;
    while (!an_queue_pop(c->queue, &first)) {
        if (!an_queue_try_pop(c->queue, &second) && an_loader_release(c->loader, second))
            atomic_fetch_add(&c->problems, 1);
        if (an_loader_release(c->loader, first))
            atomic_fetch_add(&c->problems, 1);
    }
    return NULL;
}

static void run_crowd(crowd *c)
{
    pthread_t threads[CONSUMERS], releaser;
    for (int i = 0; i < CONSUMERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, consume, c), 0);
    assert_int_equal(pthread_create(&releaser, NULL, release_reversed, c), 0);
    for (int i = 0; i < CONSUMERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    an_queue_close(c->queue);
    assert_int_equal(pthread_join(releaser, NULL), 0);
    assert_int_equal(c->problems, 0);
    for (int i = 0; i < (int)(EPOCHS * STEPS); i++)
        assert_int_equal(c->times[i], 1);
}

static void several_threads_share_the_batches(void **state)
{
    (void)state;
    static crowd c, alone;
    an_loader_options o = plain();
    an_batch batch;
    o.epochs = EPOCHS;
    o.slots = CONSUMERS + 1 + 2 + 2; /* with the consumers and the releaser, in the queue, being filled */
    o.threads = 3;
    c.loader = start(&o);
    assert_int_equal(an_queue_create(&c.queue, 1), AN_OK);
    run_crowd(&c);
    an_loader_free(c.loader);
    an_queue_free(c.queue);
    alone.loader = start(&o);
    for (int i = 0; i < (int)(EPOCHS * STEPS); i++) {
        assert_int_equal(an_loader_next(alone.loader, &batch), AN_OK);
        assert_true(same(hash_of(&batch), c.found[i]));
        assert_int_equal(an_loader_release(alone.loader, &batch), AN_OK);
    }
    an_loader_free(alone.loader);
}

/* ---- interrupting ------------------------------------------------------------------------------------------------ */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

/* Workers stop here while the test holds the gate. */
static void pass_gate(void *context, int worker)
{
    (void)context, (void)worker;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

typedef struct {
    an_loader *loader;
    an_batch batch;
    int rc;
} call;

static void *call_next(void *argument)
{
    call *c = argument;
    c->rc = an_loader_next(c->loader, &c->batch);
    return NULL;
}

static void wait_until_waiting(an_loader *loader, int threads)
{
    for (int waiting = 0; waiting < threads;) {
        usleep(100);
        pthread_mutex_lock(&loader->lock);
        waiting = loader->consumers_waiting;
        pthread_mutex_unlock(&loader->lock);
    }
}

enum { WAITING = 3 };

/* Threads that wait for a batch that cannot come are interrupted. */
static void interrupt_waiting(an_loader *loader, bool resume_at_once)
{
    call calls[WAITING];
    pthread_t threads[WAITING];
    for (int i = 0; i < WAITING; i++) {
        calls[i] = (call){.loader = loader, .rc = 99};
        assert_int_equal(pthread_create(&threads[i], NULL, call_next, &calls[i]), 0);
    }
    wait_until_waiting(loader, WAITING);
    an_loader_interrupt(loader);
    if (resume_at_once)
        an_loader_resume(loader);
    for (int i = 0; i < WAITING; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(calls[i].rc, AN_STOPPED);
        assert_int_equal(calls[i].batch.lease, 0);
    }
}

static void a_waiting_call_is_interrupted(void **state)
{
    (void)state;
    an_batch batch;
    digest wanted[STEPS];
    an_loader_options o = plain();
    reference(wanted);
    o.worker_hook = pass_gate;
    pthread_mutex_lock(&gate);
    an_loader *loader = start(&o);
    interrupt_waiting(loader, true);
    assert_int_equal(an_loader_try_next(loader, &batch), AN_AGAIN);
    interrupt_waiting(loader, false);
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < 2; i++) { /* until an_loader_resume */
        assert_int_equal(an_loader_next(loader, &batch), AN_STOPPED);
        assert_int_equal(an_loader_try_next(loader, &batch), AN_STOPPED);
    }
    an_loader_resume(loader);
    for (uint64_t step = 0; step < STEPS; step++) { /* nothing was lost */
        assert_int_equal(an_loader_next(loader, &batch), AN_OK);
        assert_true(same(hash_of(&batch), wanted[step]));
        assert_int_equal(an_loader_release(loader, &batch), AN_OK);
    }
    assert_int_equal(an_loader_next(loader, &batch), AN_END);
    an_loader_free(loader);
}

static void lent_batches_outlast_an_interruption(void **state)
{
    (void)state;
    an_batch batch, next;
    an_loader_options o = plain();
    an_loader *loader = start(&o);
    assert_int_equal(an_loader_next(loader, &batch), AN_OK);
    digest before = hash_of(&batch);
    an_loader_interrupt(loader);
    assert_int_equal(an_loader_next(loader, &next), AN_STOPPED);
    assert_true(same(hash_of(&batch), before));
    assert_int_equal(an_loader_release(loader, &batch), AN_OK);
    an_loader_resume(loader);
    assert_int_equal(an_loader_next(loader, &next), AN_OK);
    assert_int_equal(next.step, 1);
    an_loader_free(loader);
}

static void an_interrupted_loader_can_be_freed(void **state)
{
    (void)state;
    an_loader_options o = plain();
    o.worker_hook = pass_gate;
    pthread_mutex_lock(&gate);
    an_loader *loader = start(&o);
    interrupt_waiting(loader, false);
    pthread_mutex_unlock(&gate);
    an_loader_free(loader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_release_is_refused),
        cmocka_unit_test(batches_are_released_in_any_order),
        cmocka_unit_test(the_other_slots_go_on),
        cmocka_unit_test(several_threads_share_the_batches),
        cmocka_unit_test(a_waiting_call_is_interrupted),
        cmocka_unit_test(lent_batches_outlast_an_interruption),
        cmocka_unit_test(an_interrupted_loader_can_be_freed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
