#include <stdlib.h>
#include <string.h>

#include "reference.h"

static size_t node_size(const an_reference_net *net, int i)
{
    const an_node *node = &net->graph->nodes[i];
    return (size_t)net->n * (size_t)node->channels * (size_t)node->height * (size_t)node->width;
}

static an_reference_shape shape_of(const an_reference_net *net, int i)
{
    const an_node *node = &net->graph->nodes[i];
    return (an_reference_shape){net->n, node->channels, node->height, node->width};
}

static int weights_make(an_reference_weights *w, const an_graph *graph, const an_node *node)
{
    size_t outputs = (size_t)node->channels, count = outputs * (size_t)an_graph_node_inputs(graph, node);
    w->weight = calloc(count, sizeof(double));
    w->weight_gradient = calloc(count, sizeof(double));
    w->bias = calloc(outputs, sizeof(double));
    w->bias_gradient = calloc(outputs, sizeof(double));
    return w->weight && w->weight_gradient && w->bias && w->bias_gradient ? 0 : -1;
}

int an_reference_net_create(an_reference_net *net, const an_graph *lowered, int n)
{
    memset(net, 0, sizeof *net);
    net->graph = lowered;
    net->n = n;
    for (int i = 0; i < lowered->count; i++) {
        net->values[i] = calloc(node_size(net, i), sizeof(double));
        net->gradients[i] = calloc(node_size(net, i), sizeof(double));
        net->kept[i] = calloc(node_size(net, i), 1);
        if (!net->values[i] || !net->gradients[i] || !net->kept[i])
            return -1;
        if (lowered->nodes[i].has_weights && weights_make(&net->weights[i], lowered, &lowered->nodes[i]))
            return -1;
    }
    return 0;
}

void an_reference_net_free(an_reference_net *net)
{
    for (int i = 0; i < net->graph->count; i++) {
        free(net->values[i]);
        free(net->gradients[i]);
        free(net->kept[i]);
        free(net->weights[i].weight);
        free(net->weights[i].weight_gradient);
        free(net->weights[i].bias);
        free(net->weights[i].bias_gradient);
    }
}

static void gradients_clear(an_reference_net *net)
{
    for (int i = 0; i < net->graph->count; i++) {
        const an_node *node = &net->graph->nodes[i];
        memset(net->gradients[i], 0, node_size(net, i) * sizeof(double));
        if (!node->has_weights)
            continue;
        size_t outputs = (size_t)node->channels;
        memset(net->weights[i].bias_gradient, 0, outputs * sizeof(double));
        memset(net->weights[i].weight_gradient, 0,
               outputs * (size_t)an_graph_node_inputs(net->graph, node) * sizeof(double));
    }
}

/* Copies channels between a join and its sources, or adds gradients back. */
static void join(an_reference_net *net, int number, bool back)
{
    const an_node *node = &net->graph->nodes[number];
    size_t plane = (size_t)node->height * (size_t)node->width, whole = plane * (size_t)node->channels, offset = 0;
    for (int k = 0; k < node->input_count; k++) {
        int source = node->inputs[k];
        size_t own = plane * (size_t)net->graph->nodes[source].channels;
        for (size_t i = 0; i < (size_t)net->n * own; i++) {
            size_t place = i / own * whole + offset + i % own;
            if (back)
                net->gradients[source][i] += net->gradients[number][place];
            else
                net->values[number][place] = net->values[source][i];
        }
        offset += own;
    }
}

static void net_backward(an_reference_net *net, bool dropout)
{
    for (int i = net->graph->count - 2; i > 0; i--) {
        const an_node *node = &net->graph->nodes[i];
        int input = node->input_count ? node->inputs[0] : 0;
        if (node->kind == AN_OP_JOIN)
            join(net, i, true);
        else if (node->kind != AN_OP_INPUT)
            an_reference_backward(node, shape_of(net, input), net->values[input], net->values[i], net->gradients[i],
                                  &net->weights[i], dropout ? net->kept[i] : NULL, net->gradients[input]);
    }
}

double an_reference_net_run(an_reference_net *net, const float *images, const uint32_t *labels, int count,
                            bool gradients, bool dropout, uint64_t seed, uint64_t step)
{
    int last = net->graph->count - 1;
    for (int i = 0; i < last; i++) {
        const an_node *node = &net->graph->nodes[i];
        int input = node->input_count ? node->inputs[0] : 0;
        if (node->kind == AN_OP_INPUT)
            for (size_t k = 0; k < node_size(net, i); k++)
                net->values[i][k] = images[k];
        else if (node->kind == AN_OP_JOIN)
            join(net, i, false);
        else {
            if (node->kind == AN_OP_DROPOUT)
                an_reference_mask(node, net->n, seed, step, net->kept[i]);
            an_reference_forward(node, shape_of(net, input), net->values[input], &net->weights[i],
                                 dropout ? net->kept[i] : NULL, net->values[i]);
        }
    }
    int logits = net->graph->nodes[last].inputs[0];
    if (gradients)
        gradients_clear(net);
    double loss = an_reference_loss(shape_of(net, logits), net->values[logits], labels, count, net->values[last],
                                    gradients ? net->gradients[logits] : NULL);
    if (gradients)
        net_backward(net, dropout);
    return loss;
}
