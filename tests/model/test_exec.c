/* Whole networks: against the reference, one placement against another, and what must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/cpu/cpu_private.h"
#include "model/exec/exec_private.h"
#include "model/init.h"
#include "model/nets/alexnet.h"
#include "reference.h"
#include "small_net.h"
#include "support.h"

#define BATCH 4
static const uint32_t labels[BATCH] = {4, 0, 2, 1};
static const char *const placements[] = {"fused", "columns", "cpu,cpu"};
#define PLACEMENTS (sizeof placements / sizeof *placements)

static an_exec *exec_make(const an_graph *graph, const char *placement, bool training)
{
    an_exec *exec;
    bool columns = !strcmp(placement, "columns");
    an_exec_options options = {.devices = strchr(placement, ',') ? placement : "cpu",
                               .batch = BATCH,
                               .threads = columns ? 2 : 1,
                               .training = training,
                               .seed = 11,
                               .columns = columns};
    an_test_ok(an_exec_create(&exec, graph, &options), placement);
    an_test_ok(an_init_parameters(exec, AN_INIT_PAPER, 5), "init");
    return exec;
}

static float *parameter(an_exec *exec, int number, an_parameter_kind kind)
{
    float *values = an_test_zeros(an_exec_parameter(exec, number)->size, sizeof *values);
    an_test_ok(an_exec_parameter_get(exec, number, kind, values), "get");
    return values;
}

/* A reference network, unfused, with the parameters of exec. */
static void net_like(an_reference_net *net, an_graph *lowered, const an_graph *graph, an_exec *exec)
{
    an_test_ok(an_graph_lower(graph, 1, lowered), "lower");
    assert_int_equal(an_reference_net_create(net, lowered, BATCH), 0);
    for (int p = 0; p < an_exec_parameter_count(exec); p++) {
        const an_parameter *info = an_exec_parameter(exec, p);
        float *values = parameter(exec, p, AN_PARAMETER_VALUE);
        for (int i = 0; i < lowered->count; i++) {
            const an_node *node = &lowered->nodes[i];
            if (!node->has_weights || node->layer != info->layer)
                continue;
            size_t each = info->size / (size_t)info->shape[0], count = each * (size_t)node->channels;
            double *to = info->bias ? net->weights[i].bias : net->weights[i].weight;
            for (size_t k = 0; k < count; k++)
                to[k] = values[(size_t)node->channel_offset * each + k];
        }
        free(values);
    }
}

static void check_gradients(an_exec *exec, const an_reference_net *net)
{
    for (int p = 0; p < an_exec_parameter_count(exec); p++) {
        const an_parameter *info = an_exec_parameter(exec, p);
        float *got = parameter(exec, p, AN_PARAMETER_GRADIENT);
        for (int i = 0; i < net->graph->count; i++) {
            const an_node *node = &net->graph->nodes[i];
            if (!node->has_weights || node->layer != info->layer)
                continue;
            size_t each = info->size / (size_t)info->shape[0];
            const double *expected = info->bias ? net->weights[i].bias_gradient : net->weights[i].weight_gradient;
            an_test_close(info->name, got + (size_t)node->channel_offset * each, expected,
                          each * (size_t)node->channels, 1e-4);
        }
        free(got);
    }
}

static void check_step(an_small_net_make *make, const char *placement, an_activation activation, uint32_t count)
{
    an_graph graph, lowered;
    an_reference_net net;
    an_exec_result result;
    make(&graph, activation);
    an_exec *exec = exec_make(&graph, placement, true);
    net_like(&net, &lowered, &graph, exec);
    float *images = an_test_random(BATCH * SMALL_IMAGE, 9);
    for (uint64_t step = 0; step < 3; step++) {
        an_test_ok(an_exec_step(exec, &(an_images){.pixels = images}, labels, count, step, &result), "step");
        double loss = an_reference_net_run(&net, images, labels, (int)count, true, true, 11, step);
        assert_true(fabs(result.loss - loss) < 1e-5 * loss);
        check_gradients(exec, &net);
    }
    an_reference_net_free(&net);
    free(images);
    an_exec_free(exec);
}

