/* Pooling that computes what lies before it: normalisation, and the gradient before a convolution's activation.
 * Whatever surrounds them, training gives the CPU's values, and layers are fused where they can be and nowhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/cuda/cuda.h"
#include "model/exec/exec_private.h"
#include "support.h"
#include "tests/emu/emulator/emu.h"
#include "tests/emu/runner.h"

#define SIDE 19
#define STEPS 4 /* the second is recorded, later ones are replayed */

/* A convolution, what follows it (n: normalisation; h: the same of either half of the channels; p: pooling; a: pooling
 * by averages; g: a convolution in two groups), and another convolution that reads the first one's output or the
 * normalisation's. */
typedef struct {
    const char *name, *layers;
    an_activation activation;
    int channels, window, size;
    double beta;
    const char *second;         /* the layer that the second convolution reads; NULL: there is none */
    bool peaks, pooled, sloped; /* what is expected in fp32 */
    bool bf16;                  /* and in bf16, where groups of channels are larger */
} variant;

static const variant variants[] = {
    {"rectified", "np", AN_ACTIVATION_RELU, 16, 3, 5, 0.75, NULL, true, true, true, true},
    {"linear", "np", AN_ACTIVATION_NONE, 16, 3, 5, 0.75, NULL, true, true, true, true},
    {"tanh", "np", AN_ACTIVATION_TANH, 16, 3, 5, 0.75, NULL, true, true, false, true},
    {"sigmoid", "p", AN_ACTIVATION_SIGMOID, 16, 3, 5, 0.75, NULL, true, false, false, true},
    {"only pooled", "p", AN_ACTIVATION_RELU, 16, 3, 5, 0.75, NULL, true, false, true, true},
    {"averages", "na", AN_ACTIVATION_RELU, 16, 3, 5, 0.75, NULL, false, false, false, true},
    {"pooled first", "pn", AN_ACTIVATION_RELU, 16, 3, 5, 0.75, NULL, true, false, true, true},
    {"not pooled", "n", AN_ACTIVATION_RELU, 16, 3, 5, 0.75, NULL, false, false, false, true},
    {"twice", "npnp", AN_ACTIVATION_RELU, 16, 3, 5, 0.75, NULL, true, true, true, true},
    {"convolution read twice", "np", AN_ACTIVATION_RELU, 16, 3, 5, 0.75, "conv", true, true, false, true},
    {"normalisation read twice", "np", AN_ACTIVATION_RELU, 16, 3, 5, 0.75, "n0", true, false, false, true},
    {"halves", "hp", AN_ACTIVATION_RELU, 16, 3, 5, 0.75, NULL, true, true, true, true},
    {"halves after halves", "hpgp", AN_ACTIVATION_RELU, 16, 3, 5, 0.75, NULL, true, true, true, true},
    {"other windows", "np", AN_ACTIVATION_RELU, 16, 2, 5, 0.75, NULL, false, false, false, true},
    {"fewer channels in a sum", "np", AN_ACTIVATION_RELU, 16, 3, 3, 0.75, NULL, true, false, false, true},
    {"another power", "np", AN_ACTIVATION_RELU, 16, 3, 5, 0.5, NULL, true, false, false, true},
    {"12 channels", "np", AN_ACTIVATION_RELU, 12, 3, 5, 0.75, NULL, true, true, true, false},
    {"10 channels", "np", AN_ACTIVATION_RELU, 10, 3, 5, 0.75, NULL, false, false, false, false},
};
#define VARIANTS (sizeof variants / sizeof *variants)

static int add(an_graph *graph, an_node node, const char *name, int input)
{
    snprintf(node.name, sizeof node.name, "%s", name);
    node.inputs[0] = node.inputs[0] ? node.inputs[0] : input;
    node.input_count = node.input_count ? node.input_count : 1;
    int number = an_graph_add(graph, &node);
    assert_true(number > 0);
    return number;
}

static int number_of(const an_graph *graph, const char *name)
{
    int number = 0;
    while (strcmp(graph->nodes[number].name, name) != 0)
        number++;
    return number;
}

static an_node convolution(const variant *v, int stride, int pad)
{
    return (an_node){.kind = AN_OP_CONV,
                     .channels = v->channels,
                     .kernel = 3,
                     .stride = stride,
                     .pad_before = pad,
                     .pad_after = pad,
                     .activation = v->activation,
                     .init_deviation = 0.1};
}

