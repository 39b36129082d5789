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
#include "fixture.h"

#define SIDE 40u

static fixture set;
static const an_codec all_codecs[] = {AN_CODEC_RGB, AN_CODEC_JPEG, AN_CODEC_YUV420, AN_CODEC_COEF};

static int setup(void **state)
{
    (void)state;
    fixture_make(&set, 8, SIDE, all_codecs, 4);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_drop(&set);
    return 0;
}

static an_sample_options plain(void)
{
    return (an_sample_options){.crop = 33, .scale = 1, .format = {AN_DTYPE_U8, AN_LAYOUT_NHWC, 3}};
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

static double half_value(uint16_t bits)
{
    int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    double value = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
    return bits & 0x8000 ? -value : value;
}

static double element(const void *data, an_dtype dtype, size_t i)
{
    if (dtype == AN_DTYPE_U8)
        return ((const uint8_t *)data)[i];
    if (dtype == AN_DTYPE_F32)
        return ((const float *)data)[i];
    uint16_t bits = ((const uint16_t *)data)[i];
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return dtype == AN_DTYPE_BF16 ? (double)value : half_value(bits);
}

static size_t place(const an_format *format, size_t crop, size_t y, size_t x, size_t c)
{
    return format->layout == AN_LAYOUT_NCHW ? (c * crop + y) * crop + x : (y * crop + x) * (size_t)format->channels + c;
}

static double mean_at(const an_sample_options *o, size_t y, size_t x, size_t c)
{
    const an_statistics *s = an_dataset_statistics(set.dataset);
    if (o->mean == AN_MEAN_PIXEL)
        return s->mean_image[(y * SIDE + x) * 3 + c];
    return o->mean == AN_MEAN_CHANNEL ? s->mean[c] : o->mean == AN_MEAN_GIVEN ? o->mean_given[c] : 0;
}

/* Every element against the formula, in double precision, from the whole decoded picture. */
static void assert_formula(const an_sample_options *o, uint64_t record, const an_sample_draw *draw, const void *got)
{
    static uint8_t whole[SIDE * SIDE * 3];
    const an_sample_options full = {.crop = SIDE, .scale = 1, .format = {AN_DTYPE_U8, AN_LAYOUT_NHWC, 3}};
    const an_sample_draw none = AN_SAMPLE_DRAW();
    const double steps[] = {0, 0, 1.0 / 256, 1.0 / 2048};
    const bool bytes = o->format.dtype == AN_DTYPE_U8;
    make(&full, record, &none, whole);
    for (size_t y = 0; y < o->crop; y++)
        for (size_t x = 0; x < o->crop; x++)
            for (size_t c = 0; c < (size_t)o->format.channels; c++) {
                size_t sy = draw->y + y, sx = draw->x + (draw->flip ? o->crop - 1 - x : x);
                double pixel = c < 3 ? whole[(sy * SIDE + sx) * 3 + c] : 0;
                double wanted = c < 3 ? (pixel - mean_at(o, sy, sx, c) + (double)draw->shift[c]) *
                                            (o->deviation[c] > 0 ? o->scale / o->deviation[c] : o->scale) *
                                            (bytes ? 1 : (double)draw->factor)
                                      : 0;
                double value = element(got, o->format.dtype, place(&o->format, o->crop, y, x, c));
                /* the narrow type's rounding, and that of the sums in single precision */
                double tolerance = fabs(wanted) * steps[o->format.dtype] + (bytes ? 0 : 500 * o->scale * 2e-7);
                if (fabs(value - wanted) > tolerance)
                    fail_msg("type %d layout %d at %zu, %zu, %zu: %.9g instead of %.9g", (int)o->format.dtype,
                             (int)o->format.layout, y, x, c, value, wanted);
            }
}

static void every_format_follows_the_formula(void **state)
{
    (void)state;
    static uint8_t out[SIDE * SIDE * 4 * 4];
    const an_sample_draw draws[] = {AN_SAMPLE_DRAW(.x = 5, .y = 3, .shift = {3.5f, -7.25f, 0.5f}),
                                    AN_SAMPLE_DRAW(.x = 2, .y = 7, .flip = true, .shift = {-1, 2, -3})};
    for (int dtype = AN_DTYPE_U8; dtype <= AN_DTYPE_F16; dtype++)
        for (int layout = AN_LAYOUT_NHWC; layout <= AN_LAYOUT_NCHW; layout++)
            for (int channels = 3; channels <= 4; channels++)
                for (int mean = AN_MEAN_NONE; mean <= (dtype == AN_DTYPE_U8 ? AN_MEAN_NONE : AN_MEAN_GIVEN); mean++)
                    for (uint64_t i = 0; i < 8; i++) {
                        an_sample_options o = plain();
                        an_sample_draw draw = draws[i / 4];
                        draw.factor = i % 2 ? 0.75F : 1;
                        o.format = (an_format){(an_dtype)dtype, (an_layout)layout, channels};
                        o.mean = (an_mean_kind)mean;
                        o.mean_given[0] = 123.675, o.mean_given[1] = 116.28, o.mean_given[2] = 103.53;
                        if (dtype == AN_DTYPE_U8)
                            memset(draw.shift, 0, sizeof draw.shift);
                        else
                            o.scale = 1 / 57.5;
                        for (int c = 0; c < 3 && i % 3 && dtype != AN_DTYPE_U8; c++)
                            o.deviation[c] = 1.25 + 0.5 * c;
                        memset(out, 0xa5, sizeof out);
                        make(&o, i, &draw, out);
                        assert_formula(&o, i, &draw, out);
                    }
}

/* The bytes of an RGB record are the picture itself. */
static void rgb_is_the_picture(void **state)
{
    (void)state;
    static uint8_t out[SIDE * SIDE * 3];
    an_image image = {0};
    const an_sample_draw draw = AN_SAMPLE_DRAW(.x = 4, .y = 6);
    const an_sample_options o = plain();
    make(&o, 4, &draw, out);
    fixture_picture(4, SIDE, &image);
    for (size_t y = 0; y < o.crop; y++)
        assert_memory_equal(out + y * o.crop * 3, image.pixels + ((y + 6) * SIDE + 4) * 3, o.crop * 3);
    an_image_free(&image);
}

/* The triangle filter in double precision, as torchvision defines resizing with antialias. */
static double resized_value(const uint8_t *whole, const an_sample_draw *d, uint32_t crop, uint32_t y, uint32_t x, int c)
{
    double sy = (double)d->height / crop, sx = (double)d->width / crop, sum = 0, weights = 0;
    double ry = fmax(1, sy), rx = fmax(1, sx), cy = (y + 0.5) * sy, cx = (x + 0.5) * sx;
    for (uint32_t j = 0; j < d->height; j++)
        for (uint32_t i = 0; i < d->width; i++) {
            double wy = fmax(0, 1 - fabs((j + 0.5 - cy) / ry)), wx = fmax(0, 1 - fabs((i + 0.5 - cx) / rx));
            sum += wy * wx * whole[((d->y + j) * SIDE + d->x + i) * 3 + (uint32_t)c];
            weights += wy * wx;
        }
    return sum / weights;
}

static void resized_crops_follow_the_filter(void **state)
{
    (void)state;
    static uint8_t out[SIDE * SIDE * 3], whole[SIDE * SIDE * 3];
    const an_sample_draw draws[] = {AN_SAMPLE_DRAW(.x = 3, .y = 2, .width = 31, .height = 38),
                                    AN_SAMPLE_DRAW(.width = SIDE, .height = SIDE, .flip = true),
                                    AN_SAMPLE_DRAW(.x = 10, .y = 20, .width = 7, .height = 11),
                                    AN_SAMPLE_DRAW(.x = 39, .y = 39, .width = 1, .height = 1)};
    for (uint32_t crop = 1; crop <= SIDE; crop += 13)
        for (size_t k = 0; k < 4 * 4; k++) {
            const an_sample_draw *d = &draws[k / 4], none = AN_SAMPLE_DRAW();
            an_sample_options o = plain(), full = plain();
            full.crop = SIDE;
            o.crop = crop;
            o.random_crop = true;
            o.area_min = 0.08;
            make(&full, k % 4, &none, whole);
            make(&o, k % 4, d, out);
            for (uint32_t y = 0; y < crop; y++)
                for (uint32_t x = 0; x < crop; x++)
                    for (int c = 0; c < 3; c++) {
                        double wanted = resized_value(whole, d, crop, y, d->flip ? crop - 1 - x : x, c);
                        assert_true(fabs(out[(y * crop + x) * 3 + (uint32_t)c] - wanted) <= 1.3);
                    }
        }
}

static an_sampler *sampler_of(const an_sample_options *options)
{
    an_sampler *sampler;
    assert_int_equal(an_sampler_create(&sampler, options, SIDE, an_dataset_statistics(set.dataset)), AN_OK);
    return sampler;
}

static void draws_are_uniform_and_depend_on_everything(void **state)
{
    (void)state;
    an_sample_options o = plain();
    o.random_crop = o.flip = true;
    an_sampler *sampler = sampler_of(&o);
    int places[8][8] = {{0}}, flips = 0, same_epoch = 0, same_seed = 0;
    for (uint64_t i = 0; i < 6400; i++) {
        an_sample_draw a, b, c;
        an_sampler_draw(sampler, 1, 2, i, &a);
        an_sampler_draw(sampler, 1, 3, i, &b);
        an_sampler_draw(sampler, 2, 2, i, &c);
        assert_true(a.x <= 7 && a.y <= 7);
        places[a.y][a.x]++;
        flips += a.flip;
        same_epoch += a.x == b.x && a.y == b.y && a.flip == b.flip;
        same_seed += a.x == c.x && a.y == c.y && a.flip == c.flip;
    }
    for (int i = 0; i < 64; i++)
        assert_true(places[i / 8][i % 8] > 40 && places[i / 8][i % 8] < 160);
    assert_true(flips > 3000 && flips < 3400);
    assert_true(same_epoch < 120 && same_seed < 120);
    an_sampler_free(sampler);
}

/* The covariance of many shifts is jitter^2 times the covariance of the pixels: p_i sqrt(lambda_i) are its square root.
 */
static void jitter_has_the_covariance_of_the_pixels(void **state)
{
    (void)state;
    an_sample_options o = plain();
    o.format.dtype = AN_DTYPE_F32;
    o.jitter = 0.1;
    an_sampler *sampler = sampler_of(&o);
    double sums[3][3] = {{0}}, trace = 0;
    const int n = 20000;
    for (int k = 0; k < n; k++) {
        an_sample_draw draw;
        an_sampler_draw(sampler, 5, 0, (uint64_t)k, &draw);
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++)
                sums[i][j] += (double)draw.shift[i] * (double)draw.shift[j] / n;
    }
    const an_statistics *s = an_dataset_statistics(set.dataset);
    for (int i = 0; i < 3; i++)
        trace += 0.01 * s->covariance[i][i];
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            assert_true(fabs(sums[i][j] - 0.01 * s->covariance[i][j]) < 0.03 * trace);
    an_sampler_free(sampler);
}

