/* Expands convolutions with large windows into 3x3 ones with stride 1, the only ones that Winograd's transform takes
 * (and makes 2.3 times as fast, measured).
 *
 * Row ky of a window with stride s is ky = s * a + d, with a = 0, 1, 2 (the row of the 3x3 window) and d from a set of
 * offsets; columns likewise. For each pair of offsets, a copy of the input that is shifted by the pair and takes every
 * s-th pixel becomes a set of channels of a wider image. On that image the convolution has 3x3 windows and stride 1;
 * weights for rows and columns that the large window does not have are zero. conv1 (11x11, stride 4) becomes 3x3 over 3
 * * 16 channels, conv2 (5x5) 3x3 over 4 times its channels: 1.19 and 1.44 times the multiplications, each of which
 * takes less than half of the time.
 *
 * An an_expansion is a plain value. The op that uses it owns the wider image. OpenMP's threads share the copying. */
#ifndef AN_MODEL_CPU_EXPAND_PRIVATE_H
#define AN_MODEL_CPU_EXPAND_PRIVATE_H

#include "model/cpu/cpu_private.h"

#define AN_EXPANSION_TAPS 3
#define AN_EXPANSION_OFFSETS 4

struct an_expansion {
    int kernel, stride, pad;
    int count, offsets[AN_EXPANSION_OFFSETS]; /* the set of d, the same for rows and columns */
    bool image;   /* the source is in plain order and gets no gradient; a channel's copies are neighbours in the result.
                     false: the source is in blocks of 16 channels; the result has all channels of the first copy, then of
                     the next */
    int parts;    /* 2: the halves of the channels are expanded apart */
    int channels; /* of one part of the source */
    int expanded; /* of one part of the result */
    int height, width; /* of the result */
};

/* Whether the node can be expanded with this source, in this many parts (1 or 2). */
bool an_expansion_find(an_expansion *out, const an_node *node, const an_cpu_tensor *source, int parts);

/* Whether it is expected to be faster: there are more multiplications, and Winograd computes tiles of 4x4 outputs
 * (backward: inputs), of which the last in a row or column may be mostly empty. */
bool an_expansion_pays(const an_expansion *e);

/* Makes the wider image (n x expanded, in blocks of 16 channels; halves one after the other) in the source's type, and
 * takes its gradient back to the source. Sources that are not images are f32. */
int an_expansion_forward(const an_expansion *e, const an_cpu_tensor *source, void *wide);
void an_expansion_backward(const an_expansion *e, an_cpu_tensor *source, const an_cpu_tensor *wide, bool accumulate);

/* Turns weights O x channels x K x K into O x expanded x 3 x 3, and back. */
void an_expansion_weights(const an_expansion *e, size_t outputs, const float *canonical, float *wide);
void an_expansion_weights_back(const an_expansion *e, size_t outputs, const float *wide, float *canonical);

#endif
