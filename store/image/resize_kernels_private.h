/* The two inner loops of the resizer, one implementation per SIMD tier, all with identical results. */
#ifndef AN_STORE_IMAGE_RESIZE_KERNELS_PRIVATE_H
#define AN_STORE_IMAGE_RESIZE_KERNELS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/cpu.h"

#define AN_RESIZE_WEIGHT_BITS 14
#define AN_RESIZE_ROW_BITS 6
#define AN_RESIZE_VERTICAL_SHIFT (AN_RESIZE_WEIGHT_BITS - AN_RESIZE_ROW_BITS)
#define AN_RESIZE_HORIZONTAL_SHIFT (AN_RESIZE_WEIGHT_BITS + AN_RESIZE_ROW_BITS)
#define AN_RESIZE_OVERHANG 64 /* elements that a kernel may read beyond a row's last tap */

/* Output i is the sum over t of weights[i * taps + t] times input starts[i] + t. */
typedef struct {
    uint32_t output, taps; /* taps: even */
    uint32_t *starts;      /* output; rising */
    int16_t *weights;      /* output x taps */
    int16_t *lanes;        /* what arrange makes of these, 64-byte aligned */
    bool arranged;         /* lanes are valid: else the taps of neighbours lie too far apart */
} an_resize_axis;

typedef struct {
    /* rows[t][i] weighted over t to 6 fractional bits: out[i] = sum >> 8, rounded, saturated to 16 bits. */
    void (*vertical)(const uint8_t *const *rows, const int16_t *weights, uint32_t taps, size_t n, int16_t *out);
    /* Interleaved RGB, rounded from 20 fractional bits and clamped to bytes. */
    void (*horizontal)(const int16_t *row, const an_resize_axis *axis, uint8_t *out);
    /* Elements of lanes for so many outputs and taps; and filling them. NULL: horizontal needs none. */
    size_t (*lanes_size)(uint32_t output, uint32_t taps);
    void (*arrange)(an_resize_axis *axis);
} an_resize_kernels;

const an_resize_kernels *an_resize_kernels_for(an_simd_tier tier);

extern const an_resize_kernels an_resize_avx512;

/* Two neighbouring weights as one element, for products of pairs. */
static inline int32_t an_resize_weight_pair(const int16_t *weights)
{
    int32_t pair;
    memcpy(&pair, weights, sizeof(pair));
    return pair;
}

/* For other tiers: elements from to n, outputs from first on; taps that lie too far apart for the tier's own way. */
void an_resize_vertical_tail(const uint8_t *const *rows, const int16_t *weights, uint32_t taps, size_t from, size_t n,
                             int16_t *out);
void an_resize_horizontal_tail(const int16_t *row, const an_resize_axis *axis, uint32_t first, uint8_t *out);
void an_resize_horizontal_avx2(const int16_t *row, const an_resize_axis *axis, uint8_t *rgb);

#endif
