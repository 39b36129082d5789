/* What libjpeg-turbo warns of: harmless warnings leave every pixel as it is, all others set the file aside. And ends of
 * files that are none: without an end marker, with something else in its place. */
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

enum { WIDTH = 70, HEIGHT = 54, PIXELS_MAX = 1 << 20, MARKER = 2, SOS_YCC = 14 };

static an_jpeg_decoder *decoder;

static int setup(void **state)
{
    (void)state;
    return an_jpeg_decoder_create(&decoder);
}

static int teardown(void **state)
{
    (void)state;
    an_jpeg_decoder_free(decoder);
    return 0;
}

static const test_jpeg baseline = {.space = TEST_YCC, .horizontal = 2, .vertical = 2};
static const test_jpeg kinds[] = {
    {.space = TEST_YCC, .horizontal = 2, .vertical = 2},
    {.space = TEST_YCC, .horizontal = 1, .vertical = 1, .optimized = true},
    {.space = TEST_GREY, .horizontal = 1, .vertical = 1},
    {.space = TEST_YCCK, .horizontal = 2, .vertical = 2},
    {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .progressive = true},
    {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .restart = 4},
    {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .restart = 4, .progressive = true},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static void make(const test_jpeg *kind, an_buffer *file)
{
    test_jpeg spec = *kind;
    spec.width = WIDTH;
    spec.height = HEIGHT;
    file->size = 0;
    test_jpeg_make(&spec, 1, file);
}

/* Of the whole picture, at full size or smaller. */
static int decode(const an_buffer *file, uint32_t min_side, an_image *out, an_jpeg_info *info)
{
    return an_jpeg_decode(decoder, file->data, file->size, min_side, PIXELS_MAX, out, info);
}

/* `file` has other bytes than a file of this kind, but the same pixels, and nothing is missing. */
static void assert_taken(const test_jpeg *kind, const an_buffer *file, bool warned)
{
    an_buffer sound = {0};
    an_image expected = {0}, image = {0};
    an_jpeg_info info;
    make(kind, &sound);
    for (uint32_t min_side = 0; min_side <= 20; min_side += 20) {
        assert_int_equal(decode(&sound, min_side, &expected, &info), AN_OK);
        assert_int_equal(info.warnings, 0);
        if (decode(file, min_side, &image, &info))
            fail_msg("%s", an_error_message());
        assert_false(info.truncated);
        assert_int_equal(info.warnings > 0, warned);
        assert_int_equal(image.width, expected.width);
        assert_memory_equal(image.pixels, expected.pixels, (size_t)3 * image.width * image.height);
    }
    an_image_free(&expected);
    an_image_free(&image);
    an_buffer_free(&sound);
}

static void assert_truncated(const an_buffer *file)
{
    an_image image = {0};
    an_jpeg_info info;
    if (decode(file, 0, &image, &info))
        fail_msg("%s", an_error_message());
    assert_true(info.truncated);
    an_image_free(&image);
}

static void assert_refused(const an_buffer *file, const char *reason)
{
    an_image image = {0};
    for (uint32_t min_side = 0; min_side <= 20; min_side += 20) {
        assert_int_equal(decode(file, min_side, &image, NULL), AN_ECORRUPT);
        assert_message(reason);
    }
    an_image_free(&image);
}

/* The position behind the `number`th marker 0xff `code`, counted from 0. */
static size_t behind(const an_buffer *file, uint8_t code, int number)
{
    for (size_t i = 0; i + 1 < file->size; i++)
        if (file->data[i] == 0xff && file->data[i + 1] == code && number-- == 0)
            return i + MARKER;
    fail_msg("no such marker ff%02x", code);
    return 0;
}

/* --- harmless -------------------------------------------------------------------------------------------------- */

static void test_jfif_version(void **state)
{
    (void)state;
    an_buffer file = {0};
    make(&baseline, &file);
    file.data[behind(&file, 0xe0, 0) + 7] = 2;
    assert_taken(&baseline, &file, true);
    an_buffer_free(&file);
}

/* Adobe's marker with transform 5, which does not exist. */
static void test_adobe_transform(void **state)
{
    (void)state;
    static const uint8_t adobe[] = "\xff\xee\0\x0e"
                                   "Adobe\0\x64\0\0\0\0\x05";
    an_buffer file = {0};
    make(&baseline, &file);
    test_jpeg_strip(&file, 0xe0, 0);
    test_jpeg_insert(&file, MARKER, adobe, 16);
    assert_taken(&baseline, &file, true);
    static const test_jpeg ycck = {.space = TEST_YCCK, .horizontal = 2, .vertical = 2};
    make(&ycck, &file);
    file.data[behind(&file, 0xee, 0) + 13] = 5;
    assert_taken(&ycck, &file, true);
    an_buffer_free(&file);
}

/* Some phones write zeros, or anything, where a scan's header has the numbers of a progressive file. */
static void test_scan_parameters(void **state)
{
    (void)state;
    static const uint8_t numbers[][3] = {{0, 0, 0}, {0, 62, 0}, {1, 63, 0}, {0, 63, 0x21}};
    for (int arithmetic = 0; arithmetic < 2; arithmetic++)
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            an_buffer file = {0};
            test_jpeg kind = baseline;
            kind.arithmetic = arithmetic;
            make(&kind, &file);
            memcpy(file.data + behind(&file, 0xda, 0) + SOS_YCC - 5, numbers[i], 3);
            assert_taken(&kind, &file, true);
            an_buffer_free(&file);
        }
}

