/* The table of codecs. One row is one codec: its number and its functions. To add a codec, number it in
 * record.h, write codec_<name>.c with its row, declare the row below and name it in codec_table.c. Help and error
 * texts and tests walk the table; test_codec.c has a list of tolerances that a new codec must be in. Private to the
 * files in this folder. */
#ifndef AN_STORE_CODEC_PRIVATE_H
#define AN_STORE_CODEC_PRIVATE_H

#include "store/codec.h"

typedef struct {
    uint32_t x, y, width, height; /* pixels; inside the record and not empty: the caller has checked it */
} an_codec_window;

/* State is what encoding or decoding keeps for one thread: create makes it, and every function of that side gets it. A
 * codec that keeps nothing has neither create nor free; its functions get NULL. */
typedef struct {
    an_codec codec; /* the number in a record's header */

    int (*encoder_create)(void **out);
    void (*encoder_free)(void *encoder); /* NULL is fine */
    /* Append the payload for image (1 to AN_IMAGE_SIDE_MAX pixels a side) to out. */
    int (*encode)(void *encoder, const an_image *image, const an_codec_options *options, an_buffer *out);
    /* Append a JPEG file with the payload's pixels to out, and the payload with a JPEG file's pixels: both without
     * loss. Only of codecs that hold a JPEG's coefficients; NULL in all others. AN_EUNSUPPORTED: not this file. */
    int (*to_jpeg)(void *encoder, const uint8_t *payload, size_t size, an_buffer *out);
    int (*from_jpeg)(void *encoder, const uint8_t *jpeg, size_t size, an_buffer *out);

    int (*decoder_create)(void **out);
    void (*decoder_free)(void *decoder); /* NULL is fine */
    /* The functions behind an_decoder_window and an_decoder_rows. decode_rows is NULL unless the codec has rows before
     * it has a window. */
    int (*decode)(void *decoder, const an_record *record, const an_codec_window *window, uint8_t *out, size_t stride);
    int (*decode_rows)(void *decoder, const an_record *record, const an_codec_window *window, bool *mirror,
                       an_decoder_row *row, void *context);
} an_codec_row;

extern const an_codec_row an_codec_row_jpeg, an_codec_row_yuv420, an_codec_row_rgb, an_codec_row_coef;

/* Row i, below an_codec_count(). */
const an_codec_row *an_codec_row_at(size_t i);
/* The row's position in the table; an_codec_count() if there is none. */
size_t an_codec_find(an_codec codec);

/* For codecs whose payload has one possible size: AN_ECORRUPT if the record's has another. */
int an_codec_check_length(const an_record *record, size_t expected);

#endif
