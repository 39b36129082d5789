/* Updating all tensors of a device in one launch gives the same bits as one launch for each, on every placement and
 * with more tensors than a launch holds. Also: the host goes on while gradients are computed, and knows the loss before
 * that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/cuda/kernels/kernels.h"
#include "model/exec/exec_private.h"
#include "model/init.h"
#include "small_net.h"
#include "support.h"
#include "tests/emu/emulator/emu.h"

#define BATCH 4
#define DEEP 36 /* layers, of two tensors each */

static const an_sgd sgd = {.rate = 0.01, .momentum = 0.9, .decay = 0.0005, .bias_rate_scale = 2, .bias_decay = 0.0001};

/* A network of many fully connected layers. */
static void deep_net(an_graph *graph)
{
    memset(graph, 0, sizeof *graph);
    an_node node = {.name = "image", .kind = AN_OP_INPUT, .channels = 3, .height = 4, .width = 4};
    int last = an_graph_add(graph, &node);
    for (int i = 0; i < DEEP; i++) {
        node = (an_node){.kind = AN_OP_DENSE,
                         .inputs = {last},
                         .input_count = 1,
                         .channels = i == DEEP - 1 ? SMALL_CLASSES : 8 + i % 3 * 8,
                         .activation = i == DEEP - 1 ? AN_ACTIVATION_NONE : AN_ACTIVATION_RELU};
        snprintf(node.name, sizeof node.name, "fc%d", i);
        last = an_graph_add(graph, &node);
        assert_true(last > 0);
    }
    node = (an_node){.name = "loss", .kind = AN_OP_LOSS, .inputs = {last}, .input_count = 1};
    assert_true(an_graph_add(graph, &node) > 0);
}

static const double *scales; /* an_exec_options.rate_scales of what is made */

static void exec_make(an_exec **exec, const an_graph *graph, const char *devices, an_precision precision)
{
    static const float grey[3] = {128, 128, 128};
    static const an_conversion conversion = {.mean = grey, .side = 1, .scale = 1 / 128.0};
    an_exec_options options = {.devices = devices,
                               .batch = BATCH,
                               .threads = 1,
                               .training = true,
                               .seed = 3,
                               .precision = precision,
                               .conversion = &conversion,
                               .rate_scales = scales};
    an_test_ok(an_exec_create(exec, graph, &options), devices);
    an_test_ok(an_init_parameters(*exec, AN_INIT_HE, 5), "init");
}

static uint8_t *bytes_make(int side)
{
    size_t size = (size_t)(BATCH * 3 * side * side);
    uint8_t *bytes = an_test_zeros(size, 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * i % 251);
    return bytes;
}

static void exec_step(an_exec *exec, const uint8_t *bytes, uint64_t step)
{
    static const uint32_t labels[BATCH] = {4, 0, 2, 1};
    an_exec_result result;
    an_test_ok(an_exec_step(exec, &(an_images){.pixels = bytes}, labels, BATCH, step, &result), "step");
}

/* As on the CPU, op by op. */
static void update_each(an_exec *exec)
{
    for (int i = 0; i < exec->graph.count; i++)
        if (exec->graph.nodes[i].has_weights)
            an_test_ok(exec->api->update(exec->ops[i], &sgd, 1), exec->graph.nodes[i].name);
    for (int i = 0; i < exec->device_count; i++)
        an_test_ok(exec->api->synchronize(exec->devices[i]), "synchronize");
}

static void same_bits(an_exec *one, an_exec *two, an_parameter_kind kind)
{
    for (int p = 0; p < an_exec_parameter_count(one); p++) {
        const an_parameter *info = an_exec_parameter(one, p);
        float *a = an_test_zeros(info->size, sizeof *a), *b = an_test_zeros(info->size, sizeof *b);
        an_test_ok(an_exec_parameter_get(one, p, kind, a), "get");
        an_test_ok(an_exec_parameter_get(two, p, kind, b), "get");
        if (memcmp(a, b, info->size * sizeof *a) != 0)
            fail_msg("%s differs", info->name);
        free(a);
        free(b);
    }
}

