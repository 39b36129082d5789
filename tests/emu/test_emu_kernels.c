/* The backend's kernels. Where threads work on groups of channels, they give the same bits as channel by channel. Where
 * a warp works on an item, 32 lanes give the same result as one but for rounding, and exactly that of the stated order.
 */
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

#define CHANNELS 48
#define SIDE 7
#define ROWS_X ((size_t)2 * SIDE * SIDE)
#define COUNT (ROWS_X * CHANNELS)
#define FLOATS (COUNT * sizeof(float))

typedef struct {
    cudaStream_t stream;
    void *x, *y, *more, *dy, *dx;
} bench;

/* How a run computes: the type in memory, the values of an item, and the parts in which x and y lie. */
typedef struct {
    an_stored stored;
    int group, from, to;
} variant;

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

/* Copies rows of CHANNELS values of size bytes each from one part into parts, or back. */
static void lay(void *to, const void *from, size_t rows, size_t size, int parts, bool back)
{
    size_t channels = CHANNELS / (size_t)parts;
    for (size_t i = 0; i < rows * CHANNELS; i++) {
        size_t row = i / CHANNELS, c = i % CHANNELS;
        size_t place = (c / channels * rows + row) * channels + c % channels;
        memcpy((char *)to + (back ? i : place) * size, (const char *)from + (back ? place : i) * size, size);
    }
}

/* Fills a buffer with as many rows of random fp32 values as given, or with their upper halves as bf16, in parts. */
static void fill_parts(const bench *b, void *to, an_stored stored, uint64_t stream, size_t rows, int parts)
{
    size_t count = rows * CHANNELS, size = count * size_of(stored);
    float *values = an_test_random(count, stream);
    uint16_t *halves = an_test_zeros(count, sizeof *halves);
    void *laid = an_test_zeros(1, size);
    for (size_t i = 0; i < count; i++)
        memcpy(&halves[i], (const char *)&values[i] + 2, sizeof *halves);
    lay(laid, stored == AN_STORED_BF16 ? (void *)halves : values, rows, size_of(stored), parts, false);
    ok(cudaMemcpyAsync(to, laid, size, cudaMemcpyHostToDevice, b->stream));
    ok(cudaStreamSynchronize(b->stream));
    free(laid);
    free(values);
    free(halves);
}

static void fill(const bench *b, void *to, an_stored stored, uint64_t stream)
{
    fill_parts(b, to, stored, stream, ROWS_X, 1);
}

static void bench_make(bench *b)
{
    ok(cudaSetDevice(0));
    ok(cudaStreamCreateWithFlags(&b->stream, cudaStreamNonBlocking));
    void **const all[] = {&b->x, &b->y, &b->more, &b->dy, &b->dx};
    for (size_t i = 0; i < 5; i++)
        ok(cudaMalloc(all[i], FLOATS));
}

static void bench_free(bench *b)
{
    void *const all[] = {b->x, b->y, b->more, b->dy, b->dx};
    for (size_t i = 0; i < 5; i++)
        ok(cudaFree(all[i]));
    ok(cudaStreamDestroy(b->stream));
}

/* The contents of rows of values of size bytes that lie in parts, as if they lay in one; the caller frees them. */
static void *fetch(const bench *b, const void *from, size_t rows, size_t size, int parts)
{
    void *laid = an_test_zeros(rows * CHANNELS, size), *out = an_test_zeros(rows * CHANNELS, size);
    ok(cudaMemcpyAsync(laid, from, rows * CHANNELS * size, cudaMemcpyDeviceToHost, b->stream));
    ok(cudaStreamSynchronize(b->stream));
    lay(out, laid, rows, size, parts, true);
    free(laid);
    return out;
}

/* Forward and backward of a kind of layer: its rows of y, and the bytes of each value that forward keeps. */
typedef struct {
    void (*run)(const bench *b, const variant *v);
    size_t rows, kept;
} passes;

