/* What making a sampler (sample.c) and making samples with it (sample_make.c) share. */
#ifndef AN_AUGMENT_SAMPLE_PRIVATE_H
#define AN_AUGMENT_SAMPLE_PRIVATE_H

#include "augment/pixels.h"
#include "augment/sample.h"

#define AN_SAMPLE_COLOURS 3

/* mean[flip] lies in the order of the output, so that conversion runs straight through it: HWC (C as stored) or planes,
 * mirrored in [1]. With mean_repeats it holds patterns instead: one of all channels, or one for each plane. */
struct an_sampler {
    an_sample_options options;
    uint32_t side;
    float amplitude[3][3]; /* [i] = p_i sqrt(lambda_i) jitter */
    float *mean[2];
    bool mean_repeats;
    const an_pixels *pixels;
};

/* Planes, not interleaved channels. */
bool an_sampler_planar(const an_sampler *sampler);

/* values[c] of colour c along a row of the output; a row of one plane if plane >= 0. */
void an_sampler_pattern(const an_sampler *sampler, const float values[AN_SAMPLE_COLOURS], int plane,
                        float pattern[AN_PIXELS_PATTERN]);

#endif