static void resized_draws_keep_area_and_aspect(void **state)
{
    (void)state;
    an_sample_options o = plain();
    o.random_crop = true;
    o.area_min = 0.25;
    an_sampler *sampler = sampler_of(&o);
    double mean_area = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        an_sample_draw d;
        an_sampler_draw(sampler, 1, 0, i, &d);
        double area = (double)d.width * d.height / (SIDE * SIDE), aspect = (double)d.width / d.height;
        assert_true(d.x + d.width <= SIDE && d.y + d.height <= SIDE);
        assert_true(area > 0.22 && aspect > 0.69 && aspect < 1.45);
        mean_area += area / 2000;
    }
    assert_true(mean_area > 0.5 && mean_area < 0.65);
    an_sampler_free(sampler);
}

/* Mixup's share, CutMix's box and exact share, and the even choice where both are on. */
static void mixtures_are_what_was_asked_for(void **state)
{
    (void)state;
    enum { DRAWS = 4000 };
    for (int kinds = 1; kinds <= 3; kinds++) {
        an_sample_options o = plain();
        o.mixup = kinds & 1 ? 1 : 0;
        o.cutmix = kinds & 2 ? 1 : 0;
        an_sampler *sampler = sampler_of(&o);
        double boxes = 0, shares = 0, same = 0, wanted = 0;
        for (uint64_t i = 0; i < DRAWS; i++) {
            an_sample_draw d, again, other;
            an_sampler_draw(sampler, 1, 2, i, &d);
            an_sampler_draw(sampler, 1, 2, i, &again);
            an_sampler_draw(sampler, 1, 3, i, &other);
            assert_memory_equal(&d.share, &again.share, sizeof d.share);
            assert_memory_equal(d.box, again.box, sizeof d.box);
            same += d.share == other.share && memcmp(d.box, other.box, sizeof d.box) == 0;
            assert_true(d.share >= 0 && d.share <= 1);
            assert_true(d.box[0] <= d.box[2] && d.box[2] <= o.crop && d.box[1] <= d.box[3] && d.box[3] <= o.crop);
            double taken = (double)(d.box[2] - d.box[0]) * (d.box[3] - d.box[1]) / (o.crop * o.crop);
            if (taken > 0)
                assert_true(fabs(1 - taken - (double)d.share) < 1e-6);
            boxes += taken > 0;
            shares += (double)d.share / DRAWS;
        }
        /* Boxes of less than half a pixel's width are none, 1 of 4,356 here. Mixup's share has the mean 1/2. Of a box
         * of width r, a share of (1 - r / 4)^2 is left on average when its ends are cut off; r^2 is uniform. */
        wanted = 1 - (0.5 - 0.2 + 1.0 / 48);
        assert_true(fabs(boxes / DRAWS - (kinds == 1 ? 0 : kinds == 2 ? 1 : 0.5)) < 0.03);
        assert_true(fabs(shares - (kinds == 1 ? 0.5 : kinds == 2 ? wanted : (0.5 + wanted) / 2)) < 0.02);
        assert_true(same < DRAWS / 100); /* boxes that cover nearly all are often alike */
        an_sampler_free(sampler);
    }
}

