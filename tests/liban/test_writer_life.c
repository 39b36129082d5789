/* The life of liban's writer: what it refuses, classes and names, interruptions and going on. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <an/dataset.h>

#include "base/clock.h"
#include "tests/ingest/support.h"
#include "tests/liban/writer_support.h"
#include "tests/store/message.h"

static int open_fixture(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    fixture_open(f);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    fixture_close(*state);
    free(*state);
    return 0;
}

static const uint8_t dot[3] = {10, 20, 30};

static void add_dot(liban_writer *w, uint32_t label)
{
    assert_int_equal(liban_writer_add_pixels(w, dot, 1, 1, 3, 3, label, NULL), 0);
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */

#define REFUSED(member, value, code, message)                                                                          \
    do {                                                                                                               \
        liban_writer_options wrong = LIBAN_WRITER_OPTIONS_INIT;                                                        \
        writer = (liban_writer *)&wrong;                                                                               \
        wrong.member = value;                                                                                          \
        assert_int_equal(liban_writer_open(&writer, fixture_path(f, "set"), &wrong), code);                            \
        assert_message(message);                                                                                       \
        assert_null(writer);                                                                                           \
    } while (0)

static void impossible_options_are_named(void **state)
{
    fixture *f = *state;
    liban_writer *writer;
    REFUSED(version, 0, LIBAN_EINVAL, "liban_writer_options has version 0");
    REFUSED(version, 99, LIBAN_EUNSUPPORTED, "liban_writer_options has version 99");
    REFUSED(side, 7, LIBAN_EINVAL, "side 7 is outside 8..4096");
    REFUSED(side, 4097, LIBAN_EINVAL, "side 4097 is outside");
    REFUSED(quality, 0, LIBAN_EINVAL, "quality 0 is outside 1..100");
    REFUSED(quality, 101, LIBAN_EINVAL, "quality 101");
    REFUSED(subsampling, 411, LIBAN_EINVAL, "subsampling 411: expected 420, 422 or 444");
    REFUSED(codec, "webp", LIBAN_EINVAL, "codec 'webp'");
    REFUSED(codec, NULL, LIBAN_EINVAL, "codec is NULL");
    REFUSED(pixels_max, UINT64_MAX, LIBAN_EINVAL, "pixels_max 18446744073709551615 is above");
    REFUSED(source, "\xff", LIBAN_EINVAL, "source is no UTF-8 text");
    liban_writer_options options = LIBAN_WRITER_OPTIONS_INIT;
    assert_int_equal(liban_writer_open(&writer, NULL, &options), LIBAN_EINVAL);
    assert_int_equal(liban_writer_open(&writer, fixture_path(f, "set"), NULL), LIBAN_EINVAL);
    assert_int_equal(liban_writer_open(&writer, f->root, &options), LIBAN_EINVAL);
    assert_message("exists already");
    assert_int_not_equal(access(fixture_path(f, "set.partial"), F_OK), 0);
}

