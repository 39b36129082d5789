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
    for (int i = 0; i < 4 * 2 * 2 * 3; i++) {
        an_format format = {(an_dtype)(i % 4), (an_layout)(i / 4 % 2), 3 + i / 8 % 2};
        uint32_t side = i / 16 == 0 ? 0 : i / 16 == 1 ? 1 : 48;
        bool bytes = format.dtype == AN_DTYPE_U8;
        check_format(format, 40, side && !bytes ? mean : NULL, side);
        check_format(format, 37, side && !bytes ? mean : NULL, side);
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
        cmocka_unit_test(test_sizes),  cmocka_unit_test(test_large),   cmocka_unit_test(test_qualities),
        cmocka_unit_test(test_places), cmocka_unit_test(test_formats), cmocka_unit_test(test_pixels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