static void test_bytes_between_segments(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        an_buffer file = {0};
        make(&kinds[k], &file);
        test_jpeg_insert(&file, file.size - MARKER, "\1\xff\0\2surplus", 11);
        assert_taken(&kinds[k], &file, true);
        make(&kinds[k], &file);
        test_jpeg_insert(&file, behind(&file, 0xda, 0) - MARKER, "surplus", 7);
        assert_taken(&kinds[k], &file, true);
        make(&kinds[k], &file);
        test_jpeg_insert(&file, MARKER, "\xff\xff\xff", 3); /* padding, as the standard allows */
        assert_taken(&kinds[k], &file, false);
        an_buffer_free(&file);
    }
}

/* --- ends ------------------------------------------------------------------------------------------------------ */

static void test_no_end_marker(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++)
        for (size_t missing = 1; missing <= MARKER; missing++) {
            an_buffer file = {0};
            make(&kinds[k], &file);
            file.size -= missing;
            assert_taken(&kinds[k], &file, true);
            an_buffer_free(&file);
        }
}

#define TRAILER(bytes)                                                                                                 \
    {                                                                                                                  \
        bytes, sizeof(bytes) - 1                                                                                       \
    }

/* What phones put in place of the end marker, or behind it: text, zeros, markers of their own, another JPEG. */
static void test_trailers(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } trailers[] = {TRAILER("\0\0\1\x0a\x0e\0\0\0Panorama_Shot_InfoSEFHe\0\0\0\1\0\0\0SEFT"), TRAILER("\xff\2\xff\3"),
                    TRAILER("\xff\xc4\0\3\1"), TRAILER("\xff\xe1\xff\xff"), TRAILER("\0\0\0\0\0\0\0\0")};
    an_buffer other = {0};
    make(&kinds[1], &other);
    for (size_t k = 0; k < KINDS; k++)
        for (size_t t = 0; t <= sizeof trailers / sizeof *trailers; t++) {
            bool jpeg = t == sizeof trailers / sizeof *trailers;
            const void *bytes = jpeg ? other.data : (const void *)trailers[t].bytes;
            an_buffer file = {0};
            make(&kinds[k], &file);
            assert_int_equal(an_buffer_append(&file, bytes, jpeg ? other.size : trailers[t].size), AN_OK);
            assert_taken(&kinds[k], &file, false);
            file.size = 0;
            make(&kinds[k], &file);
            file.size -= MARKER;
            assert_int_equal(an_buffer_append(&file, bytes, jpeg ? other.size : trailers[t].size), AN_OK);
            assert_taken(&kinds[k], &file, true);
            an_buffer_free(&file);
        }
    an_buffer_free(&other);
}

/* Data are missing, and a trailer does not make up for them. */
static void test_cut_before_trailer(void **state)
{
    (void)state;
    an_buffer file = {0};
    an_image image = {0};
    an_jpeg_info info;
    for (size_t k = 0; k < KINDS; k++) {
        make(&kinds[k], &file);
        file.size -= file.size / 3;
        file.data[file.size - 1] = 0; /* so that no 0xff is there */
        assert_int_equal(an_buffer_append(&file, "\xff\2\xff\3", 4), AN_OK);
        int rc = decode(&file, 0, &image, &info);
        assert_true(rc == AN_ECORRUPT || (!rc && info.truncated));
    }
    an_image_free(&image);
    an_buffer_free(&file);
}

/* A progressive file that ends between two scans is complete in no component. */
static void test_missing_scans(void **state)
{
    (void)state;
    an_buffer file = {0};
    make(&kinds[4], &file);
    file.size = behind(&file, 0xda, 6) - MARKER;
    assert_truncated(&file);
    file.size = behind(&file, 0xda, 1) - MARKER;
    assert_truncated(&file);
    an_buffer_free(&file);
}

/* The end marker itself comes too early; with restart markers it stands where one of these should be. */
static void test_early_end_marker(void **state)
{
    (void)state;
    an_buffer file = {0};
    make(&baseline, &file);
    file.size -= file.size / 3;
    assert_int_equal(an_buffer_append(&file, "\xff\xd9", MARKER), AN_OK);
    assert_truncated(&file);
    make(&kinds[5], &file);
    file.size = behind(&file, 0xd1, 0);
    file.data[file.size - 1] = 0xd9;
    assert_truncated(&file);
    an_buffer_free(&file);
}

/* The data of arithmetic coding may end anywhere: without the end marker it cannot be known whether they are whole. */
static void test_arithmetic_without_end(void **state)
{
    (void)state;
    test_jpeg kind = baseline;
    an_buffer file = {0};
    kind.arithmetic = true;
    make(&kind, &file);
    file.size -= MARKER;
    assert_truncated(&file);
    an_buffer_free(&file);
}