static void test_step_matches_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < PLACEMENTS; i++) {
        check_step(an_small_net, placements[i], AN_ACTIVATION_RELU, BATCH);
        check_step(an_small_net, placements[i], AN_ACTIVATION_RELU, 3);
        check_step(an_small_net, placements[i], AN_ACTIVATION_TANH, 1);
        check_step(an_small_net, placements[i], AN_ACTIVATION_SIGMOID, BATCH);
        check_step(an_small_net_reordered, placements[i], AN_ACTIVATION_RELU, 3);
        check_step(an_small_net_reordered, placements[i], AN_ACTIVATION_TANH, BATCH);
        check_step(an_small_net_reordered, placements[i], AN_ACTIVATION_SIGMOID, BATCH);
    }
}

/* The reference's own gradients against differences of its loss. tanh, because ReLU's kinks would spoil the
 * differences. */
static void check_numerically(an_small_net_make *make)
{
    an_graph graph, lowered;
    an_reference_net net;
    make(&graph, AN_ACTIVATION_TANH);
    an_exec *exec = exec_make(&graph, "columns", false);
    net_like(&net, &lowered, &graph, exec);
    float *images = an_test_random(BATCH * SMALL_IMAGE, 9);
    an_reference_net_run(&net, images, labels, BATCH, true, true, 11, 1);
    for (int i = 0; i < lowered.count; i++) {
        const an_node *node = &lowered.nodes[i];
        if (!node->has_weights)
            continue;
        size_t count = (size_t)node->channels * (size_t)an_graph_node_inputs(&lowered, node);
        for (size_t k = 0; k < count; k += count / 5 + 1) {
            double *w = &net.weights[i].weight[k], before = *w, delta = 1e-6;
            *w = before + delta;
            double above = an_reference_net_run(&net, images, labels, BATCH, false, true, 11, 1);
            *w = before - delta;
            double below = an_reference_net_run(&net, images, labels, BATCH, false, true, 11, 1);
            *w = before;
            double slope = (above - below) / (2 * delta);
            assert_true(fabs(slope - net.weights[i].weight_gradient[k]) < 1e-6 + 1e-4 * fabs(slope));
        }
    }
    an_reference_net_free(&net);
    free(images);
    an_exec_free(exec);
}

static void test_reference_gradients_numerically(void **state)
{
    (void)state;
    check_numerically(an_small_net);
    check_numerically(an_small_net_reordered);
}

static void check_evaluation(const char *placement, bool training)
{
    an_graph graph, lowered;
    an_reference_net net;
    an_exec_result result;
    float probabilities[BATCH * SMALL_CLASSES];
    an_small_net(&graph, AN_ACTIVATION_RELU);
    an_exec *exec = exec_make(&graph, placement, training);
    net_like(&net, &lowered, &graph, exec);
    float *images = an_test_random(BATCH * SMALL_IMAGE, 9), *features = an_test_zeros(BATCH * 24, sizeof *features);
    an_test_ok(an_exec_evaluate(exec, &(an_images){.pixels = images}, labels, 3, probabilities, &result), "evaluate");
    double loss = an_reference_net_run(&net, images, labels, 3, false, false, 0, 0);
    assert_true(fabs(result.loss - loss) < 1e-5 * loss);
    an_test_close("probabilities", probabilities, net.values[lowered.count - 1], 3 * SMALL_CLASSES, 1e-5);
    an_test_ok(an_exec_activation_get(exec, "fc5", 3, features), "features");
    for (int i = 0; i < lowered.count; i++)
        for (size_t k = 0; k < 3 * 12 && !strcmp(lowered.nodes[i].name, "fc5"); k++) {
            size_t place = k / 12 * 24 + (size_t)lowered.nodes[i].channel_offset + k % 12;
            assert_true(fabs(features[place] - net.values[i][k]) < 1e-5);
        }
    an_test_refused(an_exec_activation_get(exec, "conv9", 1, features), "no layer 'conv9'");
    an_test_ok(an_exec_evaluate(exec, &(an_images){.pixels = images}, NULL, BATCH, NULL, NULL), "without labels");
    an_reference_net_free(&net);
    free(images);
    free(features);
    an_exec_free(exec);
}

static void test_evaluation_matches_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < PLACEMENTS; i++) {
        check_evaluation(placements[i], true);
        check_evaluation(placements[i], false);
    }
}

