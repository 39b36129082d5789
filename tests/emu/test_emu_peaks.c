/* The kernels that pool and normalise in one, against those that do it apart: in fp32 the same bits, in bf16 the same
 * values and positions, and gradients that differ by the roundings in between, which only the latter have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cuda_runtime_api.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/cuda/kernels/kernels.h"
#include "support.h"
#include "tests/emu/emulator/emu.h"
#include "tests/emu/expect.h"

#define N 2
#define CHUNKS 5
#define ALPHA 0.1F
#define K 2

/* h x w pixels of channels, of which width are normalised together; parts of x and of y; columns of an item; rectified:
 * x is the result of a rectifier. */
typedef struct {
    int channels, width, h, w, pad, from, to, across;
    bool rectified, accumulate;
} geometry;

typedef struct {
    const geometry *g;
    an_stored stored;
    int oh, ow, group;
    uint64_t rows, pooled; /* of x and of y */
    cudaStream_t stream;
    void *x, *normal, *sums, *y, *taken, *dy, *dnormal, *dx, *partial;
} bench;

static size_t size_of(an_stored stored)
{
    return stored == AN_STORED_BF16 ? 2 : 4;
}

static float value_of(const void *values, an_stored stored, size_t i)
{
    float value = 0;
    if (stored == AN_STORED_F32)
        return ((const float *)values)[i];
    memcpy((char *)&value + 2, (const uint16_t *)values + i, 2);
    return value;
}

static int pooled_side(int side, int pad)
{
    return (side + pad + 1 - 3) / 2 + 1; /* the last window may begin on the last pixel but one, or overhang */
}

static void bench_make(bench *b, const geometry *g, an_stored stored)
{
    *b = (bench){.g = g, .stored = stored, .oh = pooled_side(g->h, g->pad), .ow = pooled_side(g->w, g->pad)};
    b->group = an_kernel_group(stored, g->width);
    b->rows = (uint64_t)N * (uint64_t)g->h * (uint64_t)g->w;
    b->pooled = (uint64_t)N * (uint64_t)b->oh * (uint64_t)b->ow;
    ok(cudaSetDevice(0));
    ok(cudaStreamCreateWithFlags(&b->stream, cudaStreamNonBlocking));
    size_t x = b->rows * (size_t)g->channels, y = b->pooled * (size_t)g->channels, size = size_of(stored);
    ok(cudaMalloc(&b->x, x * size));
    ok(cudaMalloc(&b->normal, x * size));
    ok(cudaMalloc(&b->sums, x * sizeof(float)));
    ok(cudaMalloc(&b->y, y * size));
    ok(cudaMalloc(&b->taken, y));
    ok(cudaMalloc(&b->dy, y * size));
    ok(cudaMalloc(&b->dnormal, x * size));
    ok(cudaMalloc(&b->dx, x * size));
    ok(cudaMalloc(&b->partial, CHUNKS * (size_t)g->channels * sizeof(float)));
}

static void bench_free(bench *b)
{
    void *const all[] = {b->x, b->normal, b->sums, b->y, b->taken, b->dy, b->dnormal, b->dx, b->partial};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ok(cudaFree(all[i]));
    ok(cudaStreamDestroy(b->stream));
    expect(NULL);
}

/* Random values. rectified: half of them are zero. */
static void fill(const bench *b, void *to, uint64_t rows, uint64_t stream, bool rectified)
{
    size_t count = rows * (size_t)b->g->channels;
    float *values = an_test_random(count, stream);
    uint16_t *halves = an_test_zeros(count, sizeof *halves);
    for (size_t i = 0; i < count; i++) {
        values[i] = rectified && values[i] < 0 ? 0 : values[i];
        memcpy(&halves[i], (const char *)&values[i] + 2, sizeof *halves);
    }
    ok(cudaMemcpyAsync(to, b->stored == AN_STORED_BF16 ? (void *)halves : values, count * size_of(b->stored),
                       cudaMemcpyHostToDevice, b->stream));
    ok(cudaStreamSynchronize(b->stream));
    free(values);
    free(halves);
}

