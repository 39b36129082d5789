/* From the stated graph to the one that runs: logical devices become physical ones, and what a node sees from more than
 * one place is joined on its device. */
#ifndef AN_MODEL_LOWER_H
#define AN_MODEL_LOWER_H

#include "model/graph/graph.h"

/* devices: physical ones, 1 or 2; logical ones are dealt out in turn. Nodes of the result carry physical devices; the
 * image is an input node on each device that reads it; a node with several inputs, or with one on another device, has
 * one input, a AN_OP_JOIN on its own device. */
int an_graph_lower(const an_graph *graph, int devices, an_graph *out);

/* What an op's backward must know: see an_op_spec. */
typedef struct {
    bool input_gradient, accumulate;
    bool collect; /* joins take this node's output */
} an_flow;
void an_graph_flow(const an_graph *lowered, an_flow *out);

#endif
