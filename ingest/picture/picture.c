#include "ingest/picture/picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "ingest/picture/describe_private.h"
#include "ingest/picture/picture_private.h"

static const an_picture_format *const formats[] = {&an_picture_jpeg, &an_picture_png};

enum { FORMATS = sizeof(formats) / sizeof(formats[0]) };

/* A larger buffer is freed after use: one huge image must not hold memory for the rest of the run. */
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

const an_picture_format *an_picture_format_of(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < FORMATS; i++)
        if (formats[i]->matches(data, size))
            return formats[i];
    return NULL;
}

/* "not a JPEG or PNG file (WebP image)" */
static int refuse(const an_buffer *bytes)
{
    char names[128] = "";
    size_t used = 0;
    for (size_t i = 0; i < FORMATS && used < sizeof(names); i++)
        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? " or " : "", formats[i]->name);
    return an_error(AN_EUNSUPPORTED, "not a %s file (%s)", names, an_picture_describe(bytes->data, bytes->size));
}

int an_picture_beyond_limit(const an_picture *picture)
{
    const char *option = picture->options.pixels_option;
    return option ? an_error(AN_EUNSUPPORTED, "%s (%s)", an_error_message(), option) : AN_EUNSUPPORTED;
}

static int decode_file(an_picture *picture, const an_buffer *bytes, an_picture_info *info)
{
    if (!bytes->size)
        return an_error(AN_ECORRUPT, "empty file");
    const an_picture_format *format = an_picture_format_of(bytes->data, bytes->size);
    return format ? format->decode(picture, bytes, info) : refuse(bytes);
}

static int unpack_raw(an_image *image, const an_item *item, const uint8_t *bytes)
{
    int rc = an_image_set_size(image, item->width, item->height);
    if (rc)
        return rc;
    size_t pixels = (size_t)item->width * item->height;
    size_t plane = item->kind == AN_ITEM_PLANAR ? pixels : 0; /* grey: all three colours are read from one plane */
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

static void copy_row(const uint8_t *from, uint32_t width, uint32_t channels, uint8_t *to)
{
    if (channels == 3)
        memcpy(to, from, (size_t)3 * width);
    for (size_t x = 0; channels == 1 && x < width; x++)
        to[3 * x] = to[3 * x + 1] = to[3 * x + 2] = from[x];
}

static int take_pixels(an_picture *picture, const an_picture_pixels *pixels)
{
    if ((uint64_t)pixels->width * pixels->height > picture->options.pixels_max) {
        (void)an_error(AN_EUNSUPPORTED, "%ux%u pixels: more than the limit of %llu pixels", pixels->width,
                       pixels->height, (unsigned long long)picture->options.pixels_max);
        return an_picture_beyond_limit(picture);
    }
    int rc = an_image_set_size(&picture->decoded, pixels->width, pixels->height);
    for (size_t y = 0; !rc && y < pixels->height; y++)
        copy_row(pixels->data + y * pixels->stride, pixels->width, pixels->channels,
                 picture->decoded.pixels + y * 3 * pixels->width);
    return rc;
}

int an_picture_make_pixels(an_picture *picture, const an_picture_pixels *pixels, an_image *out)
{
    int rc = take_pixels(picture, pixels);
    if (!rc)
        rc =
            an_resizer_square(picture->resizer, &picture->decoded, picture->options.side, picture->options.filter, out);
    give_back(picture);
    return rc;
}
