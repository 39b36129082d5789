/* Codec `coef`: the quantised DCT coefficients of a JPEG without entropy coding, laid out for SIMD. Decoding gives the
 * pixels of libjpeg-turbo (JDCT_ISLOW, fancy upsampling, the whole image decoded and then cropped) to the bit.
 * docs/coef.md explains the idea, docs/record-format.md specifies the bytes.
 *
 * Handles own their working memory and are reused from image to image: once they have met the largest one, nothing is
 * allocated. Each belongs to one thread at a time. Functions that can fail return the codes of base/error.h. */
#ifndef AN_STORE_COEF_COEF_H
#define AN_STORE_COEF_COEF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cpu.h"
#include "store/image/image.h"
#include "store/image/planes/planes.h"
#include "store/jpeg/jpeg.h"

typedef struct {
    uint32_t width, height; /* pixels */
    an_sampling sampling;
} an_coef_info;

/* Parse and check the payload's header only. */
int an_coef_info_read(const uint8_t *payload, size_t size, an_coef_info *info);

typedef struct an_coef_encoder an_coef_encoder;
int an_coef_encoder_create(an_coef_encoder **out);
void an_coef_encoder_free(an_coef_encoder *encoder); /* NULL is fine */

/* Append the payload for a JPEG file (baseline or progressive; grey, or YCbCr 4:2:0, 4:2:2, 4:4:4) to out. Other files
 * give AN_EUNSUPPORTED: they can only be kept as jpeg. Damaged ones give AN_ECORRUPT; a warning of libjpeg-turbo counts
 * as damage. On failure out is as before. */
int an_coef_encode_jpeg(an_coef_encoder *encoder, const uint8_t *jpeg, size_t size, an_buffer *out);

/* Append the payload for the JPEG file that an_jpeg_encode would make of an image, without making that file. */
int an_coef_encode_image(an_coef_encoder *encoder, const an_image *image, int quality, an_jpeg_subsampling subsampling,
                         an_buffer *out);

/* Append a JPEG file with identical coefficients and quantisation tables (optimised Huffman codes) to out. */
int an_coef_to_jpeg(an_coef_encoder *encoder, const uint8_t *payload, size_t size, an_buffer *out);

typedef struct an_coef_decoder an_coef_decoder;
int an_coef_decoder_create(an_coef_decoder **out); /* takes the SIMD tier of an_cpu_simd() */
/* The same with a given SIMD tier, for comparisons; AN_EUNSUPPORTED where the processor lacks it. */
int an_coef_decoder_create_tier(an_coef_decoder **out, an_simd_tier tier);
void an_coef_decoder_free(an_coef_decoder *decoder); /* NULL is fine */

/* Decode the window to RGB bytes, rows stride bytes apart; grey becomes R = G = B. Damaged data gives AN_ECORRUPT,
 * never an out-of-bounds access; the pixels are undefined then. */
int an_coef_decode_window(an_coef_decoder *decoder, const uint8_t *payload, size_t size, const an_window *window,
                          uint8_t *rgb, size_t stride);

/* The same, but each row is given to a function as soon as it is finished, from the top, while it is in the first-level
 * cache: for converting to another format without a second pass over memory. */
int an_coef_decode_rows(an_coef_decoder *decoder, const uint8_t *payload, size_t size, const an_window *window,
                        an_planes_row *row, void *context);

#endif
