/* Tars on standard input: the same items as from a file, in a shuffled order that is a function of the seed. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "ingest/sources/source.h"
#include "tests/ingest/support.h"

static fixture f;
static an_classes classes;
static int saved_input;

static int set_up(void **state)
{
    (void)state;
    fixture_open(&f);
    saved_input = dup(STDIN_FILENO);
    assert_int_equal(an_classes_add(&classes, "n1", NULL), AN_OK);
    assert_int_equal(an_classes_add(&classes, "n0", NULL), AN_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_true(dup2(saved_input, STDIN_FILENO) >= 0);
    close(saved_input);
    an_classes_free(&classes);
    fixture_close(&f);
    return 0;
}

static void feed(const char *name)
{
    int fd = open(fixture_path(&f, "%s", name), O_RDONLY);
    assert_true(fd >= 0);
    assert_true(dup2(fd, STDIN_FILENO) >= 0);
    close(fd);
}

static an_source *open_stream(bool shuffle, uint64_t seed)
{
    an_source *source;
    an_source_options options = {.path = "-", .classes = &classes, .shuffle = shuffle, .seed = seed};
    if (an_source_open(&source, &options))
        fail_msg("%s", an_error_message());
    return source;
}

/* "name=label:content " of all items. */
static int read_all(an_source *source, char *out, size_t size)
{
    an_item item = {0};
    an_buffer bytes = {0};
    *out = 0;
    int rc = an_source_next(source, &item);
    for (; !rc; rc = an_source_next(source, &item)) {
        size_t used = strlen(out);
        assert_int_equal(an_item_load(&item, 1000, &bytes), AN_OK);
        snprintf(out + used, size - used, "%s=%u:%.*s ", (char *)item.name.data, item.label, (int)bytes.size,
                 (char *)bytes.data);
    }
    an_item_free(&item);
    an_buffer_free(&bytes);
    return rc;
}

static void expect(const char *name, const char *items)
{
    char text[4096];
    feed(name);
    an_source *source = open_stream(false, 0);
    assert_int_equal(read_all(source, text, sizeof(text)), AN_END);
    assert_string_equal(text, items);
    an_source_free(source);
}

static void make_folders_tar(int each)
{
    fixture_tar *tar = fixture_tar_open(fixture_path(&f, "folders.tar"));
    for (int i = 0; i < 2 * each; i++) {
        char name[64], content[16];
        snprintf(name, sizeof(name), "./set/n%d/%d.jpg", i % 2, i);
        snprintf(content, sizeof(content), "%d", i);
        fixture_tar_add(tar, name, content, strlen(content));
    }
    fixture_tar_close(tar);
}

static void test_folders(void **state)
{
    (void)state;
    make_folders_tar(1);
    expect("folders.tar", "set/n0/0.jpg=1:0 set/n1/1.jpg=0:1 ");
}

static void test_tar_of_tars(void **state)
{
    (void)state;
    an_buffer inner = {0};
    fixture_tar *outer = fixture_tar_open(fixture_path(&f, "outer.tar"));
    for (int c = 0; c < 2; c++) {
        fixture_tar *tar = fixture_tar_open(fixture_path(&f, "inner"));
        fixture_tar_add(tar, "a.jpg", "A", 1);
        fixture_tar_add(tar, "b.jpg", "BB", 2);
        fixture_tar_close(tar);
        inner.size = 0;
        assert_int_equal(an_file_read(fixture_path(&f, "inner"), 1 << 20, &inner), AN_OK);
        fixture_tar_add(outer, c ? "n1.tar" : "n0.tar", inner.data, inner.size);
    }
    fixture_tar_close(outer);
    an_buffer_free(&inner);
    expect("outer.tar", "n0/a.jpg=1:A n0/b.jpg=1:BB n1/a.jpg=0:A n1/b.jpg=0:BB ");
}

static void test_webdataset(void **state)
{
    (void)state;
    fixture_tar *tar = fixture_tar_open(fixture_path(&f, "web.tar"));
    fixture_tar_add(tar, "a.cls", "0", 1);
    fixture_tar_add(tar, "a.jpg", "A", 1);
    fixture_tar_add(tar, "a.txt", "caption", 7);
    fixture_tar_add(tar, "b.png", "B", 1);
    fixture_tar_add(tar, "b.cls", "n0\n", 3);
    fixture_tar_close(tar);
    expect("web.tar", "a.jpg=0:A b.png=1:B ");
}

