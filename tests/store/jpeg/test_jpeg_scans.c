/* Small files whose many scans would hold a thread for long: each visits every block of the picture and has next to no
 * bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "store/coef/coef.h"
#include "store/jpeg/header.h"
#include "store/jpeg/jpeg.h"
#include "tests/store/message.h"

static void put(an_buffer *file, const void *bytes, size_t size)
{
    assert_int_equal(an_buffer_append(file, bytes, size), AN_OK);
}

/* Marker, length, contents. */
static void put_segment(an_buffer *file, uint8_t marker, const void *contents, size_t size)
{
    const uint8_t head[4] = {0xff, marker, (uint8_t)((size + 2) >> 8), (uint8_t)(size + 2)};
    put(file, head, sizeof head);
    put(file, contents, size);
}

static void put_scan(an_buffer *file, uint8_t first, uint8_t last, const an_buffer *data)
{
    const uint8_t header[] = {1, 1, 0, first, last, 0};
    put_segment(file, 0xda, header, sizeof header);
    put(file, data->data, data->size);
}

/* The data of an AC scan in which every block is empty: codes for runs of 16,384 and more empty blocks, each 0 and 14
 * bits, then one code 10 for each block that is left. */
static void put_empty_blocks(an_buffer *data, uint32_t blocks)
{
    uint64_t bits = 0;
    unsigned count = 0;
    while (blocks > 0) {
        uint32_t run = blocks < 32767 ? blocks : 32767;
        bool is_run = run >= 16384;
        bits = is_run ? bits << 15 | (run - 16384) : bits << 2 | 2;
        count += is_run ? 15 : 2;
        blocks -= is_run ? run : 1;
        for (; count >= 8 || (blocks == 0 && count > 0); count -= count < 8 ? count : 8) {
            uint8_t byte = (uint8_t)(count >= 8 ? bits >> (count - 8) : bits << (8 - count));
            put(data, &byte, 1);
            if (byte == 0xff)
                put(data, "", 1);
        }
    }
}

enum { PROGRESSIVE = 0xc2, ARITHMETIC = 0xc9, PROGRESSIVE_ARITHMETIC = 0xca };

/* A grey picture: a scan of DC, or of everything where the frame is not progressive, and `scans` of AC. Arithmetic
 * scans need no data at all. */
static void make(an_buffer *file, uint8_t frame_marker, uint32_t width, uint32_t height, int scans)
{
    const uint8_t frame[] = {
        8, (uint8_t)(height >> 8), (uint8_t)height, (uint8_t)(width >> 8), (uint8_t)width, 1, 1, 0x11, 0};
    static const uint8_t codes[2][17 + 2] = {{0x00, 1}, {0x10, 1, 1}}; /* DC: 0 is no difference; AC: see above */
    uint8_t ac[19], table[65] = {0};
    an_buffer dc_data = {0}, ac_data = {0};
    const uint32_t blocks = (width + 7) / 8 * ((height + 7) / 8);
    memset(table + 1, 1, 64);
    memcpy(ac, codes[1], sizeof ac);
    ac[17] = 0xe0;
    file->size = 0;
    put(file, "\xff\xd8", 2);
    put_segment(file, 0xdb, table, sizeof table);
    put_segment(file, frame_marker, frame, sizeof frame);
    if (frame_marker == PROGRESSIVE) {
        put_segment(file, 0xc4, codes[0], 18);
        put_segment(file, 0xc4, ac, 19);
        for (uint32_t i = 0; i < (blocks + 7) / 8; i++)
            put(&dc_data, "", 1);
        put_empty_blocks(&ac_data, blocks);
    }
    put_scan(file, 0, frame_marker == ARITHMETIC ? 63 : 0, &dc_data);
    for (int i = 0; i < scans; i++)
        put_scan(file, 1, 63, &ac_data);
    put(file, "\xff\xd9", 2);
    an_buffer_free(&dc_data);
    an_buffer_free(&ac_data);
}

static int decode(const an_buffer *file, uint32_t min_side)
{
    an_jpeg_decoder *decoder;
    an_image image = {0};
    assert_int_equal(an_jpeg_decoder_create(&decoder), AN_OK);
    int rc = an_jpeg_decode(decoder, file->data, file->size, min_side, 1u << 28, &image, NULL);
    an_image_free(&image);
    an_jpeg_decoder_free(decoder);
    return rc;
}

static int to_coef(const an_buffer *file)
{
    an_coef_encoder *encoder;
    an_buffer out = {0};
    assert_int_equal(an_coef_encoder_create(&encoder), AN_OK);
    int rc = an_coef_encode_jpeg(encoder, file->data, file->size, &out);
    an_buffer_free(&out);
    an_coef_encoder_free(encoder);
    return rc;
}

static void check_refused(const an_buffer *file, const char *part)
{
    assert_int_equal(decode(file, 8), AN_EUNSUPPORTED);
    assert_message("decoding takes too long");
    assert_message(part);
    assert_int_equal(to_coef(file), AN_EUNSUPPORTED);
    assert_message(part);
}

static void test_huffman(void **state)
{
    (void)state;
    enum { SIDE = 8192, BLOCKS = SIDE / 8 * (SIDE / 8), SCANS = AN_JPEG_VISITS_MAX / BLOCKS };
    an_buffer file = {0};
    make(&file, PROGRESSIVE, SIDE, SIDE, SCANS + 20);
    assert_true(file.size < 400000);
    check_refused(&file, "8192 x 8192 pixels visit more than 67108864 blocks");
    make(&file, PROGRESSIVE, SIDE, SIDE, 9); /* as many as usual files of that size have */
    assert_int_equal(decode(&file, 8), AN_OK);
    an_buffer_free(&file);
}

static void test_arithmetic(void **state)
{
    (void)state;
    enum {
        SIDE = 2048,
        BLOCKS = SIDE / 8 * (SIDE / 8),
        SCANS = AN_JPEG_VISITS_MAX / (BLOCKS * AN_JPEG_VISIT_ARITHMETIC)
    };
    an_buffer file = {0};
    make(&file, PROGRESSIVE_ARITHMETIC, SIDE, SIDE, SCANS);
    assert_true(file.size < 2000);
    check_refused(&file, "2048 x 2048 pixels visit more than 4194304 blocks");
    make(&file, PROGRESSIVE_ARITHMETIC, SIDE, SIDE, SCANS / 2);
    assert_int_equal(decode(&file, 8), AN_OK);
    an_buffer_free(&file);
}

/* The limit is for files with several scans. Rows of pixels, which libjpeg-turbo tells in the same way, do not count.
 */
static void test_single_scan(void **state)
{
    (void)state;
    enum { WIDTH = 8192, HEIGHT = 4200 };
    an_buffer file = {0};
    make(&file, ARITHMETIC, WIDTH, HEIGHT, 0);
    assert_true((uint64_t)HEIGHT * (WIDTH / 8) * AN_JPEG_VISIT_ARITHMETIC > AN_JPEG_VISITS_MAX);
    assert_int_equal(decode(&file, 0), AN_OK);
    an_buffer_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_huffman),
        cmocka_unit_test(test_arithmetic),
        cmocka_unit_test(test_single_scan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
