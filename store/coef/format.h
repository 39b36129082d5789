/* The payload of codec coef as bytes: what encoder, decoder and both directions of transcoding share. Internal to
 * store. docs/record-format.md is the specification.
 *
 *     header, 1..3 quantisation tables, one u16 length for each row of blocks, the rows, 64 zero bytes
 *
 * A row of blocks is seven streams one after the other (coef_row.h). Rows come MCU row by MCU row: the luma rows from
 * the top, then Cb, then Cr. */
#ifndef AN_STORE_COEF_FORMAT_H
#define AN_STORE_COEF_FORMAT_H

#include "store/coef/coef.h"

enum {
    AN_COEF_VERSION = 1,
    AN_COEF_HEADER = 8,     /* version, sampling, tables, 0, u16 width, u16 height */
    AN_COEF_PADDING = 64,   /* zero bytes at the end: any stream may be read this far beyond its end */
    AN_COEF_ROW_MAX = 65535 /* bytes of one row of blocks */
};

/* Values of non-zero AC coefficients: a crumb (two bits) each, and for two of its four codes more in another stream. */
enum {
    AN_COEF_PLUS_ONE = 0,
    AN_COEF_MINUS_ONE = 1,
    AN_COEF_NIBBLE = 2, /* 0..7: +2..+9, 8..15: -2..-9 */
    AN_COEF_BYTE = 3,   /* signed; AN_COEF_WIDE: a 16-bit word */
    AN_COEF_WIDE = -128
};

typedef struct {
    uint32_t blocks_wide, blocks_high;
    uint32_t samples_wide, samples_high; /* real ones, without the padding of the last blocks */
    uint32_t rows_per_mcu;               /* rows of blocks */
    const uint8_t *quantisation;         /* 64 bytes in zigzag order, inside the payload; NULL when there is none */
} an_coef_component;

typedef struct {
    an_coef_info info;
    int components; /* 1 or 3 */
    an_coef_component component[3];
    uint32_t mcu_rows;
    uint32_t block_rows;       /* of all components */
    uint32_t tables;           /* quantisation tables: Y takes the first, Cb the second or last, Cr the last */
    const uint8_t *lengths;    /* block_rows little-endian u16 */
    const uint8_t *rows, *end; /* the rows' bytes; AN_COEF_PADDING readable bytes follow end */
} an_coef_layout;

/* zigzag position -> natural (row-major) position */
#define AN_COEF_ZIGZAG                                                                                                 \
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,  \
        28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60,    \
        61, 54, 47, 55, 62, 63
extern const uint8_t an_coef_zigzag[64];

/* Geometry that follows from an image's size and sampling; the pointers are NULL. */
void an_coef_layout_set(an_coef_layout *layout, const an_coef_info *info);

/* Rows of blocks of a component in an MCU row: fewer than rows_per_mcu at the bottom of some images. */
uint32_t an_coef_mcu_row_blocks(const an_coef_component *component, uint32_t mcu_row);

/* Check everything but the rows' insides: afterwards the lengths sum up to the rows. */
int an_coef_layout_parse(an_coef_layout *layout, const uint8_t *payload, size_t size);

#endif
