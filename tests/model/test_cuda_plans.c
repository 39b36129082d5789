/* Level 2 of the CUDA backend's tests: the real cuDNN, without a device, takes every convolution that the networks
 * need, for devices that are only described. With --table: engines and workspaces, as in docs/gpu-engines.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "model/cuda/layers/conv_private.h"
#include "model/cuda/library/plan_private.h"
#include "model/graph/lower.h"
#include "model/nets/alexnet.h"
#include "model/nets/cifarnet.h"

#define BATCH 128

typedef struct {
    const char *name;
    int capability, processors, shared, clock, cache, memory_clock;
    long long memory;
} device;

static const device devices[] = {
    {"A100", 800, 108, 166912, 1410000, 41943040, 1593000, 85899345920LL},
    {"H100", 900, 132, 232448, 1980000, 52428800, 2619000, 85899345920LL},
    {"B200", 1000, 148, 232448, 1965000, 132644864, 3996000, 192000000000LL},
};
#define DEVICES (sizeof devices / sizeof *devices)

typedef struct {
    const char *name;
    int side;
    bool cifar, split;
} network;

static const network networks[] = {
    {"AlexNet 224, one device", 224, false, false},
    {"AlexNet 224, two devices", 224, false, true},
    {"AlexNet 64, one device", 64, false, false},
    {"AlexNet 64, two devices", 64, false, true},
    {"CIFAR net", 32, true, false},
};
#define NETWORKS (sizeof networks / sizeof *networks)

static void graph_make(const network *n, an_graph *lowered)
{
    an_graph stated, fused;
    an_cifar_options cifar = an_cifar_defaults();
    an_alexnet_options alexnet = an_alexnet_defaults();
    alexnet.input = n->side;
    assert_int_equal(n->cifar ? an_cifar_build(&cifar, &stated) : an_alexnet_build(&alexnet, &stated), AN_OK);
    if (n->split) {
        assert_int_equal(an_graph_lower(&stated, 2, lowered), AN_OK);
        return;
    }
    assert_int_equal(an_graph_fuse(&stated, &fused), AN_OK);
    assert_int_equal(an_graph_lower(&fused, 1, lowered), AN_OK);
}

static cudnnBackendDescriptor_t described(const device *d)
{
    char json[1024];
    cudnnBackendDescriptor_t out;
    snprintf(
        json, sizeof json,
        "{\"deviceVer\":%d,\"multiProcessorCount\":%d,\"warpSize\":32,\"maxSharedMemoryPerBlock\":49152,"
        "\"maxSharedMemoryPerBlockOptin\":%d,\"reservedSharedMemoryPerBlock\":1024,\"maxRegistersPerSM\":65536,"
        "\"maxCtasPerSM\":32,\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":2048,\"regsPerBlock\":65536,"
        "\"totalGlobalMem\":%lld,\"smClockRateKHz\":%d,\"l2CacheSize\":%d,\"maxBlockSize\":[1024,1024,64],"
        "\"memClockRateKHz\":%d,\"maxGridSize\":[2147483647,65535,65535],\"supportCoopLaunch\":1,\"pciDeviceId\":0,"
        "\"isTccDriver\":0,\"cudaDeviceId\":0,\"driverVer\":13000,\"deviceName\":\"%s\"}",
        d->capability, d->processors, d->shared, d->memory, d->clock, d->cache, d->memory_clock, d->name);
    if (an_plan_device_described(&out, json))
        fail_msg("%s: %s", d->name, an_error_message());
    return out;
}

/* Engine and workspace of one plan, or "-" where the network needs none. */
static void cell(const an_plan_spec *spec, const device *d, cudnnBackendDescriptor_t description, bool needed,
                 bool print)
{
    an_plan plan;
    if (!needed) {
        if (print)
            printf(" - |");
        return;
    }
    if (an_plan_make(&plan, spec, description, NULL))
        fail_msg("%s: %s", d->name, an_error_message());
    assert_true(plan.workspace >= 0);
    if (print)
        printf(" %lld, %.1f |", (long long)plan.engine, (double)plan.workspace / 1e6);
    an_plan_free(&plan);
}

/* A way to compute a grouped convolution without groups: as two halves, of which each lies in a part of its own or is a
 * view of a whole tensor, or dense, with zeros among the weights. */
typedef struct {
    const char *name;
    bool dense, x_apart, y_apart;
} way;