static void assert_same_weights(an_exec *one, an_exec *two)
{
    for (int p = 0; p < an_exec_parameter_count(one); p++) {
        const an_parameter *info = an_exec_parameter(one, p);
        float *a = parameter(one, p, AN_PARAMETER_VALUE), *b = parameter(two, p, AN_PARAMETER_VALUE);
        double *expected = an_test_doubles(a, info->size);
        assert_string_equal(info->name, an_exec_parameter(two, p)->name);
        an_test_close(info->name, b, expected, info->size, 1e-4);
        free(a);
        free(b);
        free(expected);
    }
}

static void check_placement(const an_graph *graph, const char *placement, const float *images)
{
    an_sgd sgd = {.rate = 0.05, .momentum = 0.9, .decay = 0.0005, .bias_rate_scale = 2};
    an_exec *one = exec_make(graph, "fused", true), *two = exec_make(graph, placement, true);
    for (uint64_t step = 0; step < 5; step++) {
        an_exec_result a, b;
        an_test_ok(an_exec_step(one, &(an_images){.pixels = images}, labels, BATCH, step, &a), "step");
        an_test_ok(an_exec_step(two, &(an_images){.pixels = images}, labels, BATCH, step, &b), "step");
        assert_true(fabs(a.loss - b.loss) < 1e-5 * a.loss);
        an_test_ok(an_exec_update(one, &sgd), "update");
        an_test_ok(an_exec_update(two, &sgd), "update");
    }
    assert_same_weights(one, two);
    an_exec_free(one);
    an_exec_free(two);
}

/* Training in one placement gives the weights of another. */
static void test_placements_agree(void **state)
{
    (void)state;
    an_graph graph;
    float *images = an_test_random(BATCH * SMALL_IMAGE, 9);
    an_small_net(&graph, AN_ACTIVATION_RELU);
    for (size_t i = 1; i < PLACEMENTS; i++)
        check_placement(&graph, placements[i], images);
    free(images);
}

/* Networks that are not split, and halves that never talk, run on one and on two devices. */
static void check_alexnet(const an_alexnet_options *options, const char *placement)
{
    an_graph graph;
    an_exec_result result;
    an_test_ok(an_alexnet_build(options, &graph), "build");
    an_exec *exec = exec_make(&graph, placement, false);
    float *images = an_test_random(BATCH * 3 * 64 * 64, 9);
    an_test_ok(an_exec_evaluate(exec, &(an_images){.pixels = images}, labels, BATCH, NULL, &result), placement);
    assert_true(result.loss > 0);
    free(images);
    an_exec_free(exec);
}

static void test_alexnet_without_crossings(void **state)
{
    (void)state;
    an_alexnet_options options = an_alexnet_defaults();
    options.classes = SMALL_CLASSES;
    options.input = 64;
    options.communicate = false;
    check_alexnet(&options, "fused");
    check_alexnet(&options, "cpu,cpu");
}

/* Converts floats that bf16 represents exactly. */
static uint16_t *narrowed(const float *values, size_t count)
{
    uint16_t *out = an_test_zeros(count, sizeof *out);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        out[i] = (uint16_t)(bits >> 16);
    }
    return out;
}

static void check_learning(const char *devices, an_precision precision)
{
    an_graph graph;
    an_exec *exec;
    an_exec_result first, last;
    an_sgd sgd = {.rate = 0.01, .momentum = 0.9, .bias_rate_scale = 1};
    an_exec_options options = {
        .devices = devices, .batch = BATCH, .threads = 1, .training = true, .seed = 11, .precision = precision};
    float *images = an_test_random(BATCH * SMALL_IMAGE, 9);
    uint16_t *narrow = narrowed(images, BATCH * SMALL_IMAGE);
    an_small_net(&graph, AN_ACTIVATION_RELU);
    an_test_ok(an_exec_create(&exec, &graph, &options), devices);
    an_test_ok(an_init_parameters(exec, AN_INIT_HE, 5), "init");
    bool half = an_exec_input_format(exec).dtype == AN_DTYPE_BF16;
    const void *input = half ? (const void *)narrow : images;
    assert_int_equal(half, precision == AN_PRECISION_BF16);
    an_test_ok(an_exec_evaluate(exec, &(an_images){.pixels = input}, labels, BATCH, NULL, &first), "evaluate");
    last = first;
    for (uint64_t step = 0; step < 300 && (last.top1 < BATCH || last.loss >= first.loss / 4); step++) {
        an_test_ok(an_exec_step(exec, &(an_images){.pixels = input}, labels, BATCH, step, &last), "step");
        an_test_ok(an_exec_update(exec, &sgd), "update");
        an_test_ok(an_exec_evaluate(exec, &(an_images){.pixels = input}, labels, BATCH, NULL, &last), "evaluate");
    }
    assert_int_equal(last.top1, BATCH);
    assert_true(last.loss < first.loss / 4);
    free(images);
    free(narrow);
    an_exec_free(exec);
}