static void *fetch(const bench *b, const void *from, size_t size)
{
    void *out = an_test_zeros(1, size);
    ok(cudaMemcpyAsync(out, from, size, cudaMemcpyDeviceToHost, b->stream));
    ok(cudaStreamSynchronize(b->stream));
    return out;
}

static an_lrn_args lrn_args(const bench *b)
{
    int group = b->group;
    return (an_lrn_args){
        .at = {.out = {b->normal, b->sums}, .in = {b->x}, .items = b->rows * (uint64_t)(b->g->channels / group)},
        .channels = b->g->channels,
        .width = b->g->width,
        .size = 5,
        .group = group,
        .alpha = ALPHA,
        .beta = 0.75F,
        .k = K,
        .from = an_rows_of(b->rows, b->g->channels, b->g->from),
        .to = an_rows_of(b->rows, b->g->channels, b->g->from),
        .stored = b->stored};
}

static an_pool_args pool_args(const bench *b, const void *from)
{
    return (an_pool_args){
        .at = {.out = {b->y, b->taken}, .in = {from}, .items = b->pooled * (uint64_t)(b->g->channels / b->group)},
        .channels = b->g->channels,
        .h = b->g->h,
        .w = b->g->w,
        .oh = b->oh,
        .ow = b->ow,
        .window = 3,
        .stride = 2,
        .pad = b->g->pad,
        .group = b->group,
        .from = an_rows_of(b->rows, b->g->channels, b->g->from),
        .to = an_rows_of(b->pooled, b->g->channels, b->g->to),
        .stored = b->stored};
}

static an_peaks_args peaks_args(const bench *b)
{
    const geometry *g = b->g;
    uint64_t parts = (uint64_t)((b->ow + g->across - 1) / g->across);
    return (an_peaks_args){
        .at = {.out = {b->y, b->taken},
               .in = {b->x},
               .items = N * (uint64_t)((b->oh + 1) / 2) * parts * (uint64_t)(g->channels / b->group)},
        .n = N,
        .channels = g->channels,
        .h = g->h,
        .w = g->w,
        .oh = b->oh,
        .ow = b->ow,
        .pad = g->pad,
        .across = g->across,
        .width = g->width,
        .alpha = ALPHA,
        .k = K,
        .from = an_rows_of(b->rows, g->channels, g->from),
        .to = an_rows_of(b->pooled, g->channels, g->to),
        .group = b->group};
}

static void forward_apart(const bench *b, bool normalised)
{
    const an_lrn_args lrn = lrn_args(b);
    const an_pool_args pool = pool_args(b, normalised ? b->normal : b->x);
    if (normalised)
        ok(an_kernel_lrn(&lrn, b->stream));
    ok(an_kernel_pool(&pool, b->stream));
}

static void forward_fused(const bench *b, bool normalised)
{
    const an_peaks_args args = peaks_args(b);
    ok(normalised ? an_kernel_lrn_peaks(&args, b->stream) : an_kernel_peaks(&args, b->stream));
}

/* Adds to dx if the geometry says so. */
static void backward_apart(const bench *b, bool normalised)
{
    int accumulate = b->g->accumulate, channels = b->g->channels;
    an_lrn_back_args lrn = {.lrn = lrn_args(b), .accumulate = accumulate};
    an_pool_back_args pool = {.pool = pool_args(b, NULL), .accumulate = normalised ? 0 : accumulate};
    uint64_t items = b->rows * (uint64_t)(channels / b->group);
    lrn.lrn.at = (an_kernel_places){.out = {b->dx}, .in = {b->x, b->sums, b->dnormal}, .items = items};
    pool.pool.at =
        (an_kernel_places){.out = {normalised ? b->dnormal : b->dx}, .in = {b->dy, b->taken}, .items = items};
    an_slope_args slope = {
        .at = {.out = {b->dx, b->partial}, .in = {b->x}, .items = CHUNKS * (uint64_t)(channels / b->group)},
        .rows = b->rows,
        .channels = channels,
        .chunks = CHUNKS,
        .group = b->group,
        .y = an_rows_of(b->rows, channels, b->g->from),
        .activation = b->g->rectified,
        .stored = b->stored};
    ok(an_kernel_pool_back(&pool, b->stream));
    if (normalised)
        ok(an_kernel_lrn_back(&lrn, b->stream));
    ok(an_kernel_slope(&slope, b->stream));
}

