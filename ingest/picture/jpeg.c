#include <string.h>

#include "base/error.h"
#include "ingest/picture/picture_private.h"

static bool matches(const uint8_t *data, size_t size)
{
    return size >= 3 && memcmp(data, "\xff\xd8\xff", 3) == 0;
}

/* How many pixels beyond the square the resampling filter may read. Twice its reach, because the JPEG is decoded to up
 * to twice the target. */
static uint32_t margin_of(const an_picture_options *options)
{
    return 2 * an_filter_reach(options->filter) + 2;
}

static int decode(an_picture *picture, const an_buffer *bytes, an_picture_info *info)
{
    an_jpeg_info jpeg = {0};
    const an_picture_options *options = &picture->options;
    int rc = an_jpeg_decode_square(picture->jpeg, bytes->data, bytes->size, options->side, margin_of(options),
                                   options->pixels_max, &picture->decoded, &jpeg);
    if (rc == AN_EUNSUPPORTED && (uint64_t)jpeg.width * jpeg.height > options->pixels_max)
        return an_picture_beyond_limit(picture);
    if (rc)
        return rc;
    if (jpeg.truncated && !options->accept_truncated)
        return an_error(AN_ECORRUPT, "truncated JPEG: its data ends early");
    info->warnings = jpeg.warnings;
    if (jpeg.baseline_420 && !jpeg.warnings && jpeg.width == options->side && jpeg.height == options->side) {
        info->fit = bytes->data;
        info->fit_size = bytes->size;
        info->fit_codec = AN_CODEC_JPEG;
    }
    return AN_OK;
}

const an_picture_format an_picture_jpeg = {.name = "JPEG", .matches = matches, .decode = decode};