static void impossible_arguments_write_nothing(void **state)
{
    fixture *f = *state;
    liban_writer *w = writer_support_open(fixture_path(f, "set"), "rgb");
    char *name = malloc(64002);
    assert_non_null(name);
    memset(name, 'n', 64001);
    name[64001] = '\0';
    const struct {
        const uint8_t *pixels;
        uint32_t width, height, channels;
        size_t stride;
        uint32_t label;
        const char *name, *message;
    } all[] = {
        {NULL, 1, 1, 3, 3, 0, NULL, "pixels are NULL"},
        {dot, 0, 1, 3, 3, 0, NULL, "width 0 and height 1"},
        {dot, 1, 0, 3, 3, 0, NULL, "width 1 and height 0"},
        {dot, 1, 1, 2, 3, 0, NULL, "channels 2"},
        {dot, 1, 1, 3, 2, 0, NULL, "stride 2"},
        {dot, UINT32_MAX, 1, 3, UINT32_MAX, 0, NULL, "stride 4294967295"}, /* three times the width is more */
        {dot, 1, 1, 3, 3, 1000000, NULL, "label 1000000 is above 999999"},
        {dot, 1, 1, 3, 3, 0, name, "longer than 64000 bytes"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        assert_int_equal(liban_writer_add_pixels(w, all[i].pixels, all[i].width, all[i].height, all[i].channels,
                                                 all[i].stride, all[i].label, all[i].name),
                         LIBAN_EINVAL);
        assert_message(all[i].message);
    }
    assert_int_equal(liban_writer_add_encoded(w, NULL, 5, 0, NULL), LIBAN_EINVAL);
    assert_int_equal(liban_writer_add_encoded(w, NULL, 0, 0, NULL), LIBAN_ECORRUPT);
    assert_message("image '0': empty file");
    assert_int_equal(liban_writer_reject(w, NULL, "reason", 0), LIBAN_EINVAL);
    assert_int_equal(liban_writer_class(w, 0, "", NULL), LIBAN_EINVAL);
    assert_int_equal(liban_writer_class(w, 1000000, "a", NULL), LIBAN_EINVAL);
    assert_int_equal(liban_writer_position(w), 0);
    add_dot(w, 0);
    writer_support_finish(w);
    an_dataset *d = support_open(fixture_path(f, "set"));
    assert_int_equal(an_dataset_count(d), 1);
    assert_int_equal(an_dataset_statistics(d)->images, 1);
    an_dataset_free(d);
    free(name);
}

/* ---- classes, names, manifest ----------------------------------------------------------------------------------- */

static void classes_are_numbers_unless_named(void **state)
{
    fixture *f = *state;
    liban_writer *w = writer_support_open(fixture_path(f, "set"), "rgb");
    add_dot(w, 2);
    add_dot(w, 0);
    assert_int_equal(liban_writer_class(w, 1, "cat", "Felis catus"), 0); /* has no images */
    assert_int_equal(liban_writer_class(w, 3, "dog", NULL), 0);
    writer_support_finish(w);
    static const char *const ids[] = {"0", "cat", "2", "dog"}, *const names[] = {"0", "Felis catus", "2", "dog"};
    an_dataset *d = support_open(fixture_path(f, "set"));
    assert_int_equal(an_dataset_class_count(d), 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_string_equal(an_dataset_class(d, i)->id, ids[i]);
        assert_string_equal(an_dataset_class(d, i)->name, names[i]);
        assert_int_equal(an_dataset_class(d, i)->count, i % 2 == 0);
    }
    an_dataset_free(d);
}

/* Finish it, which must fail; then open it again. */
static liban_writer *fail_to_finish(fixture *f, liban_writer *w, const char *message)
{
    assert_int_equal(liban_writer_finish(w), LIBAN_EINVAL);
    assert_message(message);
    return writer_support_open(fixture_path(f, "set"), "rgb");
}

static void gaps_and_twins_are_refused_and_mended(void **state)
{
    fixture *f = *state;
    liban_writer *w = fail_to_finish(f, writer_support_open(fixture_path(f, "set"), "rgb"), "needs an image");
    add_dot(w, 1);
    add_dot(w, 4);
    w = fail_to_finish(f, w, "label 0 has neither images nor a class, but label 4 has");
    assert_int_equal(liban_writer_count(w), 2); /* nothing was lost */
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(liban_writer_class(w, i, i == 2 ? "4" : i == 1 ? "one" : "zero", NULL), 0);
    w = fail_to_finish(f, w, "label 3 has neither images nor a class");
    assert_int_equal(liban_writer_class(w, 3, "one", NULL), 0);
    w = fail_to_finish(f, w, "classes 2 and 4 have the same id '4'");
    assert_int_equal(liban_writer_class(w, 2, "two", NULL), 0); /* anew */
    w = fail_to_finish(f, w, "classes 1 and 3 have the same id 'one'");
    assert_int_equal(liban_writer_class(w, 3, "three", NULL), 0);
    writer_support_finish(w);
    an_dataset *d = support_open(fixture_path(f, "set"));
    assert_string_equal(an_dataset_class(d, 2)->id, "two");
    assert_string_equal(an_dataset_class(d, 4)->id, "4");
    an_dataset_free(d);
}

static void names_may_be_twins_or_missing(void **state)
{
    fixture *f = *state;
    static const char *const given[] = {"same", "same", NULL, ""}, *const kept[] = {"same", "same", "2", ""};
    liban_writer *w = writer_support_open(fixture_path(f, "set"), "rgb");
    for (int i = 0; i < 4; i++)
        assert_int_equal(liban_writer_add_pixels(w, dot, 1, 1, 3, 3, 0, given[i]), 0);
    writer_support_finish(w);
    liban_dataset *d;
    assert_int_equal(liban_dataset_open(&d, fixture_path(f, "set")), 0);
    for (uint64_t i = 0; i < 4; i++) {
        liban_record record;
        assert_int_equal(liban_dataset_record(d, i, &record), 0);
        assert_int_equal(record.name_length, strlen(kept[i]));
        assert_memory_equal(record.name, kept[i], record.name_length);
    }
    const char *manifest = liban_dataset_manifest(d);
    assert_non_null(strstr(manifest, "\"program\":\"liban "));
    assert_non_null(strstr(manifest, "\"source\":\"liban\""));
    assert_non_null(strstr(manifest, "\"codec\":\"rgb\""));
    assert_non_null(strstr(manifest, "\"size\":32"));
    liban_dataset_free(d);
}

/* ---- going on --------------------------------------------------------------------------------------------------- */

static void undisturbed(fixture *f, uint64_t images)
{
    liban_writer *w = writer_support_open(fixture_path(f, "whole"), "coef");
    writer_support_feed(w, 0, images);
    writer_support_finish(w);
}

static void going_on_loses_and_repeats_nothing(void **state)
{
    fixture *f = *state;
    liban_writer *w = writer_support_open(fixture_path(f, "set"), "coef");
    writer_support_feed(w, 0, 13);
    assert_int_equal(liban_writer_commit(w), 0);
    assert_int_equal(liban_writer_position(w), 13);
    assert_int_equal(liban_writer_count(w), 11);
    writer_support_feed(w, 13, 15);
    liban_writer_close(w);
    liban_writer_options options = LIBAN_WRITER_OPTIONS_INIT;
    options.side = 32;
    options.codec = "coef";
    options.source = "elsewhere";
    assert_int_equal(liban_writer_open(&w, fixture_path(f, "set"), &options), LIBAN_EINVAL);
    assert_message("source was \"liban\" and is \"elsewhere\" now");
    w = writer_support_open(fixture_path(f, "set"), "coef");
    uint64_t position = liban_writer_position(w);
    assert_in_range(position, 13, 15); /* a commit of its own may have come between */
    writer_support_feed(w, position, 40);
    writer_support_finish(w);
    undisturbed(f, 40);
    writer_support_assert_same_paths(fixture_path(f, "set"), fixture_path(f, "whole"));
}

/* A child that adds images for a second, tells that it has done so, and goes on until it is killed. It commits nothing
 * itself. */
static void add_until_killed(fixture *f, int told)
{
    liban_writer *w = writer_support_open(fixture_path(f, "set"), "coef");
    uint64_t start = an_clock_ns(), i = liban_writer_position(w);
    bool is_told = false;
    for (;; i++) {
        if (writer_support_try_feed(w, i))
            _exit(1);
        if (!is_told && an_clock_ns() - start > 1000000000u)
            is_told = write(told, "!", 1) == 1;
    }
}

static void killed_writers_have_committed(void **state)
{
    fixture *f = *state;
    uint64_t position = 0;
    for (int kills = 0; kills < 2; kills++) {
        int ends[2], status;
        char byte;
        assert_return_code(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            add_until_killed(f, ends[1]);
        close(ends[1]);
        assert_int_equal(read(ends[0], &byte, 1), 1);
        assert_return_code(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        close(ends[0]);
        liban_writer *w = writer_support_open(fixture_path(f, "set"), "coef");
        assert_true(liban_writer_position(w) > position);
        position = liban_writer_position(w);
        liban_writer_close(w);
    }
    liban_writer *w = writer_support_open(fixture_path(f, "set"), "coef");
    writer_support_feed(w, position, position + 20);
    writer_support_finish(w);
    undisturbed(f, position + 20);
    writer_support_assert_same_paths(fixture_path(f, "set"), fixture_path(f, "whole"));
}

static void a_path_has_one_writer(void **state)
{
    fixture *f = *state;
    liban_writer *w = writer_support_open(fixture_path(f, "set"), "rgb"), *second;
    liban_writer_options options = LIBAN_WRITER_OPTIONS_INIT;
    options.side = 32;
    options.codec = "rgb";
    assert_int_equal(liban_writer_open(&second, fixture_path(f, "set"), &options), LIBAN_EIO);
    assert_message("is being written by another");
    add_dot(w, 0);
    writer_support_finish(w);
    assert_int_equal(liban_writer_open(&second, fixture_path(f, "set"), &options), LIBAN_EINVAL);
}

/* In a child that fork made, calls fail and those that free do nothing. */
static void forks_are_refused(void **state)
{
    fixture *f = *state;
    liban_writer *w = writer_support_open(fixture_path(f, "set"), "rgb");
    add_dot(w, 0);
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int failed = liban_writer_add_pixels(w, dot, 1, 1, 3, 3, 0, NULL) != LIBAN_EFORKED;
        failed += liban_writer_reject(w, "a", "b", 0) != LIBAN_EFORKED;
        failed += liban_writer_class(w, 0, "a", NULL) != LIBAN_EFORKED;
        failed += liban_writer_commit(w) != LIBAN_EFORKED;
        failed += liban_writer_finish(w) != LIBAN_EFORKED;
        failed += liban_writer_count(w) != 0 || liban_writer_position(w) != 0;
        liban_writer_close(w);
        _exit(failed);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    add_dot(w, 0);
    writer_support_finish(w);
    liban_writer_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(impossible_options_are_named, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(impossible_arguments_write_nothing, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(classes_are_numbers_unless_named, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(gaps_and_twins_are_refused_and_mended, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(names_may_be_twins_or_missing, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(going_on_loses_and_repeats_nothing, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(killed_writers_have_committed, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(a_path_has_one_writer, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(forks_are_refused, open_fixture, close_fixture),
    };
    return cmocka_run_group_tests_name("liban_writer_life", tests, NULL, NULL);
}
