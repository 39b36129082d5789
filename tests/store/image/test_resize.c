#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/rng.h"
#include "store/image/resize.h"
#include "store/image/resize_kernels_private.h"

static const uint32_t sizes[][3] = {/* width, height, side */
                                    {500, 375, 256}, {375, 500, 256}, {256, 256, 256}, {28, 28, 72}, {1, 1, 16},
                                    {1, 300, 32},    {300, 1, 32},    {1023, 767, 64}, {33, 31, 8},  {257, 257, 256},
                                    {3000, 40, 20},  {17, 900, 64},   {640, 480, 8},   {2, 3, 100}};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* A slope, a wave and noise. */
static void picture(an_image *image, uint32_t width, uint32_t height, uint32_t seed)
{
    an_rng rng = an_rng_make(seed, AN_RNG_TEST, 0, 0);
    assert_int_equal(an_image_set_size(image, width, height), AN_OK);
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            uint8_t *pixel = image->pixels + 3 * ((size_t)y * width + x);
            pixel[0] = (uint8_t)(95 * x / width + an_rng_below(&rng, 160));
            pixel[1] = (uint8_t)((x * 3 + y * 2 + seed * 7) % 96 + an_rng_below(&rng, 16));
            pixel[2] = (uint8_t)(255 - 95 * y / height - an_rng_below(&rng, 16));
        }
}

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

/* One output pixel straight from the definition, in double precision and without separation into passes: of the centred
 * span_x x span_y pixels scaled to width x height. */
static double reference(const an_image *in, double span_x, double span_y, uint32_t width, uint32_t height, uint32_t x,
                        uint32_t y, int c)
{
    double scale_x = span_x / width, scale_y = span_y / height, sum = 0, total = 0;
    double wide = fmax(1, scale_x), high = fmax(1, scale_y);
    double cx = (in->width - span_x) / 2 + (x + 0.5) * scale_x, cy = (in->height - span_y) / 2 + (y + 0.5) * scale_y;
    for (int v = (int)(cy - high) - 1; v <= (int)(cy + high) + 1; v++)
        for (int u = (int)(cx - wide) - 1; u <= (int)(cx + wide) + 1; u++) {
            if (u < 0 || v < 0 || u >= (int)in->width || v >= (int)in->height)
                continue;
            double w = triangle((u + 0.5 - cx) / wide) * triangle((v + 0.5 - cy) / high);
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
        picture(&in, sizes[s][0], sizes[s][1], (uint32_t)s);
        assert_int_equal(an_resizer_square(resizer, &in, sizes[s][2], AN_FILTER_TRIANGLE, &out), AN_OK);
        for (uint32_t y = 0; y < out.height; y += 3)
            for (uint32_t x = 0; x < out.width; x += 5)
                for (int c = 0; c < 3; c++) {
                    double square = in.width < in.height ? in.width : in.height;
                    double wanted = reference(&in, square, square, out.width, out.height, x, y, c);
                    assert_true(fabs(out.pixels[3 * ((size_t)y * out.width + x) + (size_t)c] - wanted) < 0.75);
                }
    }
    an_image_free(&in);
    an_image_free(&out);
    an_resizer_free(resizer);
}

typedef struct {
    const an_image *in;
    uint32_t width, height, seen;
} rows_check;

static void check_row(void *context, uint32_t y, const uint8_t *rgb)
{
    rows_check *check = context;
    assert_int_equal(y, check->seen++);
    for (uint32_t x = 0; x < check->width; x++)
        for (int c = 0; c < 3; c++) {
            double wanted =
                reference(check->in, check->in->width, check->in->height, check->width, check->height, x, y, c);
            assert_true(fabs(rgb[3 * (size_t)x + (size_t)c] - wanted) < 0.75);
        }
}

/* Resizing row by row, with a different scale in each direction, with and without an_resizer_reserve before. */
static void test_rows_equal_their_definition(void **state)
{
    (void)state;
    an_image in = {0};
    for (int reserved = 0; reserved < 2; reserved++) {
        an_resizer *resizer;
        assert_int_equal(an_resizer_create(&resizer), AN_OK);
        if (reserved)
            assert_int_equal(an_resizer_reserve(resizer, 3000, 100, AN_FILTER_TRIANGLE), AN_OK);
        for (size_t s = 0; s < SIZES; s++) {
            rows_check check = {.in = &in, .width = sizes[s][2] < 100 ? sizes[s][2] : 100, .height = 31};
            picture(&in, sizes[s][0], sizes[s][1], (uint32_t)s);
            assert_int_equal(
                an_resizer_rows(resizer, &in, check.width, check.height, AN_FILTER_TRIANGLE, check_row, &check), AN_OK);
            assert_int_equal(check.seen, check.height);
        }
        an_resizer_free(resizer);
    }
    an_image_free(&in);
}

