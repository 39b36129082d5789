/* The encoder's handle, and the steps that encode.c (JPEG files to coef), from_image.c (pixels to coef) and to_jpeg.c
 * (coef to JPEG files) share. */
#ifndef AN_STORE_COEF_ENCODER_PRIVATE_H
#define AN_STORE_COEF_ENCODER_PRIVATE_H

#include "store/coef/coef.h"
#include "store/coef/format.h"
#include "store/coef/pack_private.h"
#include "store/coef/unpack.h"
#include "store/jpeg/errors.h"
#include "store/jpeg/header.h"
#include "store/jpeg/scan.h"

struct an_coef_encoder {
    an_jpeg_errors errors;
    an_jpeg_limits limits;
    struct jpeg_decompress_struct reader; /* open during an_coef_encode_jpeg */
    struct jpeg_compress_struct writer;
    struct jpeg_destination_mgr destination; /* the writer's: appends to jpeg */
    an_buffer jpeg;
    an_jpeg_scan *scan;
    an_buffer mcu_row; /* the blocks of an MCU row, before they are packed */
    an_coef_packer packer;
    an_coef_work work;  /* for to_jpeg.c: memory for one row of blocks */
    size_t work_blocks; /* it has room for so many blocks */
    void *image;        /* what from_image.c is working on; NULL otherwise */
};

/* Append the beginning of a payload: header, quantisation tables (`tables` holds each component's, row-major) and room
 * for the lengths of the rows of blocks. The lengths are the last 2 * blocks->block_rows bytes; they are set by
 * an_coef_put_row and an_coef_put_mcu_row. */
int an_coef_put_header(const an_blocks *blocks, const UINT16 *const tables[3], an_buffer *out);

/* Append one row of blocks and write its length to the two bytes at out->data + length_at. */
int an_coef_put_row(an_coef_encoder *encoder, const UINT16 quantisation[64], uint32_t blocks_wide,
                    const int16_t (*blocks)[64], size_t length_at, an_buffer *out);

/* Append the zero bytes that end a payload. */
int an_coef_put_padding(an_buffer *out);

/* Make room in encoder->mcu_row for the rows of blocks of an MCU row. Each is given the width of luma's. */
int an_coef_reserve_mcu_row(an_coef_encoder *encoder, const an_blocks *blocks);

/* The place in encoder->mcu_row of row r of component c. */
int16_t (*an_coef_mcu_row_at(const an_coef_encoder *encoder, const an_blocks *blocks, int c, uint32_t r))[64];

/* Append the rows of blocks that are in encoder->mcu_row and write their lengths at *length_at, which moves on. */
int an_coef_put_mcu_row(an_coef_encoder *encoder, const an_blocks *blocks, const UINT16 *const tables[3],
                        uint32_t mcu_row, size_t *length_at, an_buffer *out);

/* Let the writer's bytes go to encoder->jpeg. */
void an_coef_set_destination(an_coef_encoder *encoder);

#endif
