/* What is subtracted from a sample, in the order of its output. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "augment/sample/sample_private.h"
#include "base/error.h"

/* Elements of mean: whole images or patterns. */
static size_t mean_count(const an_sampler *s)
{
    size_t image = (size_t)s->side * s->side;
    if (an_sampler_planar(s))
        return AN_SAMPLE_COLOURS * (s->mean_repeats ? AN_PIXELS_PATTERN : image);
    return s->mean_repeats ? AN_PIXELS_PATTERN : image * (size_t)s->options.format.channels;
}

void an_sampler_pattern(const an_sampler *s, const float values[AN_SAMPLE_COLOURS], int plane,
                        float pattern[AN_PIXELS_PATTERN])
{
    int channels = s->options.format.channels;
    for (int i = 0; i < AN_PIXELS_PATTERN; i++) {
        int colour = plane >= 0 ? plane : i % channels;
        pattern[i] = colour < AN_SAMPLE_COLOURS ? values[colour] : 0;
    }
}

static void fill_mean_patterns(an_sampler *s, const float values[AN_SAMPLE_COLOURS])
{
    if (!an_sampler_planar(s))
        an_sampler_pattern(s, values, -1, s->mean[0]);
    else
        for (int c = 0; c < AN_SAMPLE_COLOURS; c++)
            an_sampler_pattern(s, values, c, s->mean[0] + c * AN_PIXELS_PATTERN);
}

static float mean_of(const an_sampler *s, const float *rgb, size_t colour)
{
    const double values[AN_SAMPLE_COLOURS] = {(double)rgb[0], (double)rgb[1], (double)rgb[2]};
    return an_sample_colours(&s->options) > 1 ? rgb[colour] : (float)an_value_grey(values);
}

static void fill_mean_image(an_sampler *s, const float *image, bool flip)
{
    size_t side = s->side, channels = (size_t)s->options.format.channels;
    size_t colours = (size_t)an_sample_colours(&s->options);
    for (size_t y = 0; y < side; y++)
        for (size_t x = 0; x < side; x++)
            for (size_t c = 0; c < colours; c++) {
                size_t pixel = y * side + (flip ? side - 1 - x : x);
                size_t to = an_sampler_planar(s) ? c * side * side + pixel : pixel * channels + c;
                s->mean[flip][to] = mean_of(s, image + (y * side + x) * AN_SAMPLE_COLOURS, c);
            }
}

/* Of means that repeat. */
static void fill_mean_values(an_sampler *s, const an_statistics *statistics)
{
    static const double none[AN_SAMPLE_COLOURS];
    an_mean_kind kind = s->options.mean;
    const double *mean = kind == AN_MEAN_CHANNEL ? statistics->mean
                         : kind == AN_MEAN_GIVEN ? s->options.mean_given
                                                 : none;
    float values[AN_SAMPLE_COLOURS];
    for (int c = 0; c < AN_SAMPLE_COLOURS; c++)
        values[c] = (float)mean[c];
    if (kind == AN_MEAN_CHANNEL && an_sample_colours(&s->options) == 1)
        values[0] = (float)an_value_grey(mean);
    fill_mean_patterns(s, values);
}

int an_sampler_make_mean(an_sampler *s, const an_statistics *statistics)
{
    s->mean_repeats = s->options.mean != AN_MEAN_PIXEL;
    for (int flip = 0; flip < (s->mean_repeats ? 1 : 2); flip++) {
        s->mean[flip] = calloc(mean_count(s), sizeof(float));
        if (!s->mean[flip])
            return an_error(AN_ENOMEM, "out of memory for the mean image");
        if (!s->mean_repeats)
            fill_mean_image(s, statistics->mean_image, flip);
    }
    if (s->mean_repeats)
        fill_mean_values(s, statistics);
    return AN_OK;
}

int an_sampler_mean(const an_sampler *s, float **mean, uint32_t *mean_side)
{
    bool planar = an_sampler_planar(s);
    size_t side = s->mean_repeats ? 1 : s->side, pixels = side * side, colours = (size_t)an_sample_colours(&s->options);
    size_t plane = s->mean_repeats ? AN_PIXELS_PATTERN : pixels, step = (size_t)s->options.format.channels;
    *mean = NULL;
    *mean_side = (uint32_t)side;
    if (s->options.mean == AN_MEAN_NONE)
        return AN_OK;
    *mean = malloc(pixels * colours * sizeof(float));
    if (!*mean)
        return an_error(AN_ENOMEM, "out of memory for the mean image");
    for (size_t i = 0; i < pixels * colours; i++) {
        size_t pixel = i / colours, colour = i % colours;
        (*mean)[i] = s->mean[0][planar ? colour * plane + pixel : pixel * step + colour];
    }
    return AN_OK;
}

void an_sample_deviation(const an_statistics *statistics, int channels, double deviation[AN_SAMPLE_COLOURS])
{
    double rows[AN_SAMPLE_COLOURS];
    memcpy(deviation, statistics->deviation, sizeof statistics->deviation);
    if (channels > 1)
        return;
    for (int c = 0; c < AN_SAMPLE_COLOURS; c++)
        rows[c] = an_value_grey(statistics->covariance[c]);
    deviation[0] = sqrt(fmax(an_value_grey(rows), 0));
}
