/* PNG: what is written is what libpng's simplified reader gives back, for both arrangements of the pixels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <png.h>

#include "base/error.h"
#include "base/png.h"

enum { WIDTH = 37, HEIGHT = 21, RGB = 3 * WIDTH * HEIGHT, PADDING = 5, STRIDE = 4 * WIDTH + PADDING };

static void make_picture(uint8_t rgb[RGB])
{
    for (int i = 0; i < RGB; i++)
        rgb[i] = (uint8_t)(i * 31 ^ i >> 5);
}

static void expect_pixels(const an_buffer *file, size_t at, const uint8_t expected[RGB])
{
    uint8_t got[RGB];
    png_image image = {.version = PNG_IMAGE_VERSION};
    assert_true(png_image_begin_read_from_memory(&image, file->data + at, file->size - at));
    assert_int_equal(image.width, WIDTH);
    assert_int_equal(image.height, HEIGHT);
    assert_int_equal(image.format, PNG_FORMAT_RGB); /* no alpha, no palette */
    assert_true(png_image_finish_read(&image, NULL, got, 0, NULL));
    assert_memory_equal(got, expected, RGB);
}

static void test_rgb(void **state)
{
    (void)state;
    an_buffer out = {0};
    uint8_t rgb[RGB];
    make_picture(rgb);
    assert_int_equal(an_buffer_append(&out, "before", 6), AN_OK);
    assert_int_equal(an_png_write(rgb, AN_PNG_RGB, WIDTH, HEIGHT, 3 * WIDTH, &out), AN_OK);
    assert_memory_equal(out.data, "before", 6);
    expect_pixels(&out, 6, rgb);
    an_buffer_free(&out);
}

static void test_bgrx_with_padded_rows(void **state)
{
    (void)state;
    an_buffer out = {0};
    uint8_t rgb[RGB], *bgrx = malloc((size_t)STRIDE * HEIGHT);
    assert_non_null(bgrx);
    make_picture(rgb);
    memset(bgrx, 0xaa, (size_t)STRIDE * HEIGHT);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < 3; c++)
                bgrx[y * STRIDE + 4 * x + c] = rgb[3 * (y * WIDTH + x) + 2 - c];
    assert_int_equal(an_png_write(bgrx, AN_PNG_BGRX, WIDTH, HEIGHT, STRIDE, &out), AN_OK);
    expect_pixels(&out, 0, rgb);
    free(bgrx);
    an_buffer_free(&out);
}

static void test_nothing_to_write(void **state)
{
    (void)state;
    an_buffer out = {0};
    assert_int_equal(an_buffer_append(&out, "before", 6), AN_OK);
    assert_int_equal(an_png_write((const uint8_t *)"", AN_PNG_RGB, 0, 4, 0, &out), AN_EINTERNAL);
    assert_non_null(strstr(an_error_message(), "cannot write a PNG: "));
    assert_int_equal(out.size, 6);
    an_buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rgb),
        cmocka_unit_test(test_bgrx_with_padded_rows),
        cmocka_unit_test(test_nothing_to_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
