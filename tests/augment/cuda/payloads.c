#include "tests/augment/cuda/payloads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "augment/cuda/decoder_cuda.h"
#include "augment/cuda/kernels/host.h"
#include "augment/pixels/values.h"
#include "base/error.h"
#include "store/coef/coef.h"
#include "tests/store/jpeg_support.h"

void payload_make(payload_kind kind, uint32_t side, int quality, uint32_t seed, an_buffer *out)
{
    static an_coef_encoder *encoder;
    an_buffer file = {0};
    test_jpeg spec = {.width = side, .height = side, .space = kind == GREY ? TEST_GREY : TEST_YCC, .quality = quality};
    spec.horizontal = kind >= S422 ? 2 : 1;
    spec.vertical = kind == S420 ? 2 : 1;
    if (!encoder)
        assert_int_equal(an_coef_encoder_create(&encoder), AN_OK);
    test_jpeg_make(&spec, seed, &file);
    assert_int_equal(an_coef_encode_jpeg(encoder, file.data, file.size, out), AN_OK);
    an_buffer_free(&file);
}

void payload_batch_start(payload_batch *b, uint32_t capacity)
{
    *b = (payload_batch){.capacity = capacity};
    b->draws = calloc(capacity, sizeof *b->draws);
    b->places = calloc(capacity, sizeof *b->places);
    assert_true(b->draws && b->places);
}

void payload_batch_add(payload_batch *b, an_payload_kind kind, const void *payload, size_t size, an_image_draw draw)
{
    static const uint8_t gap[AN_PAYLOAD_ALIGNMENT];
    assert_true(b->count < b->capacity);
    b->draws[b->count] = draw;
    b->places[b->count++] = (an_payload){.offset = (uint32_t)b->bytes.size, .size = (uint32_t)size, .kind = kind};
    assert_int_equal(an_buffer_append(&b->bytes, payload, size), AN_OK);
    size_t rest = (AN_PAYLOAD_ALIGNMENT - size % AN_PAYLOAD_ALIGNMENT) % AN_PAYLOAD_ALIGNMENT;
    assert_int_equal(an_buffer_append(&b->bytes, gap, rest), AN_OK);
}

void payload_batch_add_again(payload_batch *b, uint32_t sample, an_image_draw draw)
{
    assert_true(b->count < b->capacity && sample < b->count);
    b->draws[b->count] = draw;
    b->places[b->count++] = b->places[sample];
}

uint8_t *payload_batch_block(const payload_batch *b, size_t *size)
{
    size_t first = an_payload_first_offset(b->count);
    *size = first + b->bytes.size + AN_PAYLOAD_SLACK;
    uint8_t *block = malloc(*size); /* of exactly this size, and aligned to 16 bytes by malloc */
    assert_non_null(block);
    memset(block, 0xEE, *size);
    memcpy(block, b->draws, b->count * sizeof *b->draws);
    an_payload *places = (void *)(block + an_payload_places_offset(b->count));
    memcpy(places, b->places, b->count * sizeof *places);
    for (uint32_t i = 0; i < b->count; i++)
        places[i].offset += (uint32_t)first;
    memcpy(block + first, b->bytes.data, b->bytes.size);
    return block;
}

void payload_batch_end(payload_batch *b)
{
    free(b->draws);
    free(b->places);
    an_buffer_free(&b->bytes);
}

int payload_decode_host(const an_batch_decoder_options *o, const void *block, size_t size, uint32_t count,
                        void *samples, uint32_t *fault)
{
    uint64_t lowest = AN_DECODE_NONE;
    an_decode_report report = {.fault = AN_DECODE_NONE};
    an_decode_state s = {.side = o->side, .crop = o->crop, .format = o->format, .mean_side = o->mean_side};
    for (int c = 0; c < 3; c++)
        s.scale[c] = an_value_scale(o->scale, o->deviation[c]);
    s.mean = o->format.dtype == AN_DTYPE_U8 ? NULL : o->mean;
    s.planes = malloc(an_decode_planes_size(count, o->crop));
    s.details = calloc(count, sizeof *s.details);
    s.fault = &lowest;
    s.report = &report;
    assert_true(s.planes && s.details);
    memset(s.planes, 0x5A, an_decode_planes_size(count, o->crop));
    an_decode_launches launches = an_decode_launches_of(&s, block, size, count, samples);
    an_decode_on_host(&launches);
    free(s.planes);
    free(s.details);
    assert_int_equal(lowest, AN_DECODE_NONE);
    if (report.fault == AN_DECODE_NONE)
        return AN_OK;
    *fault = (uint32_t)(report.fault >> 32);
    return an_decode_explain(&report, o->side);
}

size_t payload_sample_bytes(const an_batch_decoder_options *o)
{
    return (size_t)o->crop * o->crop * (size_t)o->format.channels * an_dtype_size(o->format.dtype);
}

/* A mean image of three colours out of one that may be grey; the caller frees it. */
static float *mean_image_of(const an_batch_decoder_options *o)
{
    size_t values = (size_t)o->side * o->side * 3;
    float *image = malloc(values * sizeof *image);
    assert_non_null(image);
    for (size_t i = 0; i < values; i++)
        image[i] = o->mean[o->format.channels == 1 ? i / 3 : i];
    return image;
}

int payload_expect(const an_batch_decoder_options *o, const void *payload, size_t size, const an_image_draw *draw,
                   void *sample)
{
    an_statistics statistics = {.side = o->side};
    an_sample_options options = {.crop = o->crop, .scale = o->scale, .format = o->format};
    an_sample_draw wanted = AN_SAMPLE_DRAW(.x = draw->x, .y = draw->y, .flip = draw->flip);
    an_record record = {.header = {.codec = AN_CODEC_COEF, .width = o->side, .height = o->side}, .payload = payload};
    an_sampler *sampler;
    an_sample_scratch *scratch;
    memcpy(wanted.shift, draw->shift, sizeof wanted.shift);
    wanted.factor = draw->factor;
    record.header.length = (uint32_t)size;
    memcpy(options.deviation, o->deviation, sizeof options.deviation);
    if (o->format.dtype == AN_DTYPE_U8)
        options.scale = 1;
    else if (o->mean)
        options.mean = o->mean_side == 1 ? AN_MEAN_GIVEN : AN_MEAN_PIXEL;
    if (options.mean == AN_MEAN_PIXEL)
        statistics.mean_image = mean_image_of(o);
    for (int c = 0; options.mean == AN_MEAN_GIVEN && c < (o->format.channels == 1 ? 1 : 3); c++)
        options.mean_given[c] = (double)o->mean[c];
    assert_int_equal(an_sampler_create(&sampler, &options, o->side, &statistics), AN_OK);
    assert_int_equal(an_sample_scratch_create(&scratch, sampler), AN_OK);
    int rc = an_sampler_make(sampler, scratch, &record, &wanted, sample);
    an_sample_scratch_free(scratch);
    an_sampler_free(sampler);
    free(statistics.mean_image);
    return rc;
}

an_image_draw payload_draw(an_rng *rng, uint32_t side, uint32_t crop)
{
    an_image_draw draw = AN_IMAGE_DRAW(.x = an_rng_below(rng, side - crop + 1), .y = an_rng_below(rng, side - crop + 1),
                                       .flip = an_rng_below(rng, 2));
    for (int c = 0; c < 3; c++)
        draw.shift[c] = (float)an_rng_normal(rng);
    return draw;
}
