/* The inner loops of the sampler over one row: bytes rearranged into the output's order, then converted. One table per
 * SIMD tier; all of them give the same bits (the order of operations is fixed and nothing is contracted). */
#ifndef AN_AUGMENT_PIXELS_H
#define AN_AUGMENT_PIXELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "base/format.h"

/* Shifts and channel means repeat along a row with the number of channels; a pattern of 48 holds whole periods of 1, 3
 * and 4 and whole vectors of 8 and 16. */
#define AN_PIXELS_PATTERN 48

/* dst[i] = ((float)src[i] - mean[i]) + shift[i % 48]) * scale, rounded to nearest even in the narrow types. With
 * mean_repeats mean is a pattern too: mean[i % 48]. */
typedef void an_pixels_convert(void *dst, const uint8_t *src, const float *mean, bool mean_repeats, const float *shift,
                               float scale, size_t n);

/* None of them reads or writes a byte outside its n pixels. copy and the conversions store past the caches where
 * alignment allows it (32 or 64 bytes): a batch is larger than they are, and a line that is not fetched before it is
 * overwritten costs half the memory traffic. Whoever hands the result to another thread fences first (an_pixels_fence).
 */
typedef struct {
    void (*copy)(uint8_t *dst, const uint8_t *src, size_t bytes);
    /* RGB pixels in reverse. */
    void (*mirror)(uint8_t *dst, const uint8_t *src, size_t n);
    /* RGB to three rows of n bytes, stride apart, reversed if flip. */
    void (*split)(uint8_t *dst, size_t stride, const uint8_t *src, size_t n, bool flip);
    /* RGB to RGB0, reversed if flip. */
    void (*pad)(uint8_t *dst, const uint8_t *src, size_t n, bool flip);
    an_pixels_convert *to_f32, *to_bf16, *to_f16;
} an_pixels;

void an_pixels_fence(void);

const an_pixels *an_pixels_for(an_simd_tier tier);

extern const an_pixels an_pixels_scalar, an_pixels_avx2, an_pixels_avx512;

/* One value, for the scalar loops and the tails of the others. */
uint16_t an_pixels_bf16(float value);
uint16_t an_pixels_f16(float value);

#endif
