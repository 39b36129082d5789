#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pty.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/program/log.h"
#include "base/program/progress.h"

#define OUTPUT_MAX 8192

/* What a child writes to standard error. terminal: it sees an 80-column terminal there. */
static void output_of(void (*run)(void), bool terminal, char output[OUTPUT_MAX])
{
    int ends[2], status;
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    if (terminal)
        assert_int_equal(openpty(&ends[0], &ends[1], NULL, NULL, &size), 0);
    else
        assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("TERM", "xterm", 1);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        run();
        _exit(0);
    }
    close(ends[1]);
    size_t used = 0;
    ssize_t got;
    while (used < OUTPUT_MAX - 1 && (got = read(ends[0], output + used, OUTPUT_MAX - 1 - used)) > 0)
        used += (size_t)got; /* a terminal without writers answers EIO instead of 0 */
    output[used] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void run_plain(void)
{
    an_progress p;
    an_progress_start(&p, "ingest", "images", 0, 200, false);
    an_progress_update(&p, 0, NULL); /* nothing is due yet */
    p.next_ns = 0;
    an_progress_update(&p, 50, "3 set aside");
    an_progress_update(&p, 60, NULL);
    an_progress_finish(&p, 200, NULL);
}

static void test_plain_lines(void **state)
{
    (void)state;
    char output[OUTPUT_MAX];
    output_of(run_plain, false, output);
    assert_int_equal(strncmp(output, "ingest: 50/200 images (25%), ", 29), 0);
    assert_non_null(strstr(output, "/s, 0:00 left, 3 set aside\n"));
    char *second = strchr(output, '\n') + 1;
    assert_int_equal(strncmp(second, "ingest: 200/200 images, ", 24), 0);
    assert_non_null(strstr(second, "/s, took 0:00\n"));
    assert_null(strchr(output, '\033'));
    assert_string_equal(strchr(second, '\n'), "\n");
}

static void run_nothing_done(void)
{
    an_progress p;
    an_progress_start(&p, "read", "records", 10, 0, false); /* neither total nor progress */
    p.next_ns = 0;
    an_progress_update(&p, 10, NULL);
    p.start_ns = an_clock_ns() + 1000000000; /* not even time has passed */
    an_progress_finish(&p, 5, NULL);
}

static void test_no_division_by_zero(void **state)
{
    (void)state;
    char output[OUTPUT_MAX];
    output_of(run_nothing_done, false, output);
    assert_int_equal(strncmp(output, "read: 10 records, 0.0/s\nread: 5 records, 0.0/s, ", 48), 0);
    assert_null(strstr(output, "nan"));
    assert_null(strstr(output, "inf"));
}

static void run_resumed(void)
{
    an_progress p;
    an_progress_start(&p, "ingest", "images", 1000, 3000, false);
    p.start_ns = an_clock_ns() - 10000000000;
    p.next_ns = 0;
    an_progress_update(&p, 2000, NULL);
}

static void test_a_resumed_job_counts_its_own_work(void **state)
{
    (void)state;
    char output[OUTPUT_MAX];
    output_of(run_resumed, false, output);
    static const char expected[] = "ingest: 2000/3000 images (66%), ";
    assert_int_equal(strncmp(output, expected, sizeof expected - 1), 0);
    char *end;
    double rate = strtod(output + sizeof expected - 1, &end);
    assert_int_equal(strncmp(end, "/s, 0:", 6), 0);
    assert_true(rate > 10 && rate <= 100); /* at most 1000 in 10 s, whatever the machine does meanwhile; not 200 */
}

static void run_terminal(void)
{
    an_progress p;
    char note[300];
    memset(note, 'n', sizeof note - 1);
    note[sizeof note - 1] = '\0';
    an_progress_start(&p, "ingest", "images", 0, 200, false);
    p.next_ns = 0;
    an_progress_update(&p, 50, note);
    an_progress_finish(&p, 200, NULL);
}

static void test_terminal_redraws_one_line(void **state)
{
    (void)state;
    char output[OUTPUT_MAX];
    output_of(run_terminal, true, output);
    assert_int_equal(strncmp(output, "\r\033[Kingest: 50/200", 18), 0);
    char *second = strstr(output + 1, "\r\033[K");
    assert_non_null(second);
    assert_int_equal(second - output, 4 + 79); /* cut so that it does not wrap */
    assert_null(memchr(output, '\n', (size_t)(second - output)));
    assert_non_null(strchr(second, '\n'));
}

static void run_quiet(void)
{
    an_progress p;
    an_progress_start(&p, "ingest", "images", 0, 200, true);
    p.next_ns = 0;
    an_progress_update(&p, 50, NULL);
    an_progress_finish(&p, 200, NULL);
}

