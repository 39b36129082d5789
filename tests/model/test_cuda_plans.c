/* Level 2 of the CUDA backend's tests: the real cuDNN, without a device, takes every convolution that the networks
 * need, for devices that are only described. With --table: engines and workspaces as the table in docs/gpu.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/error.h"
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

static void layer_check(const an_graph *graph, const an_node *node, const device *d,
                        cudnnBackendDescriptor_t description, an_cuda_precision precision, bool print)
{
    const an_node *input = &graph->nodes[node->inputs[0]];
    bool image = input->kind == AN_OP_INPUT;
    int channels = image ? an_plan_image_channels(input->channels, precision) : input->channels;
    if (print)
        printf("| %s | %s | %s |", d->name, an_cuda_precision_name(precision), node->name);
    for (an_plan_kind kind = AN_PLAN_FORWARD; kind <= AN_PLAN_WEIGHTS; kind++) {
        an_plan_spec spec = an_plan_spec_of(kind, precision, node, BATCH, channels, input->height, input->width);
        cell(&spec, d, description, kind != AN_PLAN_DATA || !image, print);
    }
    if (print)
        printf("\n");
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
                         .pad_after = 1,
                         .groups = 1,
                         .precision = AN_CUDA_F32};
    assert_true(an_plan_make(&plan, &spec, description, NULL) < 0);
    assert_non_null(strstr(an_error_message(), "2 x 9 x 9 x 8 to 16 channels, window 3, stride 2"));
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
        printf("\n### %s\n\n| device | precision | layer | forward | data gradient | weight gradient "
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
        cmocka_unit_test(test_cudnn_takes_every_plan),
        cmocka_unit_test(test_engines_have_names),
        cmocka_unit_test(test_an_impossible_plan_is_refused),
        cmocka_unit_test(test_a_bad_description_is_refused),
    };
    if (argc > 1 && !strcmp(argv[1], "--table"))
        return table_print();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
