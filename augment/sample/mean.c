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

static void fill_mean_image(an_sampler *s, const float *image, bool flip)
{
    size_t side = s->side, channels = (size_t)s->options.format.channels;
    for (size_t y = 0; y < side; y++)
        for (size_t x = 0; x < side; x++)
            for (size_t c = 0; c < AN_SAMPLE_COLOURS; c++) {
                size_t pixel = y * side + (flip ? side - 1 - x : x);
                size_t to = an_sampler_planar(s) ? c * side * side + pixel : pixel * channels + c;
                s->mean[flip][to] = image[(y * side + x) * AN_SAMPLE_COLOURS + c];
            }
}

int an_sampler_make_mean(an_sampler *s, const an_statistics *statistics)
{
    float values[AN_SAMPLE_COLOURS] = {0};
    s->mean_repeats = s->options.mean != AN_MEAN_PIXEL;
    for (int flip = 0; flip < (s->mean_repeats ? 1 : 2); flip++) {
        s->mean[flip] = calloc(mean_count(s), sizeof(float));
        if (!s->mean[flip])
            return an_error(AN_ENOMEM, "out of memory for the mean image");
        if (!s->mean_repeats)
            fill_mean_image(s, statistics->mean_image, flip);
    }
    for (int c = 0; s->options.mean == AN_MEAN_CHANNEL && c < AN_SAMPLE_COLOURS; c++)
        values[c] = (float)statistics->mean[c];
    for (int c = 0; s->options.mean == AN_MEAN_GIVEN && c < AN_SAMPLE_COLOURS; c++)
        values[c] = (float)s->options.mean_given[c];
    if (s->mean_repeats)
        fill_mean_patterns(s, values);
    return AN_OK;
}

static int colours_of(const an_sampler *s)
{
    return s->options.format.channels == 1 ? 1 : AN_SAMPLE_COLOURS;
}

int an_sampler_mean(const an_sampler *s, float **mean, uint32_t *mean_side)
{
    bool planar = an_sampler_planar(s);
    size_t side = s->mean_repeats ? 1 : s->side, pixels = side * side, colours = (size_t)colours_of(s);
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
