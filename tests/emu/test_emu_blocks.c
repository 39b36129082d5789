/* Images in blocks: every value of the blocks, zeros included, has the bits of the loader's formula at the place that
 * kernels.h states; the input in canonical order is the image; networks train as they do on the CPU; what blocks add to
 * the weights stays zero. Also: which images lie in blocks, and which cannot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/rng.h"
#include "model/cuda/cuda.h"
#include "model/exec/exec_private.h"
#include "model/init.h"
#include "model/nets/alexnet.h"
#include "model/nets/cifarnet.h"
#include "support.h"
#include "tests/emu/emulator/emu.h"
#include "tests/emu/runner.h"

#define MEAN_SIDE 70
#define CLASSES 5

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NETWORK_STEPS 1 /* sanitizers take ten times as long */
#else
#define NETWORK_STEPS 3
#endif

/* A first convolution. blocks: the side of the blocks that are expected; 0: pixels. */
typedef struct {
    int crop, window, stride, before, after, blocks;
} geometry;

static const geometry geometries[] = {
    {24, 11, 4, 0, 3, 4}, /* AlexNet's, with windows that overhang; four bytes are read at once */
    {64, 11, 4, 0, 3, 4}, /* a crop in use */
    {27, 11, 4, 0, 0, 4}, /* rows of bytes begin anywhere */
    {28, 11, 4, 2, 2, 4}, /* blocks begin within a pixel's padding */
    {26, 11, 4, 2, 2, 4}, {24, 8, 8, 0, 0, 8}, {20, 8, 4, 4, 0, 4}, {19, 3, 2, 0, 1, 2},
    {32, 7, 2, 3, 3, 2},  {19, 7, 3, 1, 2, 3}, {23, 5, 1, 2, 1, 1}, /* unequal padding is in memory, pixel by pixel */
    {24, 5, 1, 2, 2, 0},                                            /* nothing to gain */
    {30, 4, 4, 0, 0, 0}, /* no window sees the last two rows, and so would no block */
};
#define GEOMETRIES (sizeof geometries / sizeof *geometries)

static void net_make(an_graph *graph, const geometry *g)
{
    const an_node nodes[] = {{.name = "input", .kind = AN_OP_INPUT, .channels = 3, .height = g->crop, .width = g->crop},
                             {.name = "conv1",
                              .kind = AN_OP_CONV,
                              .channels = 16,
                              .kernel = g->window,
                              .stride = g->stride,
                              .pad_before = g->before,
                              .pad_after = g->after,
                              .activation = AN_ACTIVATION_RELU},
                             {.name = "fc2", .kind = AN_OP_DENSE, .channels = CLASSES},
                             {.name = "loss", .kind = AN_OP_LOSS}};
    memset(graph, 0, sizeof *graph);
    for (int i = 0; i < 4; i++) {
        an_node node = nodes[i];
        node.input_count = i > 0;
        node.inputs[0] = i - 1;
        assert_int_equal(an_graph_add(graph, &node), i);
    }
}

/* A batch of bytes and what was drawn for its images. */
typedef struct {
    uint8_t *bytes;
    an_image_draw draws[BATCH];
    float *mean;
    bool drawn;
    int mean_side;
    double scale;
} batch;

static void batch_make(batch *b, int crop, bool drawn, int mean_side)
{
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 31, (uint64_t)crop);
    size_t size = (size_t)(BATCH * crop * crop * 3), means = (size_t)(mean_side * mean_side * 3);
    *b = (batch){.drawn = drawn, .mean_side = mean_side, .scale = 1 / 57.3};
    b->bytes = an_test_zeros(size, 1);
    b->mean = an_test_zeros(means, sizeof *b->mean);
    for (size_t i = 0; i < size; i++)
        b->bytes[i] = (uint8_t)an_rng_below(&rng, 256);
    for (size_t i = 0; i < means; i++)
        b->mean[i] = (float)(an_rng_uniform(&rng) * 255);
    for (int n = 0; n < BATCH; n++) {
        b->draws[n] =
            AN_IMAGE_DRAW(.x = (uint32_t)an_rng_below(&rng, (uint32_t)(MEAN_SIDE - crop + 1)),
                          .y = (uint32_t)an_rng_below(&rng, (uint32_t)(MEAN_SIDE - crop + 1)), .flip = (uint32_t)n % 2);
        for (int c = 0; c < 3; c++)
            b->draws[n].shift[c] = (float)(an_rng_uniform(&rng) - 0.5);
    }
}

static void batch_free(batch *b)
{
    free(b->bytes);
    free(b->mean);
}