static void backward_fused(const bench *b, bool normalised)
{
    an_peaks_back_args args = {
        .peaks = peaks_args(b), .chunks = CHUNKS, .activation = b->g->rectified, .accumulate = b->g->accumulate};
    args.peaks.at = (an_kernel_places){.out = {b->dx, b->g->accumulate ? NULL : b->partial},
                                       .in = {b->x, b->dy, b->taken},
                                       .items = CHUNKS * (uint64_t)(b->g->channels / b->group)};
    ok(normalised ? an_kernel_lrn_peaks_back(&args, b->stream) : an_kernel_peaks_back(&args, b->stream));
}

typedef struct {
    void *y, *taken, *dx;
    float *partial;
} results;

static void results_free(results *r)
{
    free(r->y);
    free(r->taken);
    free(r->dx);
    free(r->partial);
}

static results run(const bench *b, bool normalised, bool fused)
{
    size_t channels = (size_t)b->g->channels, size = size_of(b->stored);
    fill(b, b->x, b->rows, 1, b->g->rectified);
    fill(b, b->dy, b->pooled, 2, false);
    fill(b, b->dx, b->rows, 3, false);
    ok(cudaMemsetAsync(b->y, 0, b->pooled * channels * size, b->stream));
    ok(cudaMemsetAsync(b->taken, 77, b->pooled * channels, b->stream));
    (fused ? forward_fused : forward_apart)(b, normalised);
    (fused ? backward_fused : backward_apart)(b, normalised);
    return (results){.y = fetch(b, b->y, b->pooled * channels * size),
                     .taken = fetch(b, b->taken, b->pooled * channels),
                     .dx = fetch(b, b->dx, b->rows * channels * size),
                     .partial = fetch(b, b->partial, CHUNKS * channels * sizeof(float))};
}

/* The channel of value i of x in memory. */
static size_t channel_of(const geometry *g, uint64_t rows, size_t i)
{
    size_t part = (size_t)(g->channels / g->from), half = i / (rows * part);
    return half * part + i % part;
}

/* The partial sums add up to the sums over dx. */
static void sums_right(const bench *b, const results *r)
{
    size_t channels = (size_t)b->g->channels;
    double *expected = an_test_zeros(channels, sizeof *expected);
    float *sums = an_test_zeros(channels, sizeof *sums);
    for (size_t i = 0; i < b->rows * channels; i++)
        expected[channel_of(b->g, b->rows, i)] += (double)value_of(r->dx, b->stored, i);
    for (size_t i = 0; i < CHUNKS * channels; i++)
        sums[i % channels] += r->partial[i];
    an_test_close("sums", sums, expected, channels, b->stored == AN_STORED_BF16 ? 1e-2 : 1e-5);
    free(expected);
    free(sums);
}

static void gradients_near(const bench *b, const results *fused, const results *apart)
{
    size_t count = b->rows * (size_t)b->g->channels;
    float *got = an_test_zeros(count, sizeof *got);
    double *expected = an_test_zeros(count, sizeof *expected);
    for (size_t i = 0; i < count; i++) {
        got[i] = value_of(fused->dx, b->stored, i);
        expected[i] = (double)value_of(apart->dx, b->stored, i);
    }
    an_test_close("gradient", got, expected, count, 1e-2);
    free(got);
    free(expected);
}

static void compare(const geometry *g, an_stored stored, bool normalised)
{
    bench b;
    bench_make(&b, g, stored);
    size_t channels = (size_t)g->channels, size = size_of(stored);
    results apart = run(&b, normalised, false), fused = run(&b, normalised, true), again = run(&b, normalised, true);
    assert_memory_equal(fused.y, apart.y, b.pooled * channels * size);
    assert_memory_equal(fused.taken, apart.taken, b.pooled * channels);
    if (stored == AN_STORED_F32)
        assert_memory_equal(fused.dx, apart.dx, b.rows * channels * size);
    gradients_near(&b, &fused, &apart);
    if (!g->accumulate)
        sums_right(&b, &fused);
    sums_right(&b, &apart);
    assert_memory_equal(fused.dx, again.dx, b.rows * channels * size);
    if (!g->accumulate)
        assert_memory_equal(fused.partial, again.partial, CHUNKS * channels * sizeof(float));
    results_free(&apart);
    results_free(&fused);
    results_free(&again);
    bench_free(&b);
}

