#include "tests/liban/writer_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/ingest/support.h"

int writer_support_try_feed(liban_writer *writer, uint64_t i)
{
    char name[32];
    snprintf(name, sizeof name, "%05d.jpg", (int)i);
    if (i % 5 == 4)
        return liban_writer_reject(writer, name, "a text", 7);
    an_buffer file = {0};
    fixture_jpeg(&file, 30 + (uint32_t)i % 21, 52 - (uint32_t)i % 17, (uint32_t)i, AN_JPEG_420);
    int rc = liban_writer_add_encoded(writer, file.data, file.size, (uint32_t)i % 3, name);
    an_buffer_free(&file);
    return rc;
}

void writer_support_feed(liban_writer *writer, uint64_t first, uint64_t end)
{
    for (uint64_t i = first; i < end; i++)
        if (writer_support_try_feed(writer, i))
            fail_msg("image %d: %s", (int)i, liban_error_message());
}

liban_writer *writer_support_open(const char *path, const char *codec)
{
    liban_writer_options options = LIBAN_WRITER_OPTIONS_INIT;
    liban_writer *writer;
    options.side = 32;
    options.codec = codec;
    if (liban_writer_open(&writer, path, &options))
        fail_msg("%s", liban_error_message());
    return writer;
}

void writer_support_finish(liban_writer *writer)
{
    if (liban_writer_finish(writer))
        fail_msg("%s", liban_error_message());
}

static void assert_same_record(const an_dataset *a, const an_dataset *b, uint64_t i)
{
    an_record one, other;
    const char *name, *other_name;
    size_t length, other_length;
    assert_int_equal(an_dataset_record(a, i, &one), 0);
    assert_int_equal(an_dataset_record(b, i, &other), 0);
    assert_int_equal(one.header.codec, other.header.codec);
    assert_int_equal(one.header.label, other.header.label);
    assert_int_equal(one.header.length, other.header.length);
    assert_memory_equal(one.payload, other.payload, one.header.length);
    assert_int_equal(an_dataset_name(a, i, &name, &length), 0);
    assert_int_equal(an_dataset_name(b, i, &other_name, &other_length), 0);
    assert_int_equal(length, other_length);
    assert_memory_equal(name, other_name, length);
}

static int describe(void *context, const char *name, const char *reason, uint64_t bytes)
{
    return an_buffer_printf(context, "%s|%s|%d\n", name, reason, (int)bytes);
}

static void assert_same_rejects(const an_dataset *a, const an_dataset *b)
{
    an_buffer one = {0}, other = {0};
    assert_int_equal(an_buffer_printf(&one, "rejects:\n"), 0);
    assert_int_equal(an_buffer_printf(&other, "rejects:\n"), 0);
    assert_int_equal(an_dataset_rejects(a, describe, &one), 0);
    assert_int_equal(an_dataset_rejects(b, describe, &other), 0);
    assert_string_equal((char *)one.data, (char *)other.data);
    an_buffer_free(&one);
    an_buffer_free(&other);
}

static void assert_same_statistics(const an_dataset *a, const an_dataset *b)
{
    const an_statistics *s = an_dataset_statistics(a), *t = an_dataset_statistics(b);
    assert_int_equal(s->images, an_dataset_count(a));
    assert_int_equal(s->images, t->images);
    assert_memory_equal(s->mean, t->mean, sizeof s->mean);
    assert_memory_equal(s->covariance, t->covariance, sizeof s->covariance);
    assert_memory_equal(s->mean_image, t->mean_image, (size_t)s->side * s->side * 3 * sizeof *s->mean_image);
}

void writer_support_assert_same(const an_dataset *a, const an_dataset *b)
{
    assert_int_equal(an_dataset_count(a), an_dataset_count(b));
    assert_int_equal(an_dataset_side(a), an_dataset_side(b));
    assert_int_equal(an_dataset_class_count(a), an_dataset_class_count(b));
    for (uint32_t i = 0; i < an_dataset_class_count(a); i++) {
        assert_string_equal(an_dataset_class(a, i)->id, an_dataset_class(b, i)->id);
        assert_string_equal(an_dataset_class(a, i)->name, an_dataset_class(b, i)->name);
    }
    for (uint64_t i = 0; i < an_dataset_count(a); i++)
        assert_same_record(a, b, i);
    assert_same_rejects(a, b);
    assert_same_statistics(a, b);
}

void writer_support_assert_same_paths(const char *a, const char *b)
{
    an_dataset *one = support_open(a), *other = support_open(b);
    writer_support_assert_same(one, other);
    an_dataset_free(one);
    an_dataset_free(other);
}
