#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/error.h"

static void test_code_and_text(void **state)
{
    (void)state;
    assert_int_equal(an_error(AN_ECORRUPT, "bad magic in '%s'", "x"), AN_ECORRUPT);
    assert_string_equal(an_error_message(), "bad magic in 'x'");
}

static void test_errno_codes(void **state)
{
    (void)state;
    assert_int_equal(an_error_errno(ENOENT, "cannot open '%s'", "x"), AN_ENOTFOUND);
    assert_string_equal(an_error_message(), "cannot open 'x': No such file or directory");
    assert_int_equal(an_error_errno(ENOSPC, "w"), AN_ENOSPC);
    assert_int_equal(an_error_errno(EDQUOT, "w"), AN_ENOSPC);
    assert_int_equal(an_error_errno(ENOMEM, "w"), AN_ENOMEM);
    assert_int_equal(an_error_errno(EACCES, "w"), AN_EIO);
    an_error_errno(12345, "w");
    assert_non_null(strstr(an_error_message(), "12345"));
}

static void test_numbers(void **state)
{
    (void)state;
    an_error_state kept;
    int code = an_error_errno(EACCES, "cannot open 'x'");
    assert_int_equal(an_error_number(), EACCES);
    code = an_error_prefix(code, "'y'");
    assert_int_equal(an_error_number(), EACCES);
    an_error_save(&kept, code);
    an_error(AN_EIO, "no number");
    assert_int_equal(an_error_number(), 0);
    assert_int_equal(an_error_restore(&kept), AN_EIO);
    assert_int_equal(an_error_number(), EACCES);
    assert_string_equal(an_error_message(), "'y': cannot open 'x': Permission denied");
}

static void test_prefix(void **state)
{
    (void)state;
    an_error(AN_EIO, "inner");
    assert_int_equal(an_error_prefix(AN_EIO, "record %d", 7), AN_EIO);
    assert_string_equal(an_error_message(), "record 7: inner");
}

static void test_arguments_may_be_the_message(void **state)
{
    (void)state;
    an_error(AN_EIO, "inner");
    an_error(AN_EIO, "outer (%s)", an_error_message());
    assert_string_equal(an_error_message(), "outer (inner)");
    an_error_prefix(AN_EIO, "%s", an_error_message());
    assert_string_equal(an_error_message(), "outer (inner): outer (inner)");
}

static void test_long_messages_are_cut(void **state)
{
    (void)state;
    char text[3 * AN_ERROR_MAX];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    an_error(AN_EIO, "%s", text);
    assert_int_equal(strlen(an_error_message()), AN_ERROR_MAX - 1);
    an_error_prefix(AN_EIO, "front");
    assert_int_equal(strlen(an_error_message()), AN_ERROR_MAX - 1);
    assert_int_equal(strncmp(an_error_message(), "front: aaa", 10), 0);
    an_error_prefix(AN_EIO, "%s", text);
    assert_int_equal(strlen(an_error_message()), AN_ERROR_MAX - 1);
    an_error_errno(ENOENT, "%s", text);
    assert_int_equal(strlen(an_error_message()), AN_ERROR_MAX - 1);
}

/* A cut never leaves a part of a character: messages go into JSON, which must be UTF-8. */
static void test_cuts_are_between_characters(void **state)
{
    (void)state;
    static const char *const characters[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x8d\xb0"};
    for (size_t k = 0; k < 3; k++)
        for (size_t before = 0; before < 5; before++) {
            char text[2 * AN_ERROR_MAX] = "....";
            size_t length = strlen(characters[k]), used = before;
            for (; used < AN_ERROR_MAX + 8; used += length)
                memcpy(text + used, characters[k], length + 1);
            size_t expected = before + (AN_ERROR_MAX - 1 - before) / length * length;
            an_error(AN_EIO, "%s", text);
            assert_int_equal(strlen(an_error_message()), expected);
            an_error(AN_EIO, "%.*s", (int)expected, text);
            an_error_prefix(AN_EIO, "x");
            expected = before + (AN_ERROR_MAX - 1 - before - 3) / length * length + 3;
            assert_int_equal(strlen(an_error_message()), expected);
        }
    /* What is no UTF-8 is cut anywhere. */
    char bytes[2 * AN_ERROR_MAX];
    memset(bytes, 0x80, sizeof bytes);
    bytes[sizeof bytes - 1] = '\0';
    an_error(AN_EIO, "%s", bytes);
    assert_int_equal(strlen(an_error_message()), AN_ERROR_MAX - 1);
}

static void *fail_elsewhere(void *carried)
{
    if (*an_error_message()) /* a new thread starts without a message */
        return (void *)"inherited";
    an_error_save(carried, an_error(AN_ENOSPC, "map full"));
    return NULL;
}

static void test_messages_belong_to_threads(void **state)
{
    (void)state;
    an_error_state carried;
    pthread_t thread;
    void *problem;
    an_error(AN_EIO, "mine");
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &carried), 0);
    assert_int_equal(pthread_join(thread, &problem), 0);
    assert_null(problem);
    assert_string_equal(an_error_message(), "mine");
    assert_int_equal(an_error_restore(&carried), AN_ENOSPC);
    assert_string_equal(an_error_message(), "map full");
}

static void test_exit_codes(void **state)
{
    (void)state;
    assert_int_equal(an_error_exit_code(AN_OK), 0);
    assert_int_equal(an_error_exit_code(AN_END), 0);
    assert_int_equal(an_error_exit_code(AN_STOPPED), 130);
    assert_int_equal(an_error_exit_code(AN_EINVAL), 2);
    assert_int_equal(an_error_exit_code(AN_ECORRUPT), 3);
    assert_int_equal(an_error_exit_code(AN_EUNSUPPORTED), 3);
    assert_int_equal(an_error_exit_code(AN_EIO), 1);
    assert_int_equal(an_error_exit_code(AN_ENOMEM), 1);
    assert_int_equal(an_error_exit_code(AN_ENOTFOUND), 1);
    assert_int_equal(an_error_exit_code(AN_ENOSPC), 1);
    assert_int_equal(an_error_exit_code(AN_EINTERNAL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_code_and_text),
        cmocka_unit_test(test_errno_codes),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_arguments_may_be_the_message),
        cmocka_unit_test(test_long_messages_are_cut),
        cmocka_unit_test(test_cuts_are_between_characters),
        cmocka_unit_test(test_messages_belong_to_threads),
        cmocka_unit_test(test_exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
