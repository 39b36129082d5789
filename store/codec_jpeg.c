/* Codec `jpeg`: the payload is a JPEG file. */
#include "store/codec_private.h"

static int encoder_create(void **out)
{
    an_jpeg_encoder *encoder;
    int rc = an_jpeg_encoder_create(&encoder);
    *out = rc ? NULL : encoder;
    return rc;
}

static void encoder_free(void *encoder)
{
    an_jpeg_encoder_free(encoder);
}

static int encode(void *encoder, const an_image *image, const an_codec_options *options, an_buffer *out)
{
    return an_jpeg_encode(encoder, image, options->quality, options->subsampling, out);
}

static int copy(void *encoder, const uint8_t *jpeg, size_t size, an_buffer *out)
{
    (void)encoder;
    return an_buffer_append(out, jpeg, size);
}

static int decoder_create(void **out)
{
    an_jpeg_decoder *decoder;
    int rc = an_jpeg_decoder_create(&decoder);
    *out = rc ? NULL : decoder;
    return rc;
}

static void decoder_free(void *decoder)
{
    an_jpeg_decoder_free(decoder);
}

static int decode(void *decoder, const an_record *record, const an_codec_window *w, uint8_t *out, size_t stride)
{
    const an_record_header *h = &record->header;
    const an_jpeg_window window = {w->x, w->y, w->width, w->height, h->width, h->height};
    return an_jpeg_decode_window(decoder, record->payload, h->length, &window, out, stride);
}

const an_codec_row an_codec_row_jpeg = {.codec = AN_CODEC_JPEG,
                                        .encoder_create = encoder_create,
                                        .encoder_free = encoder_free,
                                        .encode = encode,
                                        .to_jpeg = copy,
                                        .from_jpeg = copy,
                                        .decoder_create = decoder_create,
                                        .decoder_free = decoder_free,
                                        .decode = decode};
