/* Pixels to payloads and back, for every codec in the table (codec_private.h). An encoder or a decoder belongs to one
 * thread at a time. Make it once and use it for every image: it keeps what each codec needs, and once that has grown to
 * the largest image nothing is allocated any more. Failures are returned, with a message set. */
#ifndef AN_STORE_CODEC_H
#define AN_STORE_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "store/image/image.h"
#include "store/jpeg/jpeg.h"
#include "store/record.h"

typedef struct {
    an_codec codec;
    int quality;                     /* 1..100; jpeg and coef */
    an_jpeg_subsampling subsampling; /* jpeg and coef */
} an_codec_options;

/* Can a payload of `from` become one of `to` with the same pixels, to the bit? True of each codec with itself, and
 * between codecs that hold a JPEG's coefficients. */
bool an_codec_lossless(an_codec from, an_codec to);

typedef struct an_encoder an_encoder;
int an_encoder_create(an_encoder **out);
void an_encoder_free(an_encoder *encoder); /* NULL is fine */

/* Append the payload for image to out. */
int an_encoder_encode(an_encoder *encoder, const an_image *image, const an_codec_options *options, an_buffer *out);

/* Append the payload of codec `to` with the pixels of a payload of codec `from`, where an_codec_lossless says that this
 * is possible. AN_EUNSUPPORTED where it is not, or where `to` cannot hold this one picture: go through pixels instead.
 */
int an_encoder_convert(an_encoder *encoder, an_codec from, const uint8_t *payload, size_t size, an_codec to,
                       an_buffer *out);

typedef struct an_decoder an_decoder;
int an_decoder_create(an_decoder **out);
void an_decoder_free(an_decoder *decoder); /* NULL is fine */

/* Decode a window of the record to RGB bytes, rows stride bytes apart. A window that is empty or leaves the record is
 * AN_EINVAL. The payload's checksum is not compared here; damaged data gives AN_ECORRUPT, never an access out of
 * bounds. */
int an_decoder_window(an_decoder *decoder, const an_record *record, uint32_t x, uint32_t y, uint32_t width,
                      uint32_t height, uint8_t *out, size_t stride);

/* Some codecs have a window's rows one by one before they have the window: a caller that goes through the rows anyway
 * saves a copy. */
bool an_codec_has_rows(an_codec codec);

/* y counts from 0 within the window; rgb holds its width x 3 bytes and is valid during the call. */
typedef void an_decoder_row(void *context, uint32_t y, const uint8_t *rgb);

/* Decode a window row by row from the top: as an_decoder_window, but AN_EUNSUPPORTED unless an_codec_has_rows.
 * *mirror says whether the rows are wanted mirrored, left to right. A codec that mirrors them itself sets it to false
 * before the first row; where it is still true, that is left to the caller. */
int an_decoder_rows(an_decoder *decoder, const an_record *record, uint32_t x, uint32_t y, uint32_t width,
                    uint32_t height, bool *mirror, an_decoder_row *row, void *context);

#endif
