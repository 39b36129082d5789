/* UTF-8: what is a valid character, where text may be cut, and that escaping loses nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/rng.h"
#include "base/text/utf8.h"

static void test_characters(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t length;
    } cases[] = {
        {"a", 1},
        {"\x7f", 1},
        {"\xc3\xa9", 2},
        {"\xe2\x82\xac", 3},
        {"\xf0\x9f\x90\xb1", 4},
        {"\xf4\x8f\xbf\xbf", 4}, /* U+10FFFF, the last one */
        {"", 0},
        {"\xe9", 0},             /* Latin-1 */
        {"\x80", 0},             /* a continuation byte alone */
        {"\xc3", 0},             /* cut short */
        {"\xe2\x82", 0},         /* cut short */
        {"\xc3(", 0},            /* no continuation */
        {"\xc0\x80", 0},         /* overlong */
        {"\xe0\x9f\xbf", 0},     /* overlong */
        {"\xf0\x8f\xbf\xbf", 0}, /* overlong */
        {"\xed\xa0\x80", 0},     /* a surrogate */
        {"\xf4\x90\x80\x80", 0}, /* beyond U+10FFFF */
        {"\xf8\x88\x80\x80\x80", 0},
        {"\xff", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(an_utf8_character(cases[i].text, strlen(cases[i].text)), cases[i].length);
    assert_true(an_utf8_is_valid("caf\xc3\xa9", 5));
    assert_false(an_utf8_is_valid("caf\xe9", 4));
    assert_true(an_utf8_is_valid("", 0));
}

static void test_cutting(void **state)
{
    (void)state;
    static const char text[] = "a\xf0\x9f\x90\xb1\xc3\xa9z"; /* characters begin at 0, 1, 5 and 7 */
    static const size_t expected[] = {0, 1, 1, 1, 1, 5, 5, 7, 8};
    for (size_t limit = 0; limit <= 8; limit++)
        assert_int_equal(an_utf8_cut(text, 8, limit), expected[limit]);
    assert_int_equal(an_utf8_cut(text, 8, 100), 8);
    assert_int_equal(an_utf8_cut("\xe9\xe9\xe9\xe9", 4, 2), 2); /* no characters: any place is as good */
}

static char *escaped(const char *text, size_t size)
{
    an_buffer out = {0};
    assert_int_equal(an_utf8_escape(text, size, &out), AN_OK);
    assert_int_equal(strlen((char *)out.data), out.size);
    return (char *)out.data;
}

static void expect_escaped(const char *text, const char *expected)
{
    char *got = escaped(text, strlen(text));
    assert_string_equal(got, expected);
    free(got);
}

static void test_escaping(void **state)
{
    (void)state;
    expect_escaped("", "");
    expect_escaped("caf\xc3\xa9/\xf0\x9f\x90\xb1.jpg", "caf\xc3\xa9/\xf0\x9f\x90\xb1.jpg");
    expect_escaped("a\\b", "a\\b");
    expect_escaped("a\\x41", "a\\x5cx41");
    expect_escaped("caf\xe9.jpg", "caf\\xe9.jpg");
    expect_escaped("a\\\xe9", "a\\\\xe9");
}

static void test_escaping_loses_nothing(void **state)
{
    (void)state;
    static const char *const pieces[] = {"\\", "x", "\xe9", "\xc3\xa9", "41", "\xf0\x9f", "a"};
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 0, 0);
    for (int round = 0; round < 20000; round++) {
        char text[64] = "";
        for (uint32_t i = an_rng_below(&rng, 9); i > 0; i--)
            strcat(text, pieces[an_rng_below(&rng, 7)]);
        char *got = escaped(text, strlen(text));
        assert_true(an_utf8_is_valid(got, strlen(got)));
        an_buffer back = {0};
        assert_int_equal(an_utf8_unescape(got, strlen(got), &back), AN_OK);
        assert_string_equal((const char *)back.data, text);
        an_buffer_free(&back);
        free(got);
    }
}

static void expect_shown(const char *text, const char *expected)
{
    an_buffer out = {0};
    assert_int_equal(an_utf8_show(text, strlen(text), &out), AN_OK);
    assert_string_equal((const char *)out.data, expected);
    assert_int_equal(out.size, strlen(expected));
    assert_string_equal(an_shown_make(text).text, expected);
    an_buffer_free(&out);
}

static void test_showing(void **state)
{
    (void)state;
    expect_shown("", "");
    expect_shown("plain, b\xc3\xa4r, \xf0\x9f\x90\xb1 \\x1b", "plain, b\xc3\xa4r, \xf0\x9f\x90\xb1 \\x1b");
    expect_shown("\x1b[31mRED\r\n\t\x7f", "\\x1b[31mRED\\x0d\\x0a\\x09\\x7f");
    expect_shown("caf\xe9", "caf\\xe9");
    expect_shown("\xc2\x9b"
                 "31m",
                 "\\xc2\\x9b31m"); /* CSI as one character */
    expect_shown("\xe2\x80\xae"
                 "gpj",
                 "\\xe2\\x80\\xaegpj");                                /* right to left from here */
    expect_shown("\xe2\x81\xa6\xd8\x9c", "\\xe2\\x81\\xa6\\xd8\\x9c"); /* an isolate, a mark */
    expect_shown("\xe2\x80\x8d\xc2\xa0", "\xe2\x80\x8d\xc2\xa0");      /* joins emoji; a space: neither controls */
}

static void test_showing_in_little_room(void **state)
{
    (void)state;
    char text[2000];
    memset(text, 'a', sizeof(text));
    memcpy(text + AN_SHOWN_MAX - 3, "\xf0\x9f\x90\xb1", 4);
    an_shown shown = an_shown_make_sized(text, sizeof(text));
    assert_int_equal(strlen(shown.text), AN_SHOWN_MAX - 3);
    memset(text, '\x1b', sizeof(text));
    shown = an_shown_make_sized(text, sizeof(text));
    assert_int_equal(strlen(shown.text), AN_SHOWN_MAX / 4 * 4 - 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_characters), cmocka_unit_test(test_cutting),
        cmocka_unit_test(test_showing),    cmocka_unit_test(test_showing_in_little_room),
        cmocka_unit_test(test_escaping),   cmocka_unit_test(test_escaping_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
