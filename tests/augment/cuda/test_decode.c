/* The host form of the kernels that decode batches, against the host's own decoder and sampler: the same bits for every
 * sampling, size, quality, crop and format, and the same verdict on damaged payloads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/rng.h"
#include "tests/augment/cuda/payloads.h"

static const an_format rgb = {AN_DTYPE_U8, AN_LAYOUT_NHWC, 3};

static an_batch_decoder_options options_of(uint32_t side, uint32_t crop, an_format format)
{
    return (an_batch_decoder_options){.side = side, .crop = crop, .format = format, .scale = 1};
}

/* Decodes the batch, and every sample of it by the host's sampler. */
static void compare(const an_batch_decoder_options *o, payload_batch *b)
{
    size_t size, each = payload_sample_bytes(o);
    uint8_t *block = payload_batch_block(b, &size), *made = malloc(each * b->count), *expected = malloc(each);
    uint32_t fault = UINT32_MAX;
    assert_true(made && expected);
    memset(made, 0xA5, each * b->count);
    assert_int_equal(payload_decode_host(o, block, size, b->count, made, &fault), AN_OK);
    for (uint32_t i = 0; i < b->count; i++) {
        const an_payload *place = &b->places[i];
        if (place->kind == AN_PAYLOAD_PIXELS)
            continue;
        assert_int_equal(payload_expect(o, b->bytes.data + place->offset, place->size, &b->draws[i], expected), AN_OK);
        for (size_t k = 0; k < each; k++)
            if (made[i * each + k] != expected[k])
                fail_msg("side %u crop %u format %d %d %d sample %u (x %u y %u flip %u): byte %zu is %d, not %d",
                         o->side, o->crop, (int)o->format.dtype, (int)o->format.layout, o->format.channels, i,
                         b->draws[i].x, b->draws[i].y, b->draws[i].flip, k, made[i * each + k], expected[k]);
    }
    free(block);
    free(made);
    free(expected);
}

/* A batch with a payload of each sampling, each used by several random crops. */
static void check_crops(uint32_t side, uint32_t crop, int quality, uint32_t seed, int crops)
{
    an_batch_decoder_options o = options_of(side, crop, rgb);
    an_rng rng = an_rng_make(seed, AN_RNG_TEST, side, crop);
    payload_batch b;
    payload_batch_start(&b, (uint32_t)(SAMPLINGS * crops));
    for (int kind = 0; kind < SAMPLINGS; kind++) {
        an_buffer payload = {0};
        payload_make((payload_kind)kind, side, quality, seed, &payload);
        payload_batch_add(&b, AN_PAYLOAD_COEF, payload.data, payload.size, payload_draw(&rng, side, crop));
        uint32_t first = b.count - 1;
        for (int i = 1; i < crops; i++)
            payload_batch_add_again(&b, first, payload_draw(&rng, side, crop));
        an_buffer_free(&payload);
    }
    compare(&o, &b);
    payload_batch_end(&b);
}

static void test_sizes(void **state)
{
    (void)state;
    for (uint32_t side = 1; side <= 40; side++) {
        check_crops(side, side, 90, side, 2);
        check_crops(side, side / 2 + 1, 85, side, 5);
        check_crops(side, 1, 80, side, 5);
    }
}

