/* The planes kernels, one by one: all tiers give the bytes of the reference in kernels_scalar.c, and its colours are
 * those of libjpeg-turbo's jdcolor.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "store/image/planes/kernels.h"

enum { KERNELS = 3, ROW = 256 };

/* The tiers that this processor has besides the scalar one; *count becomes their number. */
static void others(const an_planes_kernels *out[KERNELS], int *count)
{
    *count = 0;
    out[(*count)++] = an_planes_kernels_vectors();
    if (an_cpu_simd_best() >= AN_SIMD_AVX2)
        out[(*count)++] = an_planes_kernels_avx2();
    if (an_cpu_simd_best() >= AN_SIMD_AVX512)
        out[(*count)++] = an_planes_kernels_avx512();
}

static int clamp(int v)
{
    return v < 0 ? 0 : v > 255 ? 255 : v;
}

/* Right shifts of negative numbers round down, as jdcolor.c assumes. */
static void convert(int y, int cb, int cr, uint8_t *rgb)
{
    rgb[0] = (uint8_t)clamp(y + ((91881 * (cr - 128) + 32768) >> 16));
    rgb[1] = (uint8_t)clamp(y + ((-22554 * (cb - 128) - 46802 * (cr - 128) + 32768) >> 16));
    rgb[2] = (uint8_t)clamp(y + ((116130 * (cb - 128) + 32768) >> 16));
}

static void check_colours(const an_planes_kernels *kernels)
{
    uint8_t y[ROW + AN_PLANES_SLACK], cb[ROW + AN_PLANES_SLACK], cr[ROW + AN_PLANES_SLACK], expected[3 * ROW],
        rgb[3 * ROW];
    for (int i = 0; i < ROW + AN_PLANES_SLACK; i++)
        cb[i] = (uint8_t)i;
    for (int r = 0; r < 256; r++)
        for (int luma = 0; luma < 256; luma += 17) {
            memset(cr, r, sizeof cr);
            memset(y, luma, sizeof y);
            for (int i = 0; i < ROW; i++)
                convert(luma, i, r, expected + 3 * i);
            kernels->colour(y, cb, cr, ROW, false, rgb);
            assert_memory_equal(rgb, expected, sizeof rgb);
        }
}

/* Every pair of Cb and Cr with 16 values of Y, 0 and 255 among them. */
static void test_colours(void **state)
{
    (void)state;
    const an_planes_kernels *k[KERNELS];
    int count;
    others(k, &count);
    check_colours(an_planes_kernels_scalar());
    for (int i = 0; i < count; i++)
        check_colours(k[i]);
}

static void fill(an_rng *rng, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)an_rng_below(rng, 256);
}

/* Rows of every length, mirrored or not, into memory of exactly their size. */
static void test_row_lengths(void **state)
{
    (void)state;
    const an_planes_kernels *k[KERNELS];
    int count;
    uint8_t in[3][ROW + AN_PLANES_SLACK], expected[3 * ROW];
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 0, 0);
    others(k, &count);
    for (size_t n = 1; n <= 150; n++) {
        fill(&rng, in[0], sizeof in);
        for (size_t p = 0; p < n; p++)
            convert(in[0][p], in[1][p], in[2][p], expected + 3 * (n % 2 ? n - 1 - p : p));
        for (int i = -1; i < count; i++) {
            uint8_t *rgb = malloc(3 * n);
            assert_non_null(rgb);
            (i < 0 ? an_planes_kernels_scalar() : k[i])->colour(in[0], in[1], in[2], n, n % 2, rgb);
            assert_memory_equal(rgb, expected, 3 * n);
            free(rgb);
        }
    }
}

