/* The kinds of layers, a row each. */
#include <stdio.h>

#include "base/error.h"
#include "model/graph/graph.h"

static int window_output(int side, const an_node *node)
{
    int room = side + node->pad_before + node->pad_after - node->kernel;
    return room < 0 || node->stride < 1 ? 0 : room / node->stride + 1;
}

static void window_shape(const an_node *input, an_node *node)
{
    node->height = window_output(input->height, node);
    node->width = window_output(input->width, node);
}

static int window_check(const an_node *node)
{
    bool possible = node->kernel >= 1 && node->stride >= 1 && node->pad_before >= 0 && node->pad_after >= 0;
    if (possible && node->pad_before < node->kernel && node->pad_after < node->kernel)
        return AN_OK;
    return an_error(AN_EINVAL, "%s: impossible window of %d, stride %d, padding %d and %d", node->name, node->kernel,
                    node->stride, node->pad_before, node->pad_after);
}

static int conv_weights(const an_graph *graph, const an_node *node, int shape[AN_KIND_RANK_MAX])
{
    shape[1] = an_graph_input_channels(graph, node) / node->groups;
    shape[2] = shape[3] = node->kernel;
    return 4;
}

/* Halves that see only themselves are the two groups of one convolution. */
static int conv_merge(const an_node *half, bool apart, an_node *merged)
{
    if (apart)
        merged->groups = 2 * half->groups;
    return AN_OK;
}

static int lrn_check(const an_node *node)
{
    if (node->lrn_size < 1 || node->lrn_size % 2 == 0)
        return an_error(AN_EINVAL, "%s: window of %d channels: it must be odd", node->name, node->lrn_size);
    return AN_OK;
}

/* Windows never reach from one half into the other. */
static int lrn_merge(const an_node *half, bool apart, an_node *merged)
{
    (void)apart;
    merged->groups = 2 * half->groups;
    return AN_OK;
}

static void lrn_note(const an_node *node, char *out, size_t size)
{
    snprintf(out, size, "normalise over %d", node->lrn_size);
}

static void pool_note(const an_node *node, char *out, size_t size)
{
    snprintf(out, size, "%s pool %d/%d \u2192 %d\u00b2", node->average ? "mean" : "max", node->kernel, node->stride,
             node->height);
}

static void dense_shape(const an_node *input, an_node *node)
{
    (void)input;
    node->height = node->width = 1;
}

static int dense_weights(const an_graph *graph, const an_node *node, int shape[AN_KIND_RANK_MAX])
{
    const an_node *input = &graph->nodes[node->inputs[0]];
    shape[1] = an_graph_input_channels(graph, node) / node->groups * input->height * input->width;
    return 2;
}

static int dense_merge(const an_node *half, bool apart, an_node *merged)
{
    (void)merged;
    if (apart)
        return an_error(AN_EUNSUPPORTED, "%s: fully connected halves that see only themselves stay apart", half->name);
    return AN_OK;
}

static int dropout_check(const an_node *node)
{
    if (node->dropout < 0 || node->dropout >= 1)
        return an_error(AN_EINVAL, "%s: dropout of %g: it must be at least 0 and below 1", node->name, node->dropout);
    return AN_OK;
}

static void dropout_note(const an_node *node, char *out, size_t size)
{
    snprintf(out, size, "dropout %g", node->dropout);
}

static int activation_check(const an_node *node)
{
    if (node->activation == AN_ACTIVATION_NONE)
        return an_error(AN_EINVAL, "%s: an activation that is none", node->name);
    return AN_OK;
}

static void activation_note(const an_node *node, char *out, size_t size)
{
    snprintf(out, size, "%s", an_activation_name(node->activation));
}

static void loss_note(const an_node *node, char *out, size_t size)
{
    (void)node;
    snprintf(out, size, "softmax");
}

static void join_note(const an_node *node, char *out, size_t size)
{
    snprintf(out, size, "join of %d", node->input_count);
}

static const an_kind kinds[AN_OP_KINDS] = {
    [AN_OP_INPUT] = {.name = "input", .figure = AN_FIGURE_IMAGE},
    [AN_OP_CONV] = {.name = "conv",
                    .has_inputs = true,
                    .figure = AN_FIGURE_PLANES,
                    .check = window_check,
                    .shape = window_shape,
                    .weights = conv_weights,
                    .merge = conv_merge},
    [AN_OP_LRN] = {.name = "lrn",
                   .has_inputs = true,
                   .figure = AN_FIGURE_NOTE,
                   .check = lrn_check,
                   .merge = lrn_merge,
                   .note = lrn_note},
    [AN_OP_POOL] = {.name = "pool",
                    .has_inputs = true,
                    .figure = AN_FIGURE_NOTE,
                    .check = window_check,
                    .shape = window_shape,
                    .note = pool_note},
    [AN_OP_DENSE] = {.name = "dense",
                     .has_inputs = true,
                     .figure = AN_FIGURE_UNITS,
                     .shape = dense_shape,
                     .weights = dense_weights,
                     .merge = dense_merge},
    [AN_OP_DROPOUT] =
        {.name = "dropout", .has_inputs = true, .figure = AN_FIGURE_NOTE, .check = dropout_check, .note = dropout_note},
    [AN_OP_ACTIVATION] = {.name = "activation",
                          .has_inputs = true,
                          .figure = AN_FIGURE_NOTE,
                          .check = activation_check,
                          .note = activation_note},
    [AN_OP_LOSS] = {.name = "loss", .has_inputs = true, .figure = AN_FIGURE_NOTE, .note = loss_note},
    [AN_OP_JOIN] = {.name = "join", .has_inputs = true, .figure = AN_FIGURE_NOTE, .note = join_note},
};

const char *an_activation_name(an_activation activation)
{
    static const char *const names[] = {
        [AN_ACTIVATION_RELU] = "ReLU", [AN_ACTIVATION_TANH] = "tanh", [AN_ACTIVATION_SIGMOID] = "sigmoid"};
    return activation == AN_ACTIVATION_NONE ? "" : names[activation];
}

const an_kind *an_kind_find(an_op_kind kind)
{
    return (unsigned)kind < AN_OP_KINDS ? &kinds[kind] : NULL;
}

const char *an_op_name(an_op_kind kind)
{
    const an_kind *found = an_kind_find(kind);
    return found ? found->name : "unknown";
}