static void test_same_size_is_copied(void **state)
{
    (void)state;
    an_resizer *resizer;
    an_image in = {0}, out = {0};
    assert_int_equal(an_resizer_create(&resizer), AN_OK);
    picture(&in, 64, 64, 3);
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
#define OUTPUT 63
#define ROW (3 * (4 * OUTPUT + TAPS) + AN_RESIZE_OVERHANG)

static void random_weights(an_rng *rng, int16_t *weights, size_t n)
{
    for (size_t i = 0; i < n; i++)
        weights[i] = (int16_t)((int)an_rng_below(rng, 8192) - 3000);
}

static void compare_vertical(an_rng *rng, const an_resize_kernels *kernels, const int16_t *weights)
{
    static uint8_t bytes[TAPS][COLUMNS];
    static int16_t wanted[COLUMNS], got[COLUMNS];
    const uint8_t *rows[TAPS];
    for (int t = 0; t < TAPS; t++) {
        rows[t] = bytes[t];
        for (int i = 0; i < COLUMNS; i++)
            bytes[t][i] = (uint8_t)an_rng_below(rng, 256);
    }
    for (uint32_t taps = 2; taps <= TAPS; taps += 2) {
        an_resize_kernels_for(AN_SIMD_SCALAR)->vertical(rows, weights, taps, COLUMNS, wanted);
        kernels->vertical(rows, weights, taps, COLUMNS, got);
        assert_memory_equal(wanted, got, sizeof(wanted));
    }
}

/* Outputs 0 to 4 elements apart: some arrangements fit into a kernel's vectors, others do not. */
static void compare_horizontal(an_rng *rng, const an_resize_kernels *kernels, int16_t *weights)
{
    static int16_t row[ROW];
    static uint8_t wanted[3 * OUTPUT], got[3 * OUTPUT + 1];
    uint32_t starts[OUTPUT] = {0};
    for (int i = 0; i < ROW; i++)
        row[i] = (int16_t)((int)an_rng_below(rng, 20000) - 1000);
    for (uint32_t output = 1; output <= OUTPUT; output++) {
        uint32_t apart = an_rng_below(rng, 5);
        for (uint32_t x = 1; x < output; x++)
            starts[x] = starts[x - 1] + an_rng_below(rng, apart + 1);
        for (uint32_t taps = 2; taps <= TAPS; taps += 2) {
            an_resize_axis axis = {.output = output, .taps = taps, .starts = starts, .weights = weights};
            if (kernels->arrange) {
                axis.lanes = aligned_alloc(64, kernels->lanes_size(output, taps) * sizeof(*axis.lanes));
                assert_non_null(axis.lanes);
                kernels->arrange(&axis);
            }
            memset(got, 0xa5, sizeof(got));
            an_resize_kernels_for(AN_SIMD_SCALAR)->horizontal(row, &axis, wanted);
            kernels->horizontal(row, &axis, got);
            assert_memory_equal(wanted, got, 3 * (size_t)output);
            assert_int_equal(got[3 * output], 0xa5);
            free(axis.lanes);
        }
    }
}

static void test_every_tier_gives_the_same(void **state)
{
    (void)state;
    static int16_t weights[OUTPUT * TAPS];
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 0, 0);
    for (int tier = AN_SIMD_SCALAR + 1; tier <= (int)an_cpu_simd_best(); tier++)
        for (int round = 0; round < 20; round++) {
            random_weights(&rng, weights, OUTPUT * TAPS);
            compare_vertical(&rng, an_resize_kernels_for((an_simd_tier)tier), weights);
            compare_horizontal(&rng, an_resize_kernels_for((an_simd_tier)tier), weights);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flat_stays_flat),
        cmocka_unit_test(test_triangle_equals_its_definition),
        cmocka_unit_test(test_rows_equal_their_definition),
        cmocka_unit_test(test_same_size_is_copied),
        cmocka_unit_test(test_centre_is_cropped),
        cmocka_unit_test(test_every_tier_gives_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
