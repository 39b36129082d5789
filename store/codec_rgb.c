/* Codec `rgb`: the pixels themselves, interleaved. Rows are handed out where they lie: nothing is copied. */
#include <string.h>

#include "store/codec_private.h"

static int encode(void *encoder, const an_image *image, const an_codec_options *options, an_buffer *out)
{
    (void)encoder;
    (void)options;
    return an_buffer_append(out, image->pixels, (size_t)image->width * image->height * 3);
}

static int decode_rows(void *decoder, const an_record *record, const an_codec_window *w, bool *mirror,
                       an_decoder_row *row, void *context)
{
    (void)decoder;
    (void)mirror; /* left to the caller */
    size_t stride = (size_t)record->header.width * 3;
    int rc = an_codec_check_length(record, stride * record->header.height);
    if (rc)
        return rc;
    const uint8_t *in = record->payload + w->y * stride + (size_t)w->x * 3;
    for (uint32_t i = 0; i < w->height; i++, in += stride)
        row(context, i, in);
    return 0;
}

static int decode(void *decoder, const an_record *record, const an_codec_window *w, uint8_t *out, size_t stride)
{
    (void)decoder;
    size_t row = (size_t)record->header.width * 3;
    int rc = an_codec_check_length(record, row * record->header.height);
    if (rc)
        return rc;
    const uint8_t *in = record->payload + w->y * row + (size_t)w->x * 3;
    for (uint32_t i = 0; i < w->height; i++, in += row, out += stride)
        memcpy(out, in, (size_t)w->width * 3);
    return 0;
}

const an_codec_row an_codec_row_rgb = {
    .codec = AN_CODEC_RGB, .encode = encode, .decode = decode, .decode_rows = decode_rows};
