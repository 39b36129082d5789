/* From bytes to values, bit by bit: the bytes of a sample as u8, NHWC, 3 channels are taken as they are, and what every
 * other format holds is computed from them slowly. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "augment/sample.h"
#include "base/error.h"
#include "base/rng.h"
#include "fixture.h"

#define SIDE 40u

static fixture set;

static int setup(void **state)
{
    (void)state;
    static const an_codec codecs[] = {AN_CODEC_RGB, AN_CODEC_JPEG, AN_CODEC_YUV420, AN_CODEC_COEF};
    fixture_make(&set, 4, SIDE, codecs, 4);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_drop(&set);
    return 0;
}

static void make(const an_sample_options *options, uint64_t record, const an_sample_draw *draw, void *out)
{
    an_sampler *sampler;
    an_sample_scratch *scratch;
    an_record parsed;
    if (an_sampler_create(&sampler, options, SIDE, an_dataset_statistics(set.dataset)))
        fail_msg("%s", an_error_message());
    assert_int_equal(an_sample_scratch_create(&scratch, sampler), AN_OK);
    assert_int_equal(an_dataset_record(set.dataset, record, &parsed), AN_OK);
    assert_int_equal(an_sampler_make(sampler, scratch, &parsed, draw, out), AN_OK);
    an_sample_scratch_free(scratch);
    an_sampler_free(sampler);
}

static int colours_of(const an_sample_options *o)
{
    return o->format.channels == 1 ? 1 : 3;
}

static double grey(double red, double green, double blue)
{
    return (19595 * red + 38470 * green + 7471 * blue) / 65536;
}

/* The mean of a colour at a place of the record. */
static float mean_of(const an_sample_options *o, uint32_t y, uint32_t x, int c)
{
    const an_statistics *s = an_dataset_statistics(set.dataset);
    const float *pixel = s->mean_image + (y * SIDE + x) * 3;
    bool colour = colours_of(o) == 3;
    if (o->mean == AN_MEAN_CHANNEL)
        return (float)(colour ? s->mean[c] : grey(s->mean[0], s->mean[1], s->mean[2]));
    if (o->mean == AN_MEAN_PIXEL)
        return colour ? pixel[c] : (float)grey((double)pixel[0], (double)pixel[1], (double)pixel[2]);
    return o->mean == AN_MEAN_GIVEN ? (float)o->mean_given[c] : 0;
}

/* The nearest number of so many significant bits, the even one of two, none finer than 2^lowest. */
static double nearest(double value, int bits, int lowest)
{
    int exponent;
    frexp(value, &exponent);
    exponent = exponent - bits > lowest ? exponent - bits : lowest;
    return ldexp(rint(ldexp(value, -exponent)), exponent);
}

/* What element c of pixel (y, x) of the crop must be, out of the crop's bytes. */
static double expected(const an_sample_options *o, const an_sample_draw *d, const uint8_t *bytes, uint32_t y,
                       uint32_t x, int c)
{
    const uint8_t *rgb = bytes + (y * o->crop + x) * 3;
    if (c == 3)
        return 0;
    double byte = colours_of(o) == 3 ? rgb[c] : floor(grey(rgb[0], rgb[1], rgb[2]) + 0.5);
    if (o->format.dtype == AN_DTYPE_U8)
        return byte;
    uint32_t from = d->x + (d->flip ? o->crop - 1 - x : x);
    float mean = mean_of(o, o->mean == AN_MEAN_PIXEL ? d->y + y : 0, o->mean == AN_MEAN_PIXEL ? from : 0, c);
    float scale = (float)(o->deviation[0] != 0 ? o->scale / o->deviation[c] : o->scale) * d->factor;
    float value = (float)byte - mean;
    value += d->shift[c];
    value *= scale;
    if (o->format.dtype == AN_DTYPE_F32)
        return (double)value;
    return o->format.dtype == AN_DTYPE_BF16 ? nearest((double)value, 8, -133) : nearest((double)value, 11, -24);
}

static double element(const void *data, an_dtype dtype, size_t i)
{
    if (dtype == AN_DTYPE_U8)
        return ((const uint8_t *)data)[i];
    if (dtype == AN_DTYPE_F32)
        return (double)((const float *)data)[i];
    uint16_t bits = ((const uint16_t *)data)[i];
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    if (dtype == AN_DTYPE_BF16)
        return (double)value;
    int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    double half = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
    return bits & 0x8000 ? -half : half;
}

