/* What liban writes of images is what an-ingest writes of the same files with the same options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <zlib.h>

#include "base/bytes.h"
#include "base/file.h"
#include "ingest/picture/png.h"
#include "tests/ingest/support.h"
#include "tests/liban/writer_support.h"
#include "tests/store/jpeg_support.h"
#include "tests/store/message.h"

enum { SIDE = 32, MEGABYTE = 1 << 20 };

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

/* A PNG of 8 x 8 pixels with a palette whose colours are half transparent. */
static void make_transparent_png(an_buffer *out)
{
    static const uint8_t file[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H', 'D',
                                   'R',  0,   0,   0,   8,    0,    0,    0,    8, 8, 4, 0,  0,   0};
    uint8_t rows[8 * 17], packed[256], word[4];
    for (int y = 0; y < 8; y++)
        for (int x = 0; x < 17; x++)
            rows[17 * y + x] = x == 0 ? 0 : (uint8_t)(x * 13 + y * 29); /* a filter byte, then grey and alpha in turn */
    uLongf size = sizeof packed;
    assert_int_equal(compress(packed, &size, rows, sizeof rows), Z_OK);
    assert_int_equal(an_buffer_append(out, file, sizeof file), 0);
    const struct {
        const char *type;
        const uint8_t *data;
        size_t size;
    } chunks[] = {{"IDAT", packed, size}, {"IEND", NULL, 0}};
    uint32_t sum = (uint32_t)crc32(0, file + 12, sizeof file - 12);
    for (size_t i = 0; i < 2; i++) {
        an_bytes_put_key(word, 4, sum);
        assert_int_equal(an_buffer_append(out, word, 4), 0);
        an_bytes_put_key(word, 4, chunks[i].size);
        assert_int_equal(an_buffer_append(out, word, 4), 0);
        size_t begin = out->size;
        assert_int_equal(an_buffer_append(out, chunks[i].type, 4), 0);
        assert_int_equal(an_buffer_append(out, chunks[i].data, chunks[i].size), 0);
        sum = (uint32_t)crc32(0, out->data + begin, (uInt)(out->size - begin));
    }
    an_bytes_put_key(word, 4, sum);
    assert_int_equal(an_buffer_append(out, word, 4), 0);
}

/* Patch width and height of a PNG. */
static void set_png_size(an_buffer *file, uint32_t width, uint32_t height)
{
    an_bytes_put_key(file->data + 16, 4, width);
    an_bytes_put_key(file->data + 20, 4, height);
    an_bytes_put_key(file->data + 29, 4, crc32(0, file->data + 12, 17));
}

/* ---- as an-ingest ----------------------------------------------------------------------------------------------- */

static void write_jpegs(fixture *f)
{
    static const test_jpeg specs[] = {
        {.width = 40, .height = 50, .space = TEST_GREY, .horizontal = 1, .vertical = 1},
        {.width = 61, .height = 37, .space = TEST_CMYK, .horizontal = 1, .vertical = 1},
        {.width = 35, .height = 36, .space = TEST_YCCK, .horizontal = 2, .vertical = 2},
        {.width = SIDE, .height = SIDE, .space = TEST_YCC, .horizontal = 2, .vertical = 2}, /* fits as it is */
        {.width = SIDE, .height = SIDE, .space = TEST_YCC, .horizontal = 1, .vertical = 1},
        {.width = 300, .height = 7, .space = TEST_YCC, .horizontal = 2, .vertical = 1},
        {.width = 1, .height = 1, .space = TEST_YCC, .horizontal = 2, .vertical = 2},
        {.width = 90, .height = 80, .space = TEST_RGB, .horizontal = 1, .vertical = 1},
        {.width = 70, .height = 71, .space = TEST_YCC, .horizontal = 2, .vertical = 2, .progressive = true},
    };
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        an_buffer file = {0};
        test_jpeg_make(&specs[i], (uint32_t)i, &file);
        fixture_write(fixture_path(f, "source/class-%zu/%zu.jpg", i % 2, i), file.data, file.size);
        an_buffer_free(&file);
    }
}

static void write_others(fixture *f)
{
    an_buffer file = {0};
    make_transparent_png(&file);
    fixture_write(fixture_path(f, "source/class-0/alpha.png"), file.data, file.size);
    file.size = 0;
    fixture_png(&file, 1, 200, 3);
    fixture_write(fixture_path(f, "source/class-1/narrow.png"), file.data, file.size);
    set_png_size(&file, 60000, 60000);
    fixture_write(fixture_path(f, "source/class-1/huge.png"), file.data, file.size);
    fixture_write(fixture_path(f, "source/class-1/text.jpg"), "no image", 8);
    fixture_write(fixture_path(f, "source/class-0/empty.jpg"), "", 0);
    file.size = 0;
    fixture_jpeg(&file, 80, 60, 9, AN_JPEG_420);
    fixture_write(fixture_path(f, "source/class-0/short.jpg"), file.data, file.size - 200);
    an_buffer_free(&file);
}

