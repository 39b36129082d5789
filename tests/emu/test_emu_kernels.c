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
#include "tests/emu/emu.h"
#include "tests/emu/expect.h"

#define CHANNELS 48
#define SIDE 7
#define COUNT ((size_t)2 * SIDE * SIDE * CHANNELS)
#define FLOATS (COUNT * sizeof(float))

typedef struct {
    cudaStream_t stream;
    void *x, *y, *more, *dy, *dx;
} bench;

/* Fills a buffer with random fp32 values, or with their upper halves as bf16. */
static void fill(const bench *b, void *to, an_stored stored, uint64_t stream)
{
    float *values = an_test_random(COUNT, stream);
    uint16_t *halves = an_test_zeros(COUNT, sizeof *halves);
    for (size_t i = 0; i < COUNT; i++)
        memcpy(&halves[i], (const char *)&values[i] + 2, sizeof *halves);
    bool bf16 = stored == AN_STORED_BF16;
    ok(cudaMemcpyAsync(to, bf16 ? (void *)halves : values, bf16 ? FLOATS / 2 : FLOATS, cudaMemcpyHostToDevice,
                       b->stream));
    ok(cudaStreamSynchronize(b->stream));
    free(values);
    free(halves);
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

/* A buffer's contents; the caller frees it. */
static void *fetch(const bench *b, const void *from)
{
    void *out = an_test_zeros(1, FLOATS);
    ok(cudaMemcpyAsync(out, from, FLOATS, cudaMemcpyDeviceToHost, b->stream));
    ok(cudaStreamSynchronize(b->stream));
    return out;
}

static void bench_fill(const bench *b, an_stored stored)
{
    fill(b, b->x, stored, 1);
    fill(b, b->dy, stored, 2);
    fill(b, b->dx, stored, 3); /* another layer's gradient, to which the kernel adds */
    ok(cudaMemsetAsync(b->y, 0, FLOATS, b->stream));
    ok(cudaMemsetAsync(b->more, 0, FLOATS, b->stream));
}

typedef void (*passes)(const bench *b, an_stored stored, int group);

/* Runs forward and backward in groups and channel by channel, and compares y, what forward keeps, and dx. */
static void same_bits(passes run, an_stored stored)
{
    bench b;
    void *results[2][3];
    bench_make(&b);
    for (int i = 0; i < 2; i++) {
        bench_fill(&b, stored);
        run(&b, stored, i ? an_kernel_group(stored, CHANNELS) : 1);
        const void *const places[] = {b.y, b.more, b.dx};
        for (int k = 0; k < 3; k++)
            results[i][k] = fetch(&b, places[k]);
    }
    for (int k = 0; k < 3; k++) {
        assert_memory_equal(results[0][k], results[1][k], FLOATS);
        free(results[0][k]);
        free(results[1][k]);
    }
    bench_free(&b);
    char text[512];
    if (emu_violations(text, sizeof text))
        fail_msg("%s", text);
}

static void lrn_passes(const bench *b, an_stored stored, int group)
{
    an_lrn_args forward = {.at = {.out = {b->y, b->more}, .in = {b->x}, .items = COUNT / (size_t)group},
                           .channels = CHANNELS,
                           .width = CHANNELS / 2,
                           .size = 5,
                           .group = group,
                           .alpha = 0.1F,
                           .beta = 0.75F,
                           .k = 2,
                           .stored = stored};
    an_lrn_back_args backward = {.lrn = forward, .accumulate = 1};
    backward.lrn.at = (an_kernel_places){.out = {b->dx}, .in = {b->x, b->more, b->dy}, .items = COUNT / (size_t)group};
    ok(an_kernel_lrn(&forward, b->stream));
    ok(an_kernel_lrn_back(&backward, b->stream));
}

/* Windows of 3 x 3 that overlap, begin in the padding and extend beyond the right and lower edge. */
static void pool_passes_of(const bench *b, an_stored stored, int group, int average)
{
    int out = (SIDE + 2) / 2;
    size_t outputs = (size_t)(2 * out * out * CHANNELS);
    an_pool_args forward = {
        .at = {.out = {b->y, average ? NULL : b->more}, .in = {b->x}, .items = outputs / (size_t)group},
        .channels = CHANNELS,
        .h = SIDE,
        .w = SIDE,
        .oh = out,
        .ow = out,
        .window = 3,
        .stride = 2,
        .pad = 1,
        .average = average,
        .group = group,
        .stored = stored};
    an_pool_back_args backward = {.pool = forward, .accumulate = 1};
    backward.pool.at =
        (an_kernel_places){.out = {b->dx}, .in = {b->dy, average ? NULL : b->more}, .items = COUNT / (size_t)group};
    ok(an_kernel_pool(&forward, b->stream));
    ok(an_kernel_pool_back(&backward, b->stream));
}

static void maximum_passes(const bench *b, an_stored stored, int group)
{
    pool_passes_of(b, stored, group, 0);
}

static void mean_passes(const bench *b, an_stored stored, int group)
{
    pool_passes_of(b, stored, group, 1);
}

static void test_pooling(void **state)
{
    (void)state;
    same_bits(maximum_passes, AN_STORED_F32);
    same_bits(maximum_passes, AN_STORED_BF16);
    same_bits(mean_passes, AN_STORED_F32);
    same_bits(mean_passes, AN_STORED_BF16);
}

static void test_normalisation(void **state)
{
    (void)state;
    same_bits(lrn_passes, AN_STORED_F32);
    same_bits(lrn_passes, AN_STORED_BF16);
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

/* The sum over lanes in the order of kernels.cu: halves of the warp exchange their sums, then quarters, and so on. */
static double shuffled_sum(double lanes[LANES])
{
    for (int half = LANES / 2; half; half /= 2)
        for (int lane = 0; lane < half; lane++)
            lanes[lane] += lanes[lane + half];
    return lanes[0];
}

static void bias_run(const bench *b, float sums[CHANNELS])
{
    an_bias_args args = {
        .at = {.out = {b->y}, .in = {b->x}, .items = CHANNELS}, .channels = CHANNELS, .chunks = CHUNKS};
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

static void loss_of_lanes(an_stored stored)
{
    static const uint32_t labels[ROWS] = {0, 31, 32, 64, CLASSES - 1};
    bench b;
    losses alone, warp, missing;
    bench_make(&b);
    fill(&b, b.x, stored, 1);
    ok(cudaMemcpyAsync(b.dy, labels, sizeof labels, cudaMemcpyHostToDevice, b.stream));
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
    for (int i = 0; i < ROWS && stored == AN_STORED_F32; i++)
        assert_true(warp.rows[i].loss == loss_expected(x + i * CLASSES, labels[i]));
    free(x);
    bench_free(&b);
    expect(NULL);
}

static void test_loss_of_lanes(void **state)
{
    (void)state;
    loss_of_lanes(AN_STORED_F32);
    loss_of_lanes(AN_STORED_BF16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalisation),
        cmocka_unit_test(test_pooling),
        cmocka_unit_test(test_groups_fill_sixteen_bytes),
        cmocka_unit_test(test_bias_sums_of_lanes),
        cmocka_unit_test(test_loss_of_lanes),
    };
    (void)emu_violations(NULL, 0); /* from now on collected */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