static void no_violations(void)
{
    char text[512];
    if (emu_violations(text, sizeof text))
        fail_msg("the emulator complains: %s", text);
}

static void check_same(const an_graph *graph, const char *devices, an_precision precision)
{
    an_exec *each, *all;
    exec_make(&each, graph, devices, precision);
    exec_make(&all, graph, devices, precision);
    uint8_t *bytes = bytes_make(graph->input_side);
    for (uint64_t step = 0; step < 3; step++) {
        exec_step(each, bytes, step);
        exec_step(all, bytes, step);
        update_each(each);
        an_test_ok(an_exec_update(all, &sgd), "update");
        same_bits(each, all, AN_PARAMETER_VALUE);
        same_bits(each, all, AN_PARAMETER_MOMENTUM);
    }
    an_exec_free(each);
    an_exec_free(all);
    free(bytes);
    no_violations();
}

static void test_one_launch_gives_the_same_bits(void **state)
{
    (void)state;
    an_graph graph;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    check_same(&graph, "cuda:0", AN_PRECISION_F32);
    check_same(&graph, "cuda:0,cuda:1", AN_PRECISION_F32);
    check_same(&graph, "cuda:0,cuda:1", AN_PRECISION_BF16);
}

static void test_more_tensors_than_a_launch_takes(void **state)
{
    (void)state;
    an_graph graph;
    deep_net(&graph);
    check_same(&graph, "cuda:0", AN_PRECISION_F32);
}

/* The number of kernels that an update starts. */
static uint64_t launches(const an_graph *graph, int tensors)
{
    an_exec *exec;
    exec_make(&exec, graph, "cuda:0", AN_PRECISION_F32);
    assert_int_equal(an_exec_parameter_count(exec), tensors);
    uint64_t before = emu_count().launches;
    an_test_ok(an_exec_update(exec, &sgd), "update");
    uint64_t after = emu_count().launches;
    an_exec_free(exec);
    return after - before;
}

static void test_launches_are_few(void **state)
{
    (void)state;
    an_graph graph;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    assert_int_equal(launches(&graph, 12), 2); /* the update, and conv1's weights in blocks */
    deep_net(&graph);
    assert_int_equal(launches(&graph, 2 * DEEP), (2 * DEEP + AN_SGD_TENSORS - 1) / AN_SGD_TENSORS);
}

/* A step returns once its loss is known, while its gradients are still computed; the update is queued after them. The
 * host's memory is free again by then, except that of a prefetched batch. */
static void check_ahead(const char *devices)
{
    an_graph graph;
    an_exec *exec;
    void *images;
    size_t size = BATCH * 3 * SMALL_SIDE * SMALL_SIDE;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    exec_make(&exec, &graph, devices, AN_PRECISION_F32);
    an_test_ok(an_exec_images_alloc(exec, &images, size), "images");
    for (uint64_t step = 0; step < 4; step++) {
        if (step % 2)
            an_exec_prefetch(exec, &(an_images){.pixels = images}, BATCH);
        exec_step(exec, images, step);
        assert_true(emu_in_flight(false) > 0);
        assert_int_equal(emu_in_flight(true), step % 2);
        an_test_ok(an_exec_update(exec, &sgd), "update");
        assert_true(emu_in_flight(false) > 0);
    }
    an_test_ok(an_exec_wait(exec), "wait");
    assert_int_equal(emu_in_flight(false) + emu_in_flight(true), 0);
    an_exec_images_free(exec, images, size);
    an_exec_free(exec);
    no_violations();
}

static void test_the_host_does_not_wait_for_backward(void **state)
{
    (void)state;
    check_ahead("cuda:0");
    check_ahead("cuda:0,cuda:1");
}