static void test_quiet(void **state)
{
    (void)state;
    char output[OUTPUT_MAX];
    output_of(run_quiet, false, output);
    assert_string_equal(output, "");
}

static void log_all(void)
{
    an_log(AN_LOG_ERROR, "%d", 1);
    an_log(AN_LOG_WARNING, "two");
    an_log(AN_LOG_INFO, "three");
    an_log(AN_LOG_DEBUG, "four");
}

static void run_log(void)
{
    unsetenv("AN_LOG");
    an_log_init("an-train", AN_LOG_INFO);
    log_all();
}

static void run_log_forced(void)
{
    setenv("AN_LOG", "error", 1);
    an_log_init("an-train", AN_LOG_DEBUG);
    log_all();
}

static void run_log_misspelt(void)
{
    setenv("AN_LOG", "loud", 1);
    an_log_init("an-train", AN_LOG_WARNING);
    log_all();
}

static void test_log_levels(void **state)
{
    (void)state;
    char output[OUTPUT_MAX];
    output_of(run_log, false, output);
    assert_string_equal(output, "an-train: error: 1\nan-train: warning: two\nan-train: three\n");
    output_of(run_log_forced, false, output);
    assert_string_equal(output, "an-train: error: 1\n");
    output_of(run_log_misspelt, false, output);
    assert_string_equal(output, "an-train: error: 1\nan-train: warning: two\n");
}

static void run_log_over_progress(void)
{
    run_terminal();
    run_log_forced();
}

static void test_log_replaces_a_progress_line(void **state)
{
    (void)state;
    char output[OUTPUT_MAX];
    output_of(run_log_over_progress, true, output);
    assert_non_null(strstr(output, "\r\033[Kan-train: error: 1"));
}

static void run_json(void)
{
    an_progress p;
    an_progress_start(&p, "ingest", "images", 10, 200, false);
    p.start_ns = an_clock_ns() + 1000000000; /* no rate yet */
    p.counter = "set aside";
    p.counted = 2;
    an_progress_as_json(&p);
    an_progress_update(&p, 20, "a note"); /* nothing is due yet */
    p.next_ns = 0;
    p.counted = 3;
    an_progress_update(&p, 50, "a note");
    an_progress_finish(&p, 200, NULL);
    an_progress_start(&p, "read", "records", 0, 0, false);
    p.start_ns = an_clock_ns() + 1000000000;
    an_progress_as_json(&p);
    an_progress_start(&p, "ingest", "images", 0, 200, true);
    an_progress_as_json(&p); /* quiet stays quiet */
    an_progress_finish(&p, 200, NULL);
}

/* The same on a terminal as elsewhere. */
static void test_json(void **state)
{
    (void)state;
    char output[OUTPUT_MAX];
    output_of(run_json, false, output);
    assert_string_equal(output, "{\"inputs\": 10, \"total\": 200, \"images_per_second\": 0.0, \"set_aside\": 2}\n"
                                "{\"inputs\": 50, \"total\": 200, \"images_per_second\": 0.0, \"set_aside\": 3}\n"
                                "{\"inputs\": 200, \"total\": 200, \"images_per_second\": 0.0, \"set_aside\": 3}\n"
                                "{\"inputs\": 0, \"total\": null, \"records_per_second\": 0.0}\n");
    output_of(run_json, true, output);
    assert_non_null(strstr(output, "{\"inputs\": 50, \"total\": 200, \"images_per_second\": 0.0, \"set_aside\": 3}"));
    assert_null(strchr(output, '\033'));
}

static void run_counter(void)
{
    an_progress p;
    an_progress_start(&p, "ingest", "images", 0, 0, false);
    p.counter = "set aside";
    p.next_ns = 0;
    an_progress_update(&p, 1, NULL);
    p.next_ns = 0;
    p.counted = 3;
    an_progress_update(&p, 2, NULL);
}

static void test_a_counter_is_shown_once_it_counts(void **state)
{
    (void)state;
    char output[OUTPUT_MAX];
    output_of(run_counter, false, output);
    char *second = strchr(output, '\n') + 1;
    assert_null(memmem(output, (size_t)(second - output), "set aside", 9));
    assert_non_null(strstr(second, "/s, 3 set aside\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_lines),
        cmocka_unit_test(test_no_division_by_zero),
        cmocka_unit_test(test_a_resumed_job_counts_its_own_work),
        cmocka_unit_test(test_terminal_redraws_one_line),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_a_counter_is_shown_once_it_counts),
        cmocka_unit_test(test_quiet),
        cmocka_unit_test(test_log_levels),
        cmocka_unit_test(test_log_replaces_a_progress_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