static void bench_fill(const bench *b, const passes *p, const variant *v)
{
    fill_parts(b, b->x, v->stored, 1, ROWS_X, v->from);
    fill_parts(b, b->dy, v->stored, 2, p->rows, v->to);
    fill_parts(b, b->dx, v->stored, 3, ROWS_X, v->from); /* another layer's gradient, to which the kernel adds */
    ok(cudaMemsetAsync(b->y, 0, FLOATS, b->stream));
    ok(cudaMemsetAsync(b->more, 0, FLOATS, b->stream));
}

/* y, what forward keeps, and dx. */
static void passes_run(const bench *b, const passes *p, const variant *v, void *results[3])
{
    bench_fill(b, p, v);
    p->run(b, v);
    results[0] = fetch(b, b->y, p->rows, size_of(v->stored), v->to);
    results[1] = p->kept ? fetch(b, b->more, p->rows, p->kept, v->to) : NULL;
    results[2] = fetch(b, b->dx, ROWS_X, size_of(v->stored), v->from);
}

static void results_free(void *results[3])
{
    for (int k = 0; k < 3; k++)
        free(results[k]);
}

/* Whatever the groups and parts, the bits are the same. */
static void same_bits(const passes *p, an_stored stored)
{
    const int group = an_kernel_group(stored, CHANNELS / 2);
    const variant variants[] = {
        {stored, group, 1, 1}, {stored, group, 2, 2}, {stored, group, 1, 2},
        {stored, group, 2, 1}, {stored, 1, 2, 1},     {stored, 1, 1, 2},
    };
    bench b;
    void *expected[3], *got[3];
    bench_make(&b);
    passes_run(&b, p, &(variant){stored, 1, 1, 1}, expected);
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        passes_run(&b, p, &variants[i], got);
        assert_memory_equal(got[0], expected[0], p->rows * CHANNELS * size_of(stored));
        if (p->kept)
            assert_memory_equal(got[1], expected[1], p->rows * CHANNELS * p->kept);
        assert_memory_equal(got[2], expected[2], COUNT * size_of(stored));
        results_free(got);
    }
    results_free(expected);
    bench_free(&b);
    expect(NULL);
}

static void lrn_passes(const bench *b, const variant *v)
{
    size_t items = COUNT / (size_t)v->group;
    an_lrn_args forward = {.at = {.out = {b->y, b->more}, .in = {b->x}, .items = items},
                           .channels = CHANNELS,
                           .width = CHANNELS / 2,
                           .size = 5,
                           .group = v->group,
                           .alpha = 0.1F,
                           .beta = 0.75F,
                           .k = 2,
                           .from = an_rows_of(ROWS_X, CHANNELS, v->from),
                           .to = an_rows_of(ROWS_X, CHANNELS, v->to),
                           .stored = v->stored};
    an_lrn_back_args backward = {.lrn = forward, .accumulate = 1};
    backward.lrn.at = (an_kernel_places){.out = {b->dx}, .in = {b->x, b->more, b->dy}, .items = items};
    ok(an_kernel_lrn(&forward, b->stream));
    ok(an_kernel_lrn_back(&backward, b->stream));
}

/* Windows of 3 x 3 that overlap, begin in the padding and extend beyond the right and lower edge. */
#define POOLED ((SIDE + 2) / 2)
#define ROWS_POOLED ((size_t)2 * POOLED * POOLED)

static void pool_passes_of(const bench *b, const variant *v, int average)
{
    an_pool_args forward = {.at = {.out = {b->y, average ? NULL : b->more},
                                   .in = {b->x},
                                   .items = ROWS_POOLED * CHANNELS / (size_t)v->group},
                            .channels = CHANNELS,
                            .h = SIDE,
                            .w = SIDE,
                            .oh = POOLED,
                            .ow = POOLED,
                            .window = 3,
                            .stride = 2,
                            .pad = 1,
                            .average = average,
                            .group = v->group,
                            .from = an_rows_of(ROWS_X, CHANNELS, v->from),
                            .to = an_rows_of(ROWS_POOLED, CHANNELS, v->to),
                            .stored = v->stored};
    an_pool_back_args backward = {.pool = forward, .accumulate = 1};
    backward.pool.at =
        (an_kernel_places){.out = {b->dx}, .in = {b->dy, average ? NULL : b->more}, .items = COUNT / (size_t)v->group};
    ok(an_kernel_pool(&forward, b->stream));
    ok(an_kernel_pool_back(&backward, b->stream));
}

