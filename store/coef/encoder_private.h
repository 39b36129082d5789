/* The handle and the steps that the ways between pixels, JPEG and coef share. Internal to store. */
#ifndef AN_STORE_COEF_COEF_JPEG_H
#define AN_STORE_COEF_COEF_JPEG_H

#include "store/coef/coef.h"
#include "store/coef/format.h"
#include "store/coef/pack_private.h"
#include "store/coef/unpack.h"
#include "store/jpeg/errors.h"
#include "store/jpeg/scan.h"

struct an_coef_encoder {
    an_jpeg_errors errors;
    struct jpeg_decompress_struct reader;
    struct jpeg_compress_struct writer;
    struct jpeg_destination_mgr destination;
    an_buffer jpeg; /* what writer makes */
    an_jpeg_scan *scan;
    an_buffer mcu_row; /* blocks on their way into packer */
    an_coef_packer packer;
    an_coef_work work; /* one row of blocks, for the way back */
    size_t blocks;     /* it has room for */
    void *image;       /* what coef_image.c is at */
};

/* A payload begins so (the tables of layout's components, row-major): the rows' lengths, last, are still to be set. */
int an_coef_put_header(const an_blocks *blocks, const UINT16 *const tables[3], an_buffer *out);

/* Append a row of blocks and set its length. */
int an_coef_put_row(an_coef_encoder *encoder, const UINT16 quantisation[64], uint32_t blocks_wide,
                    const int16_t (*blocks)[64], size_t length_at, an_buffer *out);

/* And so it ends. */
int an_coef_put_padding(an_buffer *out);

/* Room in mcu_row for all rows of blocks of an MCU row, each as wide as luma's. */
int an_coef_reserve_mcu_row(an_coef_encoder *encoder, const an_blocks *blocks);

/* There, row r of component c. */
int16_t (*an_coef_mcu_row_at(const an_coef_encoder *encoder, const an_blocks *blocks, int c, uint32_t r))[64];

/* Append its rows of blocks and set their lengths, from *length_at on. */
int an_coef_put_mcu_row(an_coef_encoder *encoder, const an_blocks *blocks, const UINT16 *const tables[3],
                        uint32_t mcu_row, size_t *length_at, an_buffer *out);

/* Where the writer's bytes go. */
void an_coef_set_destination(an_coef_encoder *encoder);

#endif
