/* The kernels with which the libraries' kernels are compared: random operands, references at many places, and digests.
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

#define COUNT 4096
#define FLOATS (COUNT * sizeof(float))
#define PLACES 512

enum { X, W, DY, B, RESULT, BUFFERS };

typedef struct {
    cudaStream_t stream;
    void *at[BUFFERS];
    float *values[BUFFERS]; /* what the operands hold, on the host */
} bench;

static void *fetch(const bench *b, const void *from, size_t size)
{
    void *out = an_test_zeros(1, size);
    ok(cudaMemcpyAsync(out, from, size, cudaMemcpyDeviceToHost, b->stream));
    ok(cudaStreamSynchronize(b->stream));
    return out;
}

static void fill(const bench *b, int buffer, an_stored stored, uint32_t seed, float scale)
{
    an_fill_args args = {
        .at = {.out = {b->at[buffer]}, .items = COUNT}, .seed = seed, .scale = scale, .stored = stored};
    ok(an_kernel_fill(&args, b->stream));
}

static void bench_make(bench *b)
{
    memset(b, 0, sizeof *b);
    ok(cudaSetDevice(0));
    ok(cudaStreamCreateWithFlags(&b->stream, cudaStreamNonBlocking));
    for (int i = 0; i < BUFFERS; i++)
        ok(cudaMalloc(&b->at[i], 2 * FLOATS));
    for (int i = 0; i < RESULT; i++) {
        fill(b, i, AN_STORED_F32, (uint32_t)i, 1);
        b->values[i] = fetch(b, b->at[i], FLOATS);
    }
}

static void bench_free(bench *b)
{
    for (int i = 0; i < BUFFERS; i++) {
        ok(cudaFree(b->at[i]));
        free(b->values[i]);
    }
    ok(cudaStreamDestroy(b->stream));
    char text[512];
    if (emu_violations(text, sizeof text))
        fail_msg("%s", text);
}

/* Uniform between -scale and scale, others at every place and for every seed, and the same each time. */
static void test_random_operands(void **state)
{
    (void)state;
    bench b;
    float *values[3];
    double sum = 0, squares = 0;
    size_t same = 0;
    bench_make(&b);
    for (uint32_t i = 0; i < 3; i++) {
        fill(&b, RESULT, AN_STORED_F32, i / 2, 0.5F);
        values[i] = fetch(&b, b.at[RESULT], FLOATS);
    }
    assert_memory_equal(values[0], values[1], FLOATS);
    for (size_t i = 0; i < COUNT; i++) {
        float value = values[0][i];
        assert_true(value > -0.5F && value < 0.5F);
        sum += value;
        squares += (double)value * value;
        same += value == values[2][i] || (i && value == values[0][i - 1]);
    }
    assert_true(fabs(sum / COUNT) < 0.02 && fabs(squares / COUNT - 0.25 / 3) < 0.005 && same < 3);
    for (int i = 0; i < 3; i++)
        free(values[i]);
    bench_free(&b);
}

/* A convolution with groups, a stride and unequal padding; pixels may lie apart in memory. */
static an_proof_conv_args convolution(const bench *b, int row)
{
    return (an_proof_conv_args){
        .at = {.out = {b->at[RESULT]}, .in = {b->at[X], b->at[W], b->at[DY], b->at[B]}, .items = PLACES},
        .n = 2,
        .c = 4,
        .h = 7,
        .w = 8,
        .k = 6,
        .oh = 4,
        .ow = 4,
        .kernel = 3,
        .stride = 2,
        .pad = 1,
        .groups = 2,
        .x_row = row ? row : 4,
        .y_row = row ? row : 6,
        .seed = 3,
        .each = 1};
}

typedef struct {
    double y[2][4][4][6], dx[2][7][8][4], dw[6][3][3][2];
} convolved;

/* All results, product by product. */
static void convolve(const bench *b, const an_proof_conv_args *a, convolved *out)
{
    memset(out, 0, sizeof *out);
    for (int i = 0; i < 2 * 4 * 4 * 6 * 3 * 3 * 2; i++) {
        int channel = i % 2, kx = i / 2 % 3, ky = i / 6 % 3, o = i / 18 % 6, x = i / 108 % 4, y = i / 432 % 4;
        int n = i / 1728, iy = y * 2 - 1 + ky, ix = x * 2 - 1 + kx, c = o / 3 * 2 + channel;
        if (iy < 0 || iy >= 7 || ix < 0 || ix >= 8)
            continue;
        double image = (double)b->values[X][((n * 7 + iy) * 8 + ix) * a->x_row + c];
        double weight = (double)b->values[W][((o * 3 + ky) * 3 + kx) * 2 + channel];
        double slope = (double)b->values[DY][((n * 4 + y) * 4 + x) * a->y_row + o];
        out->y[n][y][x][o] += image * weight;
        out->dx[n][iy][ix][c] += slope * weight;
        out->dw[o][ky][kx][channel] += image * slope;
    }
    for (int i = 0; i < 2 * 4 * 4 * 6; i++)
        ((double *)out->y)[i] += (double)b->values[B][i % 6];
}

