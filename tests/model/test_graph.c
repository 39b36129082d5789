#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "model/graph/lower.h"
#include "model/nets/alexnet.h"
#include "model/nets/cifarnet.h"
#include "small_net.h"
#include "support.h"

static const an_node *node_named(const an_graph *graph, const char *name, int skip)
{
    for (int i = 0; i < graph->count; i++)
        if (!strcmp(graph->nodes[i].name, name) && skip-- == 0)
            return &graph->nodes[i];
    return NULL;
}

static void assert_layer(const an_graph *graph, const char *name, int channels, int side, int groups)
{
    const an_node *node = node_named(graph, name, 0);
    assert_non_null(node);
    assert_int_equal(node->channels, channels);
    assert_int_equal(node->height, side);
    assert_int_equal(node->width, side);
    assert_int_equal(node->groups, groups);
}

static void test_paper_form(void **state)
{
    (void)state;
    an_graph graph;
    an_alexnet_options options = an_alexnet_defaults();
    an_test_ok(an_alexnet_build(&options, &graph), "build");
    assert_int_equal(an_graph_parameters(&graph), 60965224);
    assert_layer(&graph, "conv1", 48, 55, 1);
    assert_layer(&graph, "pool1", 48, 27, 1);
    assert_layer(&graph, "conv2", 128, 27, 1);
    assert_layer(&graph, "conv3", 192, 13, 1);
    assert_layer(&graph, "conv5", 128, 13, 1);
    assert_layer(&graph, "pool5", 128, 6, 1);
    assert_layer(&graph, "fc6", 2048, 1, 1);
    assert_layer(&graph, "fc8", 1000, 1, 1);
    assert_int_equal(node_named(&graph, "conv3", 1)->input_count, 2);
    assert_int_equal(node_named(&graph, "conv3", 1)->channel_offset, 192);
    assert_int_equal(node_named(&graph, "conv4", 1)->input_count, 1);
    assert_int_equal(node_named(&graph, "conv1", 0)->pad_after, 3);
    assert_int_equal(node_named(&graph, "conv1", 0)->pad_before, 0);
    /* Multiply-adds by layer, from the paper's shapes. */
    double flop =
        2.0 * (55 * 55 * 96 * 363.0 + 27 * 27 * 256 * 1200.0 + 13 * 13 * (384 * 2304.0 + 384 * 1728.0 + 256 * 1728.0) +
               4096 * (9216.0 + 4096) + 1000 * 4096.0);
    assert_true(an_graph_flop(&graph) == flop);
}

static void test_fused_form(void **state)
{
    (void)state;
    an_graph graph, fused;
    an_alexnet_options options = an_alexnet_defaults();
    an_test_ok(an_alexnet_build(&options, &graph), "build");
    an_test_ok(an_graph_fuse(&graph, &fused), "fuse");
    assert_int_equal(an_graph_parameters(&fused), 60965224);
    assert_true(an_graph_flop(&fused) == an_graph_flop(&graph));
    assert_layer(&fused, "conv1", 96, 55, 1);
    assert_layer(&fused, "lrn1", 96, 55, 2);
    assert_layer(&fused, "conv2", 256, 27, 2);
    assert_layer(&fused, "conv3", 384, 13, 1);
    assert_layer(&fused, "conv4", 384, 13, 2);
    assert_layer(&fused, "conv5", 256, 13, 2);
    assert_layer(&fused, "fc6", 4096, 1, 1);
    for (int i = 0; i < fused.count; i++) {
        assert_int_equal(fused.nodes[i].device, 0);
        assert_true(fused.nodes[i].input_count <= 1);
        assert_null(node_named(&fused, fused.nodes[i].name, 1));
        assert_int_equal(fused.nodes[i].layer, node_named(&graph, fused.nodes[i].name, 0)->layer);
    }
}