static void maximum_passes(const bench *b, const variant *v)
{
    pool_passes_of(b, v, 0);
}

static void mean_passes(const bench *b, const variant *v)
{
    pool_passes_of(b, v, 1);
}

static void test_pooling(void **state)
{
    (void)state;
    static const passes maximum = {maximum_passes, ROWS_POOLED, 1}, mean = {mean_passes, ROWS_POOLED, 0};
    same_bits(&maximum, AN_STORED_F32);
    same_bits(&maximum, AN_STORED_BF16);
    same_bits(&mean, AN_STORED_F32);
    same_bits(&mean, AN_STORED_BF16);
}

static void test_normalisation(void **state)
{
    (void)state;
    static const passes lrn = {lrn_passes, ROWS_X, sizeof(float)};
    same_bits(&lrn, AN_STORED_F32);
    same_bits(&lrn, AN_STORED_BF16);
}

/* The gradient before a rectifier and its sums over chunks of rows, which are not all of the same size. */
#define CHUNKS_OF_ROWS 3

static void slope_passes(const bench *b, const variant *v)
{
    an_slope_args args = {.at = {.out = {b->dx, b->more},
                                 .in = {b->x},
                                 .items = (uint64_t)CHUNKS_OF_ROWS * CHANNELS / (uint64_t)v->group},
                          .rows = ROWS_X,
                          .channels = CHANNELS,
                          .chunks = CHUNKS_OF_ROWS,
                          .group = v->group,
                          .y = an_rows_of(ROWS_X, CHANNELS, v->from),
                          .activation = 1,
                          .stored = v->stored};
    ok(an_kernel_slope(&args, b->stream));
}

/* out: the gradient. sums: of chunks x channels. */
static void slope_expected(float out[COUNT], double sums[CHUNKS_OF_ROWS * CHANNELS])
{
    float *x = an_test_random(COUNT, 1), *dx = an_test_random(COUNT, 3);
    for (size_t i = 0; i < COUNT; i++) {
        out[i] = x[i] > 0 ? dx[i] : 0;
        sums[i / CHANNELS % CHUNKS_OF_ROWS * CHANNELS + i % CHANNELS] += (double)out[i];
    }
    free(x);
    free(dx);
}

static void slopes_right(an_stored stored)
{
    static const passes slope = {slope_passes, ROWS_X, sizeof(float)};
    const int group = an_kernel_group(stored, CHANNELS / 2);
    const variant variants[] = {{stored, 1, 1, 1}, {stored, group, 1, 1}, {stored, group, 2, 1}, {stored, 1, 2, 1}};
    double sums[CHUNKS_OF_ROWS * CHANNELS] = {0};
    float *expected = an_test_zeros(COUNT, sizeof *expected);
    bench b;
    bench_make(&b);
    slope_expected(expected, sums);
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        void *results[3];
        passes_run(&b, &slope, &variants[i], results);
        for (size_t k = 0; k < COUNT; k++)
            assert_true(value_of(results[2], stored, k) == expected[k]);
        an_test_close("sums", results[1], sums, CHUNKS_OF_ROWS * CHANNELS, 1e-5);
        results_free(results);
    }
    free(expected);
    bench_free(&b);
    expect(NULL);
}

static void test_slope(void **state)
{
    (void)state;
    slopes_right(AN_STORED_F32);
    slopes_right(AN_STORED_BF16);
}

