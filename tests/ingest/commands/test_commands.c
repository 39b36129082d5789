/* What the commands do with a dataset: verify finds damage, export undoes ingest, transcode keeps
 * coefficients. */
#include <cairo.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "ingest/commands/export.h"
#include "ingest/commands/recompute.h"
#include "ingest/commands/sheet.h"
#include "ingest/commands/verify.h"
#include "ingest/run/estimate.h"
#include "tests/ingest/support.h"

static fixture f;
static an_ingest_config config;
static char source[512], data[512];

static int set_up(void **state)
{
    (void)state;
    fixture_open(&f);
    snprintf(source, sizeof(source), "%s", fixture_path(&f, "source"));
    snprintf(data, sizeof(data), "%s", fixture_path(&f, "data"));
    support_config(&config, 32);
    support_pictures(&f, "source", 2, 10);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_close(&f);
    return 0;
}

/* Flip one bit of the dataset's file. */
static void flip(const char *path, uint64_t offset)
{
    char file[600];
    uint8_t byte;
    snprintf(file, sizeof(file), "%s/data.mdb", path);
    int fd = open(file, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

static void test_verify_names_bad_records(void **state)
{
    (void)state;
    support_ingest(&config, source, data);
    an_dataset *dataset = support_open(data);
    uint64_t third = an_dataset_index(dataset)[3].offset, tenth = an_dataset_index(dataset)[10].offset;
    an_dataset_free(dataset);
    flip(data, third + 200); /* in the payload */
    flip(data, tenth + 9);   /* in the header */
    dataset = support_open(data);
    an_verify_faults faults;
    assert_int_equal(an_verify(dataset, 3, true, &faults), AN_OK);
    assert_int_equal(faults.count, 2);
    assert_int_equal(faults.entries[0].index, 3);
    assert_int_equal(faults.entries[1].index, 10);
    an_verify_faults_free(&faults);
    an_dataset_free(dataset);
    flip(data, third + 200);
    flip(data, tenth + 9);
    dataset = support_open(data);
    assert_int_equal(an_verify(dataset, 3, true, &faults), AN_OK);
    assert_int_equal(faults.count, 0);
    an_dataset_free(dataset);
}

static uint64_t offset_of(const an_dataset *dataset, const void *mapped)
{
    an_record first;
    assert_int_equal(an_dataset_record(dataset, 0, &first), AN_OK);
    return (uint64_t)((const uint8_t *)mapped - first.payload) + AN_RECORD_HEADER_SIZE +
           an_dataset_index(dataset)[0].offset;
}

static void overwrite(uint64_t offset, const void *bytes, size_t size)
{
    char file[600];
    snprintf(file, sizeof(file), "%s/data.mdb", data);
    int fd = open(file, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, (off_t)offset), (ssize_t)size);
    close(fd);
}

/* verify finds one fault, in this record, and its reason holds text. */
static void expect_fault(uint64_t index, const char *text)
{
    an_verify_faults faults;
    an_dataset *dataset = support_open(data);
    assert_int_equal(an_verify(dataset, 2, true, &faults), AN_OK);
    assert_int_equal(faults.count, 1);
    assert_int_equal(faults.entries[0].index, index);
    if (!strstr(faults.entries[0].reason, text))
        fail_msg("'%s' is not in '%s'", text, faults.entries[0].reason);
    an_verify_faults_free(&faults);
    an_dataset_free(dataset);
}

/* Records with right checksums whose headers differ from what the dataset says of them. */
static void test_verify_compares_records_with_the_index(void **state)
{
    (void)state;
    uint8_t bytes[AN_RECORD_HEADER_SIZE];
    an_record record;
    support_ingest(&config, source, data);
    an_dataset *dataset = support_open(data);
    assert_int_equal(an_dataset_record(dataset, 5, &record), AN_OK);
    uint64_t at = an_dataset_index(dataset)[5].offset;
    an_record_header sound = record.header, label = sound, width = sound, height = sound, codec = sound;
    label.label = 1 - label.label;
    width.width = 16;
    height.height = 16;
    codec.codec = AN_CODEC_COEF; /* a JPEG's bytes are no coefficients */
    an_record_header *const cases[] = {&label, &width, &height, &codec};
    static const char *const reasons[] = {"contradicts the index", "contradicts the index", "contradicts the index",
                                          ""};
    for (size_t i = 0; i < 4; i++) {
        an_record_header_write(cases[i], record.payload, bytes);
        overwrite(at, bytes, sizeof(bytes));
        expect_fault(5, reasons[i]);
    }
    an_record_header_write(&sound, record.payload, bytes);
    overwrite(at, bytes, sizeof(bytes));
    an_verify_faults faults;
    assert_int_equal(an_verify(dataset, 2, true, &faults), AN_OK);
    assert_int_equal(faults.count, 0);
    an_dataset_free(dataset);
}

/* Two records that have changed places, with the same label, size and length. */
static void test_verify_notices_exchanged_records(void **state)
{
    (void)state;
    config.codec = "rgb"; /* all of one length */
    support_ingest(&config, source, data);
    an_dataset *dataset = support_open(data);
    const an_index_entry *index = an_dataset_index(dataset);
    uint64_t other = 1;
    while (index[other].label != index[0].label)
        other++;
    size_t size = index[0].length;
    uint8_t *both = malloc(2 * size);
    for (uint64_t i = 0; i < 2; i++) {
        an_record record;
        assert_int_equal(an_dataset_record(dataset, i ? other : 0, &record), AN_OK);
        memcpy(both + i * size, record.payload - AN_RECORD_HEADER_SIZE, size);
    }
    overwrite(index[0].offset, both + size, size);
    overwrite(index[other].offset, both, size);
    an_verify_faults faults;
    assert_int_equal(an_verify(dataset, 2, true, &faults), AN_ECORRUPT);
    assert_int_equal(faults.count, 0);
    assert_non_null(strstr(an_error_message(), "leads to another record"));
    an_verify_faults_free(&faults);
    an_dataset_free(dataset);
    free(both);
}

/* A label that has no class is refused when the dataset is opened. */
static void test_a_label_without_class_is_not_opened(void **state)
{
    (void)state;
    const char *name;
    size_t length;
    support_ingest(&config, source, data);
    an_dataset *dataset = support_open(data);
    assert_int_equal(an_dataset_name(dataset, 7, &name, &length), AN_OK);
    uint64_t at = offset_of(dataset, name) - 4;
    an_dataset_free(dataset);
    overwrite(at, (const uint8_t[]){2, 0, 0, 0}, 4);
    assert_int_equal(an_dataset_open(&dataset, data), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "label has no class"));
}