static void test_one_column(void **state)
{
    (void)state;
    an_graph graph, fused;
    an_alexnet_options options = an_alexnet_defaults();
    options.columns = AN_ALEXNET_ONE_COLUMN;
    an_test_ok(an_alexnet_build(&options, &graph), "build");
    assert_layer(&graph, "conv2", 256, 27, 1);
    /* conv2, conv4 and conv5 see all channels: twice the weights. */
    assert_int_equal(an_graph_parameters(&graph), 60965224 + 256 * 25 * 48 + 384 * 9 * 192 + 256 * 9 * 192);
    an_test_ok(an_graph_fuse(&graph, &fused), "fuse");
    assert_int_equal(fused.count, graph.count);
}

/* The paper's comparison: "approximately the same number of parameters" as two columns, conv5 and fc6 to fc8 whole. */
static void test_half_a_column(void **state)
{
    (void)state;
    an_graph graph;
    an_alexnet_options options = an_alexnet_defaults();
    options.columns = AN_ALEXNET_HALF_COLUMN;
    an_test_ok(an_alexnet_build(&options, &graph), "build");
    assert_layer(&graph, "conv1", 48, 55, 1);
    assert_layer(&graph, "conv2", 128, 27, 1);
    assert_layer(&graph, "conv3", 192, 13, 1);
    assert_layer(&graph, "conv4", 192, 13, 1);
    assert_layer(&graph, "conv5", 256, 13, 1);
    assert_layer(&graph, "fc6", 4096, 1, 1);
    int weights = 48 * 363 + 128 * 48 * 25 + 192 * 128 * 9 + 192 * 192 * 9 + 256 * 192 * 9;
    int dense = 4096 * 9216 + 4096 * 4096 + 1000 * 4096, biases = 48 + 128 + 192 + 192 + 256 + 4096 + 4096 + 1000;
    assert_int_equal(an_graph_parameters(&graph), weights + dense + biases); /* 59.8 million */
}

/* A layer goes with its normalisation and its dropout; its pooling stays, so fc6 sees images of the same size. */
static void test_layers_left_out(void **state)
{
    (void)state;
    an_graph graph;
    an_alexnet_options options = an_alexnet_defaults();
    options.without = AN_ALEXNET_CONV2 | AN_ALEXNET_CONV3 | AN_ALEXNET_FC7;
    an_test_ok(an_alexnet_build(&options, &graph), "build");
    assert_null(node_named(&graph, "conv2", 0));
    assert_null(node_named(&graph, "lrn2", 0));
    assert_null(node_named(&graph, "dropout7", 0));
    assert_layer(&graph, "pool2", 48, 13, 1);
    assert_layer(&graph, "conv4", 192, 13, 1);
    assert_layer(&graph, "pool5", 128, 6, 1);
    options.without = AN_ALEXNET_FC6 | AN_ALEXNET_FC7;
    an_test_ok(an_alexnet_build(&options, &graph), "build");
    assert_int_equal(an_graph_node_inputs(&graph, node_named(&graph, "fc8", 0)), 256 * 36);
    options.without = AN_ALEXNET_CONV1;
    an_test_refused(an_alexnet_build(&options, &graph), "without conv1");
}

static void order_of(const an_graph *graph, char *out, size_t size)
{
    size_t used = 0;
    *out = 0;
    for (int i = 1; i < graph->count && strcmp(graph->nodes[i].name, "conv3") != 0; i++)
        if (graph->nodes[i].device == 0)
            used += (size_t)snprintf(out + used, size - used, "%s ", graph->nodes[i].name);
}