static void test_groups_fill_sixteen_bytes(void **state)
{
    (void)state;
    assert_int_equal(an_kernel_group(AN_STORED_F32, 48), 4);
    assert_int_equal(an_kernel_group(AN_STORED_BF16, 48), 8);
    assert_int_equal(an_kernel_group(AN_STORED_BF16, 12), 1);
    assert_int_equal(an_kernel_group(AN_STORED_F32, 6), 1);
}

#define LANES 32
#define CHUNKS 70
#define ROWS 5
#define CLASSES 83 /* not a multiple of the lanes */

/* The sum over lanes in the order of launch.h: halves of the warp exchange their sums, then quarters, and so on. */
static double shuffled_sum(double lanes[LANES])
{
    for (int half = LANES / 2; half; half /= 2)
        for (int lane = 0; lane < half; lane++)
            lanes[lane] += lanes[lane + half];
    return lanes[0];
}

static void bias_run(const bench *b, float sums[CHANNELS])
{
    an_bias_args args = {.at = {.out = {b->y}, .in = {b->x}, .items = CHANNELS / 4},
                         .channels = CHANNELS,
                         .chunks = CHUNKS,
                         .slices = 1};
    ok(an_kernel_bias(&args, b->stream));
    ok(cudaMemcpyAsync(sums, b->y, CHANNELS * sizeof *sums, cudaMemcpyDeviceToHost, b->stream));
}

static void bias_expected(const float *x, float sums[CHANNELS])
{
    for (int c = 0; c < CHANNELS; c++) {
        float parts[LANES] = {0};
        double lanes[LANES];
        for (int chunk = 0; chunk < CHUNKS; chunk++)
            parts[chunk % LANES] += x[chunk * CHANNELS + c];
        for (int lane = 0; lane < LANES; lane++)
            lanes[lane] = (double)parts[lane];
        sums[c] = (float)shuffled_sum(lanes);
    }
}

static bool is_near(const float *a, const float *b, size_t count)
{
    bool near = true;
    for (size_t i = 0; i < count; i++)
        near = near && fabsf(a[i] - b[i]) <= 1e-5F * (1 + fabsf(b[i]));
    return near;
}

static void test_bias_sums_of_lanes(void **state)
{
    (void)state;
    bench b;
    float alone[CHANNELS], warp[CHANNELS], missing[CHANNELS], expected[CHANNELS];
    float *x = an_test_random(COUNT, 1);
    bench_make(&b);
    fill(&b, b.x, AN_STORED_F32, 1);
    bias_run(&b, warp);
    emu_lanes_set(1);
    bias_run(&b, alone);
    emu_lanes_set(LANES);
    emu_drop_lane(17);
    bias_run(&b, missing);
    emu_drop_lane(-1);
    bias_expected(x, expected);
    assert_memory_equal(warp, expected, sizeof warp);
    assert_true(is_near(warp, alone, CHANNELS));
    assert_false(is_near(missing, alone, CHANNELS));
    free(x);
    bench_free(&b);
    expect(NULL);
}

/* Slices of 24, 24 and 22 chunks, and of a number of channels that does not divide into groups. */
static void bias_slices(int channels)
{
    enum { SLICES = 3, EACH = 24 };
    bench b;
    float *x = an_test_random(COUNT, 1);
    double expected[SLICES * CHANNELS] = {0};
    an_bias_args args = {.channels = channels, .chunks = CHUNKS, .slices = SLICES};
    bench_make(&b);
    fill(&b, b.x, AN_STORED_F32, 1);
    args.at = (an_kernel_places){
        .out = {b.y}, .in = {b.x}, .items = (uint64_t)(SLICES * (channels % 4 ? channels : channels / 4))};
    ok(an_kernel_bias(&args, b.stream));
    float *got = fetch(&b, b.y, SLICES, sizeof *got, 1);
    for (int i = 0; i < CHUNKS * channels; i++)
        expected[i / channels / EACH * channels + i % channels] += (double)x[i];
    an_test_close("slices", got, expected, (size_t)(SLICES * channels), 1e-5);
    free(got);
    free(x);
    bench_free(&b);
    expect(NULL);
}