static float mean_of(const batch *b, int n, int y, int x, int c, int crop)
{
    const an_image_draw *draw = &b->draws[n];
    if (b->mean_side == 1)
        return b->mean[c];
    int column = x, row = y;
    if (b->drawn) {
        column = (int)draw->x + (draw->flip ? crop - 1 - x : x);
        row += (int)draw->y;
    }
    return b->mean[(row * b->mean_side + column) * 3 + c];
}

static float rounded(float value, an_stored stored)
{
    float memory;
    an_stored_put(&memory, stored, 0, value);
    return an_stored_get(&memory, stored, 0);
}

/* By augment/pixels/pixels.c. */
static float value_of(const batch *b, int n, int y, int x, int c, int crop, an_stored stored)
{
    uint8_t byte = b->bytes[((n * crop + y) * crop + x) * 3 + c];
    float value = (float)byte - mean_of(b, n, y, x, c, crop);
    value += b->drawn ? b->draws[n].shift[c] : 0;
    return rounded(value * (float)b->scale, stored);
}

static void exec_make(an_exec **exec, const geometry *g, const batch *b, an_precision precision)
{
    an_graph graph;
    an_conversion conversion = {.mean = b->mean, .side = b->mean_side, .scale = b->scale};
    an_exec_options options = {
        .devices = "cuda:0", .batch = BATCH, .threads = 1, .precision = precision, .conversion = &conversion};
    net_make(&graph, g);
    an_test_ok(an_exec_create(exec, &graph, &options), "exec");
}

/* All values that lie in memory, padding included. */
static void check_memory(an_exec *exec, const geometry *g, const batch *b)
{
    const an_cuda_tensor *x = &exec->ops[0]->output;
    int side = x->blocks.side ? x->blocks.side : 1, rows = x->blocks.side ? x->blocks.rows : g->crop;
    size_t count = (size_t)(BATCH * rows * rows * x->stored_c);
    assert_int_equal(x->blocks.side, g->blocks);
    void *values = an_test_zeros(count, sizeof(float));
    an_test_ok(an_cuda_fetch(x->cuda, values, x->data, count * an_stored_size(x->stored)), "fetch");
    for (size_t i = 0; i < count; i++) {
        int at = (int)(i % (size_t)x->stored_c), block = (int)(i / (size_t)x->stored_c);
        int column = block % rows, row = block / rows % rows, n = block / rows / rows, pixel = at / 3;
        int py = row * side + pixel / side - x->blocks.pad, px = column * side + pixel % side - x->blocks.pad;
        bool inside = pixel < side * side && py >= 0 && px >= 0 && py < g->crop && px < g->crop;
        float expected = inside ? value_of(b, n, py, px, at % 3, g->crop, x->stored) : 0;
        float got = an_stored_get(values, x->stored, i);
        if (memcmp(&got, &expected, sizeof got) != 0)
            fail_msg("crop %d, window %d, stride %d: value %d of block %d is %g, not %g", g->crop, g->window, g->stride,
                     at, block, (double)got, (double)expected);
    }
    free(values);
}

static void check_canonical(an_exec *exec, const geometry *g, const batch *b)
{
    size_t plane = (size_t)(g->crop * g->crop), count = BATCH * 3 * plane;
    an_stored stored = exec->ops[0]->output.stored;
    float *got = an_test_zeros(count, sizeof *got);
    an_test_ok(an_exec_activation_get(exec, "input", BATCH, got), "input");
    for (size_t i = 0; i < count; i++) {
        int pixel = (int)(i % plane), c = (int)(i / plane % 3), n = (int)(i / plane / 3);
        assert_true(got[i] == value_of(b, n, pixel / g->crop, pixel % g->crop, c, g->crop, stored));
    }
    free(got);
}

static void check_conversion(const geometry *g, an_precision precision, bool drawn, int mean_side)
{
    an_exec *exec;
    batch b;
    batch_make(&b, g->crop, drawn, mean_side);
    exec_make(&exec, g, &b, precision);
    an_test_ok(an_exec_evaluate(exec, &(an_images){.pixels = b.bytes, .draws = drawn ? b.draws : NULL}, NULL, BATCH,
                                NULL, NULL),
               "run");
    check_memory(exec, g, &b);
    check_canonical(exec, g, &b);
    an_exec_free(exec);
    batch_free(&b);
    runner_no_violations();
}

static void test_bytes_become_blocks(void **state)
{
    (void)state;
    for (size_t i = 0; i < GEOMETRIES; i++) {
        check_conversion(&geometries[i], AN_PRECISION_F32, true, MEAN_SIDE);
        check_conversion(&geometries[i], AN_PRECISION_BF16, true, MEAN_SIDE);
        check_conversion(&geometries[i], AN_PRECISION_BF16, true, 1);
        check_conversion(&geometries[i], AN_PRECISION_F32, false, MEAN_SIDE);
    }
}

