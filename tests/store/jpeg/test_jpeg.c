#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/rng.h"
#include "store/jpeg/jpeg.h"
#include "tests/store/jpeg_support.h"
#include "tests/store/message.h"

enum { PIXELS_MAX = 1 << 20 };

static an_jpeg_decoder *decoder;
static an_jpeg_encoder *encoder;

static int setup(void **state)
{
    (void)state;
    return an_jpeg_decoder_create(&decoder) || an_jpeg_encoder_create(&encoder);
}

static int teardown(void **state)
{
    (void)state;
    an_jpeg_decoder_free(decoder);
    an_jpeg_encoder_free(encoder);
    return 0;
}

static const test_jpeg plain = {.width = 61, .height = 45, .space = TEST_YCC, .horizontal = 2, .vertical = 2};

static void decode(const an_buffer *file, an_image *out, an_jpeg_info *info)
{
    if (an_jpeg_decode(decoder, file->data, file->size, 0, PIXELS_MAX, out, info))
        fail_msg("%s", an_error_message());
}

static int decode_code(const void *data, size_t size)
{
    an_image image = {0};
    an_jpeg_info info;
    int rc = an_jpeg_decode(decoder, data, size, 0, PIXELS_MAX, &image, NULL);
    assert_int_equal(!an_jpeg_info_read(decoder, data, size, &info) || rc, true);
    an_image_free(&image);
    return rc;
}

static double mean_difference(const uint8_t *a, const uint8_t *b, size_t size)
{
    double sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += abs(a[i] - b[i]);
    return sum / (double)size;
}

/* ------------------------------------------------------------------------------------------------- encoding ---- */

static void test_round_trip(void **state)
{
    (void)state;
    static const an_jpeg_subsampling all[] = {AN_JPEG_420, AN_JPEG_422, AN_JPEG_444};
    an_image image = {0}, back = {0};
    an_buffer file = {0}, again = {0};
    test_image_make(&image, 200, 150, 1);
    for (uint32_t i = 0; i < image.width * image.height; i++) /* chroma must survive halving */
        image.pixels[3 * i + 1] = image.pixels[3 * i + 2] = image.pixels[3 * i];
    for (int i = 0; i < 3; i++) {
        an_jpeg_info info;
        file.size = again.size = 0;
        assert_int_equal(an_buffer_append(&file, "before", 6), AN_OK);
        assert_int_equal(an_jpeg_encode(encoder, &image, 95, all[i], &file), AN_OK);
        assert_int_equal(an_jpeg_encode(encoder, &image, 95, all[i], &again), AN_OK);
        assert_memory_equal(file.data, "before", 6);
        assert_int_equal(file.size, again.size + 6);
        assert_memory_equal(file.data + 6, again.data, again.size);
        decode(&again, &back, &info);
        assert_int_equal(info.warnings, 0);
        assert_int_equal(info.baseline_420, all[i] == AN_JPEG_420);
        assert_int_equal(back.width, 200);
        assert_int_equal(back.height, 150);
        assert_true(mean_difference(image.pixels, back.pixels, 200 * 150 * 3) < 2);
    }
    an_image_free(&image);
    an_image_free(&back);
    an_buffer_free(&file);
    an_buffer_free(&again);
}

/* A file larger than the steps in which the encoder's buffer grows. */
static void test_large(void **state)
{
    (void)state;
    an_image image = {0}, back = {0};
    an_buffer file = {0};
    test_image_make(&image, 500, 400, 2);
    assert_int_equal(an_jpeg_encode(encoder, &image, 100, AN_JPEG_444, &file), AN_OK);
    assert_true(file.size > 100000);
    decode(&file, &back, NULL);
    assert_true(mean_difference(image.pixels, back.pixels, 500 * 400 * 3) < 1);
    an_image_free(&image);
    an_image_free(&back);
    an_buffer_free(&file);
}

static void test_encode_refused(void **state)
{
    (void)state;
    an_image image = {0};
    an_buffer file = {0};
    assert_int_equal(an_jpeg_encode(encoder, &image, 90, AN_JPEG_420, &file), AN_EINVAL);
    test_image_make(&image, 8, 8, 1);
    assert_int_equal(an_jpeg_encode(encoder, &image, 0, AN_JPEG_420, &file), AN_EINVAL);
    assert_int_equal(an_jpeg_encode(encoder, &image, 101, AN_JPEG_420, &file), AN_EINVAL);
    assert_message("quality 101");
    assert_int_equal(an_jpeg_encode(encoder, &image, 90, (an_jpeg_subsampling)3, &file), AN_EINVAL);
    assert_message("subsampling 3");
    image.width = 65501;
    assert_int_equal(an_jpeg_encode(encoder, &image, 90, AN_JPEG_420, &file), AN_EINVAL);
    assert_int_equal(file.size, 0);
    an_image_free(&image);
    an_buffer_free(&file);
}