static void test_bias_in_slices(void **state)
{
    (void)state;
    bias_slices(CHANNELS);
    bias_slices(CHANNELS - 2);
}

typedef struct {
    float probabilities[ROWS * CLASSES];
    an_row_result rows[ROWS];
} losses;

static void loss_run(const bench *b, an_stored stored, losses *out)
{
    an_loss_args args = {
        .at = {.out = {b->y, b->more}, .in = {b->x, b->dy}, .items = ROWS}, .classes = CLASSES, .stored = stored};
    ok(an_kernel_loss(&args, b->stream));
    ok(cudaMemcpyAsync(out->probabilities, b->y, sizeof out->probabilities, cudaMemcpyDeviceToHost, b->stream));
    ok(cudaMemcpyAsync(out->rows, b->more, sizeof out->rows, cudaMemcpyDeviceToHost, b->stream));
}

static bool losses_near(const losses *a, const losses *b)
{
    bool near = is_near(a->probabilities, b->probabilities, ROWS * CLASSES);
    for (int i = 0; i < ROWS; i++)
        near = near && is_near(&a->rows[i].loss, &b->rows[i].loss, 1) && a->rows[i].rank == b->rows[i].rank;
    return near;
}

/* -log of the softmax, summed in the order of the lanes. */
static float loss_expected(const float *x, uint32_t label)
{
    double lanes[LANES] = {0};
    float most = x[0];
    for (int i = 1; i < CLASSES; i++)
        most = x[i] > most ? x[i] : most;
    for (int i = 0; i < CLASSES; i++)
        lanes[i % LANES] += exp((double)x[i] - (double)most);
    return (float)((double)most + log(shuffled_sum(lanes)) - (double)x[label]);
}

/* smooth: what all classes have of each row's target. */
static void loss_of_lanes(an_stored stored, float smooth)
{
    static const uint32_t labels[ROWS] = {0, 31, 32, 64, CLASSES - 1};
    an_target_row targets[ROWS];
    bench b;
    losses alone, warp, missing;
    bench_make(&b);
    fill(&b, b.x, stored, 1);
    for (int i = 0; i < ROWS; i++)
        targets[i] =
            (an_target_row){.label = labels[i], .other = labels[i], .own = 1, .smooth = smooth, .sum = 1, .scale = 1};
    ok(cudaMemcpyAsync(b.dy, targets, sizeof targets, cudaMemcpyHostToDevice, b.stream));
    loss_run(&b, stored, &warp);
    emu_lanes_set(1);
    loss_run(&b, stored, &alone);
    emu_lanes_set(LANES);
    assert_true(losses_near(&warp, &alone));
    for (int lane = 0; lane < LANES; lane++) {
        emu_drop_lane(lane);
        loss_run(&b, stored, &missing);
        assert_false(losses_near(&missing, &alone));
    }
    emu_drop_lane(-1);
    float *x = an_test_random(COUNT, 1);
    for (int i = 0; i < ROWS && stored == AN_STORED_F32 && smooth == 0; i++)
        assert_true(warp.rows[i].loss == loss_expected(x + i * CLASSES, labels[i]));
    free(x);
    bench_free(&b);
    expect(NULL);
}

static void test_loss_of_lanes(void **state)
{
    (void)state;
    loss_of_lanes(AN_STORED_F32, 0);
    loss_of_lanes(AN_STORED_BF16, 0);
    loss_of_lanes(AN_STORED_F32, 0.1F);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalisation),
        cmocka_unit_test(test_pooling),
        cmocka_unit_test(test_slope),
        cmocka_unit_test(test_groups_fill_sixteen_bytes),
        cmocka_unit_test(test_bias_sums_of_lanes),
        cmocka_unit_test(test_bias_in_slices),
        cmocka_unit_test(test_loss_of_lanes),
    };
    (void)emu_violations(NULL, 0); /* from now on collected */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