static const way ways[] = {
    {"halves", false, true, true},  {"halves, x whole", false, false, true}, {"halves, y whole", false, true, false},
    {"views", false, false, false}, {"dense", true, false, false},
};

static an_plan_spec way_spec(const way *w, const an_plan_spec *grouped)
{
    an_plan_spec spec = *grouped;
    spec.groups = 1;
    if (w->dense)
        return spec;
    spec.c /= 2;
    spec.k /= 2;
    spec.x_pitch = w->x_apart ? 0 : grouped->c;
    spec.y_pitch = w->y_apart ? 0 : grouped->k;
    return spec;
}

static void ways_check(const an_node *node, const an_node *input, const device *d, cudnnBackendDescriptor_t description,
                       an_cuda_precision precision, bool print)
{
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (print)
            printf("| %s | %s | %s, %s |", d->name, an_cuda_precision_name(precision), node->name, ways[i].name);
        for (an_plan_kind kind = AN_PLAN_FORWARD; kind <= AN_PLAN_WEIGHTS; kind++) {
            an_plan_spec grouped =
                an_plan_spec_of(kind, precision, node, BATCH, input->channels, input->height, input->width);
            an_plan_spec spec = way_spec(&ways[i], &grouped);
            cell(&spec, d, description, true, print);
        }
        if (print)
            printf("\n");
    }
}

/* The input of a convolution as the backend stores it. */
static an_cuda_tensor input_of(const an_node *node, const an_node *input, an_cuda_precision precision)
{
    an_cuda_tensor x = {
        .n = BATCH, .c = input->channels, .h = input->height, .w = input->width, .stored_c = input->channels};
    if (input->kind != AN_OP_INPUT)
        return x;
    an_cuda_blocks blocks;
    bool in_blocks = an_conv_blocks_of(node, &x, &blocks);
    x.stored_c = an_plan_image_channels(in_blocks ? x.c * blocks.side * blocks.side : x.c, precision);
    if (in_blocks)
        x.blocks = blocks;
    return x;
}

static void layer_check(const an_graph *graph, const an_node *node, const device *d,
                        cudnnBackendDescriptor_t description, an_cuda_precision precision, bool print)
{
    const an_node *input = &graph->nodes[node->inputs[0]];
    const an_cuda_tensor x = input_of(node, input, precision);
    an_plan_spec spec = an_conv_spec(node, precision, &x);
    if (print)
        printf("| %s | %s | %s |", d->name, an_cuda_precision_name(precision), node->name);
    for (spec.kind = AN_PLAN_FORWARD; spec.kind <= AN_PLAN_WEIGHTS; spec.kind++)
        cell(&spec, d, description, spec.kind != AN_PLAN_DATA || input->kind != AN_OP_INPUT, print);
    if (print)
        printf("\n");
    if (node->groups == 2 && !an_conv_is_uneven(node, &x))
        ways_check(node, input, d, description, precision, print);
}

static void network_check(const network *n, const device *d, bool print)
{
    an_graph graph;
    cudnnBackendDescriptor_t description = described(d);
    graph_make(n, &graph);
    for (an_cuda_precision precision = AN_CUDA_F32; precision <= AN_CUDA_BF16; precision++)
        for (int i = 0; i < graph.count; i++)
            if (graph.nodes[i].kind == AN_OP_CONV && graph.nodes[i].device == 0)
                layer_check(&graph, &graph.nodes[i], d, description, precision, print);
    assert_int_equal(cudnnBackendDestroyDescriptor(description), CUDNN_STATUS_SUCCESS);
}

static void test_cudnn_takes_every_plan(void **state)
{
    (void)state;
    for (size_t n = 0; n < NETWORKS; n++)
        for (size_t d = 0; d < DEVICES; d++)
            network_check(&networks[n], &devices[d], false);
}

/* What no convolution can be is refused with the shape in the message. */
static void test_an_impossible_plan_is_refused(void **state)
{
    (void)state;
    an_plan plan;
    cudnnBackendDescriptor_t description = described(&devices[0]);
    an_plan_spec spec = {.n = 2,
                         .c = 8,
                         .h = 9,
                         .w = 9,
                         .k = 16,
                         .oh = 7,
                         .ow = 5,
                         .kernel = 3,
                         .stride = 2,
                         .groups = 1,
                         .precision = AN_CUDA_F32};
    assert_int_equal(an_plan_make(&plan, &spec, description, NULL), AN_EINTERNAL);
    assert_non_null(strstr(an_error_message(), "2 x 9 x 9 x 8 to 16 channels, window 3, stride 2"));
    assert_int_equal(cudnnBackendDestroyDescriptor(description), CUDNN_STATUS_SUCCESS);
}