static void check(const an_sample_options *o, uint64_t record, const an_sample_draw *draw)
{
    static _Alignas(64) uint8_t bytes[SIDE * SIDE * 3], made[SIDE * SIDE * 4 * 4 + 1];
    an_sample_options plain = {.crop = o->crop, .random_crop = o->random_crop, .area_min = o->area_min, .scale = 1};
    plain.format = (an_format){AN_DTYPE_U8, AN_LAYOUT_NHWC, 3};
    const an_format *f = &o->format;
    size_t crop = o->crop, channels = (size_t)f->channels, size = crop * crop * channels * an_dtype_size(f->dtype);
    make(&plain, record, draw, bytes);
    memset(made, 0xa5, sizeof made);
    make(o, record, draw, made);
    for (uint32_t y = 0; y < crop; y++)
        for (uint32_t x = 0; x < crop; x++)
            for (int c = 0; c < f->channels; c++) {
                size_t planar = ((size_t)c * crop + y) * crop + x, packed = (y * crop + x) * channels + (size_t)c;
                double value = element(made, f->dtype, f->layout == AN_LAYOUT_NCHW ? planar : packed);
                double wanted = expected(o, draw, bytes, y, x, c);
                if (value != wanted)
                    fail_msg("type %d layout %d channels %d mean %d codec %d crop %u at %u, %u, %d: %.9g, not %.9g",
                             (int)f->dtype, (int)f->layout, f->channels, (int)o->mean, (int)record, o->crop, y, x, c,
                             value, wanted);
            }
    assert_int_equal(made[size], 0xa5);
}

static void check_format(an_sample_options *o)
{
    static const an_sample_draw draws[] = {
        {.x = 5, .y = 3, .factor = 1, .shift = {3.5f, -7.25f, 0.5f}},
        {.x = 2, .y = 7, .factor = 0.7f, .flip = true, .shift = {-1, 2.3f, -3}},
        {.x = 3, .y = 2, .factor = 1, .width = 31, .height = 38, .flip = true},
        {.x = 30, .y = 21, .factor = 1, .width = 8, .height = 11, .shift = {0.1f, 0.2f, 0.3f}},
    };
    for (uint64_t i = 0; i < 16; i++) {
        const an_sample_draw *draw = &draws[i / 4];
        o->random_crop = draw->width > 0;
        o->area_min = draw->width > 0 ? 0.08 : 0;
        o->crop = i % 2 ? 33 : 32; /* rows that are whole vectors, and others */
        if (o->mean != AN_MEAN_PIXEL || !draw->width)
            check(o, i % 4, draw);
    }
}

static void formats_hold_the_formula_to_the_bit(void **state)
{
    (void)state;
    static const int channels[] = {1, 3, 4};
    for (int i = 0; i < 4 * 2 * 3 * 4 * 2; i++) {
        an_sample_options o = {.scale = 1 / 57.3, .mean = (an_mean_kind)(i / 24 % 4)};
        o.format = (an_format){(an_dtype)(i % 4), (an_layout)(i / 4 % 2), channels[i / 8 % 3]};
        if (o.format.dtype == AN_DTYPE_U8) {
            o.mean = AN_MEAN_NONE;
            o.scale = 1;
        }
        for (int c = 0; c < colours_of(&o); c++) {
            o.mean_given[c] = 123.675 - 9.5 * c;
            o.deviation[c] = i / 96 && o.format.dtype != AN_DTYPE_U8 ? 0.8 + 0.3 * c : 0;
        }
        check_format(&o);
    }
}

/* As those who trained elsewhere have it: bytes of 0 to 255 by mean and deviation of 0 to 1. */
static void the_familiar_normalisation(void **state)
{
    (void)state;
    const double mean[] = {0.485, 0.456, 0.406}, deviation[] = {0.229, 0.224, 0.225};
    static uint8_t bytes[SIDE * SIDE * 3];
    static float made[SIDE * SIDE * 3];
    an_sample_options o = {.crop = SIDE, .scale = 1, .format = {AN_DTYPE_U8, AN_LAYOUT_NHWC, 3}};
    const an_sample_draw draw = AN_SAMPLE_DRAW();
    make(&o, 1, &draw, bytes);
    o.format.dtype = AN_DTYPE_F32;
    o.mean = AN_MEAN_GIVEN;
    for (int c = 0; c < 3; c++) {
        o.mean_given[c] = 255 * mean[c];
        o.deviation[c] = 255 * deviation[c];
    }
    make(&o, 1, &draw, made);
    for (size_t i = 0; i < sizeof bytes; i++)
        assert_true(fabs((double)made[i] - (bytes[i] / 255.0 - mean[i % 3]) / deviation[i % 3]) < 1e-6);
}

