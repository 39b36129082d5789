#include "augment/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "augment/sample/sample_private.h"
#include "base/error.h"
#include "base/rng.h"

bool an_sampler_planar(const an_sampler *s)
{
    return s->options.format.layout == AN_LAYOUT_NCHW;
}

static int check_format(const an_format *format)
{
    if (format->channels != AN_SAMPLE_COLOURS && format->channels != AN_SAMPLE_COLOURS + 1)
        return an_error(AN_EINVAL, "%d channels: images are stored with 3 or 4", format->channels);
    if (format->layout != AN_LAYOUT_NHWC && format->layout != AN_LAYOUT_NCHW)
        return an_error(AN_EINVAL, "unknown image layout %d", (int)format->layout);
    if ((int)format->dtype < AN_DTYPE_U8 || format->dtype > AN_DTYPE_F16)
        return an_error(AN_EINVAL, "unknown image type %d", (int)format->dtype);
    return AN_OK;
}

static int check_options(const an_sample_options *o, uint32_t side, const an_statistics *statistics)
{
    bool bytes = o->format.dtype == AN_DTYPE_U8;
    if (o->crop < 1 || o->crop > side)
        return an_error(AN_EINVAL, "crop %u does not fit the records of %u pixels", o->crop, side);
    if (!isfinite(o->jitter) || o->jitter < 0)
        return an_error(AN_EINVAL, "colour jitter %g is not a deviation: give 0 or more", o->jitter);
    if (!isfinite(o->scale) || o->scale <= 0)
        return an_error(AN_EINVAL, "scale %g is impossible: give a number above 0", o->scale);
    if (bytes && (o->mean != AN_MEAN_NONE || o->scale != 1))
        return an_error(AN_EINVAL, "u8 images are delivered as decoded: no mean and scale 1, or another type");
    if ((int)o->mean < AN_MEAN_NONE || o->mean > AN_MEAN_PIXEL)
        return an_error(AN_EINVAL, "unknown kind of mean %d", (int)o->mean);
    if ((o->mean != AN_MEAN_NONE || o->jitter > 0) && !statistics)
        return an_error(AN_EINVAL, "mean and colour jitter need the statistics of a training set");
    if (!isfinite(o->area_min) || o->area_min < 0 || o->area_min > 1)
        return an_error(AN_EINVAL, "area %g of resized crops is not a share: give 0 to 1", o->area_min);
    if (o->area_min > 0 && (!o->random_crop || o->mean == AN_MEAN_PIXEL))
        return an_error(AN_EINVAL, "resized crops go with random crops and the channel mean only");
    int rc = an_sample_check_mix(o);
    if (rc)
        return rc;
    if (o->mean == AN_MEAN_PIXEL && statistics->side != side)
        return an_error(AN_EINVAL, "the mean image has %u pixels a side, the records %u: use the channel mean",
                        statistics->side, side);
    return check_format(&o->format);
}

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

static int make_mean(an_sampler *s, const an_statistics *statistics)
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
    if (s->mean_repeats)
        fill_mean_patterns(s, values);
    return AN_OK;
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
    int rc = check_options(options, side, statistics);
    if (rc)
        return rc;
    an_sampler *s = calloc(1, sizeof *s);
    if (!s)
        return an_error(AN_ENOMEM, "out of memory for a sampler");
    s->options = *options;
    s->side = side;
    s->pixels = an_pixels_for(an_cpu_simd());
    make_amplitude(s, statistics);
    rc = make_mean(s, statistics);
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
