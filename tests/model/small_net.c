#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "small_net.h"

static void pair(an_graph *graph, const char *name, an_node node, bool both, int last[2])
{
    int made[2];
    snprintf(node.name, sizeof node.name, "%s", name);
    for (int half = 0; half < 2; half++) {
        node.device = half;
        node.input_count = both ? 2 : 1;
        node.inputs[0] = both ? last[0] : last[half];
        node.inputs[1] = last[1];
        made[half] = an_graph_add(graph, &node);
        assert_true(made[half] > 0);
    }
    memcpy(last, made, sizeof made);
}

/* The layers that both networks have. */
typedef struct {
    an_node image, conv, lrn, pool, activation, dense, dropout;
} layers;

static layers layers_make(an_activation activation)
{
    return (layers){
        .image = {.name = "input", .kind = AN_OP_INPUT, .channels = 3, .height = SMALL_SIDE, .width = SMALL_SIDE},
        .conv = {.kind = AN_OP_CONV,
                 .channels = 8,
                 .kernel = 3,
                 .stride = 2,
                 .pad_after = 1,
                 .activation = activation,
                 .init_deviation = 0.1},
        .lrn = {.kind = AN_OP_LRN, .lrn_size = 5, .lrn_alpha = 0.1, .lrn_beta = 0.75, .lrn_k = 2},
        .pool = {.kind = AN_OP_POOL, .kernel = 3, .stride = 2},
        .activation = {.kind = AN_OP_ACTIVATION, .activation = activation},
        .dense = {.kind = AN_OP_DENSE, .channels = 12, .activation = activation, .init_deviation = 0.1, .init_bias = 1},
        .dropout = {.kind = AN_OP_DROPOUT, .dropout = 0.5}};
}

static void output_add(an_graph *graph, const int last[2])
{
    an_node logits = {.name = "fc6",
                      .kind = AN_OP_DENSE,
                      .channels = SMALL_CLASSES,
                      .inputs = {last[0], last[1]},
                      .input_count = 2,
                      .init_deviation = 0.1};
    an_node loss = {.name = "loss", .kind = AN_OP_LOSS, .input_count = 1, .inputs = {an_graph_add(graph, &logits)}};
    assert_true(an_graph_add(graph, &loss) > 0);
}

void an_small_net(an_graph *graph, an_activation activation)
{
    layers l = layers_make(activation);
    int last[2];
    memset(graph, 0, sizeof *graph);
    last[0] = last[1] = an_graph_add(graph, &l.image);
    pair(graph, "conv1", l.conv, false, last);
    pair(graph, "lrn1", l.lrn, false, last);
    pair(graph, "pool1", l.pool, false, last);
    l.conv.channels = 16;
    l.conv.stride = l.conv.pad_before = 1;
    pair(graph, "conv2", l.conv, false, last);
    pair(graph, "conv3", l.conv, true, last);
    pair(graph, "conv4", l.conv, false, last);
    pair(graph, "pool4", l.pool, false, last);
    pair(graph, "fc5", l.dense, true, last);
    pair(graph, "dropout5", l.dropout, false, last);
    output_add(graph, last);
}

void an_small_net_reordered(an_graph *graph, an_activation activation)
{
    layers l = layers_make(activation);
    int last[2];
    memset(graph, 0, sizeof *graph);
    last[0] = last[1] = an_graph_add(graph, &l.image);
    l.conv.activation = AN_ACTIVATION_NONE;
    pair(graph, "conv1", l.conv, false, last);
    pair(graph, "lrn1", l.lrn, false, last);
    pair(graph, "pool1", l.pool, false, last);
    pair(graph, "activation1", l.activation, false, last);
    l.conv.activation = activation;
    l.conv.channels = 16;
    l.conv.stride = l.conv.pad_before = 1;
    pair(graph, "conv2", l.conv, false, last);
    pair(graph, "conv3", l.conv, true, last);
    pair(graph, "pool3", l.pool, false, last);
    pair(graph, "lrn3", l.lrn, false, last);
    pair(graph, "dropout3", l.dropout, false, last);
    pair(graph, "fc5", l.dense, true, last);
    output_add(graph, last);
}