/* Sets the first weight of conv2 and returns its old value. */
static float weight_swap(an_exec *exec, float value)
{
    int number = 0;
    while (strcmp(an_exec_parameter(exec, number)->name, "conv2.weight") != 0)
        number++;
    float *values = an_test_zeros(an_exec_parameter(exec, number)->size, sizeof *values);
    an_test_ok(an_exec_parameter_get(exec, number, AN_PARAMETER_VALUE, values), "get");
    float before = values[0];
    values[0] = value;
    an_test_ok(an_exec_parameter_set(exec, number, AN_PARAMETER_VALUE, values), "set");
    free(values);
    return before;
}

/* A loss that is not finite is reported while backward still runs, and before an update spoils the weights. Once the
 * cause is removed, training goes on as if nothing had happened. */
static void test_a_loss_that_is_not_finite(void **state)
{
    (void)state;
    static const uint32_t labels[BATCH] = {4, 0, 2, 1};
    an_graph graph;
    an_exec *spoilt, *other;
    an_exec_result result;
    uint8_t *images = bytes_make(SMALL_SIDE);
    an_small_net(&graph, AN_ACTIVATION_RELU);
    exec_make(&spoilt, &graph, "cuda:0,cuda:1", AN_PRECISION_F32);
    exec_make(&other, &graph, "cuda:0,cuda:1", AN_PRECISION_F32);
    float before = weight_swap(spoilt, NAN);
    assert_int_equal(an_exec_step(spoilt, &(an_images){.pixels = images}, labels, BATCH, 0, &result), AN_ECORRUPT);
    (void)weight_swap(spoilt, before);
    for (uint64_t step = 0; step < 2; step++) {
        exec_step(spoilt, images, step);
        exec_step(other, images, step);
        an_test_ok(an_exec_update(spoilt, &sgd), "update");
        an_test_ok(an_exec_update(other, &sgd), "update");
    }
    same_bits(spoilt, other, AN_PARAMETER_VALUE);
    an_exec_free(spoilt);
    an_exec_free(other);
    free(images);
    no_violations();
}

/* What a clipped update adds: on one device two kernels and no wait of the host; on two, the host waits for each and
 * what it reads has arrived. LARS adds as much again. Nothing is allocated. */
static void check_clipped(const char *devices, uint64_t count, double trust)
{
    an_graph graph;
    an_exec *exec;
    an_sgd clipped = sgd;
    double norm;
    uint8_t *images = bytes_make(SMALL_SIDE);
    uint64_t more = trust > 0 ? 2 : 1;
    clipped.clip = 0.1;
    clipped.trust = trust;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    exec_make(&exec, &graph, devices, AN_PRECISION_F32);
    for (uint64_t step = 0; step < 4; step++) {
        exec_step(exec, images, step);
        emu_counters before = emu_count();
        an_test_ok(an_exec_update(exec, &clipped), "update");
        emu_counters after = emu_count();
        assert_int_equal(after.launches - before.launches, count * (2 + 2 * more));
        assert_int_equal(after.host_waits - before.host_waits, count == 1 ? 0 : count * more);
        assert_int_equal(after.allocations, before.allocations);
        assert_int_equal(after.pageable, before.pageable);
        if (count == 1)
            assert_true(emu_in_flight(false) > 0);
        else
            assert_int_equal(emu_in_flight(true), 0);
        an_test_ok(an_exec_gradient_norm(exec, &norm), "norm");
        assert_true(norm > clipped.clip); /* its sums are at hand: no kernel is needed for it */
        assert_int_equal(emu_count().launches, after.launches);
        assert_int_equal(emu_in_flight(true), 0);
    }
    an_exec_free(exec);
    free(images);
    no_violations();
}

static void test_clipping_waits_for_nothing_on_one_device(void **state)
{
    (void)state;
    check_clipped("cuda:0", 1, 0);
    check_clipped("cuda:0,cuda:1", 2, 0);
}

static void test_lars_waits_for_nothing_on_one_device(void **state)
{
    (void)state;
    check_clipped("cuda:0", 1, 0.001);
    check_clipped("cuda:0,cuda:1", 2, 0.001);
}

