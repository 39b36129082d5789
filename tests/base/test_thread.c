#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <signal.h>
#include <string.h>

#include "base/error.h"
#include "base/thread.h"

static void *blocked_signals(void *argument)
{
    pthread_sigmask(SIG_SETMASK, NULL, argument);
    return NULL;
}

static void test_signals_are_blocked(void **state)
{
    (void)state;
    sigset_t inside, before, after;
    pthread_t thread;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(an_thread_start(&thread, "a name longer than fifteen", blocked_signals, &inside), AN_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    const int numbers[] = {SIGINT, SIGTERM, SIGUSR1};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sigismember(&inside, numbers[i]), 1);
        assert_int_equal(sigismember(&after, numbers[i]), sigismember(&before, numbers[i]));
    }
}

static void *wait_for_name(void *argument)
{
    pthread_mutex_lock(argument); /* held by the test until it has looked */
    pthread_mutex_unlock(argument);
    return NULL;
}

static void test_name_shows(void **state)
{
    (void)state;
    char name[32];
    pthread_t thread;
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&gate);
    assert_int_equal(an_thread_start(&thread, "decoder-17-of-a-long-row", wait_for_name, &gate), AN_OK);
    assert_int_equal(pthread_getname_np(thread, name, sizeof name), 0);
    pthread_mutex_unlock(&gate);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(name, "decoder-17-of-a");
}

static void test_affinity_counts(void **state)
{
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    assert_in_range(an_thread_cpu_count(), 1, CPU_COUNT(&before));
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &before))
            CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(an_thread_cpu_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

/* Every processor belongs to exactly one part, and no part has two more than another. */
static void test_shares_use_every_processor(void **state)
{
    (void)state;
    for (int parts = 1; parts <= 9; parts++)
        for (int count = parts; count <= 40; count++) {
            int next = 0, first;
            for (int part = 0; part < parts; part++) {
                int share = an_thread_share(count, part, parts, &first);
                assert_int_equal(first, next);
                assert_in_range(share, count / parts, (count + parts - 1) / parts);
                next = first + share;
            }
            assert_int_equal(next, count);
        }
}

typedef struct {
    int part, parts;
    cpu_set_t set;
} sharer;

static void *keep_share(void *argument)
{
    sharer *s = argument;
    an_thread_keep_share(s->part, s->parts);
    sched_getaffinity(0, sizeof s->set, &s->set);
    return NULL;
}

/* The same of the processors that this machine has. */
static void test_threads_keep_to_their_shares(void **state)
{
    (void)state;
    cpu_set_t all, together;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    for (int parts = 1; parts <= CPU_COUNT(&all) && parts <= 5; parts++) {
        CPU_ZERO(&together);
        int sum = 0;
        for (int part = 0; part < parts; part++) {
            sharer s = {.part = part, .parts = parts};
            pthread_t thread;
            assert_int_equal(an_thread_start(&thread, "sharer", keep_share, &s), AN_OK);
            assert_int_equal(pthread_join(thread, NULL), 0);
            CPU_OR(&together, &together, &s.set);
            sum += CPU_COUNT(&s.set);
        }
        assert_true(CPU_EQUAL(&together, &all));
        assert_int_equal(sum, CPU_COUNT(&all));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals_are_blocked),
        cmocka_unit_test(test_name_shows),
        cmocka_unit_test(test_affinity_counts),
        cmocka_unit_test(test_shares_use_every_processor),
        cmocka_unit_test(test_threads_keep_to_their_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
