/* Bit 63 of a map of a coef payload stands for no coefficient. A row of blocks with one is damaged, in every tier, for
 * every window that touches the row, and on the way back to JPEG. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/error.h"
#include "store/coef/coef.h"
#include "store/coef/format.h"
#include "tests/store/coef/tiers.h"
#include "tests/store/message.h"

enum { BLOCKS = 5, HEAD = AN_COEF_HEADER + 64, ROWS = 3 };

/* Header and quantisation table of a grey picture. */
static size_t put_head(uint8_t *payload, uint32_t width, uint32_t height)
{
    const uint8_t header[AN_COEF_HEADER] = {AN_COEF_VERSION,       AN_SAMPLING_GREY, 1, 0, (uint8_t)width,
                                            (uint8_t)(width >> 8), (uint8_t)height,  0};
    memcpy(payload, header, sizeof header);
    memset(payload + AN_COEF_HEADER, 4, 64);
    return HEAD;
}

/* A row of BLOCKS blocks with maps of eight bytes. All have coefficient 1, and block `marked` the highest bit of
 * `last` as well. */
static size_t put_row(uint8_t *row, size_t marked, uint8_t last)
{
    size_t at = 0;
    for (size_t b = 0; b < BLOCKS; b++)
        row[at++] = (uint8_t)(5 * b);
    for (size_t b = 0; b < BLOCKS; b += 2)
        row[at++] = b + 1 < BLOCKS ? 0x88 : 0x08;
    for (size_t b = 0; b < BLOCKS; b++, at += 8) {
        memset(row + at, 0, 8);
        row[at] = 1;
        row[at + 7] = b == marked ? last : 0;
    }
    const size_t crumbs = BLOCKS + (last != 0);
    memset(row + at, 0x44, (crumbs + 3) / 4); /* +1 and -1 in turn */
    return at + (crumbs + 3) / 4;
}

/* ROWS rows; the one in the middle is marked. */
static size_t put_picture(uint8_t *payload, size_t marked, uint8_t last)
{
    size_t lengths = put_head(payload, 8 * BLOCKS, 8 * ROWS), at = lengths + 2 * ROWS;
    for (size_t r = 0; r < ROWS; r++) {
        size_t size = put_row(payload + at, marked, r == 1 ? last : 0);
        payload[lengths + 2 * r] = (uint8_t)size;
        payload[lengths + 2 * r + 1] = 0;
        at += size;
    }
    memset(payload + at, 0, AN_COEF_PADDING);
    return at + AN_COEF_PADDING;
}

/* Every window of whole blocks, in every tier: refused exactly if it touches row `damaged`; ROWS: none is. */
static void check_windows(const uint8_t *payload, size_t size, uint32_t damaged)
{
    static uint8_t out[8 * BLOCKS * 8 * ROWS * 3];
    for (int t = 0; t < COEF_TIERS; t++)
        for (uint32_t i = 0; coef_decoders[t] && i < BLOCKS * BLOCKS * ROWS * ROWS; i++) {
            uint32_t x = i % BLOCKS, x1 = i / BLOCKS % BLOCKS, y = i / BLOCKS / BLOCKS % ROWS,
                     y1 = i / BLOCKS / BLOCKS / ROWS;
            if (x1 < x || y1 < y)
                continue;
            const an_window w = {8 * x, 8 * y, 8 * (x1 - x + 1), 8 * (y1 - y + 1), i % 2};
            int rc = an_coef_decode_window(coef_decoders[t], payload, size, &w, out, 3 * (size_t)w.width);
            assert_int_equal(rc, y <= damaged && y1 >= damaged ? AN_ECORRUPT : AN_OK);
        }
}

static void test_bit_63(void **state)
{
    (void)state;
    uint8_t payload[1024];
    an_buffer jpeg = {0};
    for (size_t marked = 0; marked < BLOCKS; marked++) {
        size_t size = put_picture(payload, marked, 0x80);
        check_windows(payload, size, 1);
        assert_int_equal(an_coef_to_jpeg(coef_encoder, payload, size, &jpeg), AN_ECORRUPT);
        assert_message("streams of a row of blocks");
    }
    assert_int_equal(jpeg.size, 0);
    an_buffer_free(&jpeg);
}

/* Bit 62 is the last coefficient. */
static void test_bit_62(void **state)
{
    (void)state;
    uint8_t payload[1024];
    an_buffer jpeg = {0}, again = {0};
    for (size_t marked = 0; marked < BLOCKS; marked++) {
        size_t size = put_picture(payload, marked, 0x40);
        check_windows(payload, size, ROWS);
        jpeg.size = again.size = 0;
        assert_int_equal(an_coef_to_jpeg(coef_encoder, payload, size, &jpeg), AN_OK);
        assert_int_equal(an_coef_encode_jpeg(coef_encoder, jpeg.data, jpeg.size, &again), AN_OK);
    }
    an_buffer_free(&jpeg);
    an_buffer_free(&again);
}

/* The widest picture, all bits of all maps set: 64 values a block, where there is room for 63. */
static void test_too_many_values(void **state)
{
    (void)state;
    enum { WIDE = AN_IMAGE_SIDE_MAX / 8, ROW = WIDE + WIDE / 2 + 8 * WIDE + 16 * WIDE };
    size_t size = HEAD + 2 + ROW + AN_COEF_PADDING;
    uint8_t *payload = calloc(1, size), *out = malloc(3 * 8 * (size_t)AN_IMAGE_SIDE_MAX);
    an_buffer jpeg = {0};
    assert_true(payload && out);
    assert_in_range(ROW, 1, AN_COEF_ROW_MAX);
    uint8_t *row = payload + put_head(payload, AN_IMAGE_SIDE_MAX, 8);
    row[0] = ROW & 255;
    row[1] = ROW >> 8;
    memset(row + 2 + WIDE, 0x88, WIDE / 2);
    memset(row + 2 + WIDE + WIDE / 2, 0xff, 8 * (size_t)WIDE);
    const an_window whole = {0, 0, AN_IMAGE_SIDE_MAX, 8, false};
    assert_int_equal(an_coef_to_jpeg(coef_encoder, payload, size, &jpeg), AN_ECORRUPT);
    for (int t = 0; t < COEF_TIERS; t++)
        if (coef_decoders[t])
            assert_int_equal(
                an_coef_decode_window(coef_decoders[t], payload, size, &whole, out, 3 * (size_t)AN_IMAGE_SIDE_MAX),
                AN_ECORRUPT);
    an_buffer_free(&jpeg);
    free(payload);
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bit_63),
        cmocka_unit_test(test_bit_62),
        cmocka_unit_test(test_too_many_values),
    };
    return cmocka_run_group_tests(tests, coef_set_up, coef_tear_down);
}