/* Weights of the form that belong to no pixel of the window. */
static void check_added_weights(const an_exec *exec, const geometry *g)
{
    const an_cuda_weights *w = &exec->ops[1]->weights;
    int side = w->form.side, places = side ? (g->window + side - 1) / side : 0;
    size_t count = (size_t)(w->o * places * places * w->form.channels), zeros = 0;
    assert_int_equal(side, g->blocks > 1 ? g->blocks : 0);
    float *copy = an_test_zeros(count + 1, sizeof *copy);
    if (count)
        an_test_ok(an_cuda_fetch(w->copy ? exec->ops[1]->cuda : NULL, copy, w->copy, count * sizeof *copy), "fetch");
    for (size_t i = 0; i < count; i++) {
        int pixel = (int)(i % (size_t)w->form.channels) / 3, block = (int)(i / (size_t)w->form.channels);
        int y = block / places % places * side + pixel / side, x = block % places * side + pixel % side;
        if (pixel < side * side && y < g->window && x < g->window)
            continue;
        zeros++;
        assert_true(copy[i] == 0);
    }
    assert_true(!count || zeros > 0 || g->window % side == 0);
    free(copy);
}

static void check_training(const geometry *g, an_precision precision, double tolerance)
{
    an_graph graph;
    runner cpu, gpu;
    net_make(&graph, g);
    runner_make(&cpu, &graph, "cpu", precision == AN_PRECISION_BF16 ? precision : AN_PRECISION_F32, false);
    runner_make(&gpu, &graph, "cuda:0", precision, false);
    for (uint64_t step = 0; step < 8; step++) {
        uint32_t count = step == 5 ? BATCH - 1 : BATCH;
        double expected = runner_step(&cpu, step, count), got = runner_step(&gpu, step, count);
        if (fabs(got - expected) > tolerance * (fabs(expected) + 0.1))
            fail_msg("crop %d, step %d: loss %.7g, expected %.7g", g->crop, (int)step, got, expected);
    }
    if (precision == AN_PRECISION_F32) {
        runner_compare(cpu.exec, gpu.exec, 1e-4);
        check_added_weights(gpu.exec, g);
    }
    runner_free(&cpu);
    runner_free(&gpu);
    runner_no_violations();
}

static void test_networks_train_as_on_the_cpu(void **state)
{
    (void)state;
    for (size_t i = 0; i < GEOMETRIES; i++) {
        check_training(&geometries[i], AN_PRECISION_F32, 1e-4);
        check_training(&geometries[i], AN_PRECISION_TF32, 1e-4);
        check_training(&geometries[i], AN_PRECISION_BF16, 0.03);
    }
}

/* A training that moves between blocks and pixels with every step is one that stayed on the CPU. */
static void check_moving(const geometry *g)
{
    an_graph graph;
    runner stays, moves[2];
    net_make(&graph, g);
    runner_make(&stays, &graph, "cpu", AN_PRECISION_F32, false);
    runner_make(&moves[0], &graph, "cuda:0", AN_PRECISION_F32, false);
    runner_make(&moves[1], &graph, "cpu", AN_PRECISION_F32, false);
    for (uint64_t step = 0; step < 4; step++) {
        double expected = runner_step(&stays, step, BATCH), got = runner_step(&moves[step % 2], step, BATCH);
        assert_true(fabs(got - expected) <= 1e-4 * (fabs(expected) + 0.1));
        runner_copy(moves[step % 2].exec, moves[(step + 1) % 2].exec);
    }
    runner_compare(stays.exec, moves[0].exec, 1e-4);
    runner_free(&stays);
    runner_free(&moves[0]);
    runner_free(&moves[1]);
    runner_no_violations();
}

static void test_training_moves_between_blocks_and_pixels(void **state)
{
    (void)state;
    for (size_t i = 0; i < GEOMETRIES; i++)
        check_moving(&geometries[i]);
}

static void check_network(const an_graph *graph, const char *devices, bool columns, int blocks)
{
    runner cpu, gpu;
    runner_make(&cpu, graph, "cpu", AN_PRECISION_F32, false);
    runner_make(&gpu, graph, devices, AN_PRECISION_F32, columns);
    assert_int_equal(gpu.exec->ops[0]->output.blocks.side, blocks);
    for (uint64_t step = 0; step < NETWORK_STEPS; step++) {
        double expected = runner_step(&cpu, step, BATCH), got = runner_step(&gpu, step, BATCH);
        if (fabs(got - expected) > 1e-3 * (fabs(expected) + 0.1))
            fail_msg("%s, step %d: loss %.7g, expected %.7g", devices, (int)step, got, expected);
    }
    runner_compare(cpu.exec, gpu.exec, 1e-3);
    runner_free(&cpu);
    runner_free(&gpu);
    runner_no_violations();
}