typedef struct {
    fixture *f;
    liban_writer *writer;
} adding;

/* The input that an-ingest set aside fails here too, for the same reason. */
static int add_rejected(void *context, const char *name, const char *reason, uint64_t bytes)
{
    adding *a = context;
    an_buffer file = {0};
    uint64_t count = liban_writer_count(a->writer);
    assert_int_equal(an_file_read(fixture_path(a->f, "source/%s", name), MEGABYTE, &file), 0);
    assert_int_equal(file.size, bytes);
    int rc = liban_writer_add_encoded(a->writer, file.data, file.size, 0, name);
    assert_true(rc == LIBAN_ECORRUPT || rc == LIBAN_EUNSUPPORTED);
    const char *limits = strstr(reason, " (--max-pixels)"); /* options of a program mean nothing here */
    an_buffer expected = {0};
    assert_int_equal(an_buffer_printf(&expected, "image '%s': %.*s", name,
                                      limits ? (int)(limits - reason) : (int)strlen(reason), reason),
                     0);
    assert_string_equal(liban_error_message(), (char *)expected.data);
    assert_int_equal(liban_writer_count(a->writer), count);
    assert_int_equal(liban_writer_reject(a->writer, name, reason, bytes), 0);
    an_buffer_free(&expected);
    an_buffer_free(&file);
    return 0;
}

/* Write again what a dataset of an-ingest holds, from the files that it was made of. */
static void write_again(fixture *f, const an_dataset *ingested, const liban_writer_options *options)
{
    adding a = {.f = f};
    an_buffer file = {0};
    if (liban_writer_open(&a.writer, fixture_path(f, "written"), options))
        fail_msg("%s", liban_error_message());
    assert_int_equal(an_dataset_rejects(ingested, add_rejected, &a), 0); /* failures leave nothing behind */
    for (uint64_t i = 0; i < an_dataset_count(ingested); i++) {
        const char *name;
        char text[64];
        size_t length;
        assert_int_equal(an_dataset_name(ingested, i, &name, &length), 0);
        snprintf(text, sizeof text, "%.*s", (int)length, name);
        file.size = 0;
        assert_int_equal(an_file_read(fixture_path(f, "source/%s", text), MEGABYTE, &file), 0);
        assert_int_equal(
            liban_writer_add_encoded(a.writer, file.data, file.size, an_dataset_index(ingested)[i].label, text), 0);
    }
    for (uint32_t i = 0; i < an_dataset_class_count(ingested); i++)
        assert_int_equal(liban_writer_class(a.writer, i, an_dataset_class(ingested, i)->id, NULL), 0);
    writer_support_finish(a.writer);
    an_buffer_free(&file);
}

static void same_as_ingest(void **state)
{
    static const struct {
        const char *codec;
        an_jpeg_subsampling subsampling;
        int number, quality;
    } all[] = {{"jpeg", AN_JPEG_420, 420, 90}, {"jpeg", AN_JPEG_444, 444, 75},   {"coef", AN_JPEG_420, 420, 90},
               {"coef", AN_JPEG_422, 422, 60}, {"yuv420", AN_JPEG_420, 420, 90}, {"rgb", AN_JPEG_420, 420, 90}};
    fixture *f = *state;
    write_jpegs(f);
    write_others(f);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        an_ingest_config config;
        support_config(&config, SIDE);
        config.codec = all[i].codec;
        config.quality = all[i].quality;
        config.subsampling = (int)all[i].subsampling;
        config.max_bad = "10";
        support_ingest(&config, fixture_path(f, "source"), fixture_path(f, "ingested"));
        liban_writer_options options = LIBAN_WRITER_OPTIONS_INIT;
        options.side = SIDE;
        options.codec = all[i].codec;
        options.quality = all[i].quality;
        options.subsampling = all[i].number;
        an_dataset *ingested = support_open(fixture_path(f, "ingested"));
        assert_int_equal(an_dataset_count(ingested), 11);
        assert_int_equal(an_dataset_reject_count(ingested), 4);
        write_again(f, ingested, &options);
        an_dataset *written = support_open(fixture_path(f, "written"));
        writer_support_assert_same(ingested, written);
        assert_int_equal(an_dataset_verify_databases(written), 0);
        an_dataset_free(written);
        an_dataset_free(ingested);
        fixture_remove(fixture_path(f, "written"));
        fixture_remove(fixture_path(f, "ingested"));
    }
}

