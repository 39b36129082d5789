/* Kernels whose threads take whole groups of channels: the same bits as channel by channel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cuda_runtime_api.h>
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

/* Values, as fp32 or, their upper halves, as bf16. */
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

/* What a kernel left at a place. */
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
    fill(b, b->dx, stored, 3); /* of another consumer, to which is added */
    ok(cudaMemsetAsync(b->y, 0, FLOATS, b->stream));
    ok(cudaMemsetAsync(b->more, 0, FLOATS, b->stream));
}

typedef void (*passes)(const bench *b, an_stored stored, int group);

/* Forward, and backward added to a gradient: y, what is kept and dx. */
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

/* Windows of three overlap, hang over to the right and begin in the padding. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalisation),
        cmocka_unit_test(test_pooling),
        cmocka_unit_test(test_groups_fill_sixteen_bytes),
    };
    (void)emu_violations(NULL, 0); /* from now on collected */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