/* The deviation of the grey value, over the pixels themselves. */
static void a_dataset_has_a_deviation_for_each_format(void **state)
{
    (void)state;
    enum { IMAGES = 3, SMALL = 16 };
    an_statistics_sums sums;
    an_statistics statistics;
    an_rng rng = an_rng_make(7, AN_RNG_TEST, 0, 0);
    uint8_t pixels[SMALL * SMALL * 3];
    double deviation[3], sum = 0, square = 0, count = IMAGES * SMALL * SMALL;
    assert_int_equal(an_statistics_sums_init(&sums, SMALL), AN_OK);
    for (int n = 0; n < IMAGES; n++) {
        for (size_t i = 0; i < sizeof pixels; i++)
            pixels[i] = (uint8_t)(an_rng_below(&rng, 60) + (i % 3 ? 20 * (uint32_t)n : 100));
        const an_image image = {.pixels = pixels, .width = SMALL, .height = SMALL};
        assert_int_equal(an_statistics_sums_add(&sums, &image), AN_OK);
        for (size_t i = 0; i < sizeof pixels; i += 3) {
            double value = grey(pixels[i], pixels[i + 1], pixels[i + 2]);
            sum += value / count;
            square += value * value / count;
        }
    }
    assert_int_equal(an_statistics_compute(&sums, &statistics), AN_OK);
    an_sample_deviation(&statistics, 1, deviation);
    assert_true(fabs(deviation[0] - sqrt(square - sum * sum)) < 1e-9);
    for (int channels = 3; channels <= 4; channels++) {
        an_sample_deviation(&statistics, channels, deviation);
        assert_memory_equal(deviation, statistics.deviation, sizeof deviation);
    }
    an_statistics_free(&statistics);
    an_statistics_sums_free(&sums);
}

/* What is subtracted, as decoders on devices take it. */
static void samplers_tell_their_mean(void **state)
{
    (void)state;
    static const int channels[] = {1, 3, 4};
    for (int i = 0; i < 3 * 2 * 4; i++) {
        an_sample_options o = {.crop = 8, .scale = 1, .mean = (an_mean_kind)(i % 4), .mean_given = {1.5, 2.5, 3.5}};
        o.format = (an_format){AN_DTYPE_F32, (an_layout)(i / 4 % 2), channels[i / 8]};
        an_sampler *sampler;
        float *mean = &(float){0};
        uint32_t side = 0;
        assert_int_equal(an_sampler_create(&sampler, &o, SIDE, an_dataset_statistics(set.dataset)), AN_OK);
        assert_int_equal(an_sampler_mean(sampler, &mean, &side), AN_OK);
        if (o.mean == AN_MEAN_NONE)
            assert_null(mean);
        else
            assert_int_equal(side, o.mean == AN_MEAN_PIXEL ? SIDE : 1);
        size_t colours = (size_t)colours_of(&o);
        for (uint32_t y = 0; mean && y < side; y++)
            for (uint32_t x = 0; x < side; x++)
                for (size_t c = 0; c < colours; c++)
                    assert_true(mean[(y * side + x) * colours + c] == mean_of(&o, y, x, (int)c));
        free(mean);
        an_sampler_free(sampler);
    }
}

static void refuse(const an_sample_options *o, const char *word)
{
    an_sampler *sampler = (void *)1;
    assert_int_equal(an_sampler_create(&sampler, o, SIDE, an_dataset_statistics(set.dataset)), AN_EINVAL);
    assert_null(sampler);
    if (!strstr(an_error_message(), word))
        fail_msg("'%s' does not mention '%s'", an_error_message(), word);
}

static void grey_has_no_colours(void **state)
{
    (void)state;
    an_sample_options o = {.crop = 8, .scale = 1, .format = {AN_DTYPE_F32, AN_LAYOUT_NCHW, 1}};
    an_sampler *sampler;
    o.jitter = 0.1;
    refuse(&o, "colour jitter needs colours");
    o.jitter = 0;
    o.deviation[0] = -1;
    refuse(&o, "deviation -1");
    o.deviation[0] = 0.25; /* the first counts alone, and so does the first mean */
    o.mean = AN_MEAN_GIVEN;
    o.mean_given[2] = NAN;
    assert_int_equal(an_sampler_create(&sampler, &o, SIDE, NULL), AN_OK);
    assert_int_equal(an_sampler_bytes(sampler), 8 * 8 * 4);
    an_sampler_free(sampler);
    o.mean_given[2] = 0;
    for (int channels = -1; channels <= 2; channels += channels == 0 ? 2 : 1) {
        o.format.channels = channels;
        refuse(&o, "channels");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_hold_the_formula_to_the_bit),
        cmocka_unit_test(the_familiar_normalisation),
        cmocka_unit_test(a_dataset_has_a_deviation_for_each_format),
        cmocka_unit_test(samplers_tell_their_mean),
        cmocka_unit_test(grey_has_no_colours),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
