#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/rng.h"
#include "ingest/resize.h"
#include "ingest/resize_kernels.h"
#include "tests/ingest/fixture.h"

static const uint32_t sizes[][3] = {/* width, height, side */
                                    {500, 375, 256}, {375, 500, 256}, {256, 256, 256}, {28, 28, 72}, {1, 1, 16},
                                    {1, 300, 32},    {300, 1, 32},    {1023, 767, 64}, {33, 31, 8},  {257, 257, 256},
                                    {3000, 40, 20},  {17, 900, 64},   {640, 480, 8},   {2, 3, 100}};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void test_flat_stays_flat(void **state)
{
    (void)state;
    an_resizer *resizer;
    an_image in = {0}, out = {0};
    assert_int_equal(an_resizer_create(&resizer), AN_OK);
    for (size_t s = 0; s < SIZES; s++)
        for (int filter = AN_FILTER_TRIANGLE; filter <= AN_FILTER_BOX; filter++)
            for (int value = 0; value <= 255; value += 85) {
                assert_int_equal(an_image_set_size(&in, sizes[s][0], sizes[s][1]), AN_OK);
                memset(in.pixels, value, (size_t)3 * sizes[s][0] * sizes[s][1]);
                assert_int_equal(an_resizer_square(resizer, &in, sizes[s][2], (an_filter)filter, &out), AN_OK);
                assert_int_equal(out.width, sizes[s][2]);
                assert_int_equal(out.height, sizes[s][2]);
                for (size_t i = 0; i < (size_t)3 * out.width * out.height; i++)
                    assert_int_equal(out.pixels[i], value);
            }
    an_image_free(&in);
    an_image_free(&out);
    an_resizer_free(resizer);
}

static double triangle(double x)
{
    return fabs(x) < 1 ? 1 - fabs(x) : 0;
}

/* One output pixel straight from the definition, in double precision and without separation into passes. */
static double reference(const an_image *in, uint32_t side, uint32_t x, uint32_t y, int c)
{
    double square = in->width < in->height ? in->width : in->height, scale = square / side;
    double stretch = scale > 1 ? scale : 1, sum = 0, total = 0;
    double cx = (in->width - square) / 2 + (x + 0.5) * scale, cy = (in->height - square) / 2 + (y + 0.5) * scale;
    for (int v = (int)(cy - stretch) - 1; v <= (int)(cy + stretch) + 1; v++)
        for (int u = (int)(cx - stretch) - 1; u <= (int)(cx + stretch) + 1; u++) {
            if (u < 0 || v < 0 || u >= (int)in->width || v >= (int)in->height)
                continue;
            double w = triangle((u + 0.5 - cx) / stretch) * triangle((v + 0.5 - cy) / stretch);
            sum += w * in->pixels[3 * ((size_t)v * in->width + (size_t)u) + (size_t)c];
            total += w;
        }
    return sum / total;
}

static void test_triangle_equals_its_definition(void **state)
{
    (void)state;
    an_resizer *resizer;
    an_image in = {0}, out = {0};
    assert_int_equal(an_resizer_create(&resizer), AN_OK);
    for (size_t s = 0; s < SIZES; s++) {
        fixture_picture(&in, sizes[s][0], sizes[s][1], (uint32_t)s);
        assert_int_equal(an_resizer_square(resizer, &in, sizes[s][2], AN_FILTER_TRIANGLE, &out), AN_OK);
        for (uint32_t y = 0; y < out.height; y += 3)
            for (uint32_t x = 0; x < out.width; x += 5)
                for (int c = 0; c < 3; c++) {
                    double wanted = reference(&in, sizes[s][2], x, y, c);
                    assert_true(fabs(out.pixels[3 * ((size_t)y * out.width + x) + (size_t)c] - wanted) < 0.75);
                }
    }
    an_image_free(&in);
    an_image_free(&out);
    an_resizer_free(resizer);
}