static void refuses(const char *name, const char *reason)
{
    char text[4096];
    feed(name);
    an_source *source = open_stream(false, 0);
    assert_true(read_all(source, text, sizeof(text)) < 0);
    if (!strstr(an_error_message(), reason))
        fail_msg("'%s' is not in '%s'", reason, an_error_message());
    an_source_free(source);
}

static void test_refusals(void **state)
{
    (void)state;
    an_source *source;
    make_folders_tar(20);
    feed("folders.tar");
    assert_int_equal(an_source_open(&source, &(an_source_options){.path = "-"}), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "--classes-from"));
    assert_int_equal(truncate(fixture_path(&f, "folders.tar"), 20000), 0);
    refuses("folders.tar", "cut short");
    fixture_tar *tar = fixture_tar_open(fixture_path(&f, "strange.tar"));
    fixture_tar_add(tar, "n7/a.jpg", "A", 1);
    fixture_tar_close(tar);
    refuses("strange.tar", "'n7' is not among the 2 given");
    tar = fixture_tar_open(fixture_path(&f, "alone.tar"));
    fixture_tar_add(tar, "a.jpg", "A", 1);
    fixture_tar_add(tar, "b.jpg", "A", 1);
    fixture_tar_close(tar);
    refuses("alone.tar", "'a.jpg' has no .cls");
}

/* libarchive hands some compressions to a program from PATH. Input must not start one. */
static void test_no_program_is_started(void **state)
{
    (void)state;
    static const char packed[64] = "LRZI\0\6", script[] = "#!/bin/sh\n: >\"${0%/*}/started\"\nexit 1\n";
    char program[512], path[4096];
    const char *before = getenv("PATH");
    snprintf(program, sizeof(program), "%s", fixture_path(&f, "lrzip"));
    fixture_write(program, script, strlen(script));
    assert_int_equal(chmod(program, 0755), 0);
    fixture_write(fixture_path(&f, "packed"), packed, sizeof(packed));
    snprintf(path, sizeof(path), "%s:%s", f.root, before ? before : "");
    assert_int_equal(setenv("PATH", path, 1), 0);
    feed("packed");
    an_source *source;
    an_source_options options = {.path = "-", .classes = &classes};
    int rc = an_source_open(&source, &options);
    assert_int_equal(setenv("PATH", strchr(path, ':') + 1, 1), 0);
    assert_int_equal(rc, AN_ECORRUPT);
    assert_int_equal(access(fixture_path(&f, "started"), F_OK), -1);
}

/* Members of one key before the .cls are held, but not without end: an image whose sample is so large is set aside. */
static void test_large_sample(void **state)
{
    (void)state;
    enum { PART = 4 << 20, PARTS = 33 };
    static const uint8_t part[PART];
    fixture_tar *tar = fixture_tar_open(fixture_path(&f, "large.tar"));
    fixture_tar_add(tar, "k.jpg", "x", 1);
    for (int i = 0; i < PARTS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "k.%d.bin", i);
        fixture_tar_add(tar, name, part, PART);
    }
    fixture_tar_add(tar, "k.cls", "0", 1);
    fixture_tar_add(tar, "m.cls", "1", 1);
    fixture_tar_add(tar, "m.jpg", "y", 1);
    fixture_tar_close(tar);
    feed("large.tar");
    an_item item = {0};
    an_buffer bytes = {0};
    an_source *source = open_stream(false, 0);
    assert_int_equal(an_source_next(source, &item), AN_OK);
    assert_string_equal((char *)item.name.data, "k.jpg");
    assert_int_equal(an_item_load(&item, 1000, &bytes), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "no .cls beside it"));
    an_item_free(&item);
    an_buffer_free(&bytes);
    an_source_free(source);
}

/* A folder can be opened, but each read fails. */
static void test_input_that_cannot_be_read(void **state)
{
    char text[4096];
    (void)state;
    feed(".");
    an_source *source = NULL;
    an_source_options options = {.path = "-", .classes = &classes};
    int rc = an_source_open(&source, &options);
    if (!rc)
        rc = read_all(source, text, sizeof(text));
    assert_int_equal(rc, AN_EIO);
    assert_non_null(strstr(an_error_message(), "cannot read standard input: Is a directory"));
    an_source_free(source);
}

static void read_shuffled(uint64_t seed, char *out, size_t size)
{
    feed("folders.tar");
    an_source *source = open_stream(true, seed);
    assert_int_equal(read_all(source, out, size), AN_END);
    an_source_free(source);
}

