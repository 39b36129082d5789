/* A network as a graph of nodes on logical devices. It is stated once and says nothing about the hardware: exec.h maps
 * logical to physical devices. Activations are N x C x H x W; a node's inputs are concatenated along C.
 *
 * A graph is a plain value: it owns no memory and is copied by assignment. Functions fail with AN_EINVAL, whose message
 * begins with the node's name. */
#ifndef AN_MODEL_GRAPH_GRAPH_H
#define AN_MODEL_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

#define AN_GRAPH_INPUTS_MAX 2
#define AN_GRAPH_NODES_MAX 64
#define AN_GRAPH_DEVICES 2

/* The kinds of layers; kinds.c has a row for each. */
typedef enum {
    AN_OP_INPUT, /* the image batch */
    AN_OP_CONV,  /* convolution + bias + activation */
    AN_OP_LRN,   /* local response normalisation across the channels of each group */
    AN_OP_POOL,  /* maximum or average */
    AN_OP_DENSE, /* fully connected over C*H*W, + bias + activation */
    AN_OP_DROPOUT,
    AN_OP_LOSS,       /* softmax + cross entropy, mean over the batch */
    AN_OP_ACTIVATION, /* of each value, where it does not follow a convolution or fully connected layer directly */
    AN_OP_JOIN,       /* concatenation along C: an_graph_lower adds it, a stated network has none */
    AN_OP_KINDS       /* how many there are */
} an_op_kind;
const char *an_op_name(an_op_kind kind); /* "unknown" for a number that is no kind */

typedef enum { AN_ACTIVATION_NONE, AN_ACTIVATION_RELU, AN_ACTIVATION_TANH, AN_ACTIVATION_SIGMOID } an_activation;
const char *an_activation_name(an_activation activation); /* "ReLU", as people write it; "" for none */

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

#define AN_KIND_RANK_MAX 4 /* of weights */

/* How a layer appears in a drawing. */
typedef enum {
    AN_FIGURE_IMAGE,  /* a thin sheet */
    AN_FIGURE_PLANES, /* a block as deep as it has channels */
    AN_FIGURE_UNITS,  /* a bar as high as it has units */
    AN_FIGURE_NOTE    /* a line of text under the layer before it */
} an_figure;

/* What the rest of the program must know of a kind. Function pointers may be NULL. */
typedef struct {
    const char *name;
    bool has_inputs; /* false for the image only */
    an_figure figure;
    int (*check)(const an_node *node); /* the kind's own attributes; shape and channels are derived before */
    /* Sets the node's height and width. NULL: those of the input. */
    void (*shape)(const an_node *input, an_node *node);
    /* NULL: no weights, and as many output channels as input channels. Sets shape[1] and on to the extents of the
     * weights of one output, in canonical order, and returns the rank, shape[0] (the outputs) included. */
    int (*weights)(const an_graph *graph, const an_node *node, int shape[AN_KIND_RANK_MAX]);
    /* Adapts a merged node; see an_graph_fuse. half: its first half; apart: the halves see different inputs. NULL:
     * nothing to adapt. */
    int (*merge)(const an_node *half, bool apart, an_node *merged);
    void (*note)(const an_node *node, char *out, size_t size); /* the text of a figure that is a note */
} an_kind;

/* The row of a kind; NULL for a number that is no kind. */
const an_kind *an_kind_find(an_op_kind kind);

/* Append a node; shape, channel fields and layer are derived and checked. Returns the node number, or a negative error
 * (AN_EINVAL: "conv2: output would be 0x0 with input side 20"). */
int an_graph_add(an_graph *graph, const an_node *node);

/* Merge the two nodes of each split layer into one, for a single device. Halves that see only their own half become the
 * groups of one node (groups = 2). AN_EUNSUPPORTED where no such form exists: fully connected halves that see only
 * themselves. */
int an_graph_fuse(const an_graph *graph, an_graph *out);

/* The sum of the channels of a node's inputs. */
int an_graph_input_channels(const an_graph *graph, const an_node *node);
/* Weights of one output (the fan-in), parameters (weights and biases), and the node's share of an_graph_flop; 0 for
 * nodes without weights. */
uint64_t an_graph_node_inputs(const an_graph *graph, const an_node *node);
uint64_t an_graph_node_parameters(const an_graph *graph, const an_node *node);
double an_graph_node_flop(const an_graph *graph, const an_node *node);

uint64_t an_graph_parameters(const an_graph *graph);
/* Multiply-adds of one forward pass of one image, times 2. */
double an_graph_flop(const an_graph *graph);
/* Appends a table for people: layer, kind, device, shape, parameters, FLOP. */
int an_graph_describe(const an_graph *graph, an_buffer *out);

#endif
