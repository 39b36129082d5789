/* Paths inside sources: how they are written, which are left out, which folder is the class. And the set of paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "ingest/sources/archive/place.h"
#include "ingest/sources/archive/seen_private.h"

static void expect_path(const char *prefix, const char *name, bool folder, const char *wanted)
{
    an_buffer path = {0};
    assert_int_equal(an_place_normalise(&path, prefix, name, folder), AN_OK);
    assert_string_equal((const char *)path.data, wanted);
    assert_int_equal(path.size, strlen(wanted));
    an_buffer_free(&path);
}

static void test_normalised(void **state)
{
    (void)state;
    expect_path("", "a/b.jpg", false, "a/b.jpg");
    expect_path("", "./a//./b.jpg", false, "a/b.jpg");
    expect_path("", "/a/b.jpg", false, "a/b.jpg");
    expect_path("", "a/../b/c.jpg", false, "b/c.jpg");
    expect_path("", "../../a/b.jpg", false, "a/b.jpg");
    expect_path("n01/", "x/../../b.jpg", false, "b.jpg");
    expect_path("n01/", "./b.jpg", false, "n01/b.jpg");
    expect_path("", "a/b/", true, "a/b/");
    expect_path("", "a/b", true, "a/b/");
    expect_path("", "./", true, "");
    expect_path("", "..a/...", false, "..a/...");
}

static void expect_class(const char *base, const char *path, const char *wanted)
{
    const char *start = "";
    size_t length = 0;
    assert_int_equal(an_place_class(base, path, &start, &length), wanted ? AN_OK : AN_END);
    if (wanted) {
        assert_int_equal(length, strlen(wanted));
        assert_memory_equal(start, wanted, length);
    }
}

static void test_class(void **state)
{
    (void)state;
    expect_class("", "ant/deep/1.jpg", "ant");
    expect_class("", "1.jpg", NULL);
    expect_class("Data/", "Data/ant/1.jpg", "ant");
    expect_class("Data/", "Data/ant/", "ant");
    expect_class("Data/", "Data/", NULL);
    expect_class("Data/", "Data/1.jpg", NULL);
    expect_class("Data/", "1.jpg", NULL);
    expect_class("Data/", "Data2/1.jpg", "Data2");
    expect_class("Data/", "Dat/1.jpg", "Dat");
    expect_class("a/b/", "a/c/1.jpg", "c");
}

static void test_learning(void **state)
{
    (void)state;
    an_buffer base = {0};
    an_classes classes = {0};
    assert_int_equal(an_classes_add(&classes, "ant", NULL), AN_OK);
    assert_int_equal(an_place_learn(&base, "x/ant/ant/1.jpg", 0, &classes), AN_OK);
    assert_string_equal((const char *)base.data, "x/");
    assert_int_equal(an_place_learn(&base, "ant/1.jpg", 0, &classes), AN_OK);
    assert_string_equal((const char *)base.data, "");
    assert_int_equal(an_place_learn(&base, "x/ants/ant", 0, &classes), AN_END);
    assert_int_equal(an_place_learn(&base, "n1/ant/1.jpg", strlen("n1/"), &classes), AN_END);
    assert_int_equal(an_place_learn(&base, "x/ant/1.jpg", strlen("x/ant/"), &classes), AN_OK);
    assert_string_equal((const char *)base.data, "x/");
    an_classes_free(&classes);
    an_buffer_free(&base);
}

static void test_left_out(void **state)
{
    (void)state;
    an_buffer text = {0};
    an_place_left_out left = {0};
    assert_false(an_place_is_left_out("ant/1.jpg", &left));
    assert_false(an_place_is_left_out("ant/lost+found", &left)); /* a file */
    assert_int_equal(an_place_describe(&left, &text), AN_OK);
    assert_int_equal(text.size, 0);
    assert_true(an_place_is_left_out("ant/lost+found/", &left));
    assert_true(an_place_is_left_out("ant/@eaDir/1.jpg/x.jpg", &left));
    assert_true(an_place_is_left_out(".git/1.jpg", &left));
    assert_true(an_place_is_left_out("ant/._1.jpg", &left)); /* not counted: no image */
    assert_true(an_place_is_left_out("ant/.DS_Store", &left));
    an_place_count_dataset(&left, "packed");
    assert_int_equal(an_place_describe(&left, &text), AN_OK);
    assert_string_equal((const char *)text.data,
                        "left out, for they are no classes but made by systems: folders called 'lost+found', '@eaDir'\n"
                        "left out: 1 folder with a dataset of an-ingest, such as 'packed'\n"
                        "left out: 1 hidden image, such as '.git/1.jpg'\n");
    an_buffer_free(&text);
}

static void test_images(void **state)
{
    (void)state;
    assert_true(an_place_is_image("a/1.JPEG"));
    assert_true(an_place_is_image("a/1.seg.png"));
    assert_false(an_place_is_image("a.jpg/1"));
    assert_false(an_place_is_image("a/1.txt"));
}

static void test_seen(void **state)
{
    (void)state;
    an_seen seen = {0};
    bool before;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < 5000; i++) { /* it grows twice */
            char text[16];
            int length = snprintf(text, sizeof(text), "%d", i);
            assert_int_equal(an_seen_add(&seen, text, (size_t)length, &before), AN_OK);
            assert_int_equal(before, pass == 1);
        }
    assert_int_equal(seen.count, 5000);
    an_seen_free(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalised), cmocka_unit_test(test_class),  cmocka_unit_test(test_learning),
        cmocka_unit_test(test_left_out),   cmocka_unit_test(test_images), cmocka_unit_test(test_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