static void test_shuffling_in_a_window(void **state)
{
    (void)state;
    char one[4096], again[4096], other[4096];
    make_folders_tar(40);
    read_shuffled(1, one, sizeof(one));
    read_shuffled(1, again, sizeof(again));
    read_shuffled(2, other, sizeof(other));
    assert_string_equal(one, again);
    assert_string_not_equal(one, other);
    for (int i = 0; i < 80; i++) {
        char item[64];
        snprintf(item, sizeof(item), "set/n%d/%d.jpg=%d:%d ", i % 2, i, 1 - i % 2, i);
        assert_non_null(strstr(one, item));
    }
}

/* Write a tar of small images, of which the third is no image; the image number 7 is called seventh. */
static void make_images_tar(const char *name, uint32_t images, const char *seventh)
{
    fixture_tar *tar = fixture_tar_open(fixture_path(&f, "%s", name));
    for (uint32_t i = 0; i < images; i++) {
        char member[32];
        snprintf(member, sizeof(member), "n%u/%u.jpg", i % 2, i);
        if (i == 2)
            fixture_tar_add(tar, member, "rubbish", 7);
        else
            fixture_tar_add_jpeg(tar, i == 7 ? seventh : member, i);
    }
    fixture_tar_close(tar);
}

static void stream_config(an_ingest_config *config)
{
    static char list[512];
    fixture_write(fixture_path(&f, "classes"), "n1\nn0\n", 6);
    snprintf(list, sizeof(list), "%s", fixture_path(&f, "classes"));
    support_config(config, 16);
    config->classes_from = list;
}

static int ingest_stream(const an_ingest_config *config, const char *tar, const char *destination)
{
    an_ingest_outcome outcome;
    feed(tar);
    int rc = an_ingest_run(config, "-", fixture_path(&f, "%s", destination), &outcome);
    an_ingest_outcome_free(&outcome);
    return rc;
}

static void test_an_interrupted_stream(void **state)
{
    (void)state;
    an_ingest_config config;
    stream_config(&config);
    config.order = AN_INGEST_ORDER_SOURCE;
    make_images_tar("images.tar", 30, "n1/7.jpg");
    make_images_tar("short.tar", 10, "n1/7.jpg");
    make_images_tar("renamed.tar", 30, "n1/other.jpg");
    make_images_tar("cut.tar", 30, "n1/7.jpg");
    assert_int_equal(truncate(fixture_path(&f, "cut.tar"), (off_t)20 * 1536), 0);
    assert_int_equal(ingest_stream(&config, "images.tar", "whole"), AN_OK);
    assert_int_equal(ingest_stream(&config, "cut.tar", "resumed"), AN_ECORRUPT);
    assert_int_equal(ingest_stream(&config, "renamed.tar", "resumed"), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "input 7 of the source is 'n1/other.jpg' of class 0, where the "
                                               "interrupted run read 'n1/7.jpg' of class 0"));
    assert_int_equal(ingest_stream(&config, "short.tar", "resumed"), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "fewer images"));
    assert_int_equal(ingest_stream(&config, "images.tar", "resumed"), AN_OK);
    an_dataset *whole = support_open(fixture_path(&f, "whole")), *resumed = support_open(fixture_path(&f, "resumed"));
    support_assert_same(whole, resumed);
    an_dataset_free(whole);
    an_dataset_free(resumed);
}

static void test_ingest_from_standard_input(void **state)
{
    (void)state;
    an_ingest_config config;
    make_images_tar("images.tar", 30, "n1/7.jpg");
    stream_config(&config);
    feed("images.tar");
    support_ingest(&config, "-", fixture_path(&f, "out"));
    an_dataset *dataset = support_open(fixture_path(&f, "out"));
    assert_int_equal(an_dataset_count(dataset), 29);
    assert_int_equal(an_dataset_reject_count(dataset), 1);
    assert_int_equal(an_dataset_class(dataset, 1)->count, 14);
    an_dataset_free(dataset);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_folders),
        CASE(test_tar_of_tars),
        CASE(test_webdataset),
        CASE(test_refusals),
        CASE(test_large_sample),
        CASE(test_no_program_is_started),
        CASE(test_input_that_cannot_be_read),
        CASE(test_shuffling_in_a_window),
        CASE(test_an_interrupted_stream),
        CASE(test_ingest_from_standard_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
