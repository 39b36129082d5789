/* The two inner loops of the resizer, one implementation per SIMD tier, all with identical results.
 *
 * vertical: rows[t][i] weighted over t, 14-bit weights, to 6 fractional bits: out[i] = sum >> 8, rounded, saturated to
 * 16 bits. horizontal: taps of interleaved RGB from starts[x], rounded from 20 fractional bits and clamped to bytes;
 * row must be readable for two pixels beyond the last tap. taps is even in both. */
#ifndef AN_INGEST_RESIZE_KERNELS_H
#define AN_INGEST_RESIZE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

#define AN_RESIZE_WEIGHT_BITS 14
#define AN_RESIZE_ROW_BITS 6

typedef struct {
    void (*vertical)(const uint8_t *const *rows, const int16_t *weights, uint32_t taps, size_t n, int16_t *out);
    void (*horizontal)(const int16_t *row, const uint32_t *starts, const int16_t *weights, uint32_t taps,
                       uint32_t width, uint8_t *out);
} an_resize_kernels;

const an_resize_kernels *an_resize_kernels_for(an_simd_tier tier);

#endif
