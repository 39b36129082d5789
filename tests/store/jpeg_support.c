#include "tests/store/jpeg_support.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jpeglib.h>

#include "base/error.h"
#include "base/rng.h"

void test_picture(uint8_t *pixels, uint32_t width, uint32_t height, int components, uint32_t seed)
{
    an_rng rng = an_rng_make(seed, AN_RNG_TEST, width, height);
    double phase[4], rate[4];
    for (int c = 0; c < 4; c++) {
        phase[c] = 6 * an_rng_uniform(&rng);
        rate[c] = 0.1 + 0.3 * an_rng_uniform(&rng);
    }
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++)
            for (int c = 0; c < components; c++) {
                double v = 127.5 + 110 * sin(phase[c] + rate[c] * x) * cos(rate[3 - c] * y) + 12 * an_rng_normal(&rng);
                *pixels++ = (uint8_t)fmin(fmax(v, 0), 255);
            }
}

void test_image_make(an_image *image, uint32_t width, uint32_t height, uint32_t seed)
{
    assert_int_equal(an_image_set_size(image, width, height), AN_OK);
    test_picture(image->pixels, width, height, 3, seed);
}

static void set_colours(struct jpeg_compress_struct *jpeg, const test_jpeg *spec)
{
    static const struct {
        int components;
        J_COLOR_SPACE in, out;
    } spaces[] = {[TEST_GREY] = {1, JCS_GRAYSCALE, JCS_GRAYSCALE},
                  [TEST_YCC] = {3, JCS_RGB, JCS_YCbCr},
                  [TEST_RGB] = {3, JCS_RGB, JCS_RGB},
                  [TEST_CMYK] = {4, JCS_CMYK, JCS_CMYK},
                  [TEST_YCCK] = {4, JCS_CMYK, JCS_YCCK}};
    jpeg->input_components = spaces[spec->space].components;
    jpeg->in_color_space = spaces[spec->space].in;
    jpeg_set_defaults(jpeg);
    jpeg_set_colorspace(jpeg, spaces[spec->space].out);
}

static void set_coding(struct jpeg_compress_struct *jpeg, const test_jpeg *spec)
{
    jpeg_set_quality(jpeg, spec->quality ? spec->quality : 90, TRUE);
    for (int i = 0; i < jpeg->num_components; i++) {
        jpeg->comp_info[i].h_samp_factor = i ? 1 : spec->horizontal;
        jpeg->comp_info[i].v_samp_factor = i ? 1 : spec->vertical;
    }
    if (spec->space == TEST_YCCK) { /* K is sampled as Y */
        jpeg->comp_info[3].h_samp_factor = spec->horizontal;
        jpeg->comp_info[3].v_samp_factor = spec->vertical;
    }
    if (spec->progressive)
        jpeg_simple_progression(jpeg);
    static const jpeg_scan_info dc = {3, {0, 1, 2}, 0, 0, 0, 0};
    if (spec->dc_only) {
        jpeg->scan_info = &dc;
        jpeg->num_scans = 1;
    }
    jpeg->optimize_coding = spec->optimized;
    jpeg->arith_code = spec->arithmetic;
    jpeg->restart_interval = (unsigned)spec->restart;
    if (spec->without_adobe)
        jpeg->write_Adobe_marker = FALSE;
}

void test_jpeg_make(const test_jpeg *spec, uint32_t seed, an_buffer *out)
{
    struct jpeg_error_mgr errors;
    struct jpeg_compress_struct jpeg = {.err = jpeg_std_error(&errors)}; /* an error exits: the test fails */
    unsigned char *bytes = NULL;
    unsigned long size = 0;
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &size);
    jpeg.image_width = spec->width;
    jpeg.image_height = spec->height;
    set_colours(&jpeg, spec);
    set_coding(&jpeg, spec);
    size_t stride = (size_t)spec->width * (size_t)jpeg.input_components;
    uint8_t *pixels = malloc(stride * spec->height);
    assert_non_null(pixels);
    test_picture(pixels, spec->width, spec->height, jpeg.input_components, seed);
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < jpeg.image_height) {
        JSAMPROW row = pixels + jpeg.next_scanline * stride;
        assert_int_equal(jpeg_write_scanlines(&jpeg, &row, 1), 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    assert_int_equal(an_buffer_append(out, bytes, size), AN_OK);
    free(bytes);
    free(pixels);
}

size_t test_jpeg_marker(const an_buffer *file, uint8_t code)
{
    for (size_t i = 0; i + 1 < file->size; i++)
        if (file->data[i] == 0xff && file->data[i + 1] == code)
            return i;
    fail_msg("no marker ff%02x", code);
    return 0;
}

void test_jpeg_strip(an_buffer *file, uint8_t code, int keep)
{
    size_t at = 2;
    while (file->data[at + 1] != 0xda) {
        size_t size = 2 + ((size_t)file->data[at + 2] << 8 | file->data[at + 3]);
        if (file->data[at + 1] != code || keep-- > 0) {
            at += size;
            continue;
        }
        file->size -= size;
        memmove(file->data + at, file->data + at + size, file->size - at);
    }
}

void test_jpeg_insert(an_buffer *file, size_t at, const void *bytes, size_t size)
{
    assert_int_equal(an_buffer_reserve(file, file->size + size), AN_OK);
    memmove(file->data + at + size, file->data + at, file->size - at);
    memcpy(file->data + at, bytes, size);
    file->size += size;
}