/* Convolutions of pixels, blocks and frames that no network here has. */
static const an_node others[] = {
    {.channels = 64, .kernel = 7, .stride = 2, .pad_before = 3, .pad_after = 3}, /* blocks of 12 of 16 channels */
    {.channels = 32, .kernel = 3, .stride = 2, .pad_before = 0, .pad_after = 1},
    {.channels = 32, .kernel = 5, .stride = 3, .pad_before = 2, .pad_after = 1}, /* blocks of 27 channels */
    {.channels = 96, .kernel = 11, .stride = 4, .pad_before = 2, .pad_after = 2},
    {.channels = 96, .kernel = 12, .stride = 5, .pad_before = 3, .pad_after = 2}, /* blocks of 75 channels */
    {.channels = 32, .kernel = 5, .stride = 1, .pad_before = 2, .pad_after = 1},  /* padding in memory */
    {.channels = 48, .kernel = 6, .stride = 1, .pad_before = 2, .pad_after = 3},
};

static void others_check(const an_node *image, const an_node *node, const device *d)
{
    an_graph graph = {0};
    an_node next = *node;
    cudnnBackendDescriptor_t description = described(d);
    next.kind = AN_OP_CONV;
    next.input_count = 1;
    next.activation = AN_ACTIVATION_RELU;
    snprintf(next.name, sizeof next.name, "conv");
    assert_int_equal(an_graph_add(&graph, image), 0);
    assert_int_equal(an_graph_add(&graph, &next), 1);
    next.inputs[0] = 1; /* behind other channels, with a frame where padding is unequal */
    next.groups = 2;
    snprintf(next.name, sizeof next.name, "next");
    assert_int_equal(an_graph_add(&graph, &next), 2);
    for (an_cuda_precision precision = AN_CUDA_F32; precision <= AN_CUDA_BF16; precision++) {
        layer_check(&graph, &graph.nodes[1], d, description, precision, false);
        layer_check(&graph, &graph.nodes[2], d, description, precision, false);
    }
    assert_int_equal(cudnnBackendDestroyDescriptor(description), CUDNN_STATUS_SUCCESS);
}

static void test_cudnn_takes_blocks_and_frames(void **state)
{
    (void)state;
    const an_node image = {.name = "image", .kind = AN_OP_INPUT, .channels = 3, .height = 65, .width = 65};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        for (size_t d = 0; d < DEVICES; d++)
            others_check(&image, &others[i], &devices[d]);
}

/* Whatever the crop and its padding, conv1 becomes a convolution of 3 x 3 blocks that have 48 channels. */
static void test_conv1_reads_blocks(void **state)
{
    (void)state;
    for (int side = 32; side <= 256; side++)
        for (an_alexnet_padding padding = AN_ALEXNET_OVERHANG; padding <= AN_ALEXNET_PAD2; padding++) {
            an_graph graph;
            an_alexnet_options options = an_alexnet_defaults();
            options.input = side;
            options.padding = padding;
            if (an_alexnet_build(&options, &graph))
                continue; /* too small for what follows */
            const an_node *conv1 = &graph.nodes[1];
            const an_cuda_tensor x = input_of(conv1, &graph.nodes[0], AN_CUDA_BF16);
            an_plan_spec spec = an_conv_spec(conv1, AN_CUDA_BF16, &x);
            assert_string_equal(conv1->name, "conv1");
            assert_int_equal(spec.c, 48);
            assert_int_equal(spec.h, conv1->height + 2);
            assert_int_equal(spec.w, conv1->width + 2);
            assert_int_equal(spec.kernel, 3);
            assert_int_equal(spec.stride, 1);
            assert_int_equal(spec.pad, 0);
        }
}