static int layer_add(const variant *v, an_graph *graph, char kind, int position, int input)
{
    char name[] = {kind, (char)('0' + position), 0};
    an_node lrn = {.kind = AN_OP_LRN, .lrn_size = v->size, .lrn_alpha = 0.01, .lrn_beta = v->beta, .lrn_k = 1};
    an_node pool = {.kind = AN_OP_POOL, .kernel = v->window, .stride = 2, .average = kind == 'a'};
    an_node conv = convolution(v, 1, 1);
    lrn.groups = kind == 'h' ? 2 : 1;
    conv.groups = 2;
    return add(graph, kind == 'g' ? conv : kind == 'n' || kind == 'h' ? lrn : pool, name, input);
}

static void build_of_side(const variant *v, an_graph *graph, int side)
{
    an_node image = {.name = "input", .kind = AN_OP_INPUT, .channels = 3, .height = side, .width = side};
    an_node dense = {.kind = AN_OP_DENSE, .channels = 5, .init_deviation = 0.1};
    memset(graph, 0, sizeof *graph);
    assert_int_equal(an_graph_add(graph, &image), 0);
    int last = add(graph, convolution(v, 1, 1), "conv", 0);
    for (int i = 0; v->layers[i]; i++)
        last = layer_add(v, graph, v->layers[i], i, last);
    if (v->second) {
        dense.inputs[0] = last;
        dense.inputs[1] = add(graph, convolution(v, 2, 0), "second", number_of(graph, v->second));
        dense.input_count = 2;
    }
    last = add(graph, dense, "dense", last);
    add(graph, (an_node){.kind = AN_OP_LOSS}, "loss", last);
}

static void build(const variant *v, an_graph *graph)
{
    build_of_side(v, graph, SIDE);
}

static const an_op *op_of(const an_exec *exec, const char *name)
{
    return exec->ops[number_of(&exec->graph, name)];
}

static void fused_as_expected(const variant *v, const an_exec *exec, bool possible)
{
    char pool[3] = "p1", *place = strchr(v->layers, 'p');
    pool[1] = (char)('0' + (place ? place - v->layers : 0));
    if (place)
        assert_int_equal(op_of(exec, pool)->peaks, v->peaks && possible);
    if (v->layers[0] == 'n' || v->layers[0] == 'h') {
        const char first[] = {v->layers[0], '0', 0};
        assert_int_equal(op_of(exec, first)->pooled != NULL, v->pooled && possible);
        assert_int_equal(op_of(exec, first)->output.data == NULL, v->pooled && possible);
    }
    assert_int_equal(op_of(exec, "conv")->sloped != NULL, v->sloped && possible);
}

/* The outputs of a layer, fused or not. */
static void outputs_near(const an_graph *graph, an_exec *cpu, an_exec *gpu, const char *name, double tolerance)
{
    const an_node *node = &graph->nodes[number_of(graph, name)];
    size_t count = (size_t)BATCH * (size_t)node->channels * (size_t)node->height * (size_t)node->width;
    float *one = an_test_zeros(count, sizeof *one), *other = an_test_zeros(count, sizeof *other);
    for (int i = 0; i < 2; i++) { /* the second time there is memory for it */
        an_test_ok(an_exec_activation_get(cpu, name, BATCH, one), name);
        an_test_ok(an_exec_activation_get(gpu, name, BATCH, other), name);
        double *expected = an_test_doubles(one, count);
        an_test_close(name, other, expected, count, tolerance);
        free(expected);
    }
    free(one);
    free(other);
}

/* Trains on both, and compares losses, outputs and, in fp32, weights. */
static void compare(const variant *v, an_precision precision)
{
    an_graph graph;
    runner cpu, gpu;
    double tolerance = precision == AN_PRECISION_F32 ? 1e-4 : 0.03;
    build(v, &graph);
    runner_make(&cpu, &graph, "cpu", precision, false);
    runner_make(&gpu, &graph, "cuda:0", precision, false);
    for (uint64_t step = 0; step < STEPS; step++) {
        double expected = runner_step(&cpu, step, BATCH), got = runner_step(&gpu, step, BATCH);
        if (fabs(got - expected) > tolerance * (fabs(expected) + 0.1))
            fail_msg("%s, step %d: loss %.7g, expected %.7g", v->name, (int)step, got, expected);
    }
    for (int i = 1; i < graph.count - 1; i++)
        outputs_near(&graph, cpu.exec, gpu.exec, graph.nodes[i].name, tolerance);
    if (precision == AN_PRECISION_F32)
        runner_compare(cpu.exec, gpu.exec, 1e-3);
    runner_free(&cpu);
    runner_free(&gpu);
    runner_no_violations();
}

static void train(const variant *v, an_precision precision, bool possible)
{
    an_graph graph;
    runner gpu;
    build(v, &graph);
    runner_make(&gpu, &graph, "cuda:0", precision, false);
    fused_as_expected(v, gpu.exec, possible);
    runner_free(&gpu);
    compare(v, precision);
}

