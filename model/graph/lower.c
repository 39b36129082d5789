#include "model/graph/lower.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

typedef struct {
    const an_graph *graph;
    an_graph *out;
    int devices;
    int map[AN_GRAPH_NODES_MAX]; /* from a node of graph to its node of out */
} lowering;

static int append(an_graph *out, const an_node *node)
{
    if (out->count == AN_GRAPH_NODES_MAX)
        return an_error(AN_EINVAL, "%s: more than %d nodes", node->name, AN_GRAPH_NODES_MAX);
    out->nodes[out->count] = *node;
    return out->count++;
}

/* The image's input node on a device, made when first needed. */
static int image_on(lowering *l, const an_node *image, int device)
{
    for (int i = 0; i < l->out->count; i++)
        if (l->out->nodes[i].kind == AN_OP_INPUT && l->out->nodes[i].device == device)
            return i;
    an_node copy = *image;
    copy.device = device;
    return append(l->out, &copy);
}

static bool is_join_of(const an_node *node, const an_node *consumer)
{
    return node->kind == AN_OP_JOIN && node->device == consumer->device && node->input_count == consumer->input_count &&
           !memcmp(node->inputs, consumer->inputs, (size_t)node->input_count * sizeof *node->inputs);
}

/* The join of the consumer's inputs on its device, made when first needed: nodes with the same inputs share it. */
static int join_for(lowering *l, const an_node *consumer)
{
    an_graph *out = l->out;
    for (int i = 0; i < out->count; i++)
        if (is_join_of(&out->nodes[i], consumer))
            return i;
    const an_node *first = &out->nodes[consumer->inputs[0]];
    an_node join = *first;
    join.kind = AN_OP_JOIN;
    join.device = consumer->device;
    join.has_weights = false;
    join.input_count = consumer->input_count;
    join.channel_offset = 0;
    join.channels = join.layer_channels = an_graph_input_channels(out, consumer);
    join.layer = -1;
    memcpy(join.inputs, consumer->inputs, sizeof join.inputs);
    snprintf(join.name, sizeof join.name, "%.10s+", first->name);
    return append(out, &join);
}

static int node_lower(lowering *l, int number)
{
    an_node node = l->graph->nodes[number];
    bool apart = node.input_count > 1;
    node.device = node.device % l->devices;
    if (node.kind == AN_OP_INPUT) {
        l->map[number] = -1; /* image_on makes it on each device that reads it */
        return AN_OK;
    }
    for (int i = 0; i < node.input_count; i++) {
        int input = l->map[node.inputs[i]];
        if (input < 0 && (input = image_on(l, &l->graph->nodes[node.inputs[i]], node.device)) < 0)
            return input;
        node.inputs[i] = input;
        apart = apart || l->out->nodes[input].device != node.device;
    }
    if (apart) {
        int join = join_for(l, &node);
        if (join < 0)
            return join;
        node.inputs[0] = join;
        node.input_count = 1;
    }
    l->map[number] = append(l->out, &node);
    return l->map[number] < 0 ? l->map[number] : AN_OK;
}

static bool is_input_of(const an_node *node, int number)
{
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] == number)
            return true;
    return false;
}

/* collect overwrites the gradient of an output, so an output must be read either by joins only or by no join. */
static int consumers_check(const an_graph *out)
{
    for (int i = 0; i < out->count; i++) {
        int joins = 0, others = 0;
        for (int k = i + 1; k < out->count; k++)
            if (is_input_of(&out->nodes[k], i))
                *(out->nodes[k].kind == AN_OP_JOIN ? &joins : &others) += 1;
        if (joins && others && out->nodes[i].kind != AN_OP_INPUT)
            return an_error(AN_EUNSUPPORTED, "%s: seen both alone and joined by one device", out->nodes[i].name);
    }
    return AN_OK;
}

int an_graph_lower(const an_graph *graph, int devices, an_graph *out)
{
    lowering l = {.graph = graph, .out = out, .devices = devices};
    memset(out, 0, sizeof *out);
    out->classes = graph->classes;
    out->input_side = graph->input_side;
    out->input_channels = graph->input_channels;
    for (int i = 0; i < graph->count; i++) {
        int rc = node_lower(&l, i);
        if (rc)
            return rc;
    }
    return consumers_check(out);
}

/* Of its output. */
static bool needs_gradient(const an_flow *flow)
{
    return flow->learns || flow->input_gradient;
}

void an_graph_flow(const an_graph *lowered, const double *rate_scales, an_flow *out)
{
    memset(out, 0, (size_t)lowered->count * sizeof *out);
    for (int i = 0; i < lowered->count; i++) {
        const an_node *node = &lowered->nodes[i];
        for (int k = 0; k < node->input_count; k++)
            out[i].input_gradient = out[i].input_gradient || needs_gradient(&out[node->inputs[k]]);
        out[i].learns = node->has_weights && (!rate_scales || rate_scales[node->layer] != 0);
        out[i].backward = out[i].learns || out[i].input_gradient || node->kind == AN_OP_INPUT;
        for (int later = i + 1; later < lowered->count; later++) {
            const an_node *other = &lowered->nodes[later];
            if (other->kind == AN_OP_JOIN)
                out[i].collect = out[i].collect || (needs_gradient(&out[i]) && is_input_of(other, i));
            else if (node->input_count && node->kind != AN_OP_JOIN)
                out[i].accumulate = out[i].accumulate || is_input_of(other, node->inputs[0]);
        }
    }
}