static void test_export_and_back(void **state)
{
    (void)state;
    char folder[512], again[512];
    uint64_t written;
    snprintf(folder, sizeof(folder), "%s", fixture_path(&f, "files"));
    snprintf(again, sizeof(again), "%s", fixture_path(&f, "again"));
    for (int codec = 0; codec < 2; codec++) {
        config.codec = codec ? "rgb" : "jpeg"; /* PNG and JPEG files: neither loses anything more */
        support_ingest(&config, source, data);
        an_dataset *dataset = support_open(data);
        assert_int_equal(an_export(dataset, folder, &(an_export_options){.quiet = true}, &written), AN_OK);
        assert_int_equal(written, 20);
        assert_int_equal(an_export(dataset, folder, &(an_export_options){.quiet = true}, &written), AN_EINVAL);
        support_ingest(&config, folder, again);
        an_dataset *back = support_open(again);
        uint64_t sum = 0, back_sum = 0;
        for (uint64_t i = 0; i < 20; i++) {
            an_record record;
            assert_int_equal(an_dataset_record(dataset, i, &record), AN_OK);
            sum += record.header.checksum * (record.header.label + 1);
            assert_int_equal(an_dataset_record(back, i, &record), AN_OK);
            back_sum += record.header.checksum * (record.header.label + 1);
        }
        assert_int_equal(sum, back_sum);
        an_dataset_free(dataset);
        an_dataset_free(back);
        fixture_remove(folder);
        fixture_remove(again);
        fixture_remove(data);
    }
}

static void test_export_a_part(void **state)
{
    (void)state;
    uint64_t written;
    support_ingest(&config, source, data);
    an_dataset *dataset = support_open(data);
    const char *folder = fixture_path(&f, "files");
    an_export_options options = {.first = 18, .count = 10, .quiet = true};
    assert_int_equal(an_export(dataset, folder, &options, &written), AN_OK);
    assert_int_equal(written, 2);
    options.first = 20;
    assert_int_equal(an_export(dataset, folder, &options, &written), AN_EINVAL);
    an_dataset_free(dataset);
}

