/* From a row of blocks in a coef payload to its coefficients: the one loop of the coef decoder that differs between
 * SIMD tiers. unpack_scalar.c is the reference; the others give the same coefficients. */
#ifndef AN_STORE_COEF_UNPACK_H
#define AN_STORE_COEF_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

/* The caller's memory for one row of blocks. */
typedef struct {
    int16_t *dc;           /* one for each block from the row's first to the last one wanted */
    int8_t *values;        /* 63 for each block wanted; AN_PLANES_SLACK more bytes may be written */
    int16_t *coefficients; /* 64 for each block wanted, row-major */
} an_coef_work;

/* Unpack blocks [first, end) of a row of `blocks` blocks and `size` bytes into work->coefficients. False when the row
 * is damaged. Reads at most AN_COEF_PADDING bytes beyond the row. */
typedef bool an_coef_unpack(const uint8_t *row, size_t size, size_t blocks, size_t first, size_t end,
                            const an_coef_work *work);

an_coef_unpack an_coef_unpack_scalar, an_coef_unpack_avx2, an_coef_unpack_avx512;

/* The fastest for a tier. */
an_coef_unpack *an_coef_unpack_get(an_simd_tier tier);

#endif
