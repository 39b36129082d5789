#include "store/codec.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/coef/coef.h"
#include "store/yuv420.h"

struct an_encoder {
    an_jpeg_encoder *jpeg;
    an_coef_encoder *coef;
};

struct an_decoder {
    an_jpeg_decoder *jpeg;
    an_coef_decoder *coef;
    an_buffer scratch;
};

int an_encoder_create(an_encoder **out)
{
    *out = NULL;
    an_encoder *e = calloc(1, sizeof *e);
    if (!e)
        return an_error(AN_ENOMEM, "out of memory: encoder");
    int rc = an_jpeg_encoder_create(&e->jpeg);
    if (!rc)
        rc = an_coef_encoder_create(&e->coef);
    if (rc)
        an_encoder_free(e);
    else
        *out = e;
    return rc;
}

void an_encoder_free(an_encoder *encoder)
{
    if (!encoder)
        return;
    an_jpeg_encoder_free(encoder->jpeg);
    an_coef_encoder_free(encoder->coef);
    free(encoder);
}

int an_encoder_encode(an_encoder *encoder, const an_image *image, const an_codec_options *options, an_buffer *out)
{
    if (image->width == 0 || image->height == 0 || image->width > AN_IMAGE_SIDE_MAX ||
        image->height > AN_IMAGE_SIDE_MAX)
        return an_error(AN_EINVAL, "cannot store an image of %ux%u pixels: 1 to %d a side are possible", image->width,
                        image->height, AN_IMAGE_SIDE_MAX);
    switch (options->codec) {
    case AN_CODEC_JPEG:
        return an_jpeg_encode(encoder->jpeg, image, options->quality, options->subsampling, out);
    case AN_CODEC_YUV420:
        return an_yuv420_encode(image, out);
    case AN_CODEC_RGB:
        return an_buffer_append(out, image->pixels, (size_t)image->width * image->height * 3);
    case AN_CODEC_COEF:
        return an_coef_encode_image(encoder->coef, image, options->quality, options->subsampling, out);
    }
    return an_error(AN_EINVAL, "cannot encode with unknown codec %d", (int)options->codec);
}

int an_decoder_create(an_decoder **out)
{
    *out = NULL;
    an_decoder *d = calloc(1, sizeof *d);
    if (!d)
        return an_error(AN_ENOMEM, "out of memory: decoder");
    int rc = an_jpeg_decoder_create(&d->jpeg);
    if (!rc)
        rc = an_coef_decoder_create(&d->coef);
    if (rc)
        an_decoder_free(d);
    else
        *out = d;
    return rc;
}

void an_decoder_free(an_decoder *decoder)
{
    if (!decoder)
        return;
    an_jpeg_decoder_free(decoder->jpeg);
    an_coef_decoder_free(decoder->coef);
    an_buffer_free(&decoder->scratch);
    free(decoder);
}

static int check_window(const an_record_header *h, const an_jpeg_window *w, size_t stride)
{
    if (w->width == 0 || w->height == 0 || w->x > h->width || w->width > h->width - w->x || w->y > h->height ||
        w->height > h->height - w->y)
        return an_error(AN_EINVAL, "window of %ux%u pixels at %u, %u in a record of %ux%u", w->width, w->height, w->x,
                        w->y, h->width, h->height);
    if (stride / 3 < w->width)
        return an_error(AN_EINVAL, "rows of %u pixels, %zu bytes apart", w->width, stride);
    return AN_OK;
}

/* Codecs without a header of their own have one possible size. */
static int check_length(const an_record *record, size_t expected)
{
    if (record->header.length != expected)
        return an_error(AN_ECORRUPT, "%s payload of %u bytes where %ux%u pixels take %zu",
                        an_codec_name(record->header.codec), record->header.length, record->header.width,
                        record->header.height, expected);
    return AN_OK;
}

static int decode_rgb(const an_record *record, const an_jpeg_window *w, uint8_t *out, size_t stride)
{
    size_t row = (size_t)record->header.width * 3;
    int rc = check_length(record, row * record->header.height);
    if (rc)
        return rc;
    const uint8_t *in = record->payload + w->y * row + (size_t)w->x * 3;
    for (uint32_t i = 0; i < w->height; i++, in += row, out += stride)
        memcpy(out, in, (size_t)w->width * 3);
    return AN_OK;
}

static int decode_yuv420(an_decoder *d, const an_record *record, const an_jpeg_window *w, uint8_t *out, size_t stride)
{
    int rc = check_length(record, an_yuv420_size(record->header.width, record->header.height));
    return rc ? rc : an_yuv420_decode(record, w->x, w->y, w->width, w->height, out, stride, &d->scratch);
}

static int decode_coef(an_decoder *d, const an_record *record, const an_jpeg_window *w, uint8_t *out, size_t stride)
{
    an_coef_info info;
    int rc = an_coef_info_read(record->payload, record->header.length, &info);
    if (rc)
        return rc;
    if (info.width != record->header.width || info.height != record->header.height)
        return an_error(AN_ECORRUPT, "coef payload of %ux%u pixels where %ux%u are declared", info.width, info.height,
                        record->header.width, record->header.height);
    an_window window = {w->x, w->y, w->width, w->height, false};
    return an_coef_decode_window(d->coef, record->payload, record->header.length, &window, out, stride);
}

int an_decoder_window(an_decoder *decoder, const an_record *record, uint32_t x, uint32_t y, uint32_t width,
                      uint32_t height, uint8_t *out, size_t stride)
{
    const an_record_header *h = &record->header;
    an_jpeg_window window = {x, y, width, height, h->width, h->height};
    int rc = check_window(h, &window, stride);
    if (rc)
        return rc;
    switch (h->codec) {
    case AN_CODEC_JPEG:
        return an_jpeg_decode_window(decoder->jpeg, record->payload, h->length, &window, out, stride);
    case AN_CODEC_YUV420:
        return decode_yuv420(decoder, record, &window, out, stride);
    case AN_CODEC_RGB:
        return decode_rgb(record, &window, out, stride);
    case AN_CODEC_COEF:
        return decode_coef(decoder, record, &window, out, stride);
    }
    return an_error(AN_EUNSUPPORTED, "record of unknown codec %d", (int)h->codec);
}