static float *parameter(an_exec *exec, int number, an_parameter_kind kind)
{
    float *values = an_test_zeros(an_exec_parameter(exec, number)->size, sizeof *values);
    an_test_ok(an_exec_parameter_get(exec, number, kind, values), an_exec_parameter(exec, number)->name);
    return values;
}

static double norm_of(const float *values, uint64_t count)
{
    double sum = 0;
    for (uint64_t i = 0; i < count; i++)
        sum += (double)values[i] * values[i];
    return sqrt(sum);
}

/* More layers than a launch computes factors of: each gets its own. */
static void test_lars_of_many_layers(void **state)
{
    (void)state;
    an_graph graph;
    an_exec *exec;
    an_sgd lars = {.rate = 1, .momentum = 0.9, .decay = 0.0005, .trust = 0.01};
    float *before[2 * DEEP], *gradients[2 * DEEP];
    deep_net(&graph);
    exec_make(&exec, &graph, "cuda:0", AN_PRECISION_F32);
    uint8_t *images = bytes_make(graph.input_side);
    exec_step(exec, images, 0);
    for (int p = 0; p < 2 * DEEP; p++) {
        before[p] = parameter(exec, p, AN_PARAMETER_VALUE);
        gradients[p] = parameter(exec, p, AN_PARAMETER_GRADIENT);
    }
    an_test_ok(an_exec_update(exec, &lars), "update");
    for (int p = 0; p < 2 * DEEP; p++) {
        const an_parameter *info = an_exec_parameter(exec, p);
        double w = norm_of(before[p], info->size), g = norm_of(gradients[p], info->size);
        double rate = info->bias ? 0 : g > 0 ? lars.trust * w / (g + lars.decay * w) : 1;
        double *expected = an_test_zeros(info->size, sizeof *expected);
        float *after = parameter(exec, p, AN_PARAMETER_VALUE);
        for (uint64_t i = 0; i < info->size; i++)
            expected[i] = before[p][i] - rate * ((double)gradients[p][i] + lars.decay * (double)before[p][i]);
        an_test_close(info->name, after, expected, info->size, 1e-6);
        free(expected);
        free(after);
        free(before[p]);
        free(gradients[p]);
    }
    an_exec_free(exec);
    free(images);
    no_violations();
}

/* Whether two equal execs differ after two steps with such updates, in the second of which a kernel of one does
 * nothing. */
static bool is_noticed_with(an_sgd clipped, const char *kernel, const char *devices)
{
    an_graph graph;
    an_exec *whole, *planted;
    bool differ = false;
    uint8_t *images = bytes_make(SMALL_SIDE);
    an_small_net(&graph, AN_ACTIVATION_RELU);
    exec_make(&whole, &graph, devices, AN_PRECISION_F32);
    exec_make(&planted, &graph, devices, AN_PRECISION_F32);
    for (uint64_t step = 0; step < 2; step++) {
        exec_step(whole, images, step);
        exec_step(planted, images, step);
        an_test_ok(an_exec_update(whole, &clipped), "update");
        emu_ignore_kernel(step ? kernel : NULL); /* what the norm was in the step before is used then */
        an_test_ok(an_exec_update(planted, &clipped), "update");
        emu_ignore_kernel(NULL);
    }
    for (int p = 0; p < an_exec_parameter_count(whole) && !differ; p++) {
        uint64_t size = an_exec_parameter(whole, p)->size;
        float *a = an_test_zeros(size, sizeof *a), *b = an_test_zeros(size, sizeof *b);
        an_test_ok(an_exec_parameter_get(whole, p, AN_PARAMETER_VALUE, a), "get");
        an_test_ok(an_exec_parameter_get(planted, p, AN_PARAMETER_VALUE, b), "get");
        differ = memcmp(a, b, size * sizeof *a) != 0;
        free(a);
        free(b);
    }
    an_exec_free(whole);
    an_exec_free(planted);
    free(images);
    no_violations();
    return differ;
}