/* A library that is asked for unequal padding may compute something else without a word. */
static void test_unequal_padding_is_no_plan(void **state)
{
    (void)state;
    an_plan plan;
    an_graph graph = {0};
    const an_node image = {.name = "image", .kind = AN_OP_INPUT, .channels = 32, .height = 9, .width = 9};
    const an_node node = {.name = "conv",
                          .kind = AN_OP_CONV,
                          .channels = 32,
                          .kernel = 5,
                          .stride = 1,
                          .pad_before = 2,
                          .pad_after = 1,
                          .input_count = 1};
    cudnnBackendDescriptor_t description = described(&devices[1]);
    assert_int_equal(an_graph_add(&graph, &image), 0);
    assert_int_equal(an_graph_add(&graph, &node), 1);
    for (an_plan_kind kind = AN_PLAN_FORWARD; kind <= AN_PLAN_WEIGHTS; kind++) {
        an_plan_spec spec = an_plan_spec_of(kind, AN_CUDA_F32, &graph.nodes[1], BATCH, 32, 9, 9);
        assert_int_equal(an_plan_make(&plan, &spec, description, NULL), AN_EINTERNAL);
        assert_non_null(strstr(an_error_message(), "has 9 x 9 outputs, not 8 x 8"));
    }
    assert_int_equal(cudnnBackendDestroyDescriptor(description), CUDNN_STATUS_SUCCESS);
}

static void test_a_bad_description_is_refused(void **state)
{
    (void)state;
    cudnnBackendDescriptor_t description;
    assert_true(an_plan_device_described(&description, "{\"deviceVer\":900}") < 0);
}

/* An engine's name makes the same plan again; names without an engine make none. */
static void names_check(const an_plan_spec *spec, cudnnBackendDescriptor_t description)
{
    char names[AN_PLAN_PROPOSALS][AN_PLAN_ENGINE_NAME];
    an_plan first, again;
    int count, made = 0;
    assert_int_equal(an_plan_engines(spec, description, names, AN_PLAN_PROPOSALS, &count), AN_OK);
    assert_true(count > 1);
    assert_int_equal(an_plan_make(&first, spec, description, NULL), AN_OK);
    for (int i = 0; i < count; i++) {
        int rc = an_plan_make(&again, spec, description, names[i]);
        assert_true(!rc || rc == AN_EUNSUPPORTED);
        if (rc)
            continue;
        assert_string_equal(again.name, names[i]);
        assert_true(strcmp(first.name, names[i]) != 0 ||
                    (first.engine == again.engine && first.workspace == again.workspace));
        made++;
        an_plan_free(&again);
    }
    assert_true(made > 1);
    assert_int_equal(an_plan_make(&again, spec, description, "4711 1=2"), AN_EUNSUPPORTED);
    assert_non_null(strstr(an_error_message(), "no deterministic engine 4711 1=2 for"));
    an_plan_free(&first);
}

static void test_engines_have_names(void **state)
{
    (void)state;
    an_graph graph;
    graph_make(&networks[1], &graph);
    for (size_t d = 0; d < DEVICES; d++) {
        cudnnBackendDescriptor_t description = described(&devices[d]);
        for (int i = 0; i < graph.count; i++) {
            const an_node *node = &graph.nodes[i], *input = &graph.nodes[node->inputs[0]];
            if (node->kind != AN_OP_CONV || node->device != 0 || input->kind == AN_OP_INPUT)
                continue;
            for (an_plan_kind kind = AN_PLAN_FORWARD; kind <= AN_PLAN_WEIGHTS; kind++) {
                an_plan_spec spec =
                    an_plan_spec_of(kind, AN_CUDA_BF16, node, BATCH, input->channels, input->height, input->width);
                names_check(&spec, description);
            }
            break;
        }
        assert_int_equal(cudnnBackendDestroyDescriptor(description), CUDNN_STATUS_SUCCESS);
    }
}

static int table_print(void)
{
    for (size_t n = 0; n < NETWORKS; n++) {
        printf("\n## %s\n\n| device | precision | layer | forward | data gradient | weight gradient "
               "|\n|---|---|---|---|---|---|\n",
               networks[n].name);
        for (size_t d = 0; d < DEVICES; d++)
            network_check(&networks[n], &devices[d], true);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cudnn_takes_every_plan),       cmocka_unit_test(test_cudnn_takes_blocks_and_frames),
        cmocka_unit_test(test_conv1_reads_blocks),           cmocka_unit_test(test_unequal_padding_is_no_plan),
        cmocka_unit_test(test_engines_have_names),           cmocka_unit_test(test_an_impossible_plan_is_refused),
        cmocka_unit_test(test_a_bad_description_is_refused),
    };
    if (argc > 1 && !strcmp(argv[1], "--table"))
        return table_print();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
