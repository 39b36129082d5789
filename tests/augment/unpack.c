#include "unpack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "augment/payload.h"
#include "base/error.h"

size_t unpacked_payloads, unpacked_samples, unpacked_bytes;

static const an_payload *places_of(const an_batch *batch)
{
    return (const an_payload *)((const uint8_t *)batch->data + an_payload_places_offset(batch->count));
}

static int by_offset(const void *a, const void *b)
{
    const an_payload *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static void check_places(const an_batch *batch)
{
    enum { GAP_MAX = 64 };
    an_payload *sorted = malloc(batch->count * sizeof *sorted);
    size_t end = an_payload_first_offset(batch->count);
    assert_non_null(sorted);
    memcpy(sorted, places_of(batch), batch->count * sizeof *sorted);
    qsort(sorted, batch->count, sizeof *sorted, by_offset);
    unpacked_bytes = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        assert_int_equal(sorted[i].offset % AN_PAYLOAD_ALIGNMENT, 0);
        assert_int_equal(sorted[i].zero, 0);
        assert_true(sorted[i].offset >= end && sorted[i].offset < end + GAP_MAX);
        end = (size_t)sorted[i].offset + sorted[i].size;
        unpacked_bytes += sorted[i].size;
    }
    assert_true(end + AN_PAYLOAD_SLACK <= batch->size && batch->size < end + GAP_MAX + AN_PAYLOAD_SLACK);
    assert_ptr_equal(batch->draws, batch->data); /* the block begins with them */
    free(sorted);
}

static void unpack_one(const an_loader_options *o, const an_batch *batch, uint32_t i, an_decoder *decoder, uint8_t *out)
{
    const an_payload *place = &places_of(batch)[i];
    const an_image_draw *draw = &batch->draws[i];
    const uint8_t *bytes = (const uint8_t *)batch->data + place->offset;
    size_t crop = o->sample.crop, row = crop * 3;
    uint32_t side = an_dataset_side(o->dataset);
    an_record record = {.header = {.codec = AN_CODEC_COEF, .width = side, .height = side, .length = place->size},
                        .payload = bytes};
    if (place->kind == AN_PAYLOAD_PIXELS) {
        assert_int_equal(place->size, crop * row);
        memcpy(out, bytes, crop * row);
        unpacked_samples++;
        return;
    }
    assert_int_equal(place->kind, AN_PAYLOAD_COEF);
    unpacked_payloads++;
    int rc = an_decoder_window(decoder, &record, draw->x, draw->y, (uint32_t)crop, (uint32_t)crop, out, row);
    if (rc)
        fail_msg("%s", an_error_message());
    for (size_t y = 0; draw->flip && y < crop; y++)
        for (size_t x = 0; x < crop / 2; x++) {
            uint8_t pixel[3], *left = out + y * row + 3 * x, *right = out + y * row + 3 * (crop - 1 - x);
            memcpy(pixel, left, 3);
            memcpy(left, right, 3);
            memcpy(right, pixel, 3);
        }
}

uint8_t *unpack_batch(const an_loader_options *o, const an_batch *batch)
{
    size_t bytes = (size_t)o->sample.crop * o->sample.crop * 3;
    uint8_t *samples = malloc(batch->count * bytes);
    an_decoder *decoder;
    assert_non_null(samples);
    assert_int_equal(an_decoder_create(&decoder), AN_OK);
    check_places(batch);
    unpacked_payloads = unpacked_samples = 0;
    for (uint32_t i = 0; i < batch->count; i++)
        unpack_one(o, batch, i, decoder, samples + i * bytes);
    an_decoder_free(decoder);
    return samples;
}
