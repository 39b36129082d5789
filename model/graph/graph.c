#include "model/graph/graph.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static int inputs_check(const an_graph *graph, const an_node *node, const an_kind *kind)
{
    int wanted = kind->has_inputs;
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

static int attributes_check(const an_graph *graph, const an_node *node, const an_kind *kind)
{
    int rc = kind->check ? kind->check(node) : AN_OK;
    if (rc)
        return rc;
    if (node->groups < 1 || node->channels % node->groups || an_graph_input_channels(graph, node) % node->groups)
        return an_error(AN_EINVAL, "%s: channels cannot form %d groups", node->name, node->groups);
    return AN_OK;
}

static void shape_derive(const an_graph *graph, an_node *node, const an_kind *kind)
{
    if (!kind->has_inputs)
        return;
    const an_node *input = &graph->nodes[node->inputs[0]];
    node->height = input->height;
    node->width = input->width;
    node->has_weights = kind->weights != NULL;
    if (!node->has_weights)
        node->channels = an_graph_input_channels(graph, node);
    if (kind->shape)
        kind->shape(input, node);
}

/* The first half of this layer, if it was added before; NULL if not. */
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
    const an_kind *kind = an_kind_find(node->kind);
    if (!kind)
        return an_error(AN_EINVAL, "%s: no layer kind has the number %d", node->name, (int)node->kind);
    an_node added = *node;
    if (!added.groups)
        added.groups = 1;
    int rc = inputs_check(graph, &added, kind);
    if (rc)
        return rc;
    shape_derive(graph, &added, kind);
    rc = shape_check(graph, &added);
    if (rc)
        return rc;
    rc = attributes_check(graph, &added, kind);
    if (rc)
        return rc;
    rc = layer_derive(graph, &added);
    if (rc)
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