/* The original program's order in conv1, CaffeNet's in conv2. */
static void test_places_of_normalisation(void **state)
{
    (void)state;
    char order[256];
    an_graph graph, fused;
    an_alexnet_options options = an_alexnet_defaults();
    options.lrn_first = AN_ALEXNET_CONV1;
    options.lrn_after_pool = AN_ALEXNET_CONV2;
    options.lrn_k = 1;
    options.activation = AN_ACTIVATION_TANH;
    an_test_ok(an_alexnet_build(&options, &graph), "build");
    order_of(&graph, order, sizeof order);
    assert_string_equal(order, "conv1 lrn1 pool1 activation1 conv2 pool2 lrn2 ");
    assert_int_equal(node_named(&graph, "conv1", 0)->activation, AN_ACTIVATION_NONE);
    assert_int_equal(node_named(&graph, "activation1", 1)->activation, AN_ACTIVATION_TANH);
    assert_int_equal(node_named(&graph, "conv2", 0)->activation, AN_ACTIVATION_TANH);
    assert_true(node_named(&graph, "lrn1", 0)->lrn_k == 1);
    an_test_ok(an_graph_fuse(&graph, &fused), "fuse");
    assert_layer(&fused, "activation1", 96, 27, 1);
    assert_layer(&fused, "lrn2", 256, 13, 2);
    options.lrn_first = options.lrn_after_pool = AN_ALEXNET_CONV1;
    an_test_ok(an_alexnet_build(&options, &graph), "build");
    order_of(&graph, order, sizeof order);
    assert_string_equal(order, "conv1 pool1 lrn1 activation1 conv2 lrn2 pool2 ");
}

static void test_switches(void **state)
{
    (void)state;
    an_graph graph, fused;
    an_alexnet_options options = an_alexnet_defaults();
    options.lrn_layers = AN_ALEXNET_CONV5;
    options.dropout_layers = AN_ALEXNET_FC7;
    options.pool = 2;
    options.padding = AN_ALEXNET_PAD2;
    options.activation = AN_ACTIVATION_TANH;
    an_test_ok(an_alexnet_build(&options, &graph), "build");
    assert_null(node_named(&graph, "lrn1", 0));
    assert_null(node_named(&graph, "dropout6", 0));
    assert_non_null(node_named(&graph, "dropout7", 1));
    assert_layer(&graph, "lrn5", 128, 13, 1);
    assert_layer(&graph, "conv1", 48, 55, 1);
    assert_layer(&graph, "pool1", 48, 27, 1);
    assert_int_equal(node_named(&graph, "conv1", 0)->pad_before, 2);
    assert_int_equal(node_named(&graph, "pool5", 0)->kernel, 2);
    assert_int_equal(node_named(&graph, "fc7", 0)->activation, AN_ACTIVATION_TANH);
    options = an_alexnet_defaults();
    options.communicate = false;
    an_test_ok(an_alexnet_build(&options, &graph), "build");
    assert_int_equal(node_named(&graph, "conv3", 1)->input_count, 1);
    assert_int_equal(node_named(&graph, "fc8", 0)->input_count, 2);
    assert_int_equal(an_graph_fuse(&graph, &fused), AN_EUNSUPPORTED);
    options.pool = 4;
    an_test_refused(an_alexnet_build(&options, &graph), "pooling window of 4");
}

static void test_cifar_net(void **state)
{
    (void)state;
    an_graph graph;
    an_cifar_options options = an_cifar_defaults();
    an_test_ok(an_cifar_build(&options, &graph), "build");
    assert_layer(&graph, "pool1", 32, 16, 1);
    assert_layer(&graph, "pool3", 64, 4, 1);
    assert_false(node_named(&graph, "pool1", 0)->average);
    assert_true(node_named(&graph, "pool2", 0)->average && node_named(&graph, "pool3", 0)->average);
    assert_int_equal(an_graph_parameters(&graph), 32 * 76 + 32 * 801 + 64 * 801 + 10 * 1025);
    options.classes = 0;
    an_test_refused(an_cifar_build(&options, &graph), "0 classes");
    options = an_cifar_defaults();
    options.input = 0;
    an_test_refused(an_cifar_build(&options, &graph), "input side 0");
}

