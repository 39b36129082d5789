/* A network as a graph of nodes on logical devices. Stated once, without any idea of the hardware: exec.h maps logical
 * to physical devices. Activations are N x C x H x W; a node's inputs are concatenated along C. */
#ifndef AN_MODEL_GRAPH_GRAPH_H
#define AN_MODEL_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

#define AN_GRAPH_INPUTS_MAX 2
#define AN_GRAPH_NODES_MAX 64
#define AN_GRAPH_DEVICES 2

typedef enum {
    AN_OP_INPUT, /* the image batch */
    AN_OP_CONV,  /* + bias + activation */
    AN_OP_LRN,   /* across channels, within the node */
    AN_OP_POOL,  /* max, or average */
    AN_OP_DENSE, /* fully connected over C*H*W, + bias + activation */
    AN_OP_DROPOUT,
    AN_OP_LOSS, /* softmax + cross entropy, mean over the batch */
    AN_OP_JOIN  /* concatenation: put in by exec where a node has two inputs, not part of a stated network */
} an_op_kind;
const char *an_op_name(an_op_kind kind);

typedef enum { AN_ACTIVATION_NONE, AN_ACTIVATION_RELU, AN_ACTIVATION_TANH, AN_ACTIVATION_SIGMOID } an_activation;

/* One node. A layer that is split over both devices is two nodes with the same name ("conv2") and device 0 and 1; its
 * canonical weights are theirs, concatenated along the output channel. */
typedef struct {
    char name[16];
    an_op_kind kind;
    int device;                      /* logical: 0 or 1 */
    int inputs[AN_GRAPH_INPUTS_MAX]; /* node numbers, in concatenation order; always smaller than the node's own */
    int input_count;
    int channels, height, width; /* of the output */
    an_activation activation;
    int kernel, stride;        /* conv, pool: square */
    int pad_before, pad_after; /* conv, pool: top/left and bottom/right */
    bool average;              /* pool: the mean of what a window covers, padding not counted, instead of the maximum */
    int groups;                /* conv, lrn: 1, or 2 after an_graph_fuse merged halves that see only themselves */
    int lrn_size;
    double lrn_alpha, lrn_beta, lrn_k; /* y = x / (k + alpha / size * sum x^2) ^ beta */
    double dropout;                    /* probability of zero; survivors scaled by 1 / (1 - p) in training */
    double init_deviation, init_bias;  /* the paper's initial weights: N(0, deviation) and a constant bias */
    bool has_weights;
    int channel_offset; /* of this node's first output channel in the whole layer (dropout, weights) */
    int layer_channels; /* of the whole layer */
    int layer;          /* ordinal of the layer: keys dropout and initialisation */
} an_node;

typedef struct {
    an_node nodes[AN_GRAPH_NODES_MAX];
    int count;
    int classes;
    int input_side, input_channels;
} an_graph;

/* Append a node; shape, channel fields and layer are derived and checked. Returns the node number, or a negative error
 * (AN_EINVAL: "conv2: output would be 0x0 with input side 20"). */
int an_graph_add(an_graph *graph, const an_node *node);

/* Merge the nodes of each split layer into one: what a single device runs. Halves that see only their own half become
 * grouped (groups = 2). AN_EUNSUPPORTED where that has no such form: fully connected halves that see only themselves.
 */
int an_graph_fuse(const an_graph *graph, an_graph *out);

/* Channels that a node sees: those of its inputs together. */
int an_graph_input_channels(const an_graph *graph, const an_node *node);
/* Inputs of one output of a node with weights (its fan-in); its parameters; its share of an_graph_flop. */
uint64_t an_graph_node_inputs(const an_graph *graph, const an_node *node);
uint64_t an_graph_node_parameters(const an_graph *graph, const an_node *node);
double an_graph_node_flop(const an_graph *graph, const an_node *node);

uint64_t an_graph_parameters(const an_graph *graph);
/* Multiply-adds of one forward pass of one image, times 2. */
double an_graph_flop(const an_graph *graph);
/* A table for people: layer, device, shape, parameters, FLOP. */
int an_graph_describe(const an_graph *graph, an_buffer *out);

#endif