/* ------------------------------------------------------------------------------------------- kinds of files ---- */

static void test_info(void **state)
{
    (void)state;
    static const struct {
        test_jpeg spec;
        int components;
        bool baseline_420;
    } cases[] = {
        {{.width = 9, .height = 5, .space = TEST_GREY, .horizontal = 1, .vertical = 1}, 1, false},
        {{.width = 9, .height = 5, .space = TEST_GREY, .horizontal = 2, .vertical = 2}, 1, false},
        {{.width = 9, .height = 5, .space = TEST_YCC, .horizontal = 2, .vertical = 2}, 3, true},
        {{.width = 9, .height = 5, .space = TEST_YCC, .horizontal = 2, .vertical = 2, .restart = 1}, 3, true},
        {{.width = 9, .height = 5, .space = TEST_YCC, .horizontal = 2, .vertical = 1}, 3, false},
        {{.width = 9, .height = 5, .space = TEST_RGB, .horizontal = 2, .vertical = 2}, 3, false},
        {{.width = 9, .height = 5, .space = TEST_YCC, .horizontal = 2, .vertical = 2, .progressive = true}, 3, false},
        {{.width = 9, .height = 5, .space = TEST_YCC, .horizontal = 2, .vertical = 2, .arithmetic = true}, 3, false},
        {{.width = 9, .height = 5, .space = TEST_YCCK, .horizontal = 2, .vertical = 2}, 4, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        an_buffer file = {0};
        an_jpeg_info info;
        test_jpeg_make(&cases[i].spec, 1, &file);
        assert_int_equal(an_jpeg_info_read(decoder, file.data, file.size, &info), AN_OK);
        assert_int_equal(info.width, 9);
        assert_int_equal(info.height, 5);
        assert_int_equal(info.components, cases[i].components);
        assert_int_equal(info.baseline_420, cases[i].baseline_420);
        assert_int_equal(info.warnings, 0);
        an_buffer_free(&file);
    }
}

/* At quality 100 without subsampling only rounding changes the pixels. */
static void check_colours(test_jpeg spec, int components, void (*convert)(const uint8_t *stored, uint8_t *rgb))
{
    enum { SIDE = 40 };
    static uint8_t stored[SIDE * SIDE * 4], expected[SIDE * SIDE * 3];
    an_buffer file = {0};
    an_image image = {0};
    an_jpeg_info info;
    spec.width = spec.height = SIDE;
    spec.horizontal = spec.vertical = 1;
    spec.quality = 100;
    test_jpeg_make(&spec, 4, &file);
    test_picture(stored, SIDE, SIDE, components, 4);
    for (int i = 0; i < SIDE * SIDE; i++)
        convert(stored + i * components, expected + 3 * i);
    decode(&file, &image, &info);
    assert_int_equal(info.components, components);
    assert_int_equal(info.warnings, 0);
    assert_true(mean_difference(image.pixels, expected, sizeof expected) < 1);
    an_image_free(&image);
    an_buffer_free(&file);
}

static void from_grey(const uint8_t *in, uint8_t *rgb)
{
    rgb[0] = rgb[1] = rgb[2] = in[0];
}

static void from_rgb(const uint8_t *in, uint8_t *rgb)
{
    memcpy(rgb, in, 3);
}

/* Adobe stores 255 - ink, and so, it is taken, does everybody. */
static void from_adobe(const uint8_t *in, uint8_t *rgb)
{
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)(in[c] * in[3] / 255);
}

static void test_colours(void **state)
{
    (void)state;
    check_colours((test_jpeg){.space = TEST_GREY}, 1, from_grey);
    check_colours((test_jpeg){.space = TEST_YCC}, 3, from_rgb);
    check_colours((test_jpeg){.space = TEST_RGB}, 3, from_rgb);
    check_colours((test_jpeg){.space = TEST_YCC, .progressive = true}, 3, from_rgb);
    check_colours((test_jpeg){.space = TEST_YCC, .arithmetic = true}, 3, from_rgb);
    check_colours((test_jpeg){.space = TEST_YCC, .restart = 3}, 3, from_rgb);
    check_colours((test_jpeg){.space = TEST_CMYK}, 4, from_adobe);
    check_colours((test_jpeg){.space = TEST_YCCK}, 4, from_adobe);
    check_colours((test_jpeg){.space = TEST_CMYK, .without_adobe = true}, 4, from_adobe);
}