/* ---- pixels ----------------------------------------------------------------------------------------------------- */

static void assert_equal_records(const an_dataset *d, uint64_t a, uint64_t b)
{
    an_record one, other;
    assert_int_equal(an_dataset_record(d, a, &one), 0);
    assert_int_equal(an_dataset_record(d, b, &other), 0);
    assert_int_equal(one.header.length, other.header.length);
    assert_memory_equal(one.payload, other.payload, one.header.length);
}

/* A PNG file and its pixels, the rows apart or not, give the same record. */
static void pixels_as_their_file(void **state)
{
    fixture *f = *state;
    static const char *const codecs[] = {"jpeg", "coef", "yuv420", "rgb"};
    enum { WIDTH = 45, HEIGHT = 67, GAP = 11 };
    an_buffer file = {0}, scratch = {0};
    an_image image = {0};
    static uint8_t apart[HEIGHT * (3 * WIDTH + GAP)];
    fixture_png(&file, WIDTH, HEIGHT, 5);
    assert_int_equal(an_png_decode(file.data, file.size, MEGABYTE, &scratch, &image), 0);
    for (size_t y = 0; y < HEIGHT; y++)
        memcpy(apart + y * (3 * WIDTH + GAP), image.pixels + y * 3 * WIDTH, 3 * WIDTH);
    for (size_t i = 0; i < 4; i++) {
        liban_writer *w = writer_support_open(fixture_path(f, "%s", codecs[i]), codecs[i]);
        assert_int_equal(liban_writer_add_encoded(w, file.data, file.size, 0, NULL), 0);
        assert_int_equal(liban_writer_add_pixels(w, image.pixels, WIDTH, HEIGHT, 3, 3 * WIDTH, 0, NULL), 0);
        assert_int_equal(liban_writer_add_pixels(w, apart, WIDTH, HEIGHT, 3, 3 * WIDTH + GAP, 0, NULL), 0);
        writer_support_finish(w);
        an_dataset *d = support_open(fixture_path(f, "%s", codecs[i]));
        assert_equal_records(d, 0, 1);
        assert_equal_records(d, 0, 2);
        an_dataset_free(d);
    }
    an_buffer_free(&file);
    an_buffer_free(&scratch);
    an_image_free(&image);
}

static void grey_is_three_equal_colours(void **state)
{
    fixture *f = *state;
    uint8_t grey[40 * 50], rgb[3 * sizeof grey];
    test_picture(grey, 40, 50, 1, 8);
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = grey[i / 3];
    liban_writer *w = writer_support_open(fixture_path(f, "set"), "rgb");
    assert_int_equal(liban_writer_add_pixels(w, grey, 40, 50, 1, 40, 0, NULL), 0);
    assert_int_equal(liban_writer_add_pixels(w, rgb, 40, 50, 3, 120, 0, NULL), 0);
    writer_support_finish(w);
    an_dataset *d = support_open(fixture_path(f, "set"));
    assert_equal_records(d, 0, 1);
    an_dataset_free(d);
}

static void too_many_pixels_are_refused(void **state)
{
    fixture *f = *state;
    static uint8_t pixels[3 * 101 * 100];
    an_buffer file = {0};
    liban_writer_options options = LIBAN_WRITER_OPTIONS_INIT;
    liban_writer *w;
    options.pixels_max = 10000;
    assert_int_equal(liban_writer_open(&w, fixture_path(f, "set"), &options), 0);
    fixture_jpeg(&file, 101, 100, 1, AN_JPEG_420);
    assert_int_equal(liban_writer_add_encoded(w, file.data, file.size, 0, "big.jpg"), LIBAN_EUNSUPPORTED);
    assert_message("10000 pixels");
    assert_int_equal(liban_writer_add_pixels(w, pixels, 101, 100, 3, 303, 0, "big"), LIBAN_EUNSUPPORTED);
    assert_message("image 'big': 101x100 pixels: more than the limit of 10000 pixels");
    assert_int_equal(liban_writer_add_pixels(w, pixels, 100, 100, 3, 303, 0, NULL), 0);
    assert_int_equal(liban_writer_count(w), 1);
    liban_writer_close(w);
    an_buffer_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(same_as_ingest, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(pixels_as_their_file, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(grey_is_three_equal_colours, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(too_many_pixels_are_refused, open_fixture, close_fixture),
    };
    return cmocka_run_group_tests_name("liban_writer", tests, NULL, NULL);
}