static void test_it_learns_a_batch_by_heart(void **state)
{
    (void)state;
    check_learning("cpu", AN_PRECISION_F32);
    check_learning("cpu", AN_PRECISION_BF16);
    check_learning("cpu,cpu", AN_PRECISION_BF16);
}

/* The same steps give the same bits. */
static void test_steps_repeat_exactly(void **state)
{
    (void)state;
    an_graph graph;
    an_exec_result result;
    an_sgd sgd = {.rate = 0.05, .momentum = 0.9, .bias_rate_scale = 1};
    float *images = an_test_random(BATCH * SMALL_IMAGE, 9), *kept = NULL;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    for (int turn = 0; turn < 2; turn++) {
        an_exec *exec = exec_make(&graph, "fused", true);
        for (uint64_t step = 0; step < 3; step++) {
            an_test_ok(an_exec_step(exec, &(an_images){.pixels = images}, labels, BATCH, step, &result), "step");
            an_test_ok(an_exec_update(exec, &sgd), "update");
        }
        float *weights = parameter(exec, 0, AN_PARAMETER_VALUE);
        if (turn)
            assert_memory_equal(weights, kept, an_exec_parameter(exec, 0)->size * sizeof *weights);
        free(kept);
        kept = weights;
        an_exec_free(exec);
    }
    free(kept);
    free(images);
}

static void test_parameters(void **state)
{
    (void)state;
    an_graph graph;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    for (size_t i = 0; i < PLACEMENTS; i++) {
        an_exec *exec = exec_make(&graph, placements[i], true);
        assert_int_equal(an_exec_parameter_count(exec), 12);
        const an_parameter *weight = an_exec_parameter(exec, 2), *bias = an_exec_parameter(exec, 9);
        assert_string_equal(weight->name, "conv2.weight");
        assert_int_equal(weight->rank, 4);
        assert_int_equal(weight->shape[0], 32);
        assert_int_equal(weight->shape[1], 8);
        assert_int_equal(weight->shape[2], 3);
        assert_int_equal(weight->fan_in, 72);
        assert_string_equal(bias->name, "fc5.bias");
        assert_int_equal(bias->size, 24);
        assert_true(bias->init_bias == 1 && bias->bias);
        float *values = an_test_random(weight->size, 3);
        an_test_ok(an_exec_parameter_set(exec, 2, AN_PARAMETER_MOMENTUM, values), "set");
        float *got = parameter(exec, 2, AN_PARAMETER_MOMENTUM);
        assert_memory_equal(got, values, weight->size * sizeof *got);
        an_test_refused(an_exec_parameter_get(exec, 12, AN_PARAMETER_VALUE, got), "parameter 12 of 12");
        free(values);
        free(got);
        an_exec_free(exec);
    }
}

static void check_init(an_exec *exec, an_init_kind kind)
{
    an_test_ok(an_init_parameters(exec, kind, 77), "init");
    for (int p = 0; p < an_exec_parameter_count(exec); p++) {
        const an_parameter *info = an_exec_parameter(exec, p);
        float *values = parameter(exec, p, AN_PARAMETER_VALUE);
        double sum = 0, squares = 0, n = (double)info->size;
        double deviation = kind == AN_INIT_HE ? sqrt(2.0 / (double)info->fan_in) : info->init_deviation;
        for (size_t i = 0; i < info->size; i++) {
            sum += values[i];
            squares += (double)values[i] * values[i];
        }
        if (info->bias)
            assert_true(sum == (kind == AN_INIT_HE ? 0 : info->init_bias * n));
        else {
            assert_true(fabs(sum / n) < 6 * deviation / sqrt(n));
            assert_true(fabs(sqrt(squares / n) / deviation - 1) < 6 / sqrt(2 * n));
        }
        free(values);
    }
}