/* jpeg -> coef -> jpeg: the pixels of every step are the same, and so are the coefficients' bytes when packed again. */
static void test_transcoding_keeps_coefficients(void **state)
{
    (void)state;
    static const char *const codecs[] = {"coef", "jpeg", "coef"};
    char path[4][512];
    an_dataset *steps[4];
    support_ingest(&config, source, data);
    snprintf(path[0], sizeof(path[0]), "%s", data);
    steps[0] = support_open(data);
    config.order = AN_INGEST_ORDER_SOURCE;
    config.quality = 5; /* would show */
    for (int i = 1; i < 4; i++) {
        snprintf(path[i], sizeof(path[i]), "%s", fixture_path(&f, "step-%d", i));
        config.codec = codecs[i - 1];
        support_ingest(&config, path[i - 1], path[i]);
        steps[i] = support_open(path[i]);
    }
    for (uint64_t i = 0; i < 20; i++) {
        an_record one, three;
        assert_int_equal(an_dataset_record(steps[1], i, &one), AN_OK);
        assert_int_equal(an_dataset_record(steps[3], i, &three), AN_OK);
        assert_int_equal(one.header.codec, AN_CODEC_COEF);
        assert_int_equal(one.header.checksum, three.header.checksum);
    }
    for (int i = 1; i < 4; i++) /* so a training goes on with any of them */
        assert_true(an_dataset_fingerprint(steps[i]) == an_dataset_fingerprint(steps[0]));
    const an_statistics *first = an_dataset_statistics(steps[1]);
    for (int i = 2; i < 4; i++)
        assert_memory_equal(first->mean, an_dataset_statistics(steps[i])->mean, sizeof(first->mean));
    for (int i = 0; i < 4; i++)
        an_dataset_free(steps[i]);
}

static void test_statistics_from_records(void **state)
{
    (void)state;
    an_statistics now = {0};
    config.codec = "rgb"; /* no loss: they must be equal */
    support_ingest(&config, source, data);
    an_dataset *dataset = support_open(data);
    assert_int_equal(an_recompute(dataset, 3, true, &now), AN_OK);
    const an_statistics *stored = an_dataset_statistics(dataset);
    assert_memory_equal(stored->mean, now.mean, sizeof(now.mean));
    assert_memory_equal(stored->covariance, now.covariance, sizeof(now.covariance));
    assert_memory_equal(stored->mean_image, now.mean_image, 32 * 32 * 3 * sizeof(float));
    an_statistics_free(&now);
    an_dataset_free(dataset);
}

static cairo_status_t read_png(void *context, unsigned char *out, unsigned length)
{
    an_buffer *png = context; /* capacity: position */
    memcpy(out, png->data + png->capacity, length);
    png->capacity += length;
    return CAIRO_STATUS_SUCCESS;
}

static void test_sheet(void **state)
{
    (void)state;
    an_buffer png = {0}, same = {0}, other = {0};
    support_ingest(&config, source, data);
    an_dataset *dataset = support_open(data);
    an_sheet_options options = {.images = 7, .columns = 3, .cell = 24, .seed = 1};
    assert_int_equal(an_sheet_make(dataset, &options, &png), AN_OK);
    assert_int_equal(an_sheet_make(dataset, &options, &same), AN_OK);
    options.seed = 2;
    assert_int_equal(an_sheet_make(dataset, &options, &other), AN_OK);
    assert_int_equal(png.size, same.size);
    assert_memory_equal(png.data, same.data, png.size);
    assert_true(other.size != png.size || memcmp(other.data, png.data, png.size) != 0);
    an_buffer reader = {.data = png.data, .size = png.size};
    cairo_surface_t *surface = cairo_image_surface_create_from_png_stream(read_png, &reader);
    assert_int_equal(cairo_surface_status(surface), CAIRO_STATUS_SUCCESS);
    assert_int_equal(cairo_image_surface_get_width(surface), 3 * (24 + 8) + 8);
    assert_int_equal(cairo_image_surface_get_height(surface), 3 * (24 + 18 + 8) + 8);
    cairo_surface_destroy(surface);
    options.images = 1000000; /* as many as there are */
    options.columns = 0;
    same.size = 0;
    assert_int_equal(an_sheet_make(dataset, &options, &same), AN_OK);
    options.cell = 32000;
    assert_int_equal(an_sheet_make(dataset, &options, &same), AN_EINVAL);
    an_buffer_free(&png);
    an_buffer_free(&same);
    an_buffer_free(&other);
    an_dataset_free(dataset);
}

static void test_dry_run(void **state)
{
    (void)state;
    an_buffer text = {0};
    fixture_write(fixture_path(&f, "source/class-0/bad.jpg"), "bad", 3);
    assert_int_equal(an_ingest_estimate(&config, source, &text), AN_OK);
    assert_non_null(strstr((char *)text.data, "folder: 21 inputs"));
    assert_non_null(strstr((char *)text.data, "about 20 records"));
    assert_non_null(strstr((char *)text.data, "class-0/bad.jpg: not a JPEG"));
    assert_int_equal(access(data, F_OK), -1);
    an_buffer_free(&text);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_verify_names_bad_records),
        CASE(test_verify_compares_records_with_the_index),
        CASE(test_verify_notices_exchanged_records),
        CASE(test_a_label_without_class_is_not_opened),
        CASE(test_export_and_back),
        CASE(test_export_a_part),
        CASE(test_transcoding_keeps_coefficients),
        CASE(test_statistics_from_records),
        CASE(test_sheet),
        CASE(test_dry_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
