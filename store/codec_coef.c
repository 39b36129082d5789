/* Codec `coef`: the quantised coefficients of a JPEG, see store/coef/coef.h. */
#include "base/error.h"
#include "store/codec_private.h"
#include "store/coef/coef.h"

static int encoder_create(void **out)
{
    an_coef_encoder *encoder;
    int rc = an_coef_encoder_create(&encoder);
    *out = rc ? NULL : encoder;
    return rc;
}

static void encoder_free(void *encoder)
{
    an_coef_encoder_free(encoder);
}

static int encode(void *encoder, const an_image *image, const an_codec_options *options, an_buffer *out)
{
    return an_coef_encode_image(encoder, image, options->quality, options->subsampling, out);
}

static int to_jpeg(void *encoder, const uint8_t *payload, size_t size, an_buffer *out)
{
    return an_coef_to_jpeg(encoder, payload, size, out);
}

static int from_jpeg(void *encoder, const uint8_t *jpeg, size_t size, an_buffer *out)
{
    return an_coef_encode_jpeg(encoder, jpeg, size, out);
}

static int decoder_create(void **out)
{
    an_coef_decoder *decoder;
    int rc = an_coef_decoder_create(&decoder);
    *out = rc ? NULL : decoder;
    return rc;
}

static void decoder_free(void *decoder)
{
    an_coef_decoder_free(decoder);
}

/* The payload has a size of its own, which the window was not checked against. */
static int check_size(const an_record *record)
{
    const an_record_header *h = &record->header;
    an_coef_info info;
    int rc = an_coef_info_read(record->payload, h->length, &info);
    if (rc)
        return rc;
    if (info.width != h->width || info.height != h->height)
        return an_error(AN_ECORRUPT, "coef payload of %ux%u pixels where %ux%u are declared", info.width, info.height,
                        h->width, h->height);
    return AN_OK;
}

static int decode(void *decoder, const an_record *record, const an_codec_window *w, uint8_t *out, size_t stride)
{
    const an_window window = {w->x, w->y, w->width, w->height, false};
    int rc = check_size(record);
    if (rc)
        return rc;
    return an_coef_decode_window(decoder, record->payload, record->header.length, &window, out, stride);
}

static int decode_rows(void *decoder, const an_record *record, const an_codec_window *w, bool *mirror,
                       an_decoder_row *row, void *context)
{
    const an_window window = {w->x, w->y, w->width, w->height, *mirror};
    int rc = check_size(record);
    if (rc)
        return rc;
    *mirror = false;
    return an_coef_decode_rows(decoder, record->payload, record->header.length, &window, row, context);
}

const an_codec_row an_codec_row_coef = {.codec = AN_CODEC_COEF,
                                        .encoder_create = encoder_create,
                                        .encoder_free = encoder_free,
                                        .encode = encode,
                                        .to_jpeg = to_jpeg,
                                        .from_jpeg = from_jpeg,
                                        .decoder_create = decoder_create,
                                        .decoder_free = decoder_free,
                                        .decode = decode,
                                        .decode_rows = decode_rows};