static void test_initial_weights(void **state)
{
    (void)state;
    an_graph graph;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    an_exec *fused = exec_make(&graph, "fused", false), *columns = exec_make(&graph, "columns", false);
    check_init(fused, AN_INIT_PAPER);
    check_init(fused, AN_INIT_HE);
    check_init(columns, AN_INIT_HE);
    for (int p = 0; p < an_exec_parameter_count(fused); p++) {
        float *a = parameter(fused, p, AN_PARAMETER_VALUE), *b = parameter(columns, p, AN_PARAMETER_VALUE);
        assert_memory_equal(a, b, an_exec_parameter(fused, p)->size * sizeof *a);
        free(a);
        free(b);
    }
    an_exec_free(fused);
    an_exec_free(columns);
}

static void refuse_options(const an_graph *graph, an_exec_options options, const char *part)
{
    an_exec *exec = NULL;
    an_test_refused(an_exec_create(&exec, graph, &options), part);
    assert_null(exec);
}

static void test_bad_options_are_refused(void **state)
{
    (void)state;
    an_graph graph, empty = {0};
    an_small_net(&graph, AN_ACTIVATION_RELU);
    refuse_options(&graph, (an_exec_options){.devices = "cpu"}, "batch of 0");
    refuse_options(&graph, (an_exec_options){.devices = "cpu", .batch = -1}, "batch of -1");
    refuse_options(&graph, (an_exec_options){.devices = "cpu", .batch = 1, .threads = -1}, "-1 threads");
    refuse_options(&graph, (an_exec_options){.devices = "abacus", .batch = 1}, "no device 'abacus'");
    an_exec *exec = NULL;
    an_exec_options tf32 = {.devices = "cpu", .batch = 1, .precision = AN_PRECISION_TF32};
    assert_int_equal(an_exec_create(&exec, &graph, &tf32), AN_EUNSUPPORTED);
    refuse_options(&graph, (an_exec_options){.devices = "cpu:1", .batch = 1}, "without a number");
    refuse_options(&graph, (an_exec_options){.devices = "cpu,", .batch = 1}, "no device ''");
    refuse_options(&graph, (an_exec_options){.devices = "cpu,cpu,cpu", .batch = 1}, "at most 2");
    refuse_options(&empty, (an_exec_options){.devices = "cpu", .batch = 1}, "does not end in a loss");
}

static void test_bad_steps_are_refused(void **state)
{
    (void)state;
    an_graph graph;
    an_exec_result result;
    an_sgd sgd = {.rate = 0.1};
    uint32_t wrong[BATCH] = {0, SMALL_CLASSES, 0, 0};
    float *images = an_test_random(BATCH * SMALL_IMAGE, 9);
    an_small_net(&graph, AN_ACTIVATION_RELU);
    an_exec *exec = exec_make(&graph, "fused", true), *fixed = exec_make(&graph, "fused", false);
    an_test_refused(an_exec_step(exec, &(an_images){.pixels = images}, labels, 0, 0, &result), "0 samples");
    an_test_refused(an_exec_step(exec, &(an_images){.pixels = images}, labels, BATCH + 1, 0, &result), "5 samples");
    an_test_refused(an_exec_step(exec, &(an_images){.pixels = images}, wrong, BATCH, 0, &result),
                    "label 5 of sample 1");
    an_test_refused(an_exec_step(exec, &(an_images){.pixels = images}, NULL, BATCH, 0, &result), "without labels");
    an_test_refused(an_exec_step(fixed, &(an_images){.pixels = images}, labels, BATCH, 0, &result),
                    "made for evaluation");
    an_test_refused(an_exec_step(exec, &(an_images){.block = images, .block_size = 1 << 10}, labels, BATCH, 0, &result),
                    "made without a decoder");
    an_exec_options options = {.devices = "cpu", .batch = BATCH, .decoder = &(an_image_decoder){.size = 1 << 20}};
    an_exec *none;
    an_test_refused(an_exec_create(&none, &graph, &options), "device 'cpu' takes finished images");
    an_test_refused(an_exec_update(fixed, &sgd), "made for evaluation");
    an_test_refused(an_exec_parameter_get(fixed, 0, AN_PARAMETER_MOMENTUM, images), "without training");
    free(images);
    an_exec_free(exec);
    an_exec_free(fixed);
}