/* Compares the references with all results, which lie row values apart in memory, channels to a row. */
static void check_points(const bench *b, const double *expected, uint64_t count, uint64_t channels, uint64_t row)
{
    an_proof_point *points = fetch(b, b->at[RESULT], PLACES * sizeof *points);
    bool first = false, last = false;
    for (int i = 0; i < PLACES; i++) {
        uint64_t at = points[i].index / row * channels + points[i].index % row;
        assert_true(points[i].index % row < channels && at < count);
        assert_true(fabs(points[i].value - expected[at]) < 1e-6 && points[i].spread >= 1);
        first = first || at == 0;
        last = last || at == count - 1;
    }
    assert_true(first && last);
    free(points);
}

/* What a product is added to comes after one rounding more, that of the product. */
static void check_rounded(const bench *b, const double *expected, const float *added, bool bias)
{
    an_proof_point *points = fetch(b, b->at[RESULT], PLACES * sizeof *points);
    for (int i = 0; i < PLACES && !(bias && added); i++) { /* no product of the network has both */
        uint64_t at = points[i].index;
        double product = added ? fabs(expected[at] - (double)added[at]) : 0;
        assert_true(fabs(points[i].rounded - fabs(expected[at]) - product) < 1e-6);
    }
    free(points);
}

static void test_references_of_convolutions(void **state)
{
    (void)state;
    bench b;
    convolved expected;
    bench_make(&b);
    for (int row = 0; row < 20; row += 9) { /* without gaps, and with two sizes of them */
        an_proof_conv_args args = convolution(&b, row);
        convolve(&b, &args, &expected);
        ok(an_kernel_proof_conv(&args, b.stream));
        check_points(&b, (double *)expected.y, 2 * 4 * 4 * 6, 6, (uint64_t)args.y_row);
        args.data = 1;
        ok(an_kernel_proof_conv(&args, b.stream));
        check_points(&b, (double *)expected.dx, 2 * 7 * 8 * 4, 4, (uint64_t)args.x_row);
        ok(an_kernel_proof_weights(&args, b.stream));
        check_points(&b, (double *)expected.dw, 6 * 3 * 3 * 2, 2, 2);
    }
    bench_free(&b);
}

/* D = op(A) op(B), column-major, with and without a bias, rectified, and added to what is there. */
static void check_product(const bench *b, bool turn_a, bool turn_b, bool bias, bool add)
{
    enum { M = 5, N = 7, K = 11 };
    double expected[M * N];
    an_proof_product_args args = {.at = {.out = {b->at[RESULT]},
                                         .in = {b->at[X], b->at[W], bias ? b->at[B] : NULL, add ? b->at[DY] : NULL},
                                         .items = PLACES},
                                  .m = M,
                                  .n = N,
                                  .k = K,
                                  .turn_a = turn_a,
                                  .turn_b = turn_b,
                                  .relu = bias,
                                  .each = 1};
    for (int i = 0; i < M * N; i++) {
        int row = i % M, column = i / M;
        expected[i] = add ? (double)b->values[DY][i] : 0;
        for (int k = 0; k < K; k++)
            expected[i] += (double)b->values[X][turn_a ? row * K + k : k * M + row] *
                           (double)b->values[W][turn_b ? k * N + column : column * K + k];
        if (bias)
            expected[i] = fmax(0, expected[i] + (double)b->values[B][row]);
    }
    ok(an_kernel_proof_product(&args, b->stream));
    check_points(b, expected, M * N, M * N, M * N);
    check_rounded(b, expected, add ? b->values[DY] : NULL, bias);
}

static void test_references_of_products(void **state)
{
    (void)state;
    bench b;
    bench_make(&b);
    for (int i = 0; i < 16; i++)
        check_product(&b, i & 1, i & 2, i & 4, i & 8);
    bench_free(&b);
}