/* Jitter that ends, and the authors' factor, which ends with it. */
static void jitter_is_scaled_and_ends(void **state)
{
    (void)state;
    an_sample_options o = plain();
    an_sample_draw d;
    o.jitter = 0.25;
    o.jitter_scaled = true;
    o.jitter_epochs = 3;
    an_sampler *sampler = sampler_of(&o);
    for (uint64_t epoch = 0; epoch < 5; epoch++) {
        an_sampler_draw(sampler, 1, epoch, 7, &d);
        assert_float_equal(d.factor, epoch < 3 ? 0.8F : 1, 0);
        assert_int_equal(d.shift[0] != 0, epoch < 3);
    }
    an_sampler_free(sampler);
    o.jitter_scaled = false;
    o.jitter_epochs = 0;
    sampler = sampler_of(&o);
    an_sampler_draw(sampler, 1, 1000000, 7, &d);
    assert_float_equal(d.factor, 1, 0);
    assert_true(d.shift[0] != 0);
    an_sampler_free(sampler);
}

static void centre_and_ten_crops(void **state)
{
    (void)state;
    an_sample_options o = plain();
    an_sampler *sampler = sampler_of(&o);
    an_sample_draw draw, ten[AN_SAMPLE_TEN];
    an_sampler_draw(sampler, 1, 1, 1, &draw);
    assert_int_equal(draw.x, 3);
    assert_int_equal(draw.y, 3);
    assert_false(draw.flip);
    an_sampler_ten_crop(sampler, ten);
    const uint32_t corners[5][2] = {{0, 0}, {7, 0}, {0, 7}, {7, 7}, {3, 3}};
    for (int i = 0; i < AN_SAMPLE_TEN; i++) {
        assert_int_equal(ten[i].x, corners[i % 5][0]);
        assert_int_equal(ten[i].y, corners[i % 5][1]);
        assert_int_equal(ten[i].flip, i >= 5);
    }
    an_sampler_free(sampler);
}

