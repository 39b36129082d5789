/* Expands the convolution of an image with a large window and a stride of 4 into a 3x3 one with stride 1, which
 * Winograd's transform takes.
 *
 * Row ky of the window is ky = 4 * a + d, with a = 0, 1, 2 (the row of the 3x3 window) and d = 0 to 3; columns
 * likewise. For each pair of offsets d, a copy of the image that is shifted by the pair and takes every fourth pixel
 * becomes a channel of a wider image. On that image the convolution has 3x3 windows and stride 1; weights for rows and
 * columns that the large window does not have are zero. AlexNet's conv1 (11x11x3, stride 4) becomes 3x3 over 48
 * channels: 1.19 times the multiplications, of which Winograd's transform leaves a quarter.
 *
 * An an_expansion is a plain value. The op that uses it owns the wider image. OpenMP's threads share the copying. */
#ifndef AN_MODEL_CPU_EXPAND_PRIVATE_H
#define AN_MODEL_CPU_EXPAND_PRIVATE_H

#include "model/cpu/cpu_private.h"

#define AN_EXPANSION_TAPS 3
#define AN_EXPANSION_OFFSETS 4 /* the values of d */

struct an_expansion {
    int kernel, pad;
    int block;         /* channels of the result lie in blocks of 16 or 8; 0: there is no expansion */
    int channels;      /* of the image */
    int expanded;      /* channels of the result: the 16 copies of the first channel, then of the next */
    int height, width; /* of the result */
};

/* Whether the node can be expanded with this source, whose gradient nobody wants, into blocks of so many channels. */
bool an_expansion_find(an_expansion *out, const an_node *node, const an_cpu_tensor *source, int block);

/* Makes the wider image (n x expanded x height x width, in blocks of channels) in the source's type. */
int an_expansion_forward(const an_expansion *e, const an_cpu_tensor *source, void *wide);

/* Turns weights O x channels x K x K into O x expanded x 3 x 3, and back. */
void an_expansion_weights(const an_expansion *e, size_t outputs, const float *canonical, float *wide);
void an_expansion_weights_back(const an_expansion *e, size_t outputs, const float *wide, float *canonical);

#endif
