/* Turns a stated graph into the one that runs: it replaces logical by physical devices and adds joins, so that every
 * node reads one tensor on its own device. Graphs are plain values; nothing is kept. */
#ifndef AN_MODEL_GRAPH_LOWER_H
#define AN_MODEL_GRAPH_LOWER_H

#include "model/graph/graph.h"

/* devices: the number of physical devices, 1 or 2. Logical device d runs on physical device d % devices. In the result
 * the image is an input node on each device that reads it. A node that had several inputs, or one on another device,
 * has a single input: an AN_OP_JOIN on its own device; nodes of one device with the same inputs share it.
 * AN_EUNSUPPORTED if an output is read by joins and by other nodes on the same device. */
int an_graph_lower(const an_graph *graph, int devices, an_graph *out);

/* How gradients flow through each node of a lowered graph. The first two are those of an_op_spec. */
typedef struct {
    bool input_gradient, accumulate;
    bool learns;   /* it has weights, and they are not frozen */
    bool backward; /* it has a backward pass: it learns, or a node before it does; or it is the image, where it ends */
    bool collect; /* it or a node before it learns, and joins read its output, so its gradient is collected from them */
} an_flow;
/* rate_scales: by layer ordinal, 0 for a frozen layer; NULL: none is. */
void an_graph_flow(const an_graph *lowered, const double *rate_scales, an_flow *out);

#endif