/* --- damage ---------------------------------------------------------------------------------------------------- */

/* 24 ones are no Huffman code. libjpeg-turbo warns of it near the end of a file only; in the middle of it there are
 * data left over. */
static void test_bad_huffman_code(void **state)
{
    (void)state;
    static const uint8_t ones[] = {0xff, 0, 0xff, 0, 0xff, 0};
    int refused = 0, tried = 0;
    for (size_t k = 0; k < KINDS; k++) {
        an_buffer file = {0}, copy = {0};
        an_image image = {0};
        an_jpeg_info info;
        make(&kinds[k], &file);
        size_t first = behind(&file, 0xda, 0) + 20;
        for (size_t at = first; at + 10 < file.size; at += (file.size - first) / 25) {
            copy.size = 0;
            assert_int_equal(an_buffer_append(&copy, file.data, file.size), AN_OK);
            test_jpeg_insert(&copy, at, ones, sizeof ones);
            int rc = decode(&copy, 0, &image, &info);
            assert_true(!rc || rc == AN_ECORRUPT);
            refused += rc && strstr(an_error_message(), "damaged JPEG: ");
            tried++;
        }
        an_image_free(&image);
        an_buffer_free(&file);
        an_buffer_free(&copy);
    }
    assert_true(refused > tried * 9 / 10);
}

static void test_bad_code_is_named(void **state)
{
    (void)state;
    static const uint8_t ones[] = {0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0};
    test_jpeg large = {.width = 640, .height = 480, .space = TEST_YCC, .horizontal = 2, .vertical = 2};
    an_buffer file = {0};
    test_jpeg_make(&large, 1, &file);
    test_jpeg_insert(&file, file.size / 2, ones, sizeof ones);
    assert_refused(&file, "damaged JPEG: corrupt JPEG data: bad Huffman code");
    an_buffer_free(&file);
}

static void test_bad_arithmetic_code(void **state)
{
    (void)state;
    an_rng rng = an_rng_make(2, AN_RNG_TEST, 0, 0);
    test_jpeg kind = baseline;
    an_buffer file = {0};
    an_image image = {0};
    int named = 0;
    kind.arithmetic = true;
    make(&kind, &file);
    size_t first = behind(&file, 0xda, 0) + SOS_YCC;
    for (int i = 0; i < 200; i++) {
        size_t at = first + an_rng_below(&rng, (uint32_t)(file.size - first - MARKER));
        uint8_t before = file.data[at];
        file.data[at] ^= 0x5a;
        named += decode(&file, 0, &image, NULL) == AN_ECORRUPT && strstr(an_error_message(), "bad arithmetic code");
        file.data[at] = before;
    }
    assert_true(named > 0);
    an_image_free(&image);
    an_buffer_free(&file);
}

static void test_scan_left_out(void **state)
{
    (void)state;
    an_buffer file = {0};
    make(&kinds[4], &file);
    size_t from = behind(&file, 0xda, 4) - MARKER, to = behind(&file, 0xda, 5) - MARKER;
    memmove(file.data + from, file.data + to, file.size - to);
    file.size -= to - from;
    assert_refused(&file, "damaged JPEG: inconsistent progression sequence");
    an_buffer_free(&file);
}

static void test_restart_markers(void **state)
{
    (void)state;
    an_buffer file = {0};
    make(&kinds[5], &file);
    size_t second = behind(&file, 0xd1, 0);
    file.data[second - 1] = 0xd6;
    assert_refused(&file, "damaged JPEG: corrupt JPEG data: found marker 0xd6 instead of RST1");
    file.data[second - 1] = 0xd1;
    test_jpeg_insert(&file, second - MARKER, "surplus", 7);
    assert_refused(&file, "damaged JPEG: corrupt JPEG data: 7 extraneous bytes before marker 0xd1");
    make(&kinds[5], &file);
    memmove(file.data + second - 40, file.data + second - MARKER, file.size - second + MARKER);
    file.size -= 38;
    assert_refused(&file, "damaged JPEG: corrupt JPEG data: premature end of data segment");
    an_buffer_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jfif_version),        cmocka_unit_test(test_adobe_transform),
        cmocka_unit_test(test_scan_parameters),     cmocka_unit_test(test_bytes_between_segments),
        cmocka_unit_test(test_no_end_marker),       cmocka_unit_test(test_trailers),
        cmocka_unit_test(test_cut_before_trailer),  cmocka_unit_test(test_missing_scans),
        cmocka_unit_test(test_early_end_marker),    cmocka_unit_test(test_arithmetic_without_end),
        cmocka_unit_test(test_bad_huffman_code),    cmocka_unit_test(test_bad_code_is_named),
        cmocka_unit_test(test_bad_arithmetic_code), cmocka_unit_test(test_scan_left_out),
        cmocka_unit_test(test_restart_markers),
    };
    return cmocka_run_group_tests_name("jpeg_warnings", tests, setup, teardown);
}
