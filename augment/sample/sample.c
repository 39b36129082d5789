#include "augment/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "augment/sample/sample_private.h"
#include "base/error.h"
#include "base/rng.h"

int an_sample_colours(const an_sample_options *o)
{
    return o->format.channels == 1 ? 1 : AN_SAMPLE_COLOURS;
}

bool an_sampler_planar(const an_sampler *s)
{
    return s->options.format.layout == AN_LAYOUT_NCHW && s->options.format.channels > 1;
}

static void make_amplitude(an_sampler *s, const an_statistics *statistics)
{
    for (int i = 0; s->options.jitter > 0 && i < 3; i++) {
        double deviation = sqrt(fmax(statistics->eigenvalue[i], 0)) * s->options.jitter;
        for (int c = 0; c < AN_SAMPLE_COLOURS; c++)
            s->amplitude[i][c] = (float)(statistics->eigenvector[i][c] * deviation);
    }
}

int an_sampler_create(an_sampler **out, const an_sample_options *options, uint32_t side,
                      const an_statistics *statistics)
{
    *out = NULL;
    int rc = an_sample_check(options, side, statistics);
    if (rc)
        return rc;
    an_sampler *s = calloc(1, sizeof *s);
    if (!s)
        return an_error(AN_ENOMEM, "out of memory for a sampler");
    s->options = *options;
    s->side = side;
    s->pixels = an_pixels_for(an_cpu_simd());
    for (int c = 0; c < AN_SAMPLE_COLOURS; c++)
        s->scale[c] = an_value_scale(options->scale, options->deviation[c]);
    make_amplitude(s, statistics);
    rc = an_sampler_make_mean(s, statistics);
    if (rc) {
        an_sampler_free(s);
        return rc;
    }
    *out = s;
    return AN_OK;
}

void an_sampler_free(an_sampler *sampler)
{
    if (!sampler)
        return;
    free(sampler->mean[0]);
    free(sampler->mean[1]);
    free(sampler);
}

const an_sample_options *an_sampler_options(const an_sampler *sampler)
{
    return &sampler->options;
}

size_t an_sampler_bytes(const an_sampler *sampler)
{
    const an_format *format = &sampler->options.format;
    size_t crop = sampler->options.crop;
    return crop * crop * (size_t)format->channels * an_dtype_size(format->dtype);
}

static void draw_shift(const an_sampler *s, uint64_t seed, uint64_t epoch, uint64_t index,
                       float shift[AN_SAMPLE_COLOURS])
{
    an_rng rng = an_rng_make(seed, AN_RNG_JITTER, epoch, index);
    for (int i = 0; i < 3; i++) {
        float alpha = (float)an_rng_normal(&rng);
        for (int c = 0; c < AN_SAMPLE_COLOURS; c++)
            shift[c] += alpha * s->amplitude[i][c];
    }
}

/* Area and aspect as in torchvision's RandomResizedCrop: ten attempts, then the whole image. */
static void draw_resized(const an_sampler *s, an_rng *rng, an_sample_draw *out)
{
    double side = s->side, smallest = s->options.area_min;
    *out = AN_SAMPLE_DRAW(.width = s->side, .height = s->side);
    for (int attempt = 0; attempt < 10; attempt++) {
        double area = side * side * (smallest + (1 - smallest) * an_rng_uniform(rng));
        double aspect = exp(log(4.0 / 3.0) * (2 * an_rng_uniform(rng) - 1));
        double width = rint(sqrt(area * aspect)), height = rint(sqrt(area / aspect));
        if (width < 1 || height < 1 || width > side || height > side)
            continue;
        out->width = (uint32_t)width;
        out->height = (uint32_t)height;
        out->x = an_rng_below(rng, s->side - out->width + 1);
        out->y = an_rng_below(rng, s->side - out->height + 1);
        return;
    }
}

void an_sampler_draw(const an_sampler *sampler, uint64_t seed, uint64_t epoch, uint64_t index, an_sample_draw *out)
{
    const an_sample_options *o = &sampler->options;
    uint32_t range = sampler->side - o->crop;
    *out = AN_SAMPLE_DRAW(.x = range / 2, .y = range / 2);
    if (o->random_crop) {
        an_rng rng = an_rng_make(seed, AN_RNG_CROP, epoch, index);
        if (o->area_min > 0) {
            draw_resized(sampler, &rng, out);
        } else {
            out->x = an_rng_below(&rng, range + 1);
            out->y = an_rng_below(&rng, range + 1);
        }
    }
    if (o->flip) {
        an_rng rng = an_rng_make(seed, AN_RNG_FLIP, epoch, index);
        out->flip = an_rng_u32(&rng) >> 31;
    }
    if (o->jitter > 0 && (!o->jitter_epochs || epoch < o->jitter_epochs)) {
        draw_shift(sampler, seed, epoch, index, out->shift);
        out->factor = o->jitter_scaled ? (float)(1 / (1 + o->jitter)) : 1;
    }
    an_sample_draw_mix(o, seed, epoch, index, out);
}

an_image_draw an_sample_image_draw(const an_sample_draw *draw)
{
    an_image_draw image = {.shift = {draw->shift[0], draw->shift[1], draw->shift[2]},
                           .x = draw->x,
                           .y = draw->y,
                           .flip = draw->flip,
                           .factor = draw->factor,
                           .share = draw->share};
    memcpy(image.box, draw->box, sizeof image.box);
    return image;
}

void an_sampler_ten_crop(const an_sampler *sampler, an_sample_draw out[AN_SAMPLE_TEN])
{
    uint32_t far = sampler->side - sampler->options.crop;
    const uint32_t x[5] = {0, far, 0, far, far / 2}, y[5] = {0, 0, far, far, far / 2};
    for (int i = 0; i < AN_SAMPLE_TEN; i++)
        out[i] = AN_SAMPLE_DRAW(.x = x[i % 5], .y = y[i % 5], .flip = i >= 5);
}