static void refuse(an_sample_options o, const an_statistics *statistics, const char *word)
{
    an_sampler *sampler = (void *)1;
    assert_int_equal(an_sampler_create(&sampler, &o, SIDE, statistics), AN_EINVAL);
    assert_null(sampler);
    if (!strstr(an_error_message(), word))
        fail_msg("'%s' does not mention '%s'", an_error_message(), word);
}

static void impossible_options_are_named(void **state)
{
    (void)state;
    const an_statistics *statistics = an_dataset_statistics(set.dataset);
    an_statistics other = *statistics;
    an_sample_options o = plain();
    o.crop = SIDE + 1;
    refuse(o, statistics, "crop 41");
    o.crop = 0;
    refuse(o, statistics, "crop 0");
    o = plain();
    o.mean = AN_MEAN_CHANNEL;
    refuse(o, statistics, "u8");
    o.mean = AN_MEAN_GIVEN;
    refuse(o, NULL, "u8");
    o = plain();
    o.deviation[0] = o.deviation[1] = o.deviation[2] = 50;
    refuse(o, NULL, "u8");
    o.format.dtype = AN_DTYPE_F32;
    o.deviation[1] = 0;
    refuse(o, NULL, "deviation 0 ");
    o.deviation[1] = -3;
    refuse(o, NULL, "deviation -3");
    o.deviation[1] = 1e-300;
    refuse(o, NULL, "deviation 1e-300");
    o.deviation[1] = NAN;
    refuse(o, NULL, "deviation nan");
    o.deviation[1] = INFINITY;
    refuse(o, NULL, "deviation inf");
    o.deviation[1] = 50;
    o.mean = AN_MEAN_GIVEN;
    o.mean_given[2] = NAN;
    refuse(o, NULL, "mean nan");
    o.mean = (an_mean_kind)4;
    refuse(o, NULL, "kind of mean 4");
    o = plain();
    o.jitter = 0.1;
    refuse(o, NULL, "statistics");
    o.jitter = NAN;
    refuse(o, statistics, "jitter");
    o = plain();
    o.scale = 0;
    refuse(o, statistics, "scale");
    o = plain();
    o.area_min = 1.5;
    refuse(o, statistics, "area");
    o.area_min = 0.08;
    refuse(o, statistics, "random crops");
    o = plain();
    o.format.channels = 5;
    refuse(o, statistics, "channels");
    o = plain();
    o.format.dtype = AN_DTYPE_F32;
    o.mean = AN_MEAN_PIXEL;
    other.side = SIDE + 8;
    refuse(o, &other, "mean image");
}

