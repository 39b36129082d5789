/* Convolutions with fewer multiplications than direct ones: Winograd's F(4x4, 3x3) in fp32 and F(2x2, 3x3) in bf16,
 * stride 1.
 *
 * Outputs are computed in tiles of t x t. With d the (t + 2) x (t + 2) pixels that a tile depends on and g the 3x3
 * weights,
 *
 *     V = B^T d B,  U = G g G^T,  M = sum over channels of U * V (elementwise),  Y = A^T M A
 *
 *     t = 2:  B^T = 1  0 -1  0   G =  1   0   0   A^T = 1  1  1  0
 *                   0  1  1  0       1/2 1/2 1/2        0  1 -1 -1
 *                   0 -1  1  0       1/2 -1/2 1/2
 *                   0  1  0 -1        0   0   1
 *
 *     t = 4:  B^T = 4  0 -5  0  1  0   G =  1/4    0    0    A^T = 1  1  1  1  1  0
 *                   0 -4 -4  1  1  0       -1/6  -1/6 -1/6         0  1 -1  2 -2  0
 *                   0  4 -4 -1  1  0       -1/6   1/6 -1/6         0  1  1  4  4  0
 *                   0 -2 -1  2  1  0       1/24  1/12  1/6         0  1 -1  8 -8  1
 *                   0  2 -1 -2  1  0       1/24 -1/12  1/6
 *                   0  4  0 -5  0  1         0     0    1
 *
 * (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016; for t = 2 with two signs moved). A tile
 * takes 16 products where direct convolution needs 36, or 36 where it needs 144. For each of these positions M is a
 * matrix product over all tiles and channels. For the gradient of the weights dU = V^T dM, dM = A dY A^T, dW = G^T dU
 * G. In bf16, U, V and dM are rounded to bf16; sums are fp32. The larger tile amplifies rounding errors too much for
 * bf16.
 *
 * A window of 4 to 6 rows and columns is cut on each axis into two segments of at most 3. Each segment is a convolution
 * of the shifted image; their products are added in M. For a segment of 2 the last row of U is zero and is left out:
 * with t = 2, 5x5 takes 49 products where direct convolution needs 100, with t = 4 121 where it needs 400.
 *
 * The gradient of the source is a convolution of the target's gradient with the weights turned by 180 degrees, from and
 * to exchanged; it has a plan of its own.
 *
 * Tensors lie as n x C/b x h x w x b with blocks of b = an_winograd_lanes() channels (nChw16c, nChw8c); groups share
 * them. Their values are fp32 or bf16, as the plan says. Master weights and their gradient are fp32, window x window x
 * from x to (hwio) for each group. All arrays are aligned to 64 bytes. OpenMP's threads share the work of the calling
 * thread; results do not depend on their number. */
#ifndef AN_MODEL_CPU_KERNELS_WINOGRAD_H
#define AN_MODEL_CPU_KERNELS_WINOGRAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AN_WINOGRAD_GROUPS 2
#define AN_WINOGRAD_SIDE_MAX 6
#define AN_WINOGRAD_POSITIONS_MAX 36

typedef struct {
    int batch, groups;
    int from, to;      /* channels of a group */
    int height, width; /* of the source */
    int kernel, pad;   /* pad: before; what lies behind follows from the target's size */
    int out_height, out_width;
} an_winograd_shape;

typedef struct an_winograd_kernels an_winograd_kernels;

typedef struct {
    an_winograd_shape shape;
    const an_winograd_kernels *kernels;
    size_t value_size; /* bytes of a value of source, target and U: 4 or 2 */
    int lanes;         /* channels of a block */
    int tile, side;    /* t, t + 2 */
    bool turned;       /* the gradient of the source: from and to are those of the turned convolution */
    int threads;
    int segments, offset[2], taps[2];          /* on each axis, the longest first */
    int down, across;                          /* tiles of an image */
    size_t tiles;                              /* of the batch */
    int active[AN_WINOGRAD_SIDE_MAX];          /* segments that are not zero in that row, or column, of U */
    size_t depth[AN_WINOGRAD_POSITIONS_MAX];   /* the inner dimension of each matrix product */
    size_t shallow[AN_WINOGRAD_POSITIONS_MAX]; /* the sum of the depths of the positions before */
    size_t depths;                             /* their sum */
    int block;                                 /* tiles that a thread takes from source to target at a time */
    int chunk;      /* for the gradient of the weights: tiles that all threads transform before they multiply */
    size_t stagger; /* values between positions, which so begin in different sets of the L1 cache */
} an_winograd;

/* Channels of a block: 16 with AVX-512 (with its bf16 instructions for bf16), 8 with AVX2 (fp32 only); 0 where the
 * processor has no such instructions. */
int an_winograd_lanes(bool bf16);
/* The plan of a convolution (stride 1), or false for shapes that it cannot do. */
bool an_winograd_plan(an_winograd *out, const an_winograd_shape *shape, bool bf16, int threads);
/* Its backward data plan. Shapes: from, to, source and target exchanged. */
bool an_winograd_turn(an_winograd *out, const an_winograd *forward);
/* Whether it is expected to be faster than a direct convolution, which takes so many products for each output. */
bool an_winograd_pays(const an_winograd *plan, int products);

/* Computes U of a group from its master weights. an_winograd_weights_size: the number of values of one group. */
size_t an_winograd_weights_size(const an_winograd *plan);
void an_winograd_weights(const an_winograd *plan, const float *master, void *transformed);

/* target = source * weights + bias, then ReLU if asked for. bias: one array for each group, or NULL. transformed: U of
 * all groups, one after the other. */
typedef struct {
    const void *source, *transformed;
    const float *const *bias;
    bool relu;
    void *target;
    void *scratch;
} an_winograd_run_args;

size_t an_winograd_scratch(const an_winograd *plan); /* bytes */
void an_winograd_run(const an_winograd *plan, const an_winograd_run_args *args);

/* The gradients of weights and bias of each group from source and the target's gradient, with the forward plan. */
typedef struct {
    const void *source, *slope;
    float *const *weights, *const *bias;
    void *scratch;
} an_winograd_gradient_args;

size_t an_winograd_gradient_scratch(const an_winograd *plan);
void an_winograd_gradient(const an_winograd *plan, const an_winograd_gradient_args *args);

#endif
