/* Convolutions in bf16 with fewer multiplications than direct ones: Winograd's F(2x2, 3x3), stride 1.
 *
 * Outputs are computed in tiles of 2x2. With d the 4x4 pixels that a tile depends on and g the 3x3 weights,
 *
 *     V = B^T d B,  U = G g G^T,  M = sum over channels of U * V (elementwise),  Y = A^T M A
 *
 *     B^T = 1  0 -1  0   G =  1   0   0   A^T = 1  1  1  0
 *           0  1  1  0       1/2 1/2 1/2        0  1 -1 -1
 *           0 -1  1  0       1/2 -1/2 1/2
 *           0  1  0 -1        0   0   1
 *
 * (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016, with two signs moved), 16 products where
 * direct convolution needs 36. For each of the 16 positions M is a matrix product over all tiles and channels. U, V
 * and, for the gradient of the weights (dU = V^T dM, dM = A dY A^T, dW = G^T dU G), dM are rounded to bf16; sums are
 * fp32. The next larger tile, F(4x4, 3x3), amplifies rounding errors too much for bf16.
 *
 * A window of 4 to 6 rows and columns is cut on each axis into two segments of at most 3. Each segment is a convolution
 * of the shifted image; their products are added in M. For a segment of 2 the last row of U is zero and is left out:
 * 5x5 takes 49 products where direct convolution needs 100.
 *
 * The gradient of the source is a convolution of the target's gradient with the weights turned by 180 degrees, from and
 * to exchanged; it has a plan of its own.
 *
 * Tensors lie as n x C/16 x h x w x 16 (nChw16c); groups share them. Master weights and their gradient are fp32,
 * window x window x from x to (hwio) for each group. Results do not depend on the number of threads. */
#ifndef AN_MODEL_CPU_KERNELS_WINOGRAD_H
#define AN_MODEL_CPU_KERNELS_WINOGRAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AN_WINOGRAD_GROUPS 2
#define AN_WINOGRAD_POSITIONS 16

typedef struct {
    int batch, groups;
    int from, to;      /* channels of a group */
    int height, width; /* of the source */
    int kernel, pad;   /* pad: before; what lies behind follows from the target's size */
    int out_height, out_width;
} an_winograd_shape;

typedef struct {
    an_winograd_shape shape;
    bool turned; /* the gradient of the source: from and to are those of the turned convolution */
    int threads;
    int segments, offset[2], taps[2];      /* on each axis, the longest first */
    int down, across;                      /* tiles of an image */
    size_t tiles;                          /* of the batch */
    int active[4];                         /* segments that are not zero in that row, or column, of U */
    size_t depth[AN_WINOGRAD_POSITIONS];   /* the inner dimension of each matrix product */
    size_t shallow[AN_WINOGRAD_POSITIONS]; /* the sum of the depths of the positions before */
    size_t depths;                         /* their sum */
    int block;                             /* tiles that a thread takes from source to target at a time */
    int chunk; /* for the gradient of the weights: tiles that all threads transform before they multiply */
} an_winograd;

/* Whether the processor has the instructions (AVX-512 with bf16). */
bool an_winograd_possible(void);
/* The plan of a convolution (stride 1), or false for shapes that it cannot do. */
bool an_winograd_plan(an_winograd *out, const an_winograd_shape *shape, int threads);
/* Its backward data plan. Shapes: from, to, source and target exchanged. */
bool an_winograd_turn(an_winograd *out, const an_winograd *forward);
/* Whether it is expected to be faster than a direct convolution, which takes so many products for each output. */
bool an_winograd_pays(const an_winograd *plan, int products);

/* Computes U of a group from its master weights. an_winograd_weights_size: the number of values of one group. */
size_t an_winograd_weights_size(const an_winograd *plan);
void an_winograd_weights(const an_winograd *plan, const float *master, uint16_t *transformed);

/* target = source * weights + bias, then ReLU if asked for. bias: one array for each group, or NULL. transformed: U of
 * all groups, one after the other. All arrays are aligned to 64 bytes. */
typedef struct {
    const uint16_t *source, *transformed;
    const float *const *bias;
    bool relu;
    uint16_t *target;
    void *scratch;
} an_winograd_run_args;

size_t an_winograd_scratch(const an_winograd *plan); /* bytes */
void an_winograd_run(const an_winograd *plan, const an_winograd_run_args *args);

/* The gradients of weights and bias of each group from source and the target's gradient, with the forward plan. */
typedef struct {
    const uint16_t *source, *slope;
    float *const *weights, *const *bias;
    void *scratch;
} an_winograd_gradient_args;

size_t an_winograd_gradient_scratch(const an_winograd *plan);
void an_winograd_gradient(const an_winograd *plan, const an_winograd_gradient_args *args);

#endif