/* Whole networks, with each way in which conv1 meets the edges. */
static void test_whole_networks(void **state)
{
    (void)state;
    an_graph graph;
    an_cifar_options cifar = an_cifar_defaults();
    an_alexnet_options alexnet = an_alexnet_defaults();
    assert_int_equal(an_cifar_build(&cifar, &graph), AN_OK);
    check_network(&graph, "cuda:0", false, 0);
    alexnet.classes = CLASSES;
    alexnet.input = 65; /* overhangs by two pixels */
    assert_int_equal(an_alexnet_build(&alexnet, &graph), AN_OK);
    runner_narrow(&graph);
    check_network(&graph, "cuda:0,cuda:1", false, 4);
    alexnet.input = 68;
    alexnet.padding = AN_ALEXNET_PAD2;
    assert_int_equal(an_alexnet_build(&alexnet, &graph), AN_OK);
    runner_narrow(&graph);
    check_network(&graph, "cuda:0", true, 4);
}

/* The blocks of an image that is read by the given ops. */
static int blocks_with(const an_node *readers, int count, bool gradient)
{
    const an_backend_api *api;
    an_backend *cuda;
    an_backend_options options = {.device = "cuda:0", .batch = 1, .threads = 1, .training = true};
    an_op *image, *op;
    an_graph graph = {0};
    an_node node = {.name = "image", .kind = AN_OP_INPUT, .channels = 3, .height = 24, .width = 24};
    an_test_ok(an_backend_find("cuda", &api), "cuda");
    an_test_ok(api->open(&cuda, &options), "open");
    assert_int_equal(an_graph_add(&graph, &node), 0);
    an_test_ok(api->op_create(&image, cuda, &(an_op_spec){.rate_scale = 1, .node = &graph.nodes[0]}), "image");
    for (int i = 0; i < count; i++) {
        node = readers[i];
        node.input_count = 1;
        node.name[0] = (char)('a' + i);
        assert_int_equal(an_graph_add(&graph, &node), i + 1);
        an_op_spec spec = {.rate_scale = 1, .node = &graph.nodes[i + 1], .inputs = {image}, .input_gradient = gradient};
        an_test_ok(api->op_create(&op, cuda, &spec), "reader");
    }
    an_test_ok(api->finish(cuda), "finish");
    int side = image->output.blocks.side;
    api->close(cuda);
    runner_no_violations();
    return side;
}

static void test_who_reads_decides(void **state)
{
    (void)state;
    const an_node conv = {.kind = AN_OP_CONV, .channels = 8, .kernel = 11, .stride = 4, .pad_after = 3};
    const an_node other = {.kind = AN_OP_CONV, .channels = 8, .kernel = 7, .stride = 4};
    const an_node pool = {.kind = AN_OP_POOL, .kernel = 3, .stride = 2};
    const an_node halves[] = {conv, conv}, unlike[] = {conv, other}, mixed[] = {conv, pool};
    assert_int_equal(blocks_with(&conv, 1, false), 4);
    assert_int_equal(blocks_with(halves, 2, false), 4);
    assert_int_equal(blocks_with(unlike, 2, false), 0);
    assert_int_equal(blocks_with(mixed, 2, false), 0);
    assert_int_equal(blocks_with(&pool, 1, false), 0);
    assert_int_equal(blocks_with(&conv, 1, true), 0);
}

/* Quotients for every divisor that a block, an image or a mean image can bring, at the ends of each step. */
static void test_divisors(void **state)
{
    (void)state;
    for (uint32_t by = 1; by < 5000; by++) {
        an_divisor divisor = an_divisor_of(by);
        for (uint32_t step = 0; step < 40; step++) {
            uint32_t quotient = step < 20 ? step : (uint32_t)((0x7FFFFFFFU / by) - (step - 20));
            for (int beside = -1; beside <= 1; beside++) {
                uint64_t number = (uint64_t)quotient * by + (uint64_t)(int64_t)beside;
                if (number > 0x7FFFFFFF)
                    continue;
                uint32_t n = (uint32_t)number;
                assert_int_equal((uint32_t)((uint64_t)(2 * n) * divisor.factor >> 32) >> divisor.shift, n / by);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_divisors),
        cmocka_unit_test(test_bytes_become_blocks),
        cmocka_unit_test(test_networks_train_as_on_the_cpu),
        cmocka_unit_test(test_training_moves_between_blocks_and_pixels),
        cmocka_unit_test(test_whole_networks),
        cmocka_unit_test(test_who_reads_decides),
    };
    (void)emu_violations(NULL, 0); /* from now on collected, and asked for by each test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
