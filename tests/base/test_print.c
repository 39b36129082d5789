/* What programs print for people and log: nothing in it controls a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/program/log.h"
#include "base/program/print.h"

static char got[8192];

/* Run print with descriptor fd led into a file; got: what came. */
static void capture(int fd, FILE *stream, void (*print)(void))
{
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fflush(stream), 0);
    int before = dup(fd);
    assert_int_equal(dup2(fileno(file), fd), fd);
    print();
    assert_int_equal(fflush(stream), 0);
    assert_int_equal(dup2(before, fd), fd);
    assert_int_equal(close(before), 0);
    rewind(file);
    got[fread(got, 1, sizeof(got) - 1, file)] = 0;
    assert_int_equal(fclose(file), 0);
}

static void print_names(void)
{
    an_print("two\tlines:\n%s %d b\xc3\xa4r\n", "\x1b[31mRED\a caf\xe9", 7);
}

static void log_a_name(void)
{
    an_log(AN_LOG_WARNING, "no file '%s'", "\x1b]0;pwned\a");
}

static char long_name[5000];

static void print_long(void)
{
    an_print("%s\n", long_name);
}

static void test_control_characters(void **state)
{
    (void)state;
    capture(STDOUT_FILENO, stdout, print_names);
    assert_string_equal(got, "two\tlines:\n\\x1b[31mRED\\x07 caf\\xe9 7 b\xc3\xa4r\n");
    capture(STDERR_FILENO, stderr, log_a_name);
    assert_string_equal(got, "an: warning: no file '\\x1b]0;pwned\\x07'\n");
}

static void test_long_text_is_whole(void **state)
{
    (void)state;
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[4000] = '\x1b';
    capture(STDOUT_FILENO, stdout, print_long);
    assert_int_equal(strlen(got), sizeof(long_name) - 1 + 3 + 1);
    assert_memory_equal(got + 4000, "\\x1bx", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_long_text_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
