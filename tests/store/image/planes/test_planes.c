/* The planes decoder with a source made for the test: what it asks of the source, and what it does with the answers.
 * That its pixels are libjpeg-turbo's is tested with real files, in tests/store/jpeg and tests/store/coef. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "store/image/planes/kernels.h"
#include "store/image/planes/planes.h"
#include "tests/store/message.h"

enum { SIDE = 64, MCU_ROWS_MAX = SIDE / 8 };

/* Every block has the same DC coefficient, in luma alone. */
typedef struct {
    int16_t dc;
    int calls, fail_at, code; /* the call that fails, and how; -1: none */
    bool wanted[MCU_ROWS_MAX][AN_BLOCKS_MCU_ROWS];
} test_source;

static int next(void *context, const an_blocks_row rows[AN_BLOCKS_MCU_ROWS])
{
    test_source *s = context;
    assert_true(s->calls < MCU_ROWS_MAX);
    for (int i = 0; i < AN_BLOCKS_MCU_ROWS; i++) {
        uint32_t groups = (rows[i].end - rows[i].first + AN_PLANES_GROUP - 1) / AN_PLANES_GROUP;
        s->wanted[s->calls][i] = rows[i].end > rows[i].first;
        if (!s->wanted[s->calls][i])
            continue;
        memset(rows[i].blocks, 0, groups * AN_PLANES_GROUP * sizeof *rows[i].blocks);
        for (uint32_t b = 0; i < 2 && b < rows[i].end - rows[i].first; b++)
            rows[i].blocks[b][0] = s->dc;
    }
    return s->calls++ == s->fail_at ? s->code : AN_OK;
}

static an_planes *planes;
static uint8_t quantisation[64];
static uint8_t rgb[SIDE * SIDE * 3];

static int set_up(void **state)
{
    (void)state;
    memset(quantisation, 8, sizeof quantisation);
    return an_planes_create(&planes, an_cpu_simd());
}

static int tear_down(void **state)
{
    (void)state;
    an_planes_free(planes);
    return 0;
}

static int decode(test_source *s, bool in_range, an_window window)
{
    an_blocks blocks;
    an_blocks_init(&blocks, SIDE, SIDE, AN_SAMPLING_420);
    for (int c = 0; c < 3; c++)
        blocks.component[c].quantisation = quantisation;
    const an_planes_sink sink = {.rgb = rgb, .stride = (size_t)window.width * 3};
    return an_planes_decode(planes, &blocks, &(an_planes_source){s, next, in_range}, &window, &sink);
}

/* A DC coefficient of 10, times 8, divided by 8 in the inverse DCT. */
static void test_pixels(void **state)
{
    (void)state;
    test_source s = {.dc = 10, .fail_at = -1};
    assert_int_equal(decode(&s, false, (an_window){3, 5, 40, 30, true}), AN_OK);
    for (int i = 0; i < 40 * 30 * 3; i++)
        assert_int_equal(rgb[i], 128 + 10);
}

/* Rows 20 to 27 of the image: luma's third and fourth rows of blocks, in the second MCU row, and the chroma of it. The
 * source is called for the MCU row above, too, but has nothing to fill. */
static void test_wanted_rows(void **state)
{
    (void)state;
    test_source s = {.fail_at = -1};
    static const bool expected[2][AN_BLOCKS_MCU_ROWS] = {{false, false, false, false}, {true, true, true, true}};
    assert_int_equal(decode(&s, false, (an_window){0, 20, 16, 8, false}), AN_OK);
    assert_int_equal(s.calls, 2);
    assert_memory_equal(s.wanted, expected, sizeof expected);

    static const bool upper[AN_BLOCKS_MCU_ROWS] = {true, false, true, true};
    s = (test_source){.fail_at = -1};
    assert_int_equal(decode(&s, false, (an_window){0, 18, 16, 5, false}), AN_OK);
    assert_int_equal(s.calls, 2);
    assert_memory_equal(s.wanted[1], upper, sizeof upper);
}

static void test_failure_of_the_source(void **state)
{
    (void)state;
    static const int codes[] = {AN_AGAIN, AN_ECORRUPT};
    for (int i = 0; i < 2; i++) {
        test_source s = {.fail_at = 1, .code = codes[i]};
        assert_int_equal(decode(&s, false, (an_window){0, 0, SIDE, SIDE, false}), codes[i]);
        assert_int_equal(s.calls, 2);
    }
}

/* 4096 times 8 does not fit 16 bits. */
static void test_out_of_range(void **state)
{
    (void)state;
    test_source s = {.dc = 4096, .fail_at = -1};
    assert_int_equal(decode(&s, false, (an_window){0, 0, SIDE, SIDE, false}), AN_AGAIN);
    s = (test_source){.dc = 4096, .fail_at = -1};
    assert_int_equal(decode(&s, true, (an_window){0, 0, SIDE, SIDE, false}), AN_OK); /* the source vouches for it */
}

static void test_window_outside(void **state)
{
    (void)state;
    test_source s = {.fail_at = -1};
    assert_int_equal(decode(&s, false, (an_window){1, 0, SIDE, SIDE, false}), AN_EINVAL);
    assert_message("not inside an image of 64x64");
    assert_int_equal(s.calls, 0);
}

static void check_blocks(an_sampling sampling, uint32_t mcu_rows, uint32_t luma_rows, uint32_t chroma_wide,
                         uint32_t block_rows)
{
    an_blocks b;
    an_blocks_init(&b, 35, 41, sampling);
    assert_int_equal(b.components, sampling == AN_SAMPLING_GREY ? 1 : 3);
    assert_int_equal(b.mcu_rows, mcu_rows);
    assert_int_equal(b.block_rows, block_rows);
    assert_int_equal(b.component[0].blocks_wide, 5);
    assert_int_equal(b.component[0].blocks_high, 6);
    assert_int_equal(b.component[0].rows_per_mcu, luma_rows);
    assert_int_equal(b.component[1].blocks_wide, chroma_wide);
    assert_int_equal(b.component[2].blocks_wide, chroma_wide);
}

static void test_blocks(void **state)
{
    (void)state;
    check_blocks(AN_SAMPLING_GREY, 6, 1, 0, 6);
    check_blocks(AN_SAMPLING_444, 6, 1, 5, 18);
    check_blocks(AN_SAMPLING_422, 6, 1, 3, 18);
    check_blocks(AN_SAMPLING_420, 3, 2, 3, 12);
    an_blocks b;
    an_blocks_init(&b, 8, 24, AN_SAMPLING_420);
    assert_int_equal(an_blocks_rows_in_mcu(&b.component[0], 0), 2);
    assert_int_equal(an_blocks_rows_in_mcu(&b.component[0], 1), 1); /* the image ends within the MCU row */
    assert_int_equal(an_blocks_rows_in_mcu(&b.component[1], 1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pixels),
        cmocka_unit_test(test_wanted_rows),
        cmocka_unit_test(test_failure_of_the_source),
        cmocka_unit_test(test_out_of_range),
        cmocka_unit_test(test_window_outside),
        cmocka_unit_test(test_blocks),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
