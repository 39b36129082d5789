/* The bytes of a coef payload, for the encoder, the decoder and the way back to JPEG. docs/record-format.md is the
 * specification:
 *
 *     header, 1 to 3 quantisation tables, a u16 length for each row of blocks, the rows, 64 zero bytes
 *
 * A row of blocks is seven streams one after the other (row_private.h). The rows are in the order of MCU rows; within
 * one, luma's rows come first, from the top, then Cb's, then Cr's. */
#ifndef AN_STORE_COEF_FORMAT_H
#define AN_STORE_COEF_FORMAT_H

#include <stddef.h>

#include "store/image/planes/blocks.h"

enum {
    AN_COEF_VERSION = 1,
    AN_COEF_HEADER = 8,     /* version, sampling, tables, 0, u16 width, u16 height */
    AN_COEF_PADDING = 64,   /* zero bytes at the end: any stream may be read this far beyond its end */
    AN_COEF_ROW_MAX = 65535 /* bytes of one row of blocks */
};

/* The codes of non-zero AC coefficients, a crumb (two bits) each. Two of the four continue in another stream. */
enum {
    AN_COEF_PLUS_ONE = 0,
    AN_COEF_MINUS_ONE = 1,
    AN_COEF_NIBBLE = 2, /* 0..7: +2..+9, 8..15: -2..-9 */
    AN_COEF_BYTE = 3,   /* signed; AN_COEF_WIDE: a 16-bit word */
    AN_COEF_WIDE = -128
};

/* A payload's parts. All pointers, those to quantisation tables included, point into the payload. */
typedef struct {
    an_blocks blocks;
    uint32_t tables;           /* quantisation tables: Y takes the first, Cb the second or last, Cr the last */
    const uint8_t *lengths;    /* a little-endian u16 for each row of blocks */
    const uint8_t *rows, *end; /* the rows' bytes; AN_COEF_PADDING readable bytes follow end */
} an_coef_layout;

/* Check everything but the insides of the rows: afterwards the lengths add up to the bytes of the rows. AN_ECORRUPT or
 * AN_EUNSUPPORTED otherwise. */
int an_coef_layout_parse(an_coef_layout *layout, const uint8_t *payload, size_t size);

#endif
