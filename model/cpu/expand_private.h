/* Larger convolutions as 3x3 ones, so that Winograd's transform (2.3 times as fast here, 3x3 and stride 1 only)
 * applies.
 *
 * A tap ky of a K-tap window with stride s is s * a + d, with a = 0, 1, 2 and d from a set of offsets. Copies of the
 * input, one for each pair of offsets, sampled every s pixels and shifted by d, become the channels of a wider image in
 * which the convolution has 3x3 taps and stride 1; weights of taps that do not exist are zero. conv1 (11x11, stride 4)
 * becomes 3x3 over 3 * 16 channels, conv2 (5x5) 3x3 over 4 times its channels: 1.19 and 1.44 times the products, at
 * less than half of the time each. */
#ifndef AN_MODEL_CPU_EXPAND_PRIVATE_H
#define AN_MODEL_CPU_EXPAND_PRIVATE_H

#include "model/cpu/cpu_private.h"

#define AN_EXPANSION_TAPS 3
#define AN_EXPANSION_OFFSETS 4

struct an_expansion {
    int kernel, stride, pad;
    int count, offsets[AN_EXPANSION_OFFSETS]; /* on each axis */
    bool image; /* plain order, no gradient back: offsets are the fastest channel index; else the slowest, in blocks of
                   16 */
    int parts;  /* 2: each half of the channels is expanded by itself */
    int channels;      /* of one part of the source */
    int expanded;      /* of one part of the result */
    int height, width; /* of the result */
};

/* Whether the node can be run so on this source, in this many parts. */
bool an_expansion_find(an_expansion *out, const an_node *node, const an_cpu_tensor *source, int parts);

/* Whether it is worth it: products grow, and Winograd works in tiles of 4x4 outputs (backward: inputs), the last of
 * which may be mostly empty. */
bool an_expansion_pays(const an_expansion *e);

/* Into the wider image (n x expanded in blocks of 16; halves one behind the other) in the source's type, and its
 * gradient back. What is no image is f32. */
int an_expansion_forward(const an_expansion *e, const an_cpu_tensor *source, void *wide);
void an_expansion_backward(const an_expansion *e, an_cpu_tensor *source, const an_cpu_tensor *wide, bool accumulate);

/* Between canonical weights O x channels x K x K and O x expanded x 3 x 3. */
void an_expansion_weights(const an_expansion *e, size_t outputs, const float *canonical, float *wide);
void an_expansion_weights_back(const an_expansion *e, size_t outputs, const float *wide, float *canonical);

#endif