/* The message names the layer in which it began, not where it was noticed. */
static void test_values_that_are_not_finite_are_named(void **state)
{
    (void)state;
    an_graph graph;
    an_exec_result result;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    for (size_t i = 0; i < PLACEMENTS; i++) {
        an_exec *exec = exec_make(&graph, placements[i], true);
        float *images = an_test_random(BATCH * SMALL_IMAGE, 9);
        float *bias = parameter(exec, 5, AN_PARAMETER_VALUE);
        bias[1] = INFINITY;
        assert_string_equal(an_exec_parameter(exec, 5)->name, "conv3.bias");
        an_test_ok(an_exec_parameter_set(exec, 5, AN_PARAMETER_VALUE, bias), "set");
        assert_int_equal(an_exec_step(exec, &(an_images){.pixels = images}, labels, BATCH, 0, &result), AN_ECORRUPT);
        assert_non_null(strstr(an_error_message(), "'conv3'"));
        images[7] = NAN;
        assert_int_equal(an_exec_step(exec, &(an_images){.pixels = images}, labels, BATCH, 0, &result), AN_ECORRUPT);
        assert_non_null(strstr(an_error_message(), "'input'"));
        free(images);
        free(bias);
        an_exec_free(exec);
    }
}

static void refuse_evaluation(an_exec *exec, const float *images, float *probabilities, const char *layer)
{
    assert_int_equal(an_exec_evaluate(exec, &(an_images){.pixels = images}, NULL, BATCH, probabilities, NULL),
                     AN_ECORRUPT);
    if (!strstr(an_error_message(), layer))
        fail_msg("message '%s' does not name %s", an_error_message(), layer);
}

/* Whoever asks for features or probabilities without labels has no loss that would show it. */
static void test_evaluation_without_labels_sees_them_too(void **state)
{
    (void)state;
    an_graph graph;
    float probabilities[BATCH * SMALL_CLASSES];
    an_small_net(&graph, AN_ACTIVATION_RELU);
    for (size_t i = 0; i < PLACEMENTS; i++) {
        an_exec *exec = exec_make(&graph, placements[i], false);
        float *images = an_test_random(BATCH * SMALL_IMAGE, 9);
        float *bias = parameter(exec, 5, AN_PARAMETER_VALUE), before = bias[1];
        bias[1] = INFINITY;
        an_test_ok(an_exec_parameter_set(exec, 5, AN_PARAMETER_VALUE, bias), "set");
        refuse_evaluation(exec, images, probabilities, "'conv3'");
        refuse_evaluation(exec, images, NULL, "'conv3'");
        bias[1] = before;
        an_test_ok(an_exec_parameter_set(exec, 5, AN_PARAMETER_VALUE, bias), "set");
        an_test_ok(an_exec_evaluate(exec, &(an_images){.pixels = images}, NULL, BATCH, NULL, NULL), "finite again");
        free(images);
        free(bias);
        an_exec_free(exec);
    }
}

/* Before anything is made, and by its name. */
static void test_a_layer_that_a_device_lacks_is_named(void **state)
{
    (void)state;
    an_exec *exec = NULL;
    an_graph graph = {0};
    an_node nodes[] = {{.name = "input", .kind = AN_OP_INPUT, .channels = 3, .height = 4, .width = 4},
                       {.name = "fc1", .kind = AN_OP_DENSE, .channels = 16},
                       {.name = "pool1", .kind = AN_OP_POOL, .kernel = 1, .stride = 1},
                       {.name = "fc2", .kind = AN_OP_DENSE, .channels = 3},
                       {.name = "loss", .kind = AN_OP_LOSS}};
    an_exec_options options = {.devices = "cpu", .batch = 1, .threads = 1};
    for (int i = 0; i < 5; i++) {
        nodes[i].input_count = i > 0;
        nodes[i].inputs[0] = i - 1;
        assert_int_equal(an_graph_add(&graph, &nodes[i]), i);
    }
    assert_int_equal(an_exec_create(&exec, &graph, &options), AN_EUNSUPPORTED);
    assert_null(exec);
    assert_non_null(strstr(an_error_message(), "pool1: on processors a layer of kind 'pool' cannot follow"));
}

