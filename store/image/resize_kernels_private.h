/* The two inner loops of the resizer, one implementation for each SIMD tier, all with identical results. They keep no
 * state and may be called by any thread. */
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
    uint32_t *starts;      /* one for each output, rising */
    int16_t *weights;      /* output x taps */
    int16_t *lanes;        /* the same, as arrange has laid them out for the tier; 64-byte aligned */
    bool arranged; /* lanes are valid; false where the taps of neighbouring outputs lie too far apart for them */
} an_resize_axis;

typedef struct {
    /* For each column i the weighted sum over t of rows[t][i]: 6 fractional bits, rounded, saturated to 16 bits. */
    void (*vertical)(const uint8_t *const *rows, const int16_t *weights, uint32_t taps, size_t n, int16_t *out);
    /* The weighted sums along a row of interleaved RGB, rounded from 20 fractional bits and clamped to bytes. */
    void (*horizontal)(const int16_t *row, const an_resize_axis *axis, uint8_t *out);
    /* The size of axis->lanes in elements for so many outputs and taps, and the function that fills them. Both are NULL
     * where horizontal does not use them. */
    size_t (*lanes_size)(uint32_t output, uint32_t taps);
    void (*arrange)(an_resize_axis *axis);
} an_resize_kernels;

const an_resize_kernels *an_resize_kernels_for(an_simd_tier tier);

extern const an_resize_kernels an_resize_avx512;

/* Two neighbouring weights as one 32-bit element, for instructions that multiply pairs. */
static inline int32_t an_resize_weight_pair(const int16_t *weights)
{
    int32_t pair;
    memcpy(&pair, weights, sizeof(pair));
    return pair;
}

/* For other tiers: the columns [from, n), and the outputs from `first` on, that their vectors do not cover; and
 * horizontal with AVX2, for AVX-512 where the weights could not be arranged. */
void an_resize_vertical_tail(const uint8_t *const *rows, const int16_t *weights, uint32_t taps, size_t from, size_t n,
                             int16_t *out);
void an_resize_horizontal_tail(const int16_t *row, const an_resize_axis *axis, uint32_t first, uint8_t *out);
void an_resize_horizontal_avx2(const int16_t *row, const an_resize_axis *axis, uint8_t *rgb);

#endif