static const geometry geometries[] = {
    {.channels = 32, .width = 16, .h = 7, .w = 9, .from = 1, .to = 1, .across = 4, .rectified = true},
    {.channels = 32, .width = 16, .h = 7, .w = 9, .from = 2, .to = 1, .across = 2, .rectified = true},
    {.channels = 32, .width = 16, .h = 9, .w = 7, .from = 1, .to = 2, .across = 3},
    {.channels = 32, .width = 16, .h = 8, .w = 6, .from = 2, .to = 2, .across = 1, .rectified = true}, /* overhanging */
    {.channels = 24, .width = 24, .h = 7, .w = 7, .pad = 1, .from = 1, .to = 1, .across = 2, .rectified = true},
    {.channels = 24, .width = 24, .h = 8, .w = 6, .pad = 2, .from = 1, .to = 1, .across = 7},
    {.channels = 16, .width = 8, .h = 6, .w = 5, .pad = 1, .from = 1, .to = 1, .across = 2, .accumulate = true},
    {.channels = 8, .width = 8, .h = 3, .w = 3, .from = 1, .to = 1, .across = 1, .rectified = true},
};
#define GEOMETRIES (sizeof geometries / sizeof *geometries)

static void test_normalised_pooling(void **state)
{
    (void)state;
    for (size_t i = 0; i < GEOMETRIES; i++) {
        compare(&geometries[i], AN_STORED_F32, true);
        compare(&geometries[i], AN_STORED_BF16, true);
    }
}

static void test_pooling(void **state)
{
    (void)state;
    for (size_t i = 0; i < GEOMETRIES; i++) {
        compare(&geometries[i], AN_STORED_F32, false);
        compare(&geometries[i], AN_STORED_BF16, false);
    }
}

/* A NaN of either sign, and infinities of both. */
static void special_put(const bench *b)
{
    static const float values[] = {NAN, INFINITY, -INFINITY, -NAN};
    for (size_t i = 0; i < 4; i++) {
        const char *bits = (const char *)&values[i];
        size_t size = size_of(b->stored), place = (i * 37 + 11) * size;
        ok(cudaMemcpyAsync((char *)b->x + place, bits + 4 - size, size, cudaMemcpyHostToDevice, b->stream));
        ok(cudaStreamSynchronize(b->stream));
    }
}

static void special_pass(an_stored stored, bool normalised)
{
    bench b;
    void *y[2], *taken[2];
    int found = 0;
    bench_make(&b, &geometries[0], stored);
    size_t count = b.pooled * (size_t)b.g->channels;
    for (int fused = 0; fused < 2; fused++) {
        fill(&b, b.x, b.rows, 1, false);
        special_put(&b);
        (fused ? forward_fused : forward_apart)(&b, normalised);
        y[fused] = fetch(&b, b.y, count * size_of(stored));
        taken[fused] = fetch(&b, b.taken, count);
    }
    for (size_t i = 0; i < count; i++) {
        float one = value_of(y[0], stored, i), other = value_of(y[1], stored, i);
        assert_true(one == other || (isnan(one) && isnan(other)));
        found += isnan(one);
    }
    assert_true(found > 0);
    assert_memory_equal(taken[0], taken[1], count);
    for (int i = 0; i < 2; i++) {
        free(y[i]);
        free(taken[i]);
    }
    bench_free(&b);
}

static void test_what_is_not_finite_passes(void **state)
{
    (void)state;
    for (int normalised = 0; normalised < 2; normalised++) {
        special_pass(AN_STORED_F32, normalised);
        special_pass(AN_STORED_BF16, normalised);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalised_pooling),
        cmocka_unit_test(test_pooling),
        cmocka_unit_test(test_what_is_not_finite_passes),
    };
    (void)emu_violations(NULL, 0); /* from now on collected */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
