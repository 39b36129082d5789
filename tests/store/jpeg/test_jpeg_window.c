/* The window decoder equals libjpeg-turbo's full decode, cropped; and on damaged files it ends as libjpeg-turbo does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/rng.h"
#include "store/jpeg/jpeg.h"
#include "tests/store/jpeg_support.h"
#include "tests/store/message.h"

static an_jpeg_decoder *decoder, *plain; /* plain: libjpeg-turbo alone */

static int setup(void **state)
{
    (void)state;
    return an_jpeg_decoder_create(&decoder) || an_jpeg_decoder_create_plain(&plain);
}

static int teardown(void **state)
{
    (void)state;
    an_jpeg_decoder_free(decoder);
    an_jpeg_decoder_free(plain);
    return 0;
}

/* One byte before and behind each row must stay as it is. */
static void check_window(const an_buffer *file, const an_image *whole, an_jpeg_window w)
{
    size_t stride = (size_t)w.width * 3 + 2;
    uint8_t *out = malloc(w.height * stride + 1);
    assert_non_null(out);
    memset(out, 0xa5, w.height * stride + 1);
    int rc = an_jpeg_decode_window(decoder, file->data, file->size, &w, out + 1, stride);
    if (rc)
        fail_msg("%u,%u %ux%u of %ux%u: %s", w.x, w.y, w.width, w.height, w.image_width, w.image_height,
                 an_error_message());
    for (uint32_t y = 0; y < w.height; y++) {
        const uint8_t *expected = whole->pixels + ((size_t)(w.y + y) * whole->width + w.x) * 3;
        const uint8_t *row = out + y * stride;
        if (row[0] != 0xa5 || row[stride - 1] != 0xa5)
            fail_msg("row %u wrote beside the window", y);
        if (memcmp(row + 1, expected, (size_t)w.width * 3) != 0)
            fail_msg("%u,%u %ux%u of %ux%u: row %u differs", w.x, w.y, w.width, w.height, w.image_width, w.image_height,
                     y);
    }
    free(out);
}

static void random_window(an_jpeg_window *w, an_rng *rng)
{
    w->width = 1 + an_rng_below(rng, w->image_width);
    w->height = 1 + an_rng_below(rng, w->image_height);
    w->x = an_rng_below(rng, w->image_width - w->width + 1);
    w->y = an_rng_below(rng, w->image_height - w->height + 1);
}

static void check_file(const test_jpeg *spec, int windows)
{
    an_buffer file = {0};
    an_image whole = {0};
    an_rng rng = an_rng_make(spec->width, AN_RNG_TEST, spec->height, (uint64_t)windows);
    test_jpeg_make(spec, 1, &file);
    an_jpeg_info info;
    assert_int_equal(an_jpeg_decode(plain, file.data, file.size, 0, 1 << 20, &whole, &info), AN_OK);
    assert_int_equal(info.warnings, 0);
    an_jpeg_window w = {.image_width = spec->width, .image_height = spec->height};
    for (int i = 0; i < windows; i++) {
        random_window(&w, &rng);
        check_window(&file, &whole, w);
    }
    an_image_free(&whole);
    an_buffer_free(&file);
}

/* Every column and row as first and as last of a window, narrow and wide. */
static void check_edges(const test_jpeg *spec)
{
    an_buffer file = {0};
    an_image whole = {0};
    test_jpeg_make(spec, 2, &file);
    assert_int_equal(an_jpeg_decode(plain, file.data, file.size, 0, 1 << 20, &whole, NULL), AN_OK);
    uint32_t width = spec->width, height = spec->height;
    for (uint32_t x = 0; x < width; x++)
        for (uint32_t size = 1; x + size <= width; size += size < 4 ? 1 : 7)
            check_window(&file, &whole, (an_jpeg_window){x, height / 3, size, 2, width, height});
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t size = 1; y + size <= height; size += size < 4 ? 1 : 7)
            check_window(&file, &whole, (an_jpeg_window){width / 3, y, 2, size, width, height});
    an_image_free(&whole);
    an_buffer_free(&file);
}

static const test_jpeg kinds[] = {
    {.space = TEST_YCC, .horizontal = 2, .vertical = 2},
    {.space = TEST_YCC, .horizontal = 2, .vertical = 1},
    {.space = TEST_YCC, .horizontal = 1, .vertical = 1},
    {.space = TEST_YCC, .horizontal = 1, .vertical = 2},
    {.space = TEST_YCC, .horizontal = 4, .vertical = 1},
    {.space = TEST_YCC, .horizontal = 4, .vertical = 2},
    {.space = TEST_GREY, .horizontal = 1, .vertical = 1},
    {.space = TEST_GREY, .horizontal = 2, .vertical = 2},
    {.space = TEST_RGB, .horizontal = 1, .vertical = 1},
    {.space = TEST_YCCK, .horizontal = 2, .vertical = 2},
    {.space = TEST_CMYK, .horizontal = 1, .vertical = 1},
    {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .progressive = true},
    {.space = TEST_YCC, .horizontal = 2, .vertical = 1, .progressive = true},
    {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .arithmetic = true},
    {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .dc_only = true},
    {.space = TEST_YCC, .horizontal = 1, .vertical = 1, .dc_only = true},
    {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .restart = 1},
    {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .restart = 5},
};

static void test_edges(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        test_jpeg spec = kinds[i];
        spec.width = 67;
        spec.height = 53;
        check_edges(&spec);
    }
}

