/* Local response normalisation over five channels with an exponent of 3/4, as in the paper. It needs no workspace:
 * backward computes b again, which is faster than reading it from memory.
 *
 *     b_i = k + scale * sum of x_j^2,  y_i = x_i b_i^(-3/4),  j from i - 2 to i + 2
 *     dx_i = dy_i b_i^(-3/4) - 3/2 scale x_i * sum of dy_j x_j b_j^(-7/4)
 *
 * x, y and their gradients lie as n x C/16 x area x 16, in f32 or bf16. */
#ifndef AN_MODEL_CPU_KERNELS_LRN_H
#define AN_MODEL_CPU_KERNELS_LRN_H

#include <stdbool.h>
#include <stddef.h>

#define AN_LRN_WINDOW 5
#define AN_LRN_EXPONENT 0.75
#define AN_LRN_BLOCKS_MAX 32

typedef struct {
    size_t images, blocks, area; /* blocks: of 16 channels, at most AN_LRN_BLOCKS_MAX */
    float k, scale;              /* scale: alpha over the window's width */
    bool bf16;
} an_lrn_shape;

/* Whether the processor has the instructions (AVX-512, for bf16 with its bf16 extension). */
bool an_lrn_possible(bool bf16);
void an_lrn_forward(const an_lrn_shape *shape, const void *x, void *y);
void an_lrn_backward(const an_lrn_shape *shape, const void *x, const void *dy, void *dx);

#endif