static bool is_noticed(const char *kernel, const char *devices)
{
    an_sgd clipped = sgd;
    clipped.clip = 0.1;
    return is_noticed_with(clipped, kernel, devices);
}

/* A norm that is read before it is complete shows in the weights. */
static void test_an_incomplete_norm_is_noticed(void **state)
{
    (void)state;
    assert_true(is_noticed("an_device_norm", "cuda:0"));
    assert_true(is_noticed("an_device_norm_total", "cuda:0"));
    assert_true(is_noticed("an_device_norm", "cuda:0,cuda:1"));
    assert_false(is_noticed("an_device_sgd", "cuda:0")); /* which is for updates that are not clipped */
    an_sgd lars = {.rate = 0.1, .momentum = 0.9, .trust = 0.01};
    assert_true(is_noticed_with(lars, "an_device_norm", "cuda:0"));
    assert_true(is_noticed_with(lars, "an_device_trust", "cuda:0"));
    assert_true(is_noticed_with(lars, "an_device_sgd_trust", "cuda:0"));
    assert_true(is_noticed_with(lars, "an_device_norm", "cuda:0,cuda:1"));
    assert_true(is_noticed_with(lars, "an_device_trust", "cuda:0,cuda:1"));
    assert_false(is_noticed_with(lars, "an_device_sgd_trust", "cuda:0,cuda:1")); /* the host knows the rates there */
}

/* Bytes that cross between devices in the last of some steps. */
static uint64_t crossed(const an_graph *graph, an_exec **exec)
{
    uint64_t bytes = 0;
    uint8_t *images = bytes_make(SMALL_SIDE);
    exec_make(exec, graph, "cuda:0,cuda:1", AN_PRECISION_F32);
    for (uint64_t step = 0; step < 4; step++) {
        uint64_t before = emu_count().peer;
        exec_step(*exec, images, step);
        an_test_ok(an_exec_update(*exec, &sgd), "update");
        bytes = emu_count().peer - before;
    }
    assert_true(an_exec_replays(*exec));
    free(images);
    return bytes;
}

/* Nothing goes back to layers that do not learn. */
static void test_frozen_layers_get_no_gradient(void **state)
{
    (void)state;
    an_graph graph;
    an_exec *exec;
    double some[AN_GRAPH_NODES_MAX];
    uint64_t back = 0;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    uint64_t all = crossed(&graph, &exec);
    an_exec_free(exec);
    for (int i = 0; i < AN_GRAPH_NODES_MAX; i++)
        some[i] = 1;
    for (int i = 0; i < graph.count; i++)
        if (!strcmp(graph.nodes[i].name, "conv1") || !strcmp(graph.nodes[i].name, "conv2"))
            some[graph.nodes[i].layer] = 0;
    scales = some;
    uint64_t frozen = crossed(&graph, &exec);
    scales = NULL;
    for (int i = 0; i < exec->graph.count; i++) {
        const an_node *node = &exec->graph.nodes[i];
        if (!strcmp(node->name, "conv2")) /* conv3 reads both halves on both devices */
            back += sizeof(float) * (uint64_t)(BATCH * node->channels * node->height * node->width);
    }
    assert_true(back > 0);
    assert_int_equal(all - frozen, back);
    an_exec_free(exec);
    no_violations();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_launch_gives_the_same_bits),
        cmocka_unit_test(test_more_tensors_than_a_launch_takes),
        cmocka_unit_test(test_launches_are_few),
        cmocka_unit_test(test_the_host_does_not_wait_for_backward),
        cmocka_unit_test(test_a_loss_that_is_not_finite),
        cmocka_unit_test(test_clipping_waits_for_nothing_on_one_device),
        cmocka_unit_test(test_lars_waits_for_nothing_on_one_device),
        cmocka_unit_test(test_lars_of_many_layers),
        cmocka_unit_test(test_an_incomplete_norm_is_noticed),
        cmocka_unit_test(test_frozen_layers_get_no_gradient),
    };
    (void)emu_violations(NULL, 0); /* from now on collected, and asked for by each test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
