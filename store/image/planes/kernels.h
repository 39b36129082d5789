/* The inner loops of the planes decoder, one implementation for each SIMD tier: scalar, the compiler's vectors, AVX2,
 * AVX-512. kernels_scalar.c is the reference, and all give the same bytes. The scalar tier of base/cpu.h gets the
 * compiler's vectors, which need no more than SSE2.
 *
 * The functions keep no state and may be called by any thread. */
#ifndef AN_STORE_IMAGE_PLANES_KERNELS_H
#define AN_STORE_IMAGE_PLANES_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

enum {
    AN_PLANES_GROUP = 4, /* blocks: memory for coefficients and samples holds a whole number of such groups */
    /* Bytes beyond the end of a row that kernels may read, and write where the row is an output. upsample, whose output
     * is twice as long, may write twice as many. */
    AN_PLANES_SLACK = 64
};

typedef struct {
    /* Whether the weight of every block of a row is at most AN_DCT_SAFE_WEIGHT (dct_range.h). The quantisation table is
     * row-major; no coefficient is -32768. Whole groups are read. */
    bool (*is_light)(const int16_t *coefficients, const int16_t quantisation[64], size_t blocks);

    /* Dequantisation (the table is row-major) and inverse DCT (JDCT_ISLOW) of blocks side by side, into eight rows of
     * samples, stride bytes apart. Whole groups are written. */
    void (*inverse)(const int16_t *coefficients, const int16_t quantisation[64], size_t blocks, uint8_t *samples,
                    size_t stride);

    /* Fancy (triangle) upsampling of n samples to 2 n. The neighbours near[-1] and near[n], and likewise of far, are
     * read: at the image's edge the caller puts copies of the first and last sample there. Where the height is doubled
     * too, near is the chroma row that covers the output row, and far the next one on the output row's other side.
     * Where only the width is doubled, far is NULL. */
    void (*upsample)(const uint8_t *near, const uint8_t *far, size_t n, uint8_t *out);

    /* YCbCr to RGB, mirrored when flip is set. Writes exactly n * 3 bytes. */
    void (*colour)(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, size_t n, bool flip, uint8_t *rgb);
} an_planes_kernels;

const an_planes_kernels *an_planes_kernels_scalar(void);
const an_planes_kernels *an_planes_kernels_vectors(void);
const an_planes_kernels *an_planes_kernels_avx2(void);
const an_planes_kernels *an_planes_kernels_avx512(void);

/* Each is used by two of the tables: wider vectors would gain nothing. */
bool an_planes_is_light_scalar(const int16_t *coefficients, const int16_t quantisation[64], size_t blocks);
bool an_planes_is_light_avx2(const int16_t *coefficients, const int16_t quantisation[64], size_t blocks);

const an_planes_kernels *an_planes_kernels_get(an_simd_tier tier);

#endif
