#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/program/stop.h"

static int setup(void **state)
{
    (void)state;
    an_stop_reset();
    return an_stop_install();
}

static void check_first_signal(int number)
{
    an_stop_reset();
    assert_false(an_stop_requested());
    raise(number);
    assert_true(an_stop_requested());
    assert_true(an_stop_requested()); /* stays */
    assert_false(an_stop_save_requested());
}

static void test_first_signal_sets_the_flag(void **state)
{
    (void)state;
    check_first_signal(SIGINT);
    check_first_signal(SIGTERM);
}

static void test_save_is_seen_once(void **state)
{
    (void)state;
    assert_false(an_stop_save_requested());
    raise(SIGUSR1);
    assert_true(an_stop_save_requested());
    assert_false(an_stop_save_requested());
    assert_false(an_stop_requested());
}

static void test_request_without_a_signal(void **state)
{
    (void)state;
    an_stop_request();
    assert_true(an_stop_requested());
    an_stop_reset();
    assert_false(an_stop_requested());
}

static void test_at_once(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    if (child == 0) {
        an_stop_at_once(true);
        raise(SIGINT);
        _exit(42);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 130);
    an_stop_at_once(true);
    an_stop_at_once(false);
    check_first_signal(SIGINT);
}

/* How a child ends that gets these signals from outside, one after another. */
static int status_after(const int *numbers, int count)
{
    int told[2];
    assert_int_equal(pipe(told), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (int seen = 0;; usleep(1000)) {
            if (seen == 0 && an_stop_requested()) {
                seen = write(told[1], "s", 1) == 1;
                if (count == 1)
                    _exit(42);
            }
        }
    }
    for (int i = 0; i < count; i++) {
        char byte;
        assert_int_equal(kill(child, numbers[i]), 0);
        if (i == 0)
            assert_int_equal(read(told[0], &byte, 1), 1); /* the first one has been seen */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    close(told[0]);
    close(told[1]);
    return status;
}

static void test_child_ends_in_order_after_one_signal(void **state)
{
    (void)state;
    int status = status_after((const int[]){SIGTERM}, 1);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

static void test_second_signal_ends_the_process(void **state)
{
    (void)state;
    static const int pairs[][2] = {{SIGINT, SIGINT}, {SIGTERM, SIGTERM}, {SIGINT, SIGTERM}};
    for (int i = 0; i < 3; i++) {
        int status = status_after(pairs[i], 2);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), pairs[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_first_signal_sets_the_flag, setup),
        cmocka_unit_test_setup(test_save_is_seen_once, setup),
        cmocka_unit_test_setup(test_request_without_a_signal, setup),
        cmocka_unit_test_setup(test_at_once, setup),
        cmocka_unit_test_setup(test_child_ends_in_order_after_one_signal, setup),
        cmocka_unit_test_setup(test_second_signal_ends_the_process, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