static void test_any_crop(void **state)
{
    (void)state;
    an_graph graph;
    an_alexnet_options options = an_alexnet_defaults();
    options.classes = 10;
    int smallest = 0;
    for (int side = 1; side <= 300; side++) {
        options.input = side;
        int rc = an_alexnet_build(&options, &graph);
        if (!rc && !smallest)
            smallest = side;
        assert_int_equal(rc, smallest ? AN_OK : AN_EINVAL);
        if (rc)
            continue;
        const an_node *conv1 = node_named(&graph, "conv1", 0);
        assert_int_equal(conv1->height, (side - 11 + 3) / 4 + 1);
        assert_true(conv1->pad_after < 4);
    }
    assert_in_range(smallest, 52, 64);
}

static void test_impossible_networks_are_refused(void **state)
{
    (void)state;
    an_graph graph;
    an_alexnet_options options = an_alexnet_defaults();
    options.input = 20;
    an_test_refused(an_alexnet_build(&options, &graph), "output would be 0x0 with input side 20");
    options.input = 10;
    an_test_refused(an_alexnet_build(&options, &graph), "conv1: input side 10");
    options = an_alexnet_defaults();
    options.classes = 0;
    an_test_refused(an_alexnet_build(&options, &graph), "0 classes");
    options.classes = 10;
    options.dropout = 1;
    an_test_refused(an_alexnet_build(&options, &graph), "dropout of 1");
}

static void test_bad_nodes_are_refused(void **state)
{
    (void)state;
    an_graph graph = {0};
    an_node image = {.name = "image", .kind = AN_OP_INPUT, .channels = 3, .height = 8, .width = 8};
    an_node conv = {.name = "conv", .kind = AN_OP_CONV, .channels = 4, .kernel = 3, .stride = 1, .input_count = 1};
    an_node bad = conv;
    bad.inputs[0] = 1;
    assert_int_equal(an_graph_add(&graph, &image), 0);
    an_test_refused(an_graph_add(&graph, &bad), "no earlier node");
    bad = conv;
    bad.groups = 2;
    an_test_refused(an_graph_add(&graph, &bad), "cannot form 2 groups");
    bad = conv;
    bad.pad_before = 3;
    an_test_refused(an_graph_add(&graph, &bad), "impossible window");
    bad = conv;
    bad.stride = 0;
    an_test_refused(an_graph_add(&graph, &bad), "conv");
    assert_int_equal(an_graph_add(&graph, &conv), 1);
    an_test_refused(an_graph_add(&graph, &conv), "at most two halves");
    an_node dropout = {.name = "dropout", .kind = AN_OP_DROPOUT, .dropout = 1, .inputs = {1}, .input_count = 1};
    an_test_refused(an_graph_add(&graph, &dropout), "below 1");
}

/* A stated node of each kind, behind what it can follow. */
static an_node node_of(an_op_kind kind)
{
    return (an_node){.name = "node",
                     .kind = kind,
                     .input_count = 1,
                     .inputs = {kind == AN_OP_DROPOUT || kind == AN_OP_LOSS ? 1 : 0},
                     .channels = 6,
                     .kernel = 3,
                     .stride = 1,
                     .activation = AN_ACTIVATION_RELU,
                     .lrn_size = 5,
                     .dropout = 0.5};
}

