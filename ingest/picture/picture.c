#include "ingest/picture/picture.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "ingest/picture/png.h"
#include "ingest/picture/sniff.h"
#include "store/codec.h"
#include "store/jpeg/jpeg.h"

struct an_picture {
    an_picture_options options;
    an_jpeg_decoder *jpeg;
    an_decoder *records;
    an_resizer *resizer;
    an_image decoded; /* before resizing; reused */
    an_buffer scratch;
};

/* Beyond this a reused buffer is given back: one huge image must not hold memory for the rest of the run. */
#define KEEP_BYTES ((size_t)48 << 20)

int an_picture_create(an_picture **out, const an_picture_options *options)
{
    an_picture *picture = calloc(1, sizeof(*picture));
    if (!picture)
        return an_error(AN_ENOMEM, "out of memory for a picture");
    picture->options = *options;
    int rc = an_jpeg_decoder_create(&picture->jpeg);
    if (!rc)
        rc = an_decoder_create(&picture->records);
    if (!rc)
        rc = an_resizer_create(&picture->resizer);
    if (rc) {
        an_picture_free(picture);
        return rc;
    }
    *out = picture;
    return AN_OK;
}

void an_picture_free(an_picture *picture)
{
    if (!picture)
        return;
    an_jpeg_decoder_free(picture->jpeg);
    an_decoder_free(picture->records);
    an_resizer_free(picture->resizer);
    an_image_free(&picture->decoded);
    an_buffer_free(&picture->scratch);
    free(picture);
}

/* How far the filter may look beyond the square: a JPEG is decoded to less than twice the target. */
static uint32_t margin_of(const an_picture_options *options)
{
    return 2 * an_filter_reach(options->filter) + 2;
}

static int decode_jpeg(an_picture *picture, const an_buffer *bytes, an_picture_info *info)
{
    an_jpeg_info jpeg;
    int rc = an_jpeg_decode_square(picture->jpeg, bytes->data, bytes->size, picture->options.side,
                                   margin_of(&picture->options), picture->options.pixels_max, &picture->decoded, &jpeg);
    if (rc)
        return rc;
    if (jpeg.truncated && !picture->options.accept_truncated)
        return an_error(AN_ECORRUPT, "truncated JPEG: its data ends early");
    info->warnings = jpeg.warnings;
    if (jpeg.baseline_420 && !jpeg.warnings && jpeg.width == picture->options.side &&
        jpeg.height == picture->options.side) {
        info->fit = bytes->data;
        info->fit_size = bytes->size;
        info->fit_codec = AN_CODEC_JPEG;
    }
    return AN_OK;
}

static int decode_file(an_picture *picture, const an_buffer *bytes, an_picture_info *info)
{
    if (!bytes->size)
        return an_error(AN_ECORRUPT, "empty file");
    switch (an_sniff(bytes->data, bytes->size)) {
    case AN_FILE_JPEG:
        return decode_jpeg(picture, bytes, info);
    case AN_FILE_PNG:
        return an_png_decode(bytes->data, bytes->size, picture->options.pixels_max, &picture->scratch,
                             &picture->decoded);
    case AN_FILE_OTHER:
        break;
    }
    return an_error(AN_EUNSUPPORTED, "not a JPEG or PNG file (%s)", an_sniff_describe(bytes->data, bytes->size));
}

static int unpack_raw(an_image *image, const an_item *item, const uint8_t *bytes)
{
    int rc = an_image_set_size(image, item->width, item->height);
    if (rc)
        return rc;
    size_t pixels = (size_t)item->width * item->height;
    size_t plane = item->kind == AN_ITEM_PLANAR ? pixels : 0; /* grey: the same plane three times */
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < 3; c++)
            image->pixels[3 * i + c] = bytes[plane * c + i];
    return AN_OK;
}

static int decode_record(an_picture *picture, const an_record *record, an_picture_info *info)
{
    const an_record_header *header = &record->header;
    int rc = an_record_verify(record);
    if (!rc)
        rc = an_image_set_size(&picture->decoded, header->width, header->height);
    if (!rc)
        rc = an_decoder_window(picture->records, record, 0, 0, header->width, header->height, picture->decoded.pixels,
                               (size_t)3 * header->width);
    if (!rc && header->width == picture->options.side && header->height == picture->options.side) {
        info->fit = record->payload;
        info->fit_size = header->length;
        info->fit_codec = header->codec;
    }
    return rc;
}

static int decode(an_picture *picture, const an_item *item, const an_buffer *bytes, an_picture_info *info)
{
    if (item->kind == AN_ITEM_FILE)
        return decode_file(picture, bytes, info);
    if (item->kind == AN_ITEM_RECORD)
        return decode_record(picture, &item->record, info);
    return unpack_raw(&picture->decoded, item, bytes->data);
}

static void give_back(an_picture *picture)
{
    if (picture->decoded.capacity > KEEP_BYTES)
        an_image_free(&picture->decoded);
    if (picture->scratch.capacity > KEEP_BYTES)
        an_buffer_free(&picture->scratch);
}

int an_picture_make(an_picture *picture, const an_item *item, const an_buffer *bytes, an_image *out,
                    an_picture_info *info)
{
    memset(info, 0, sizeof(*info));
    int rc = decode(picture, item, bytes, info);
    if (!rc)
        rc =
            an_resizer_square(picture->resizer, &picture->decoded, picture->options.side, picture->options.filter, out);
    give_back(picture);
    return rc;
}
