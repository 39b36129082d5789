/* How JPEG divides an image into blocks of 8 x 8 DCT coefficients: components, rows of blocks and MCU rows. Everything
 * here follows from an image's size and chroma sampling; nothing is allocated, and nothing can fail.
 *
 * An MCU (minimum coded unit) is the smallest part of an image that has whole blocks of every component: one block of
 * each or, where chroma is halved, two or four blocks of luma with one of Cb and one of Cr. */
#ifndef AN_STORE_IMAGE_PLANES_BLOCKS_H
#define AN_STORE_IMAGE_PLANES_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

/* The values are part of the coef payload. */
typedef enum {
    AN_SAMPLING_GREY = 0,
    AN_SAMPLING_444 = 1,
    AN_SAMPLING_422 = 2, /* chroma halved horizontally */
    AN_SAMPLING_420 = 3  /* chroma halved both ways */
} an_sampling;

enum { AN_BLOCKS_MCU_ROWS = 4 }; /* the most rows of blocks that an MCU row has: two of luma, one each of Cb and Cr */

typedef struct {
    uint32_t blocks_wide, blocks_high;
    uint32_t samples_wide, samples_high; /* without the padding of the last blocks */
    uint32_t rows_per_mcu;               /* rows of blocks in an MCU row */
    const uint8_t *quantisation; /* 64 values in zigzag order, owned by whoever set it; an_blocks_init leaves NULL */
} an_blocks_component;

typedef struct {
    uint32_t width, height; /* pixels */
    an_sampling sampling;
    int components;                   /* 1 or 3 */
    an_blocks_component component[3]; /* Y, Cb, Cr */
    uint32_t mcu_rows;
    uint32_t block_rows; /* of all components together */
} an_blocks;

void an_blocks_init(an_blocks *blocks, uint32_t width, uint32_t height, an_sampling sampling);

/* Rows of blocks that a component has in an MCU row: fewer than rows_per_mcu at the bottom of some images. */
uint32_t an_blocks_rows_in_mcu(const an_blocks_component *component, uint32_t mcu_row);

/* Whether chroma has half as many columns or half as many rows as luma. */
static inline bool an_blocks_halved_wide(const an_blocks *blocks)
{
    return blocks->sampling == AN_SAMPLING_422 || blocks->sampling == AN_SAMPLING_420;
}

static inline bool an_blocks_halved_high(const an_blocks *blocks)
{
    return blocks->sampling == AN_SAMPLING_420;
}

/* Where the coefficients of one row of blocks are put: those of columns [first, end), 64 coefficients each in row-major
 * order. The row is not wanted when first equals end. */
typedef struct {
    int16_t (*blocks)[64];
    uint32_t first, end;
} an_blocks_row;

/* For each position in zigzag order the position in row-major order. */
#define AN_BLOCKS_ZIGZAG                                                                                               \
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,  \
        28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60,    \
        61, 54, 47, 55, 62, 63
extern const uint8_t an_blocks_zigzag[64];

#endif