static void test_training_matches_the_cpu(void **state)
{
    (void)state;
    for (size_t i = 0; i < VARIANTS; i++)
        train(&variants[i], AN_PRECISION_F32, true);
}

static void test_training_in_bf16(void **state)
{
    (void)state;
    for (size_t i = 0; i < VARIANTS; i++)
        train(&variants[i], AN_PRECISION_BF16, variants[i].bf16);
}

/* Also the gradients, which losses of small steps hardly show. */
static void gradients_near(an_exec *cpu, an_exec *gpu, const char *name)
{
    for (int p = 0; p < an_exec_parameter_count(cpu); p++) {
        const an_parameter *info = an_exec_parameter(cpu, p);
        float *a = an_test_zeros(info->size, sizeof *a), *b = an_test_zeros(info->size, sizeof *b);
        an_test_ok(an_exec_parameter_get(cpu, p, AN_PARAMETER_GRADIENT, a), name);
        an_test_ok(an_exec_parameter_get(gpu, p, AN_PARAMETER_GRADIENT, b), name);
        double *expected = an_test_doubles(a, info->size);
        an_test_close(info->name, b, expected, info->size, 1e-3);
        free(a);
        free(b);
        free(expected);
    }
}

static void test_gradients(void **state)
{
    (void)state;
    for (size_t i = 0; i < VARIANTS; i++) {
        an_graph graph;
        runner cpu, gpu;
        an_exec_result result;
        build(&variants[i], &graph);
        runner_make(&cpu, &graph, "cpu", AN_PRECISION_F32, false);
        runner_make(&gpu, &graph, "cuda:0", AN_PRECISION_F32, false);
        an_test_ok(an_exec_step(cpu.exec, &cpu.images, runner_labels, BATCH, 0, &result), "step");
        an_test_ok(an_exec_step(gpu.exec, &gpu.images, runner_labels, BATCH, 0, &result), "step");
        gradients_near(cpu.exec, gpu.exec, variants[i].name);
        runner_free(&cpu);
        runner_free(&gpu);
    }
    runner_no_violations();
}

/* After a normalisation across all channels, what is pooled lies in one part even if convolutions in two groups read
 * it: so both are fused. */
static void test_halves_after_a_whole(void **state)
{
    (void)state;
    const variant v = {
        "halves after a whole", "npgp", AN_ACTIVATION_RELU, 16, 3, 5, 0.75, NULL, true, true, true, true};
    an_graph graph;
    runner gpu;
    build(&v, &graph);
    runner_make(&gpu, &graph, "cuda:0", AN_PRECISION_F32, false);
    const an_op *lrn = op_of(gpu.exec, "n0"), *pool = op_of(gpu.exec, "p1");
    assert_int_equal(pool->output.parts, 1);
    assert_non_null(lrn->pooled);
    runner_free(&gpu);
    compare(&v, AN_PRECISION_F32);
    compare(&v, AN_PRECISION_BF16);
}

/* So many chunks that their sums are summed in slices first. */
static void test_many_chunks(void **state)
{
    (void)state;
    an_graph graph;
    runner cpu, gpu;
    an_exec_result result;
    build_of_side(&variants[0], &graph, 72);
    runner_make(&cpu, &graph, "cpu", AN_PRECISION_F32, false);
    runner_make(&gpu, &graph, "cuda:0", AN_PRECISION_F32, false);
    assert_non_null(op_of(gpu.exec, "conv")->slope->slices);
    an_test_ok(an_exec_step(cpu.exec, &cpu.images, runner_labels, BATCH, 0, &result), "step");
    an_test_ok(an_exec_step(gpu.exec, &gpu.images, runner_labels, BATCH, 0, &result), "step");
    gradients_near(cpu.exec, gpu.exec, "many chunks");
    runner_free(&cpu);
    runner_free(&gpu);
    runner_no_violations();
}

static void test_the_same_bits_again(void **state)
{
    (void)state;
    an_graph graph;
    runner one, two;
    build(&variants[0], &graph);
    runner_make(&one, &graph, "cuda:0", AN_PRECISION_BF16, false);
    runner_make(&two, &graph, "cuda:0", AN_PRECISION_BF16, false);
    for (uint64_t step = 0; step < STEPS; step++)
        assert_true(runner_step(&one, step, BATCH) == runner_step(&two, step, BATCH));
    runner_compare(one.exec, two.exec, 0);
    runner_free(&one);
    runner_free(&two);
    runner_no_violations();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training_matches_the_cpu),
        cmocka_unit_test(test_training_in_bf16),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_halves_after_a_whole),
        cmocka_unit_test(test_many_chunks),
        cmocka_unit_test(test_the_same_bits_again),
    };
    (void)emu_violations(NULL, 0); /* from now on collected */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