static void check_scale(uint32_t width, uint32_t height, uint32_t min_side, uint32_t divisor)
{
    test_jpeg spec = {.width = width, .height = height, .space = TEST_YCC, .horizontal = 2, .vertical = 2};
    an_buffer file = {0};
    an_image image = {0};
    an_jpeg_info info;
    test_jpeg_make(&spec, 5, &file);
    assert_int_equal(an_jpeg_decode(decoder, file.data, file.size, min_side, PIXELS_MAX, &image, &info), AN_OK);
    assert_int_equal(info.width, width);
    assert_int_equal(info.height, height);
    assert_int_equal(image.width, (width + divisor - 1) / divisor);
    assert_int_equal(image.height, (height + divisor - 1) / divisor);
    an_image_free(&image);
    an_buffer_free(&file);
}

static void test_scale(void **state)
{
    (void)state;
    check_scale(320, 240, 0, 1);
    check_scale(320, 240, 241, 1);
    check_scale(320, 240, 240, 1);
    check_scale(320, 240, 121, 1);
    check_scale(320, 240, 120, 2);
    check_scale(240, 320, 60, 4);
    check_scale(240, 320, 31, 4);
    check_scale(240, 320, 30, 8);
    check_scale(240, 320, 1, 8);
    check_scale(241, 333, 31, 8); /* rounded up */
}

static void test_pixels_max(void **state)
{
    (void)state;
    an_buffer file = {0};
    an_image image = {0};
    test_jpeg_make(&plain, 1, &file);
    assert_int_equal(an_jpeg_decode(decoder, file.data, file.size, 0, 61 * 45 - 1, &image, NULL), AN_EUNSUPPORTED);
    assert_message("61x45");
    assert_int_equal(image.capacity, 0);
    assert_int_equal(an_jpeg_decode(decoder, file.data, file.size, 0, 61 * 45, &image, NULL), AN_OK);
    an_image_free(&image);
    an_buffer_free(&file);
}

/* -------------------------------------------------------------------------------------------- damaged files ---- */

static void test_no_jpeg(void **state)
{
    (void)state;
    assert_int_equal(decode_code("", 0), AN_ECORRUPT);
    assert_int_equal(decode_code("\xff", 1), AN_ECORRUPT);
    assert_int_equal(decode_code("\x89PNG\r\n\x1a\n", 8), AN_ECORRUPT);
    assert_message("JPEG: not a JPEG file");
    assert_int_equal(decode_code("\xff\xd8", 2), AN_ECORRUPT);
    assert_int_equal(decode_code("\xff\xd8\xff\xd9", 4), AN_ECORRUPT);
}

static int decode_patched(const test_jpeg *spec, size_t after_sof, uint8_t value)
{
    an_buffer file = {0};
    test_jpeg_make(spec, 1, &file);
    file.data[test_jpeg_marker(&file, 0xc0) + after_sof] = value;
    int rc = decode_code(file.data, file.size);
    an_buffer_free(&file);
    return rc;
}

static void test_unsupported(void **state)
{
    (void)state;
    assert_int_equal(decode_patched(&plain, 4, 8), AN_OK);
    assert_int_equal(decode_patched(&plain, 4, 12), AN_EUNSUPPORTED);   /* bits */
    assert_int_equal(decode_patched(&plain, 1, 0xc3), AN_EUNSUPPORTED); /* lossless */
    assert_int_equal(decode_patched(&plain, 1, 0xc5), AN_EUNSUPPORTED); /* hierarchical */
    assert_int_equal(decode_patched(&plain, 5, 0xff), AN_EUNSUPPORTED); /* 65325 rows: too many pixels */
}

static void test_corrupt_header(void **state)
{
    (void)state;
    test_jpeg low = plain;
    low.height = 1;
    assert_int_equal(decode_patched(&low, 6, 0), AN_ECORRUPT);    /* no rows */
    assert_int_equal(decode_patched(&plain, 9, 7), AN_ECORRUPT);  /* components that the length has no room for */
    assert_int_equal(decode_patched(&plain, 12, 3), AN_ECORRUPT); /* no such quantisation table */
}

