/* Handles over the table of codecs: one state for each row, made with the handle. */
#include "store/codec.h"

#include <stdlib.h>

#include "base/error.h"
#include "store/codec_private.h"

struct an_encoder {
    an_buffer jpeg; /* between two codecs that hold a JPEG's coefficients */
    void *states[]; /* of each row; NULL where it keeps none */
};

struct an_decoder {
    size_t count;   /* rows of the table */
    void *states[]; /* of each; NULL where it keeps none */
};

int an_encoder_create(an_encoder **out)
{
    *out = NULL;
    an_encoder *e = calloc(1, sizeof *e + an_codec_count() * sizeof *e->states);
    if (!e)
        return an_error(AN_ENOMEM, "out of memory: encoder");
    int rc = AN_OK;
    for (size_t i = 0; !rc && i < an_codec_count(); i++)
        if (an_codec_row_at(i)->encoder_create)
            rc = an_codec_row_at(i)->encoder_create(&e->states[i]);
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
    for (size_t i = 0; i < an_codec_count(); i++)
        if (an_codec_row_at(i)->encoder_free)
            an_codec_row_at(i)->encoder_free(encoder->states[i]);
    an_buffer_free(&encoder->jpeg);
    free(encoder);
}

int an_encoder_encode(an_encoder *encoder, const an_image *image, const an_codec_options *options, an_buffer *out)
{
    if (image->width == 0 || image->height == 0 || image->width > AN_IMAGE_SIDE_MAX ||
        image->height > AN_IMAGE_SIDE_MAX)
        return an_error(AN_EINVAL, "cannot store an image of %ux%u pixels: 1 to %d a side are possible", image->width,
                        image->height, AN_IMAGE_SIDE_MAX);
    size_t i = an_codec_find(options->codec);
    if (i == an_codec_count())
        return an_error(AN_EINVAL, "cannot encode with unknown codec %d", (int)options->codec);
    return an_codec_row_at(i)->encode(encoder->states[i], image, options, out);
}

int an_encoder_convert(an_encoder *encoder, an_codec from, const uint8_t *payload, size_t size, an_codec to,
                       an_buffer *out)
{
    size_t a = an_codec_find(from), b = an_codec_find(to);
    if (!an_codec_lossless(from, to))
        return an_error(AN_EUNSUPPORTED, "cannot turn %s into %s without loss", an_codec_name(from), an_codec_name(to));
    if (a == b)
        return an_buffer_append(out, payload, size);
    encoder->jpeg.size = 0;
    int rc = an_codec_row_at(a)->to_jpeg(encoder->states[a], payload, size, &encoder->jpeg);
    if (rc)
        return rc;
    return an_codec_row_at(b)->from_jpeg(encoder->states[b], encoder->jpeg.data, encoder->jpeg.size, out);
}

int an_decoder_create(an_decoder **out)
{
    *out = NULL;
    an_decoder *d = calloc(1, sizeof *d + an_codec_count() * sizeof *d->states);
    if (!d)
        return an_error(AN_ENOMEM, "out of memory: decoder");
    d->count = an_codec_count();
    int rc = AN_OK;
    for (size_t i = 0; !rc && i < d->count; i++)
        if (an_codec_row_at(i)->decoder_create)
            rc = an_codec_row_at(i)->decoder_create(&d->states[i]);
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
    for (size_t i = 0; i < decoder->count; i++)
        if (an_codec_row_at(i)->decoder_free)
            an_codec_row_at(i)->decoder_free(decoder->states[i]);
    free(decoder);
}

static int check_window(const an_record_header *h, const an_codec_window *w)
{
    if (w->width == 0 || w->height == 0 || w->x > h->width || w->width > h->width - w->x || w->y > h->height ||
        w->height > h->height - w->y)
        return an_error(AN_EINVAL, "window of %ux%u pixels at %u, %u in a record of %ux%u", w->width, w->height, w->x,
                        w->y, h->width, h->height);
    if (!an_codec_known((unsigned)h->codec))
        return an_error(AN_EUNSUPPORTED, "record of unknown codec %d", (int)h->codec);
    return AN_OK;
}

int an_codec_check_length(const an_record *record, size_t expected)
{
    if (record->header.length != expected)
        return an_error(AN_ECORRUPT, "%s payload of %u bytes where %ux%u pixels take %zu",
                        an_codec_name(record->header.codec), record->header.length, record->header.width,
                        record->header.height, expected);
    return AN_OK;
}

int an_decoder_window(an_decoder *decoder, const an_record *record, uint32_t x, uint32_t y, uint32_t width,
                      uint32_t height, uint8_t *out, size_t stride)
{
    const an_codec_window window = {x, y, width, height};
    size_t i = an_codec_find(record->header.codec);
    int rc = check_window(&record->header, &window);
    if (rc)
        return rc;
    if (stride / 3 < width)
        return an_error(AN_EINVAL, "rows of %u pixels, %zu bytes apart", width, stride);
    return an_codec_row_at(i)->decode(decoder->states[i], record, &window, out, stride);
}

bool an_codec_has_rows(an_codec codec)
{
    size_t i = an_codec_find(codec);
    return i < an_codec_count() && an_codec_row_at(i)->decode_rows;
}

int an_decoder_rows(an_decoder *decoder, const an_record *record, uint32_t x, uint32_t y, uint32_t width,
                    uint32_t height, bool *mirror, an_decoder_row *row, void *context)
{
    const an_codec_window window = {x, y, width, height};
    size_t i = an_codec_find(record->header.codec);
    int rc = check_window(&record->header, &window);
    if (rc)
        return rc;
    if (!an_codec_row_at(i)->decode_rows)
        return an_error(AN_EUNSUPPORTED, "%s has no rows before it has a window", an_codec_name(record->header.codec));
    return an_codec_row_at(i)->decode_rows(decoder->states[i], record, &window, mirror, row, context);
}