static void test_large(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = {{256, 224}, {256, 256}, {257, 227}, {255, 33},
                                        {272, 264}, {520, 448}, {700, 699}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_crops(sizes[i][0], sizes[i][1], 90, (uint32_t)i, 3);
}

static void test_qualities(void **state)
{
    (void)state;
    for (int quality = 1; quality <= 100; quality++)
        check_crops(70, 53, quality, (uint32_t)quality, 2);
}

/* Every place that a crop can have in a small picture. */
static void test_places(void **state)
{
    (void)state;
    enum { SIDE = 37 };
    for (int kind = 0; kind < SAMPLINGS; kind++) {
        an_buffer payload = {0};
        payload_make((payload_kind)kind, SIDE, 75, 3, &payload);
        for (uint32_t crop = 1; crop <= SIDE; crop += crop < 20 ? 3 : 1) {
            an_batch_decoder_options o = options_of(SIDE, crop, rgb);
            uint32_t range = SIDE - crop + 1;
            payload_batch b;
            payload_batch_start(&b, range * range * 2);
            payload_batch_add(&b, AN_PAYLOAD_COEF, payload.data, payload.size, AN_IMAGE_DRAW());
            for (uint32_t i = 1; i < range * range * 2; i++)
                payload_batch_add_again(&b, 0, AN_IMAGE_DRAW(.x = i / 2 % range, .y = i / 2 / range, .flip = i % 2));
            compare(&o, &b);
            payload_batch_end(&b);
        }
        an_buffer_free(&payload);
    }
}

static void check_format(an_format format, uint32_t crop, const float *mean, uint32_t mean_side)
{
    enum { SIDE = 48 };
    an_batch_decoder_options o = options_of(SIDE, crop, format);
    an_rng rng = an_rng_make(11, AN_RNG_TEST, crop, mean_side);
    payload_batch b;
    o.mean = mean;
    o.mean_side = mean_side;
    o.scale = format.dtype == AN_DTYPE_U8 ? 1 : 1 / 57.3;
    for (int c = 0; c < 3 && crop % 2 && format.dtype != AN_DTYPE_U8; c++)
        o.deviation[c] = 1 + 0.3 * c;
    payload_batch_start(&b, SAMPLINGS * 2);
    for (uint32_t i = 0; i < SAMPLINGS * 2; i++) {
        an_buffer payload = {0};
        payload_make((payload_kind)(i / 2), SIDE, 90, i, &payload);
        payload_batch_add(&b, AN_PAYLOAD_COEF, payload.data, payload.size, payload_draw(&rng, SIDE, crop));
        an_buffer_free(&payload);
    }
    compare(&o, &b);
    payload_batch_end(&b);
}

static void test_formats(void **state)
{
    (void)state;
    static float mean[48 * 48 * 3];
    an_rng rng = an_rng_make(4, AN_RNG_TEST, 0, 0);
    for (size_t i = 0; i < sizeof mean / sizeof *mean; i++)
        mean[i] = (float)(100 + 40 * an_rng_uniform(&rng));
    for (int i = 0; i < 4 * 2 * 3 * 3; i++) {
        static const int channels[] = {1, 3, 4};
        an_format format = {(an_dtype)(i % 4), (an_layout)(i / 4 % 2), channels[i / 8 % 3]};
        uint32_t side = i / 24 == 0 ? 0 : i / 24 == 1 ? 1 : 48;
        bool bytes = format.dtype == AN_DTYPE_U8;
        check_format(format, 40, side && !bytes ? mean : NULL, side);
        check_format(format, 37, side && !bytes ? mean : NULL, side);
    }
}

/* A decoder that takes what a sampler subtracts and divides by gives the sampler's bits. */
static void check_sampler(const an_sample_options *options, const an_statistics *statistics)
{
    enum { SIDE = 24 };
    an_batch_decoder_options o = {.side = SIDE, .crop = options->crop, .format = options->format};
    an_rng rng = an_rng_make(12, AN_RNG_TEST, 0, 0);
    an_sample_scratch *scratch;
    an_sampler *sampler;
    an_buffer payload = {0};
    float *mean;
    uint32_t fault;
    size_t size, each = payload_sample_bytes(&o);
    uint8_t *made = malloc(2 * each);
    payload_batch b;
    o.scale = options->scale;
    memcpy(o.deviation, options->deviation, sizeof o.deviation);
    assert_int_equal(an_sampler_create(&sampler, options, SIDE, statistics), AN_OK);
    assert_int_equal(an_sample_scratch_create(&scratch, sampler), AN_OK);
    assert_int_equal(an_sampler_mean(sampler, &mean, &o.mean_side), AN_OK);
    o.mean = mean;
    payload_make(S420, SIDE, 90, 1, &payload);
    payload_batch_start(&b, 1);
    payload_batch_add(&b, AN_PAYLOAD_COEF, payload.data, payload.size, payload_draw(&rng, SIDE, o.crop));
    b.draws[0].factor = 0.8F;
    uint8_t *block = payload_batch_block(&b, &size);
    assert_int_equal(payload_decode_host(&o, block, size, 1, made, &fault), AN_OK);
    an_record record = {.header = {.codec = AN_CODEC_COEF, .width = SIDE, .height = SIDE}, .payload = payload.data};
    an_sample_draw draw = AN_SAMPLE_DRAW(.x = b.draws[0].x, .y = b.draws[0].y, .flip = b.draws[0].flip);
    memcpy(draw.shift, b.draws[0].shift, sizeof draw.shift);
    draw.factor = b.draws[0].factor;
    record.header.length = (uint32_t)payload.size;
    assert_int_equal(an_sampler_make(sampler, scratch, &record, &draw, made + each), AN_OK);
    assert_memory_equal(made, made + each, each);
    an_sample_scratch_free(scratch);
    an_sampler_free(sampler);
    payload_batch_end(&b);
    an_buffer_free(&payload);
    free(block);
    free(made);
    free(mean);
}

static void test_samplers(void **state)
{
    (void)state;
    static const int channels[] = {1, 3, 4};
    float image[24 * 24 * 3];
    an_statistics statistics = {.side = 24, .mean = {124.3, 117.1, 104.7}, .mean_image = image};
    for (size_t i = 0; i < sizeof image / sizeof *image; i++)
        image[i] = 100 + 0.37F * (float)(i % 251);
    for (int i = 0; i < 3 * 4 * 3 * 2; i++) {
        an_sample_options o = {.crop = 16, .scale = 1 / 57.3, .mean = (an_mean_kind)(i / 3 % 4)};
        o.format = (an_format){(an_dtype)(AN_DTYPE_F32 + i / 12 % 3), (an_layout)(i / 36), channels[i % 3]};
        for (int c = 0; c < 3; c++) {
            o.mean_given[c] = 123.675 - 9.5 * c;
            o.deviation[c] = 0.8 + 0.3 * c;
        }
        check_sampler(&o, &statistics);
    }
}

/* Finished pixels become values as well, and grey. */
static void test_values_of_pixels(void **state)
{
    (void)state;
    enum { SIDE = 40 };
    static const float mean[] = {101, 102, 103};
    static uint8_t pixels[32 * 32 * 3];
    static float made[32 * 32 * 3];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 7 + i / 251);
    for (uint32_t crop = 31; crop <= 32; crop++)
        for (int channels = 1; channels <= 3; channels += 2) {
            an_batch_decoder_options o = options_of(SIDE, crop, (an_format){AN_DTYPE_F32, AN_LAYOUT_NHWC, channels});
            an_image_draw draw = AN_IMAGE_DRAW(.shift = {1, 2, 3});
            size_t size;
            uint32_t fault;
            payload_batch b;
            draw.factor = 0.5F;
            o.mean = mean;
            o.mean_side = 1;
            for (int c = 0; c < channels; c++)
                o.deviation[c] = 4 << c;
            payload_batch_start(&b, 1);
            payload_batch_add(&b, AN_PAYLOAD_PIXELS, pixels, (size_t)crop * crop * 3, draw);
            uint8_t *block = payload_batch_block(&b, &size);
            assert_int_equal(payload_decode_host(&o, block, size, 1, made, &fault), AN_OK);
            for (size_t i = 0; i < (size_t)crop * crop * (size_t)channels; i++) {
                const uint8_t *at = pixels + 3 * i;
                int c = (int)i % channels;
                int byte = channels == 3 ? pixels[i] : (19595 * at[0] + 38470 * at[1] + 7471 * at[2] + 32768) >> 16;
                assert_true(made[i] == ((float)byte - mean[c] + draw.shift[c]) / (float)(8 << c));
            }
            free(block);
            payload_batch_end(&b);
        }
}