/* Also where their number does not divide. */
static void test_every_thread_belongs_to_a_device(void **state)
{
    (void)state;
    an_graph graph;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    for (int threads = 1; threads <= 5; threads++) {
        an_exec *exec;
        an_exec_options options = {.devices = "cpu,cpu", .batch = BATCH, .threads = threads};
        an_test_ok(an_exec_create(&exec, &graph, &options), "create");
        int first = exec->devices[0]->threads, second = exec->devices[1]->threads;
        assert_in_range(abs(first - second), 0, 1);
        assert_int_equal(first + second, threads > 2 ? threads : 2); /* one each at least */
        an_exec_free(exec);
    }
}

static void test_layer_times(void **state)
{
    (void)state;
    an_graph graph;
    an_exec_result result;
    an_exec_layer layer;
    an_sgd sgd = {.rate = 0.01};
    float *images = an_test_random(BATCH * SMALL_IMAGE, 9);
    double flop = 0;
    uint64_t parameters = 0, memory = 0;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    an_exec *exec = exec_make(&graph, "cpu,cpu", true);
    for (uint64_t step = 0; step < 2; step++) {
        an_exec_layers_reset(exec);
        an_test_ok(an_exec_step(exec, &(an_images){.pixels = images}, labels, BATCH, step, &result), "step");
        an_test_ok(an_exec_update(exec, &sgd), "update");
    }
    for (int i = 0; i < an_exec_layer_count(exec); i++) {
        an_exec_layer_get(exec, i, &layer);
        assert_int_equal(layer.runs, 1);
        assert_true(layer.forward > 0 && layer.backward > 0);
        flop += layer.flop;
        parameters += layer.parameters;
        memory += layer.memory;
        assert_true(layer.memory > 0);
    }
    assert_int_equal(parameters, an_graph_parameters(&graph));
    assert_true(memory <= an_exec_memory(exec));
    assert_true(flop == an_graph_flop(&graph));
    free(images);
    an_exec_free(exec);
}

static void test_description_and_memory(void **state)
{
    (void)state;
    an_graph graph;
    an_buffer text = {0};
    an_small_net(&graph, AN_ACTIVATION_RELU);
    an_exec *exec = exec_make(&graph, "fused", true), *fixed = exec_make(&graph, "fused", false);
    an_test_ok(an_exec_describe(exec, &text), "describe");
    assert_non_null(strstr((const char *)text.data, "conv4"));
    assert_true(an_exec_memory(fixed) > BATCH * SMALL_IMAGE * sizeof(float));
    assert_true(an_exec_memory(exec) > an_exec_memory(fixed));
    an_format format = an_exec_input_format(exec);
    assert_int_equal(format.dtype, AN_DTYPE_F32);
    assert_int_equal(format.channels, 3);
    an_buffer_free(&text);
    an_exec_free(exec);
    an_exec_free(fixed);
    an_exec_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step_matches_the_reference),
        cmocka_unit_test(test_reference_gradients_numerically),
        cmocka_unit_test(test_evaluation_matches_the_reference),
        cmocka_unit_test(test_placements_agree),
        cmocka_unit_test(test_alexnet_without_crossings),
        cmocka_unit_test(test_it_learns_a_batch_by_heart),
        cmocka_unit_test(test_steps_repeat_exactly),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_initial_weights),
        cmocka_unit_test(test_bad_options_are_refused),
        cmocka_unit_test(test_bad_steps_are_refused),
        cmocka_unit_test(test_values_that_are_not_finite_are_named),
        cmocka_unit_test(test_evaluation_without_labels_sees_them_too),
        cmocka_unit_test(test_a_layer_that_a_device_lacks_is_named),
        cmocka_unit_test(test_every_thread_belongs_to_a_device),
        cmocka_unit_test(test_layer_times),
        cmocka_unit_test(test_description_and_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