static void records_of_another_size_are_refused(void **state)
{
    (void)state;
    static uint8_t out[SIDE * SIDE * 3];
    const an_sample_options o = plain();
    an_sampler *sampler = sampler_of(&o);
    an_sample_scratch *scratch;
    an_record record;
    an_sample_draw draw = AN_SAMPLE_DRAW();
    assert_int_equal(an_sample_scratch_create(&scratch, sampler), AN_OK);
    assert_int_equal(an_dataset_record(set.dataset, 0, &record), AN_OK);
    record.header.width--;
    assert_int_equal(an_sampler_make(sampler, scratch, &record, &draw, out), AN_ECORRUPT);
    record.header.width++;
    draw.width = draw.height = 20;
    assert_int_equal(an_sampler_make(sampler, scratch, &record, &draw, out), AN_EINVAL);
    draw = AN_SAMPLE_DRAW(.x = 8);
    assert_int_equal(an_sampler_make(sampler, scratch, &record, &draw, out), AN_EINVAL);
    an_sample_scratch_free(scratch);
    an_sampler_free(sampler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_follows_the_formula),
        cmocka_unit_test(rgb_is_the_picture),
        cmocka_unit_test(resized_crops_follow_the_filter),
        cmocka_unit_test(resized_draws_keep_area_and_aspect),
        cmocka_unit_test(draws_are_uniform_and_depend_on_everything),
        cmocka_unit_test(jitter_has_the_covariance_of_the_pixels),
        cmocka_unit_test(mixtures_are_what_was_asked_for),
        cmocka_unit_test(jitter_is_scaled_and_ends),
        cmocka_unit_test(centre_and_ten_crops),
        cmocka_unit_test(impossible_options_are_named),
        cmocka_unit_test(records_of_another_size_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
