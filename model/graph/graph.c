#include "model/graph/graph.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static int inputs_check(const an_graph *graph, const an_node *node)
{
    int wanted = node->kind == AN_OP_INPUT ? 0 : 1;
    if (node->input_count < wanted || node->input_count > (wanted ? AN_GRAPH_INPUTS_MAX : 0))
        return an_error(AN_EINVAL, "%s: %d inputs", node->name, node->input_count);
    for (int i = 0; i < node->input_count; i++) {
        if (node->inputs[i] < 0 || node->inputs[i] >= graph->count)
            return an_error(AN_EINVAL, "%s: input %d is no earlier node", node->name, node->inputs[i]);
        const an_node *first = &graph->nodes[node->inputs[0]], *input = &graph->nodes[node->inputs[i]];
        if (input->height != first->height || input->width != first->width)
            return an_error(AN_EINVAL, "%s: inputs of different sizes", node->name);
    }
    return AN_OK;
}

static int attributes_check(const an_graph *graph, const an_node *node)
{
    bool windowed = node->kind == AN_OP_CONV || node->kind == AN_OP_POOL;
    if (windowed && (node->kernel < 1 || node->stride < 1 || node->pad_before < 0 || node->pad_after < 0 ||
                     node->pad_before >= node->kernel || node->pad_after >= node->kernel))
        return an_error(AN_EINVAL, "%s: impossible window of %d, stride %d, padding %d and %d", node->name,
                        node->kernel, node->stride, node->pad_before, node->pad_after);
    if (node->groups < 1 || node->channels % node->groups || an_graph_input_channels(graph, node) % node->groups)
        return an_error(AN_EINVAL, "%s: channels cannot form %d groups", node->name, node->groups);
    if (node->kind == AN_OP_LRN && (node->lrn_size < 1 || node->lrn_size % 2 == 0))
        return an_error(AN_EINVAL, "%s: window of %d channels: it must be odd", node->name, node->lrn_size);
    if (node->dropout < 0 || node->dropout >= 1)
        return an_error(AN_EINVAL, "%s: dropout of %g: it must be at least 0 and below 1", node->name, node->dropout);
    if (node->kind == AN_OP_DROPOUT && (node->height != 1 || node->width != 1))
        return an_error(AN_EINVAL, "%s: dropout follows fully connected layers only", node->name);
    return AN_OK;
}

static int window_output(int side, const an_node *node)
{
    int room = side + node->pad_before + node->pad_after - node->kernel;
    return room < 0 || node->stride < 1 ? 0 : room / node->stride + 1;
}

static void shape_derive(const an_graph *graph, an_node *node)
{
    if (node->kind == AN_OP_INPUT)
        return;
    const an_node *input = &graph->nodes[node->inputs[0]];
    node->height = input->height;
    node->width = input->width;
    node->has_weights = node->kind == AN_OP_CONV || node->kind == AN_OP_DENSE;
    if (!node->has_weights)
        node->channels = an_graph_input_channels(graph, node);
    if (node->kind == AN_OP_CONV || node->kind == AN_OP_POOL) {
        node->height = window_output(input->height, node);
        node->width = window_output(input->width, node);
    }
    if (node->kind == AN_OP_DENSE)
        node->height = node->width = 1;
}

/* The other half of this layer, if it was added before. */
static an_node *half_find(an_graph *graph, const an_node *node)
{
    for (int i = 0; i < graph->count; i++)
        if (!strcmp(graph->nodes[i].name, node->name))
            return &graph->nodes[i];
    return NULL;
}

static int layer_derive(an_graph *graph, an_node *node)
{
    an_node *half = half_find(graph, node);
    node->channel_offset = 0;
    node->layer_channels = node->channels;
    if (!half) {
        node->layer = graph->count ? graph->nodes[graph->count - 1].layer + 1 : 0;
        for (int i = 0; i < graph->count; i++)
            if (graph->nodes[i].layer >= node->layer)
                node->layer = graph->nodes[i].layer + 1;
        return AN_OK;
    }
    if (half->device != 0 || node->device != 1 || half->kind != node->kind || half->layer_channels != half->channels)
        return an_error(AN_EINVAL, "%s: a layer has at most two halves, on device 0 and then on 1", node->name);
    node->layer = half->layer;
    node->channel_offset = half->channels;
    node->layer_channels = half->layer_channels = half->channels + node->channels;
    return AN_OK;
}

static int shape_check(const an_graph *graph, const an_node *node)
{
    if (node->height < 1 || node->width < 1)
        return an_error(AN_EINVAL, "%s: output would be %dx%d with input side %d", node->name, node->height,
                        node->width, graph->input_side);
    if (node->channels < 1 || node->channels > 1 << 20 || node->height > 1 << 14 || node->width > 1 << 14)
        return an_error(AN_EINVAL, "%s: impossible shape of %d x %d x %d", node->name, node->channels, node->height,
                        node->width);
    return AN_OK;
}

int an_graph_input_channels(const an_graph *graph, const an_node *node)
{
    int channels = 0;
    for (int i = 0; i < node->input_count; i++)
        channels += graph->nodes[node->inputs[i]].channels;
    return channels;
}

int an_graph_add(an_graph *graph, const an_node *node)
{
    if (graph->count == AN_GRAPH_NODES_MAX)
        return an_error(AN_EINVAL, "%s: more than %d nodes", node->name, AN_GRAPH_NODES_MAX);
    if (node->device < 0 || node->device >= AN_GRAPH_DEVICES)
        return an_error(AN_EINVAL, "%s: no logical device %d", node->name, node->device);
    an_node added = *node;
    if (!added.groups)
        added.groups = 1;
    int rc = inputs_check(graph, &added);
    if (rc)
        return rc;
    shape_derive(graph, &added);
    if ((rc = shape_check(graph, &added)) || (rc = attributes_check(graph, &added)) ||
        (rc = layer_derive(graph, &added)))
        return rc;
    if (added.kind == AN_OP_INPUT) {
        graph->input_side = added.height;
        graph->input_channels = added.channels;
    }
    if (added.kind == AN_OP_LOSS)
        graph->classes = added.channels;
    graph->nodes[graph->count] = added;
    return graph->count++;
}