/* The references of a kernel, on what the operands hold now. */
typedef enum { FORWARD, DATA, WEIGHTS, PRODUCT, KERNELS } reference;
static an_proof_point *references(const bench *b, reference kernel)
{
    an_proof_conv_args conv = convolution(b, 0);
    an_proof_product_args product = {
        .at = {.out = {b->at[RESULT]}, .in = {b->at[X], b->at[W], b->at[B], b->at[DY]}, .items = PLACES},
        .m = 5,
        .n = 7,
        .k = 11,
        .each = 1};
    conv.data = kernel == DATA;
    if (kernel == PRODUCT)
        ok(an_kernel_proof_product(&product, b->stream));
    else if (kernel == WEIGHTS)
        ok(an_kernel_proof_weights(&conv, b->stream));
    else
        ok(an_kernel_proof_conv(&conv, b->stream));
    return fetch(b, b->at[RESULT], PLACES * sizeof(an_proof_point));
}

/* The emulator keeps references: those of other operands are others, and the first ones come back with the operands. */
static void test_kept_references_are_of_their_operands(void **state)
{
    (void)state;
    static const bool reads[KERNELS][RESULT] = {[FORWARD] = {[X] = true, [W] = true, [B] = true},
                                                [DATA] = {[W] = true, [DY] = true},
                                                [WEIGHTS] = {[X] = true, [DY] = true},
                                                [PRODUCT] = {[X] = true, [W] = true, [DY] = true, [B] = true}};
    bench b;
    bench_make(&b);
    for (reference kernel = FORWARD; kernel < KERNELS; kernel++)
        for (int operand = 0; operand < RESULT; operand++) {
            an_proof_point *points[3];
            for (uint32_t i = 0; i < 3; i++) {
                fill(&b, operand, AN_STORED_F32, (uint32_t)operand + i % 2 * RESULT, 1);
                points[i] = references(&b, kernel);
            }
            bool same = !memcmp(points[0], points[1], PLACES * sizeof *points[0]);
            assert_int_equal(same, !reads[kernel][operand]);
            assert_memory_equal(points[0], points[2], PLACES * sizeof *points[0]);
            for (int i = 0; i < 3; i++)
                free(points[i]);
        }
    bench_free(&b);
}

enum { PARTS = 64, USED = COUNT - 100 };

static uint64_t digest_of(const bench *b, an_stored stored, an_proof_digest out[PARTS])
{
    uint64_t lost = 0;
    an_proof_digest_args args = {
        .at = {.out = {b->at[RESULT]}, .in = {b->at[X]}, .items = PARTS}, .values = USED, .stored = stored};
    ok(an_kernel_proof_digest(&args, b->stream));
    void *found = fetch(b, b->at[RESULT], PARTS * sizeof *out);
    memcpy(out, found, PARTS * sizeof *out);
    free(found);
    for (int i = 0; i < PARTS; i++)
        lost += out[i].lost;
    return lost;
}

/* A digest notices a change of any value, counts those that are not finite, and does not look beyond the values. */
static void test_digests(void **state)
{
    (void)state;
    static const uint8_t infinite[] = {0x80, 0x7F};
    bench b;
    an_proof_digest before[PARTS], after[PARTS];
    bench_make(&b);
    for (an_stored stored = AN_STORED_F32; stored <= AN_STORED_BF16; stored++) {
        size_t size = stored == AN_STORED_F32 ? 4 : 2;
        fill(&b, X, stored, 1, 1);
        free(b.values[X]);
        b.values[X] = fetch(&b, b.at[X], FLOATS);
        assert_int_equal(digest_of(&b, stored, before), 0);
        for (size_t i = 0; i < COUNT; i += 37) {
            char *at = (char *)b.at[X] + (i + 1) * size - 2; /* the upper half of the value */
            char *kept = (char *)b.values[X] + (i + 1) * size - 2;
            ok(cudaMemcpyAsync(at, infinite, 2, cudaMemcpyHostToDevice, b.stream));
            assert_int_equal(digest_of(&b, stored, after), i < USED);
            assert_int_equal(memcmp(before, after, sizeof before) != 0, i < USED);
            ok(cudaMemcpyAsync(at, kept, 2, cudaMemcpyHostToDevice, b.stream));
        }
        assert_int_equal(digest_of(&b, stored, after), 0);
        assert_memory_equal(before, after, sizeof before);
    }
    bench_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operands),
        cmocka_unit_test(test_references_of_convolutions),
        cmocka_unit_test(test_references_of_products),
        cmocka_unit_test(test_kept_references_are_of_their_operands),
        cmocka_unit_test(test_digests),
    };
    (void)emu_violations(NULL, 0); /* from now on collected */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