static void test_every_kind_has_a_row(void **state)
{
    (void)state;
    for (int k = 0; k < AN_OP_KINDS; k++) {
        const an_kind *kind = an_kind_find((an_op_kind)k);
        an_graph graph = {0};
        an_node image = {.name = "image", .kind = AN_OP_INPUT, .channels = 3, .height = 8, .width = 8};
        an_node dense = {.name = "dense", .kind = AN_OP_DENSE, .channels = 5, .input_count = 1},
                own = node_of((an_op_kind)k);
        char note[64] = "";
        assert_non_null(kind);
        assert_non_null(kind->name);
        assert_string_equal(an_op_name((an_op_kind)k), kind->name);
        for (int other = 0; other < k; other++)
            assert_string_not_equal(an_kind_find((an_op_kind)other)->name, kind->name);
        assert_int_equal(kind->note != NULL, kind->figure == AN_FIGURE_NOTE);
        assert_int_equal(an_graph_add(&graph, &image), 0);
        assert_int_equal(an_graph_add(&graph, &dense), 1);
        if (!kind->has_inputs) {
            an_test_refused(an_graph_add(&graph, &own), "inputs");
            continue;
        }
        assert_int_equal(an_graph_add(&graph, &own), 2);
        const an_node *node = &graph.nodes[2];
        assert_int_equal(node->has_weights, kind->weights != NULL);
        assert_int_equal(an_graph_node_parameters(&graph, node) > 0, node->has_weights);
        assert_int_equal(an_graph_node_flop(&graph, node) > 0, node->has_weights);
        if (kind->note)
            kind->note(node, note, sizeof note);
        assert_int_equal(strlen(note) > 0, kind->note != NULL);
    }
}

static void test_a_number_that_is_no_kind(void **state)
{
    (void)state;
    an_graph graph = {0};
    an_node node = {.name = "odd", .kind = AN_OP_KINDS, .input_count = 1};
    assert_null(an_kind_find(AN_OP_KINDS));
    assert_null(an_kind_find((an_op_kind)-1));
    assert_string_equal(an_op_name(AN_OP_KINDS), "unknown");
    an_test_refused(an_graph_add(&graph, &node), "odd: no layer kind has the number");
}

/* On two devices: an image each, joins only where halves cross, and a collect for each half that a join takes. */
static void test_lowering_to_two_devices(void **state)
{
    (void)state;
    an_graph graph, lowered;
    an_flow flow[AN_GRAPH_NODES_MAX];
    int images = 0, joins = 0, collects = 0;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    an_test_ok(an_graph_lower(&graph, 2, &lowered), "lower");
    an_graph_flow(&lowered, NULL, flow);
    for (int i = 0; i < lowered.count; i++) {
        const an_node *node = &lowered.nodes[i];
        images += node->kind == AN_OP_INPUT;
        joins += node->kind == AN_OP_JOIN;
        collects += flow[i].collect;
        for (int k = 0; k < node->input_count && node->kind != AN_OP_JOIN; k++)
            assert_int_equal(lowered.nodes[node->inputs[k]].device, node->device);
        if (node->kind == AN_OP_CONV && !strcmp(node->name, "conv1"))
            assert_false(flow[i].input_gradient);
    }
    assert_int_equal(images, 2);
    assert_int_equal(joins, 5); /* conv3, fc5: one a device; fc6: on device 0 */
    assert_int_equal(collects, 6);
}

static void test_description(void **state)
{
    (void)state;
    an_graph graph;
    an_buffer text = {0};
    an_alexnet_options options = an_alexnet_defaults();
    an_test_ok(an_alexnet_build(&options, &graph), "build");
    an_test_ok(an_graph_describe(&graph, &text), "describe");
    assert_non_null(strstr((const char *)text.data, "60965224"));
    assert_non_null(strstr((const char *)text.data, "conv5"));
    an_buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paper_form),
        cmocka_unit_test(test_fused_form),
        cmocka_unit_test(test_one_column),
        cmocka_unit_test(test_half_a_column),
        cmocka_unit_test(test_layers_left_out),
        cmocka_unit_test(test_places_of_normalisation),
        cmocka_unit_test(test_switches),
        cmocka_unit_test(test_cifar_net),
        cmocka_unit_test(test_any_crop),
        cmocka_unit_test(test_impossible_networks_are_refused),
        cmocka_unit_test(test_bad_nodes_are_refused),
        cmocka_unit_test(test_every_kind_has_a_row),
        cmocka_unit_test(test_a_number_that_is_no_kind),
        cmocka_unit_test(test_lowering_to_two_devices),
        cmocka_unit_test(test_description),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