static void test_sizes(void **state)
{
    (void)state;
    static const uint32_t sides[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 18, 19, 24, 31, 32, 33, 34, 49, 65, 96};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (size_t s = 0; s < sizeof sides / sizeof *sides; s++) {
            test_jpeg spec = kinds[i];
            spec.width = sides[s];
            spec.height = sides[(5 * s + 3) % (sizeof sides / sizeof *sides)];
            check_file(&spec, 25);
        }
}

/* As in training: 224 of 256. */
static void test_crops(void **state)
{
    (void)state;
    test_jpeg spec = {.width = 256, .height = 256, .horizontal = 2, .vertical = 2, .space = TEST_YCC};
    an_buffer file = {0};
    an_image whole = {0};
    test_jpeg_make(&spec, 3, &file);
    assert_int_equal(an_jpeg_decode(plain, file.data, file.size, 0, 1 << 20, &whole, NULL), AN_OK);
    for (uint32_t i = 0; i <= 32; i++)
        check_window(&file, &whole, (an_jpeg_window){i, (i * 7) % 33, 224, 224, 256, 256});
    an_image_free(&whole);
    an_buffer_free(&file);
}

/* Bits flipped, bytes overwritten, the end missing. */
static void damage(an_buffer *file, an_rng *rng)
{
    uint32_t flips = an_rng_below(rng, 4);
    for (uint32_t i = 0; i < flips; i++)
        file->data[an_rng_below(rng, (uint32_t)file->size)] ^= (uint8_t)(1u << an_rng_below(rng, 8));
    if (an_rng_below(rng, 4) == 0)
        file->data[an_rng_below(rng, (uint32_t)file->size)] = (uint8_t)(an_rng_below(rng, 2) ? 0xff : 0);
    if (flips == 0)
        file->size = 1 + an_rng_below(rng, (uint32_t)file->size);
}

static void decode_both(const an_buffer *file, const an_jpeg_window *w, uint8_t *out[2], size_t size)
{
    int rc[2];
    char message[AN_ERROR_MAX] = "";
    for (int i = 0; i < 2; i++) {
        memset(out[i], 0, size);
        rc[i] = an_jpeg_decode_window(i ? plain : decoder, file->data, file->size, w, out[i], (size_t)w->width * 3);
        if (i == 0 && rc[i])
            snprintf(message, sizeof message, "%s", an_error_message());
    }
    if (rc[0] != rc[1] || (rc[1] && strcmp(message, an_error_message()) != 0))
        fail_msg("%u,%u %ux%u: %d and %d from libjpeg-turbo, '%s' and '%s'", w->x, w->y, w->width, w->height, rc[0],
                 rc[1], message, rc[1] ? an_error_message() : "");
    if (!rc[0] && memcmp(out[0], out[1], size) != 0)
        fail_msg("%u,%u %ux%u: other pixels than libjpeg-turbo's", w->x, w->y, w->width, w->height);
}

static void decode_whole_both(const an_buffer *file, bool square)
{
    int rc[2];
    an_image image[2] = {{0}, {0}};
    an_jpeg_info info[2] = {{0}, {0}};
    for (int i = 0; i < 2; i++) {
        an_jpeg_decoder *by = i ? plain : decoder;
        rc[i] = square ? an_jpeg_decode_square(by, file->data, file->size, 0, 3, 1 << 20, &image[i], &info[i])
                       : an_jpeg_decode(by, file->data, file->size, 0, 1 << 20, &image[i], &info[i]);
    }
    assert_int_equal(rc[0], rc[1]);
    if (!rc[0]) {
        assert_memory_equal(&info[0], &info[1], sizeof *info);
        assert_int_equal(image[0].width, image[1].width);
        if (!square)
            assert_memory_equal(image[0].pixels, image[1].pixels, (size_t)image[0].width * image[0].height * 3);
    }
    an_image_free(&image[0]);
    an_image_free(&image[1]);
}

static void check_damaged(const test_jpeg *spec, int files, an_rng *rng)
{
    an_buffer file = {0}, damaged = {0};
    an_jpeg_window w = {.image_width = spec->width, .image_height = spec->height};
    size_t size = (size_t)spec->width * spec->height * 3;
    uint8_t *out[2] = {malloc(size), malloc(size)};
    assert_true(out[0] && out[1]);
    test_jpeg_make(spec, 4, &file);
    for (int i = 0; i < files; i++) {
        damaged.size = 0;
        assert_int_equal(an_buffer_append(&damaged, file.data, file.size), AN_OK);
        damage(&damaged, rng);
        random_window(&w, rng);
        decode_both(&damaged, &w, out, (size_t)w.width * w.height * 3);
        decode_whole_both(&damaged, i % 2);
    }
    free(out[0]);
    free(out[1]);
    an_buffer_free(&file);
    an_buffer_free(&damaged);
}

static void test_damaged_files(void **state)
{
    (void)state;
    static const int qualities[] = {10, 75, 90, 100};
    an_rng rng = an_rng_make(7, AN_RNG_TEST, 0, 0);
    for (size_t i = 0; i < 8; i++)
        for (size_t q = 0; q < sizeof qualities / sizeof *qualities; q++) {
            test_jpeg spec = kinds[i];
            spec.width = 100;
            spec.height = 75;
            spec.quality = qualities[q];
            check_damaged(&spec, 150, &rng);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_crops),
        cmocka_unit_test(test_damaged_files),
    };
    return cmocka_run_group_tests_name("jpeg_window", tests, setup, teardown);
}
