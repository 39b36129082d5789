/* What differs between the SIMD tiers of the coef decoder: five loops. Internal to store. coef_scalar.c is the
 * reference that the others equal to the bit; where the lowest byte comes first, the portable tier does with vectors
 * what it does with loops. */
#ifndef AN_STORE_COEF_KERNELS_H
#define AN_STORE_COEF_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

/* Room for one row of blocks. */
typedef struct {
    int16_t *dc;           /* blocks from the row's first on */
    int8_t *values;        /* 63 a block; AN_COEF_SLACK behind */
    int16_t *coefficients; /* 64 a block, row-major, as in the JPEG file */
} an_coef_work;

enum {
    AN_COEF_GROUP = 4, /* blocks: coefficients and samples have room for a whole number of groups */
    AN_COEF_SLACK =
        64 /* bytes that kernels may read or write beyond the end of rows, twice as many that upsample writes */
};

typedef struct {
    /* Blocks [first, end) of a row of blocks into work->coefficients. False when the row is damaged. */
    bool (*unpack)(const uint8_t *row, size_t size, size_t blocks, size_t first, size_t end, const an_coef_work *work);

    /* Whether every block of a row has a weight of at most AN_COEF_SAFE_WEIGHT (coef_range.h), its quantisation table
     * being row-major. No coefficient is -32768. Whole groups are read. */
    bool (*is_light)(const int16_t *coefficients, const int16_t quantisation[64], size_t blocks);

    /* Dequantisation (the table is row-major) and inverse DCT (JDCT_ISLOW) of blocks side by side, into eight rows of
     * samples. Whole groups are written. */
    void (*inverse)(const int16_t *coefficients, const int16_t quantisation[64], size_t blocks, uint8_t *samples,
                    size_t stride);

    /* Fancy (triangle) upsampling of n samples to 2 n. in[-1] and in[n] are read: the neighbours, at the image's edge
     * copies of in[0] and in[n - 1]. Twice wide and twice high: near is the chroma row that covers the output row, far
     * the one on its other side; only wide: far is NULL. */
    void (*upsample)(const uint8_t *near, const uint8_t *far, size_t n, uint8_t *out);

    /* YCbCr to RGB, mirrored when flip is set. Writes n * 3 bytes exactly. */
    void (*colour)(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, size_t n, bool flip, uint8_t *rgb);
} an_coef_kernels;

const an_coef_kernels *an_coef_kernels_scalar(void);
const an_coef_kernels *an_coef_kernels_vectors(void);
const an_coef_kernels *an_coef_kernels_avx2(void);
const an_coef_kernels *an_coef_kernels_avx512(void);

/* unpack and is_light of the first two; is_light of the others: nothing would be gained by wider vectors. */
bool an_coef_unpack_scalar(const uint8_t *row, size_t size, size_t blocks, size_t first, size_t end,
                           const an_coef_work *work);
bool an_coef_is_light_scalar(const int16_t *coefficients, const int16_t quantisation[64], size_t blocks);
bool an_coef_is_light_avx2(const int16_t *coefficients, const int16_t quantisation[64], size_t blocks);

const an_coef_kernels *an_coef_kernels_get(an_simd_tier tier);

#endif
