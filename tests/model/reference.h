/* Every operation in double precision and canonical order, written to be read, not to be fast. */
#ifndef AN_TESTS_MODEL_REFERENCE_H
#define AN_TESTS_MODEL_REFERENCE_H

#include "model/graph/graph.h"

/* The shape of a node's input: n samples of c x h x w. */
typedef struct {
    int n, c, h, w;
} an_reference_shape;

typedef struct {
    double *weight, *bias;                   /* canonical; unused without weights */
    double *weight_gradient, *bias_gradient; /* added to */
} an_reference_weights;

/* y = node(x). kept: for dropout, a byte per element, 0: dropped; NULL: nothing is dropped or scaled. */
void an_reference_forward(const an_node *node, an_reference_shape in, const double *x, const an_reference_weights *w,
                          const uint8_t *kept, double *y);
/* dx += gradient of x, from y and the gradient dy of y. Multiplies dy by the activation's derivative. */
void an_reference_backward(const an_node *node, an_reference_shape in, const double *x, const double *y, double *dy,
                           const an_reference_weights *w, const uint8_t *kept, double *dx);
/* Mean cross entropy of the first count rows; dx (may be NULL) is overwritten; probabilities may be NULL. */
double an_reference_loss(an_reference_shape in, const double *logits, const uint32_t *labels, int count,
                         double *probabilities, double *dx);
/* The dropout mask by the documented rule: word ((sample * layer channels + channel) * height + row) * width + column
 * of the stream of seed, step, layer. */
void an_reference_mask(const an_node *node, int n, uint64_t seed, uint64_t step, uint8_t *kept);

/* A whole lowered network. */
typedef struct {
    const an_graph *graph;
    int n;
    double *values[AN_GRAPH_NODES_MAX], *gradients[AN_GRAPH_NODES_MAX];
    uint8_t *kept[AN_GRAPH_NODES_MAX];
    an_reference_weights weights[AN_GRAPH_NODES_MAX];
} an_reference_net;

int an_reference_net_create(an_reference_net *net, const an_graph *lowered, int n);
void an_reference_net_free(an_reference_net *net);
/* Returns the loss; with gradients, also computes all gradients. dropout: applies the masks of (seed, step). */
double an_reference_net_run(an_reference_net *net, const float *images, const uint32_t *labels, int count,
                            bool gradients, bool dropout, uint64_t seed, uint64_t step);

#endif
