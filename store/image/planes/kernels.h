/* What differs between the SIMD tiers of the coef decoder: five loops. Internal to store. coef_scalar.c is the
 * reference that the others equal to the bit; where the lowest byte comes first, the portable tier does with vectors
 * what it does with loops. */
#ifndef AN_STORE_IMAGE_PLANES_KERNELS_H
#define AN_STORE_IMAGE_PLANES_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

enum {
    AN_PLANES_GROUP = 4, /* blocks: coefficients and samples have room for a whole number of groups */
    AN_PLANES_SLACK =
        64 /* bytes that kernels may read or write beyond the end of rows, twice as many that upsample writes */
};

typedef struct {
    /* Whether every block of a row has a weight of at most AN_DCT_SAFE_WEIGHT (coef_range.h), its quantisation table
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
} an_planes_kernels;

const an_planes_kernels *an_planes_kernels_scalar(void);
const an_planes_kernels *an_planes_kernels_vectors(void);
const an_planes_kernels *an_planes_kernels_avx2(void);
const an_planes_kernels *an_planes_kernels_avx512(void);

/* Used by two tiers each: wider vectors would gain nothing. */
bool an_planes_is_light_scalar(const int16_t *coefficients, const int16_t quantisation[64], size_t blocks);
bool an_planes_is_light_avx2(const int16_t *coefficients, const int16_t quantisation[64], size_t blocks);

const an_planes_kernels *an_planes_kernels_get(an_simd_tier tier);

#endif
