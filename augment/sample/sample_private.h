/* What making a sampler (sample.c, check.c, mean.c) and making samples with it (make.c) share. */
#ifndef AN_AUGMENT_SAMPLE_SAMPLE_PRIVATE_H
#define AN_AUGMENT_SAMPLE_SAMPLE_PRIVATE_H

#include "augment/pixels/pixels.h"
#include "augment/pixels/values.h"
#include "augment/sample.h"

#define AN_SAMPLE_COLOURS 3

/* mean[0] is the mean image in the order of the output (interleaved with as many channels, or planes), so that
 * conversion walks through both in step; mean[1] is the same mirrored. With mean_repeats, mean[0] holds patterns
 * instead (AN_PIXELS_PATTERN): one of all channels, or one for each plane. */
struct an_sampler {
    an_sample_options options;
    uint32_t side;
    float amplitude[3][3]; /* [i]: eigenvector p_i times sqrt(lambda_i) times jitter */
    float *mean[2];
    bool mean_repeats;
    float scale[AN_SAMPLE_COLOURS]; /* an_value_scale of each colour */
    const an_pixels *pixels;
};

/* check.c: AN_EINVAL names an impossible option. */
int an_sample_check(const an_sample_options *options, uint32_t side, const an_statistics *statistics);

/* mean.c: fills s->mean. */
int an_sampler_make_mean(an_sampler *s, const an_statistics *statistics);

/* mix.c: what is mixed into a sample, by the sampler's options. mixup: Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: beyond
 * empirical risk minimization", 2018. CutMix: Yun and others, "CutMix: regularization strategy to train strong
 * classifiers with localizable features", 2019. */
int an_sample_check_mix(const an_sample_options *options);
void an_sample_draw_mix(const an_sample_options *options, uint64_t seed, uint64_t epoch, uint64_t index,
                        an_sample_draw *out);

/* Colours of the output: 3, or 1 if it is grey. */
int an_sample_colours(const an_sample_options *options);

/* Whether the output is planes, not interleaved channels. Grey is one channel, interleaved with nothing. */
bool an_sampler_planar(const an_sampler *sampler);

/* The pattern that values, one for each colour, make along a row of the output; plane: a row of this plane, -1: an
 * interleaved row. Grey has the first value alone. */
void an_sampler_pattern(const an_sampler *sampler, const float values[AN_SAMPLE_COLOURS], int plane,
                        float pattern[AN_PIXELS_PATTERN]);

#endif