static void test_upsampling(void **state)
{
    (void)state;
    const an_planes_kernels *k[KERNELS];
    int count;
    uint8_t in[2][AN_PLANES_SLACK + ROW + AN_PLANES_SLACK], out[2][2 * (ROW + AN_PLANES_SLACK)];
    an_rng rng = an_rng_make(2, AN_RNG_TEST, 0, 0);
    others(k, &count);
    for (size_t n = 3; n <= 150; n++) {
        fill(&rng, in[0], sizeof in);
        const uint8_t *near = in[0] + AN_PLANES_SLACK, *far = n % 2 ? in[1] + AN_PLANES_SLACK : NULL;
        an_planes_kernels_scalar()->upsample(near, far, n, out[0]);
        for (int i = 0; i < count; i++) {
            memset(out[1], 0, sizeof out[1]);
            k[i]->upsample(near, far, n, out[1]);
            assert_memory_equal(out[1], out[0], 2 * n);
        }
    }
}

/* Memory of exactly `size` bytes: the page behind it cannot be accessed. */
static uint8_t *guarded_make(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), used = (size + page - 1) / page * page;
    uint8_t *memory = mmap(NULL, used + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    assert_int_equal(mprotect(memory + used, page, PROT_NONE), 0);
    return memory + used - size;
}

static void guarded_free(uint8_t *start, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), used = (size + page - 1) / page * page;
    munmap(start + size - used, used + page);
}

/* Upsampling stays within the slack behind its rows, even behind a row of one sample. */
static void check_upsampling_bounds(const an_planes_kernels *kernels, size_t n)
{
    const size_t in_size = 1 + n + AN_PLANES_SLACK, out_size = 2 * (n + AN_PLANES_SLACK);
    uint8_t *near = guarded_make(in_size), *far = guarded_make(in_size), *out = guarded_make(out_size);
    kernels->upsample(near + 1, far + 1, n, out);
    kernels->upsample(near + 1, NULL, n, out);
    guarded_free(near, in_size);
    guarded_free(far, in_size);
    guarded_free(out, out_size);
}

static void test_upsampling_bounds(void **state)
{
    (void)state;
    const an_planes_kernels *k[KERNELS];
    int count;
    others(k, &count);
    for (size_t n = 1; n <= 150; n++) {
        check_upsampling_bounds(an_planes_kernels_scalar(), n);
        for (int i = 0; i < count; i++)
            check_upsampling_bounds(k[i], n);
    }
}

/* A group of blocks such as photographs give: large at low frequencies, and now and then a strong one. */
static void fill_blocks(an_rng *rng, int16_t *blocks)
{
    memset(blocks, 0, AN_PLANES_GROUP * 64 * sizeof *blocks);
    for (int b = 0; b < AN_PLANES_GROUP; b++, blocks += 64) {
        blocks[0] = (int16_t)((int)an_rng_below(rng, 255) - 127);
        for (uint32_t left = an_rng_below(rng, 20); left > 0; left--) {
            uint32_t limit = an_rng_below(rng, 8) ? 5 : 40;
            blocks[an_rng_below(rng, 64)] = (int16_t)((int)an_rng_below(rng, 2 * limit + 1) - (int)limit);
        }
    }
}

static void test_inverse(void **state)
{
    (void)state;
    const an_planes_kernels *k[KERNELS];
    int count;
    int16_t blocks[AN_PLANES_GROUP * 64], quantisation[64];
    uint8_t out[2][8 * 8 * AN_PLANES_GROUP];
    an_rng rng = an_rng_make(3, AN_RNG_TEST, 0, 0);
    others(k, &count);
    for (int go = 0; go < 3000; go++) {
        fill_blocks(&rng, blocks);
        for (int i = 0; i < 64; i++)
            quantisation[i] = (int16_t)(1 + an_rng_below(&rng, 16));
        an_planes_kernels_scalar()->inverse(blocks, quantisation, AN_PLANES_GROUP, out[0], 8 * AN_PLANES_GROUP);
        for (int i = 0; i < count; i++) {
            memset(out[1], 0, sizeof out[1]);
            k[i]->inverse(blocks, quantisation, AN_PLANES_GROUP, out[1], 8 * AN_PLANES_GROUP);
            assert_memory_equal(out[1], out[0], sizeof out[0]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_colours),           cmocka_unit_test(test_row_lengths), cmocka_unit_test(test_upsampling),
        cmocka_unit_test(test_upsampling_bounds), cmocka_unit_test(test_inverse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