static void test_truncated(void **state)
{
    (void)state;
    an_buffer file = {0};
    an_image image = {0}, whole = {0};
    an_jpeg_info info;
    test_jpeg_make(&plain, 1, &file);
    decode(&file, &whole, &info);
    assert_false(info.truncated);
    for (size_t cut = 3; cut < file.size - test_jpeg_marker(&file, 0xda) - 20; cut += 7) {
        assert_int_equal(an_jpeg_decode(decoder, file.data, file.size - cut, 0, PIXELS_MAX, &image, &info), AN_OK);
        assert_true(info.truncated);
        assert_true(info.warnings > 0);
        assert_int_equal(image.width, 61);
    }
    assert_int_equal(an_jpeg_decode(decoder, file.data, file.size - 100, 0, PIXELS_MAX, &image, NULL), AN_OK);
    assert_memory_equal(image.pixels, whole.pixels, 61 * 8 * 3); /* the upper rows are still there */
    file.size = test_jpeg_marker(&file, 0xda) + 5;
    assert_int_equal(decode_code(file.data, file.size), AN_ECORRUPT);
    an_image_free(&image);
    an_image_free(&whole);
    an_buffer_free(&file);
}

/* Damage that reaches the window is an error. What lies below the window is not decoded, so damage there goes unseen.
 */
static void test_truncated_window(void **state)
{
    (void)state;
    test_jpeg spec = {.width = 64, .height = 256, .space = TEST_YCC, .horizontal = 2, .vertical = 2};
    static uint8_t out[64 * 256 * 3];
    an_buffer file = {0};
    test_jpeg_make(&spec, 1, &file);
    file.size -= file.size / 2;
    an_jpeg_window window = {0, 0, 64, 64, 64, 256};
    assert_int_equal(an_jpeg_decode_window(decoder, file.data, file.size, &window, out, 192), AN_OK);
    window.y = 192;
    assert_int_equal(an_jpeg_decode_window(decoder, file.data, file.size, &window, out, 192), AN_ECORRUPT);
    assert_message("damaged JPEG: premature end");
    window.y = 0;
    assert_int_equal(an_jpeg_decode_window(decoder, file.data, file.size, &window, out, 192), AN_OK);
    an_buffer_free(&file);
}

/* Neither a damaged EXIF block nor bytes between markers harm the picture; the latter are a warning. */
static void test_harmless(void **state)
{
    (void)state;
    an_buffer file = {0};
    an_image image = {0}, whole = {0};
    an_jpeg_info info;
    test_jpeg_make(&plain, 1, &file);
    decode(&file, &whole, NULL);
    static const uint8_t exif[] = "\xff\xe1\x00\x18"
                                  "Exif\0\0MM\0*\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    test_jpeg_insert(&file, 2, exif, 0x18 + 2);
    decode(&file, &image, &info);
    assert_int_equal(info.warnings, 0);
    assert_memory_equal(image.pixels, whole.pixels, 61 * 45 * 3);
    test_jpeg_insert(&file, file.size - 2, "garbage", 7);
    decode(&file, &image, &info);
    assert_int_equal(info.warnings, 1);
    assert_false(info.truncated);
    assert_memory_equal(image.pixels, whole.pixels, 61 * 45 * 3);
    an_image_free(&image);
    an_image_free(&whole);
    an_buffer_free(&file);
}

/* A file that repeats its last scan many times, so that decoding takes for ever: a decompression bomb. */
static void test_scan_bomb(void **state)
{
    (void)state;
    test_jpeg spec = plain;
    spec.progressive = true;
    an_buffer file = {0}, scan = {0};
    uint8_t out[3];
    test_jpeg_make(&spec, 1, &file);
    assert_int_equal(decode_code(file.data, file.size), AN_OK);
    size_t start = file.size - 2;
    while (file.data[start] != 0xff || file.data[start + 1] != 0xda)
        start--;
    assert_int_equal(an_buffer_append(&scan, file.data + start, file.size - 2 - start), AN_OK);
    file.size -= 2;
    for (int i = 0; i < 600; i++)
        assert_int_equal(an_buffer_append(&file, scan.data, scan.size), AN_OK);
    assert_int_equal(an_buffer_append(&file, "\xff\xd9", 2), AN_OK);
    assert_int_equal(decode_code(file.data, file.size), AN_ECORRUPT);
    assert_message("scans");
    an_jpeg_window window = {0, 0, 1, 1, 61, 45};
    assert_int_equal(an_jpeg_decode_window(decoder, file.data, file.size, &window, out, 3), AN_ECORRUPT);
    an_buffer_free(&file);
    an_buffer_free(&scan);
}