static void test_same_size_is_copied(void **state)
{
    (void)state;
    an_resizer *resizer;
    an_image in = {0}, out = {0};
    assert_int_equal(an_resizer_create(&resizer), AN_OK);
    fixture_picture(&in, 64, 64, 3);
    assert_int_equal(an_resizer_square(resizer, &in, 64, AN_FILTER_LANCZOS3, &out), AN_OK);
    assert_memory_equal(in.pixels, out.pixels, 64 * 64 * 3);
    an_image_free(&in);
    an_image_free(&out);
    an_resizer_free(resizer);
}

/* A wide picture of three differently coloured squares: only the middle one may show. */
static void test_centre_is_cropped(void **state)
{
    (void)state;
    an_resizer *resizer;
    an_image in = {0}, out = {0};
    assert_int_equal(an_resizer_create(&resizer), AN_OK);
    assert_int_equal(an_image_set_size(&in, 300, 100), AN_OK);
    for (uint32_t y = 0; y < 100; y++)
        for (uint32_t x = 0; x < 300; x++)
            memset(in.pixels + 3 * (y * 300 + x), (int)(x / 100 * 100), 3);
    assert_int_equal(an_resizer_square(resizer, &in, 50, AN_FILTER_BOX, &out), AN_OK);
    for (size_t i = 0; i < 50 * 50 * 3; i++)
        assert_int_equal(out.pixels[i], 100);
    an_image_free(&in);
    an_image_free(&out);
    an_resizer_free(resizer);
}

#define TAPS 14
#define COLUMNS 517
#define WIDTH 63

static void random_weights(an_rng *rng, int16_t *weights, size_t n)
{
    for (size_t i = 0; i < n; i++)
        weights[i] = (int16_t)((int)an_rng_below(rng, 8192) - 3000);
}

static void test_every_tier_gives_the_same(void **state)
{
    (void)state;
    static uint8_t bytes[TAPS][COLUMNS];
    static int16_t weights[WIDTH * TAPS], row[3 * (WIDTH + TAPS + 2)], wanted[COLUMNS], got[COLUMNS];
    static uint8_t wanted_bytes[3 * WIDTH], got_bytes[3 * WIDTH + 1];
    uint32_t starts[WIDTH];
    const uint8_t *rows[TAPS];
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 0, 0);
    const an_resize_kernels *scalar = an_resize_kernels_for(AN_SIMD_SCALAR),
                            *best = an_resize_kernels_for(an_cpu_simd_best());
    for (int round = 0; round < 50; round++) {
        for (int t = 0; t < TAPS; t++) {
            rows[t] = bytes[t];
            for (int i = 0; i < COLUMNS; i++)
                bytes[t][i] = (uint8_t)an_rng_below(&rng, 256);
        }
        random_weights(&rng, weights, WIDTH * TAPS);
        for (uint32_t taps = 2; taps <= TAPS; taps += 2) {
            scalar->vertical(rows, weights, taps, COLUMNS, wanted);
            best->vertical(rows, weights, taps, COLUMNS, got);
            assert_memory_equal(wanted, got, sizeof(wanted));
            for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
                row[i] = (int16_t)((int)an_rng_below(&rng, 20000) - 1000);
            for (uint32_t x = 0; x < WIDTH; x++)
                starts[x] = an_rng_below(&rng, WIDTH);
            got_bytes[3 * WIDTH] = 0xa5;
            scalar->horizontal(row, starts, weights, taps, WIDTH, wanted_bytes);
            best->horizontal(row, starts, weights, taps, WIDTH, got_bytes);
            assert_memory_equal(wanted_bytes, got_bytes, sizeof(wanted_bytes));
            assert_int_equal(got_bytes[3 * WIDTH], 0xa5);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flat_stays_flat),           cmocka_unit_test(test_triangle_equals_its_definition),
        cmocka_unit_test(test_same_size_is_copied),       cmocka_unit_test(test_centre_is_cropped),
        cmocka_unit_test(test_every_tier_gives_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
