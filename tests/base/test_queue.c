#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/queue.h"

#define PRODUCERS 4
#define CONSUMERS 3
#define EACH 5000

static void *number(size_t value)
{
    return (void *)(uintptr_t)value;
}

static void test_order_and_limits(void **state)
{
    (void)state;
    an_queue *queue;
    void *item;
    assert_int_equal(an_queue_create(&queue, 0), AN_EINVAL);
    assert_int_equal(an_queue_create(&queue, 3), AN_OK);
    assert_int_equal(an_queue_try_pop(queue, &item), AN_AGAIN);
    for (size_t round = 0; round < 5; round++) { /* the ring wraps */
        for (size_t i = 1; i <= 3; i++)
            assert_int_equal(an_queue_push(queue, number(i)), AN_OK);
        assert_int_equal(an_queue_try_push(queue, number(9)), AN_AGAIN);
        for (size_t i = 1; i <= 2 + (round < 4); i++) {
            assert_int_equal(an_queue_try_pop(queue, &item), AN_OK);
            assert_ptr_equal(item, number(i));
        }
    }
    an_queue_close(queue);
    an_queue_close(queue);
    assert_int_equal(an_queue_push(queue, number(1)), AN_END);
    assert_int_equal(an_queue_try_push(queue, number(1)), AN_END);
    assert_int_equal(an_queue_pop(queue, &item), AN_OK); /* what was accepted is not lost */
    assert_ptr_equal(item, number(3));
    assert_int_equal(an_queue_pop(queue, &item), AN_END);
    assert_int_equal(an_queue_try_pop(queue, &item), AN_END);
    an_queue_free(queue);
    an_queue_free(NULL);
}

static void test_counters(void **state)
{
    (void)state;
    an_queue *queue;
    an_queue_stats stats;
    void *item;
    assert_int_equal(an_queue_create(&queue, 4), AN_OK);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(an_queue_push(queue, number(i)), AN_OK);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(an_queue_pop(queue, &item), AN_OK);
    assert_int_equal(an_queue_try_pop(queue, &item), AN_AGAIN);
    an_queue_stats_get(queue, &stats);
    assert_int_equal(stats.pushes, 3);
    assert_int_equal(stats.pops, 3);
    assert_int_equal(stats.depth_sum, 3 + 2 + 1);
    assert_int_equal(stats.push_wait_ns, 0); /* nobody waited */
    assert_int_equal(stats.pop_wait_ns, 0);
    an_queue_free(queue);
}

typedef struct {
    an_queue *queue;
    int rc;
    void *item;
} call;

static void *call_pop(void *argument)
{
    call *c = argument;
    c->rc = an_queue_pop(c->queue, &c->item);
    return NULL;
}

static void *call_push(void *argument)
{
    call *c = argument;
    c->rc = an_queue_push(c->queue, c->item);
    return NULL;
}

/* Waits under way are part of the statistics, which tells when a thread has begun to wait. */
static void wait_until_blocked(an_queue *queue, bool producer)
{
    an_queue_stats stats;
    do {
        usleep(100);
        an_queue_stats_get(queue, &stats);
    } while ((producer ? stats.push_wait_ns : stats.pop_wait_ns) == 0);
}

