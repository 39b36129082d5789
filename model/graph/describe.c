/* Parameters, FLOP and the table that shows them. */
#include "model/graph/graph.h"
#include <stdio.h>

uint64_t an_graph_node_inputs(const an_graph *graph, const an_node *node)
{
    const an_kind *kind = an_kind_find(node->kind);
    if (!kind || !kind->weights)
        return 0;
    int shape[AN_KIND_RANK_MAX], rank = kind->weights(graph, node, shape);
    uint64_t inputs = 1;
    for (int i = 1; i < rank; i++)
        inputs *= (uint64_t)shape[i];
    return inputs;
}

uint64_t an_graph_node_parameters(const an_graph *graph, const an_node *node)
{
    return node->has_weights ? (uint64_t)node->channels * (an_graph_node_inputs(graph, node) + 1) : 0;
}

double an_graph_node_flop(const an_graph *graph, const an_node *node)
{
    return 2.0 * (double)an_graph_node_inputs(graph, node) * node->channels * node->height * node->width;
}

uint64_t an_graph_parameters(const an_graph *graph)
{
    uint64_t sum = 0;
    for (int i = 0; i < graph->count; i++)
        sum += an_graph_node_parameters(graph, &graph->nodes[i]);
    return sum;
}

double an_graph_flop(const an_graph *graph)
{
    double sum = 0;
    for (int i = 0; i < graph->count; i++)
        sum += an_graph_node_flop(graph, &graph->nodes[i]);
    return sum;
}

int an_graph_describe(const an_graph *graph, an_buffer *out)
{
    int rc = an_buffer_printf(out, "%-10s %-8s %6s %16s %12s %9s\n", "layer", "kind", "device", "output", "parameters",
                              "MFLOP");
    for (int i = 0; !rc && i < graph->count; i++) {
        const an_node *node = &graph->nodes[i];
        char shape[48];
        snprintf(shape, sizeof shape, "%dx%dx%d", node->channels, node->height, node->width);
        rc = an_buffer_printf(out, "%-10s %-8s %6d %16s %12llu %9.1f\n", node->name, an_op_name(node->kind),
                              node->device, shape, (unsigned long long)an_graph_node_parameters(graph, node),
                              an_graph_node_flop(graph, node) * 1e-6);
    }
    if (!rc)
        rc = an_buffer_printf(out, "%-10s %-8s %6s %16s %12llu %9.1f\n", "sum", "", "", "",
                              (unsigned long long)an_graph_parameters(graph), an_graph_flop(graph) * 1e-6);
    return rc;
}
