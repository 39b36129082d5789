/* Pixels to payload and back, for every codec. Handles are per thread and reused; nothing is allocated once warm. */
#ifndef AN_STORE_CODEC_H
#define AN_STORE_CODEC_H

#include <stdint.h>

#include "base/buffer.h"
#include "store/image/image.h"
#include "store/jpeg/jpeg.h"
#include "store/record.h"

typedef struct {
    an_codec codec;
    int quality; /* 1..100, jpeg and coef */
    an_jpeg_subsampling subsampling;
} an_codec_options;

typedef struct an_encoder an_encoder;
int an_encoder_create(an_encoder **out);
void an_encoder_free(an_encoder *encoder);
/* Append the payload for image to out. */
int an_encoder_encode(an_encoder *encoder, const an_image *image, const an_codec_options *options, an_buffer *out);

typedef struct an_decoder an_decoder;
int an_decoder_create(an_decoder **out);
void an_decoder_free(an_decoder *decoder);

/* Decode the window (inside the record's width x height) to RGB bytes, rows stride bytes apart. The payload's checksum
 * is not looked at here; damaged data gives AN_ECORRUPT, never an out-of-bounds access. */
int an_decoder_window(an_decoder *decoder, const an_record *record, uint32_t x, uint32_t y, uint32_t width,
                      uint32_t height, uint8_t *out, size_t stride);

#endif