static void test_window_refused(void **state)
{
    (void)state;
    static const an_jpeg_window bad[] = {
        {0, 0, 0, 1, 61, 45},  {0, 0, 1, 0, 61, 45},  {61, 0, 1, 1, 61, 45},          {0, 45, 1, 1, 61, 45},
        {60, 0, 2, 1, 61, 45}, {0, 44, 1, 2, 61, 45}, {62, 0, UINT32_MAX, 1, 61, 45}, {UINT32_MAX, 0, 2, 1, 61, 45},
        {0, 0, 62, 1, 61, 45}, {0, 0, 1, 46, 61, 45}};
    an_buffer file = {0};
    uint8_t out[64 * 3];
    test_jpeg_make(&plain, 1, &file);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(an_jpeg_decode_window(decoder, file.data, file.size, &bad[i], out, 64 * 3), AN_EINVAL);
    an_jpeg_window window = {0, 0, 10, 1, 61, 45};
    assert_int_equal(an_jpeg_decode_window(decoder, file.data, file.size, &window, out, 29), AN_EINVAL);
    window.image_height = 46;
    assert_int_equal(an_jpeg_decode_window(decoder, file.data, file.size, &window, out, 30), AN_ECORRUPT);
    assert_message("61x45 pixels where 61x46");
    an_buffer_free(&file);
}

/* A mutated file may be decoded or refused. It must not crash, and the handle must work afterwards. */
static void mutate(const test_jpeg *spec, an_rng *rng, int rounds)
{
    an_buffer file = {0};
    an_image image = {0}, whole = {0};
    uint8_t out[20 * 20 * 3];
    test_jpeg_make(spec, 1, &file);
    decode(&file, &whole, NULL);
    uint8_t *copy = malloc(file.size);
    assert_non_null(copy);
    for (int i = 0; i < rounds; i++) {
        memcpy(copy, file.data, file.size);
        for (uint32_t n = 1 + an_rng_below(rng, 4); n > 0; n--)
            copy[an_rng_below(rng, (uint32_t)file.size)] = (uint8_t)an_rng_u32(rng);
        an_jpeg_window window = {13, 17, 20, 20, spec->width, spec->height};
        int rc = an_jpeg_decode(decoder, copy, file.size, 0, 1 << 16, &image, NULL);
        assert_true(!rc || rc == AN_ECORRUPT || rc == AN_EUNSUPPORTED);
        rc = an_jpeg_decode_window(decoder, copy, file.size, &window, out, 60);
        assert_true(!rc || rc == AN_ECORRUPT || rc == AN_EUNSUPPORTED);
    }
    free(copy);
    decode(&file, &image, NULL);
    assert_memory_equal(image.pixels, whole.pixels, (size_t)spec->width * spec->height * 3);
    an_image_free(&image);
    an_image_free(&whole);
    an_buffer_free(&file);
}

static void test_mutations(void **state)
{
    (void)state;
    an_rng rng = an_rng_make(11, AN_RNG_TEST, 0, 0);
    test_jpeg spec = plain;
    mutate(&spec, &rng, 300);
    spec.restart = 2;
    mutate(&spec, &rng, 300);
    spec.restart = 0;
    spec.progressive = true;
    mutate(&spec, &rng, 300);
    spec.arithmetic = true;
    mutate(&spec, &rng, 200);
    spec = (test_jpeg){.width = 40, .height = 50, .space = TEST_YCCK, .horizontal = 2, .vertical = 1};
    mutate(&spec, &rng, 200);
    spec = (test_jpeg){.width = 40, .height = 50, .space = TEST_GREY, .horizontal = 1, .vertical = 1};
    mutate(&spec, &rng, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_large),
        cmocka_unit_test(test_encode_refused), cmocka_unit_test(test_info),
        cmocka_unit_test(test_colours),        cmocka_unit_test(test_scale),
        cmocka_unit_test(test_pixels_max),     cmocka_unit_test(test_no_jpeg),
        cmocka_unit_test(test_unsupported),    cmocka_unit_test(test_corrupt_header),
        cmocka_unit_test(test_truncated),      cmocka_unit_test(test_truncated_window),
        cmocka_unit_test(test_harmless),       cmocka_unit_test(test_scan_bomb),
        cmocka_unit_test(test_window_refused), cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests_name("jpeg", tests, setup, teardown);
}
