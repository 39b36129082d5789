/* Convolutions: what conv.c, which runs them, conv_ways.c, which finds the fastest way of each pass, blocks.c, which
 * puts images into blocks and padding into memory, and parts.c, which decides how the tensors between them lie,
 * share. */
#ifndef AN_MODEL_CUDA_LAYERS_CONV_PRIVATE_H
#define AN_MODEL_CUDA_LAYERS_CONV_PRIVATE_H

#include "model/cuda/cuda.h"

#define AN_CONV_PASSES 3 /* an_plan_kind */

/* How a pass is computed. Only a convolution in two groups has a choice. */
typedef enum {
    AN_WAY_WHOLE,  /* by one plan that states the groups */
    AN_WAY_HALVES, /* by a plan without groups that runs on one half of all tensors and then on the other */
    AN_WAY_DENSE,  /* by a plan without groups in which each half also reads the other half's inputs, with weights of 0
                    */
    AN_WAYS
} an_conv_way;

/* The time of a pass computed in some way, where x and y lie in some number of parts. */
typedef struct {
    bool known;
    double microseconds; /* 0: nothing is measured without choices; INFINITY: the library cannot do it */
} an_conv_time;

/* A copy of the input with the padding around it in memory, and its gradient. NULL: padding is left to the library, or
 * lies in the input's blocks. */
typedef struct {
    void *data, *slope;
} an_conv_frame;

typedef struct {
    an_op op;
    an_conv_frame frame;
    an_plan_spec spec;                                 /* the whole convolution's forward pass */
    an_plan *plans[AN_CONV_PASSES];                    /* NULL: a pass that is not needed */
    an_conv_way ways[AN_CONV_PASSES];                  /* that the plans take */
    an_conv_time times[AN_CONV_PASSES][AN_WAYS][2][2]; /* [parts of x - 1][parts of y - 1] */
    an_slope slope;
    void *summand; /* if another layer reads the same input: the gradient of the input, before it is added to the sum */
} an_conv_op;

/* conv_ways.c. Whether the op is a convolution whose halves see only their own half and can be computed apart. */
bool an_conv_splits(const an_op *op);
/* The fewest microseconds of all passes together if x and y lie in that many parts, and the ways that take them;
 * INFINITY: impossible. Asks for the times of all plans that come into question, which measures those that the
 * backend's choices do not know. */
int an_conv_fastest(an_conv_op *conv, int x_parts, int y_parts, an_conv_way ways[AN_CONV_PASSES], double *microseconds);
/* Decides the ways of all passes, as x and y lie now. */
int an_conv_ways(an_conv_op *conv);
/* Makes the plan of a pass, and binds it: to the tensors' halves, if these are computed apart. */
int an_conv_plan(an_conv_op *conv, an_plan_kind kind);
int an_conv_bind(const an_conv_op *conv, an_plan_kind kind);

/* blocks.c. Whether a convolution can read an image in blocks, and in which. */
bool an_conv_blocks_of(const an_node *node, const an_cuda_tensor *image, an_cuda_blocks *out);
/* Whether padding is unequal, so that it must lie in memory. */
bool an_conv_is_uneven(const an_node *node, const an_cuda_tensor *x);
/* What the library computes for a convolution that reads x: over the blocks in which x lies, or else over a frame if
 * padding is unequal. */
an_plan_spec an_conv_spec(const an_node *node, an_cuda_precision precision, const an_cuda_tensor *x);
int an_conv_frame_make(an_conv_op *conv); /* if one is needed */
/* Queue the copy of the input into the frame, and of the gradient out of it. */
int an_conv_frame_fill(const an_conv_op *conv);
int an_conv_frame_take(const an_conv_op *conv);

#endif
