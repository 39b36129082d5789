/* JPEG files to RGB images and back. libjpeg-turbo encodes, and decodes what is unusual or damaged; sound files of the
 * common kinds are decoded by our own faster decoder (fast.c), which gives the same pixels.
 *
 * Handles own their working memory and are reused from image to image; each belongs to one thread at a time. Errors
 * come back as codes of base/error.h; the process never exits. */
#ifndef AN_STORE_JPEG_JPEG_H
#define AN_STORE_JPEG_JPEG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "store/image/image.h"

/* Appends the library and its version, "libjpeg-turbo 2.1.5\n": that of its headers, as it cannot be asked. */
int an_jpeg_libraries(an_buffer *out);

/* What an encoder can be asked for. What a file may have, grey too, is an an_sampling. */
typedef enum { AN_JPEG_420, AN_JPEG_422, AN_JPEG_444 } an_jpeg_subsampling;
extern const char *const an_jpeg_subsampling_names[]; /* "420" ..., at its number; NULL ends them */

typedef struct an_jpeg_decoder an_jpeg_decoder;
int an_jpeg_decoder_create(an_jpeg_decoder **out);
int an_jpeg_decoder_create_plain(an_jpeg_decoder **out); /* libjpeg-turbo alone, for comparisons */
void an_jpeg_decoder_free(an_jpeg_decoder *decoder);

typedef struct {
    uint32_t width, height; /* of the file, before scaling */
    int components;         /* 1 grey, 3 YCbCr or RGB, 4 CMYK or YCCK */
    bool baseline_420;      /* sequential Huffman 8-bit YCbCr with 2x2,1x1,1x1 sampling */
    int warnings;           /* of libjpeg-turbo: harmless ones, unless truncated (errors.h lists them) */
    bool truncated;         /* the data end early: part of the picture is filler. Only known after decoding */
} an_jpeg_info;

/* Parse the header only. AN_ECORRUPT if it is no usable JPEG, AN_EUNSUPPORTED if 12-bit, lossless ... */
int an_jpeg_info_read(an_jpeg_decoder *decoder, const uint8_t *data, size_t size, an_jpeg_info *info);

/* Decode a whole file of any colour space into RGB (CMYK without a profile: red = (255 - cyan) * (255 - black) / 255.
 * Stored is 255 - ink, as Adobe's programs do, in files without Adobe's marker too; Pillow reads both so since version
 * 0.6), at the smallest of 1/8, 1/4, 1/2, 1/1 scale whose shorter side is still at
 * least min_side (0: full size). pixels_max bounds width * height of the file (decompression bombs): beyond it
 * AN_EUNSUPPORTED. Data that are damaged, so that pixels are wrong, are AN_ECORRUPT as far as libjpeg-turbo notices; a
 * missing end marker, and anything in its place, is no damage. info may be NULL; it
 * is set once the header was read, also where decoding then fails. */
int an_jpeg_decode(an_jpeg_decoder *decoder, const uint8_t *data, size_t size, uint32_t min_side, uint64_t pixels_max,
                   an_image *out, an_jpeg_info *info);

/* Decodes only the centred square, whose side is the shorter side of the image, and `margin` pixels around it. out has
 * the size of the whole image; pixels outside are left undefined, those inside are the same as an_jpeg_decode's. */
int an_jpeg_decode_square(an_jpeg_decoder *decoder, const uint8_t *data, size_t size, uint32_t min_side,
                          uint32_t margin, uint64_t pixels_max, an_image *out, an_jpeg_info *info);

typedef struct {
    uint32_t x, y, width, height;       /* the window, inside the image, not empty */
    uint32_t image_width, image_height; /* what the file must have; checked before memory for it is allocated */
} an_jpeg_window;

/* Decode only a window of a JPEG into out, rows stride bytes apart. The pixels are those of decoding the whole file
 * (exact inverse DCT, fancy upsampling) and cutting the window out, to the bit. Damage up to the window's last row
 * gives AN_ECORRUPT; the file behind it is not decoded. */
int an_jpeg_decode_window(an_jpeg_decoder *decoder, const uint8_t *data, size_t size, const an_jpeg_window *window,
                          uint8_t *out, size_t stride);

typedef struct an_jpeg_encoder an_jpeg_encoder;
int an_jpeg_encoder_create(an_jpeg_encoder **out);
void an_jpeg_encoder_free(an_jpeg_encoder *encoder);

/* Append a baseline JFIF file to out; quality is 1 to 100. The same pixels always give the same bytes. On failure out
 * is as before. */
int an_jpeg_encode(an_jpeg_encoder *encoder, const an_image *image, int quality, an_jpeg_subsampling subsampling,
                   an_buffer *out);

#endif