static void test_blocked_consumer_wakes_on_push(void **state)
{
    (void)state;
    call c = {.rc = 99};
    pthread_t thread;
    an_queue_stats stats;
    assert_int_equal(an_queue_create(&c.queue, 1), AN_OK);
    assert_int_equal(pthread_create(&thread, NULL, call_pop, &c), 0);
    wait_until_blocked(c.queue, false);
    assert_int_equal(an_queue_push(c.queue, number(7)), AN_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(c.rc, AN_OK);
    assert_ptr_equal(c.item, number(7));
    an_queue_stats_get(c.queue, &stats);
    assert_true(stats.pop_wait_ns > 0);
    assert_int_equal(stats.depth_sum, 0);
    an_queue_free(c.queue);
}

static void test_blocked_producer_wakes_on_pop(void **state)
{
    (void)state;
    call c = {.rc = 99, .item = number(8)};
    pthread_t thread;
    void *item;
    an_queue_stats stats;
    assert_int_equal(an_queue_create(&c.queue, 1), AN_OK);
    assert_int_equal(an_queue_push(c.queue, number(7)), AN_OK);
    assert_int_equal(pthread_create(&thread, NULL, call_push, &c), 0);
    wait_until_blocked(c.queue, true);
    assert_int_equal(an_queue_pop(c.queue, &item), AN_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(c.rc, AN_OK);
    assert_int_equal(an_queue_pop(c.queue, &item), AN_OK);
    assert_ptr_equal(item, number(8));
    an_queue_stats_get(c.queue, &stats);
    assert_true(stats.push_wait_ns > 0);
    an_queue_free(c.queue);
}

static void close_while_blocked(bool producers)
{
    call calls[3];
    pthread_t threads[3];
    an_queue *queue;
    void *item;
    assert_int_equal(an_queue_create(&queue, 1), AN_OK);
    if (producers)
        assert_int_equal(an_queue_push(queue, number(7)), AN_OK);
    for (int i = 0; i < 3; i++) {
        calls[i] = (call){.queue = queue, .rc = 99, .item = number(8)};
        assert_int_equal(pthread_create(&threads[i], NULL, producers ? call_push : call_pop, &calls[i]), 0);
    }
    wait_until_blocked(queue, producers);
    an_queue_close(queue);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(calls[i].rc, AN_END);
    }
    assert_int_equal(an_queue_pop(queue, &item), producers ? AN_OK : AN_END);
    assert_int_equal(an_queue_try_pop(queue, &item), AN_END);
    an_queue_free(queue);
}

static void test_close_wakes_everybody(void **state)
{
    (void)state;
    close_while_blocked(false);
    close_while_blocked(true);
}

typedef struct {
    an_queue *queue;
    size_t first;
    atomic_uchar *seen; /* how often each item came out */
    atomic_int unordered;
    atomic_bool closing;
} worker;

static void *produce(void *argument)
{
    worker *w = argument;
    for (size_t i = 0; i < EACH; i++)
        if (an_queue_push(w->queue, number(w->first + i)))
            return (void *)"push failed";
    return NULL;
}

static void *consume(void *argument)
{
    worker *w = argument;
    size_t last[PRODUCERS] = {0};
    void *item;
    while (!an_queue_pop(w->queue, &item)) {
        size_t value = (uintptr_t)item, producer = value / EACH;
        atomic_fetch_add(&w->seen[value], 1);
        if (value < last[producer]) /* one producer's items reach one consumer in order */
            atomic_fetch_add(&w->unordered, 1);
        last[producer] = value;
    }
    return atomic_load(&w->closing) ? NULL : (void *)"ended before the queue was closed";
}

static void check_crowd(size_t capacity)
{
    an_queue *queue;
    atomic_uchar *seen = calloc(PRODUCERS * EACH, sizeof *seen);
    assert_non_null(seen);
    worker producers[PRODUCERS], consumer = {.seen = seen};
    pthread_t threads[PRODUCERS + CONSUMERS];
    assert_int_equal(an_queue_create(&queue, capacity), AN_OK);
    consumer.queue = queue;
    for (size_t i = 0; i < CONSUMERS; i++)
        assert_int_equal(pthread_create(&threads[PRODUCERS + i], NULL, consume, &consumer), 0);
    for (size_t i = 0; i < PRODUCERS; i++) {
        producers[i] = (worker){.queue = queue, .first = i * EACH};
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    for (size_t i = 0; i < PRODUCERS + CONSUMERS; i++) {
        void *problem;
        assert_int_equal(pthread_join(threads[i], &problem), 0);
        assert_null(problem);
        if (i == PRODUCERS - 1) { /* all pushes are done; consumers drain */
            atomic_store(&consumer.closing, true);
            an_queue_close(queue);
        }
    }
    an_queue_stats stats;
    an_queue_stats_get(queue, &stats);
    assert_int_equal(stats.pushes, PRODUCERS * EACH);
    assert_int_equal(stats.pops, PRODUCERS * EACH);
    assert_true(stats.depth_sum <= capacity * stats.pops);
    assert_int_equal(consumer.unordered, 0);
    for (size_t i = 0; i < PRODUCERS * EACH; i++)
        assert_int_equal(seen[i], 1);
    an_queue_free(queue);
    free(seen);
}

static void test_crowd(void **state)
{
    (void)state;
    check_crowd(1);
    check_crowd(7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_limits),
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_blocked_consumer_wakes_on_push),
        cmocka_unit_test(test_blocked_producer_wakes_on_pop),
        cmocka_unit_test(test_close_wakes_everybody),
        cmocka_unit_test(test_crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