/* Pixels that the host has finished pass through, beside payloads. */
static void test_pixels(void **state)
{
    (void)state;
    enum { SIDE = 40 };
    for (uint32_t crop = 31; crop <= 32; crop++) {
        an_batch_decoder_options o = options_of(SIDE, crop, rgb);
        uint8_t pixels[32 * 32 * 3], made[3 * sizeof pixels];
        size_t size, each = payload_sample_bytes(&o);
        uint32_t fault;
        an_buffer payload = {0};
        payload_batch b;
        for (size_t i = 0; i < sizeof pixels; i++)
            pixels[i] = (uint8_t)(i * 7 + i / 251);
        payload_make(S420, SIDE, 90, 1, &payload);
        payload_batch_start(&b, 3);
        payload_batch_add(&b, AN_PAYLOAD_PIXELS, pixels, each, AN_IMAGE_DRAW(.x = 3, .y = 5, .flip = 1));
        payload_batch_add(&b, AN_PAYLOAD_COEF, payload.data, payload.size, AN_IMAGE_DRAW(.x = 3, .y = 5, .flip = 1));
        payload_batch_add(&b, AN_PAYLOAD_PIXELS, pixels, each, AN_IMAGE_DRAW());
        compare(&o, &b);
        uint8_t *block = payload_batch_block(&b, &size);
        assert_int_equal(payload_decode_host(&o, block, size, 3, made, &fault), AN_OK);
        assert_memory_equal(made, pixels, each);
        assert_memory_equal(made + 2 * each, pixels, each);
        free(block);
        payload_batch_end(&b);
        an_buffer_free(&payload);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),     cmocka_unit_test(test_large),
        cmocka_unit_test(test_qualities), cmocka_unit_test(test_places),
        cmocka_unit_test(test_formats),   cmocka_unit_test(test_pixels),
        cmocka_unit_test(test_samplers),  cmocka_unit_test(test_values_of_pixels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
