/* The inner loops of the sampler: they rearrange the bytes of one row into the order of the output and convert them.
 * One table for each SIMD tier. All give the same bits: they add and multiply in the same order, and the compiler may
 * not fuse the two. */
#ifndef AN_AUGMENT_PIXELS_PIXELS_H
#define AN_AUGMENT_PIXELS_PIXELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "base/format.h"

/* Shifts, scales and channel means repeat along a row: every 3 or 4 values when interleaved, every value in a plane. A
 * pattern of 48 values is a whole number of such periods, and of vectors of 8 and 16. */
#define AN_PIXELS_PATTERN 48

/* dst[i] = (((float)src[i] - mean[i]) + shift[i % 48]) * scale[i % 48], rounded to nearest even in the narrow types.
 * With mean_repeats mean is a pattern too: mean[i % 48]. */
typedef void an_pixels_convert(void *dst, const uint8_t *src, const float *mean, bool mean_repeats, const float *shift,
                               const float *scale, size_t n);

/* No function reads or writes outside its n pixels. copy and the conversions use stores that bypass the caches where
 * dst is aligned (32 or 64 bytes): a batch does not fit the caches anyway, and a line that is not read before it is
 * overwritten halves the memory traffic. Call an_pixels_fence before handing the result to another thread. */
typedef struct {
    void (*copy)(uint8_t *dst, const uint8_t *src, size_t bytes);
    /* n RGB pixels in reverse order. */
    void (*mirror)(uint8_t *dst, const uint8_t *src, size_t n);
    /* RGB to three rows of n bytes, stride bytes apart; in reverse order if flip. */
    void (*split)(uint8_t *dst, size_t stride, const uint8_t *src, size_t n, bool flip);
    /* RGB to RGB0, four bytes a pixel; in reverse order if flip. */
    void (*pad)(uint8_t *dst, const uint8_t *src, size_t n, bool flip);
    /* RGB to grey (values.h), a byte a pixel; in reverse order if flip. */
    void (*grey)(uint8_t *dst, const uint8_t *src, size_t n, bool flip);
    an_pixels_convert *to_f32, *to_bf16, *to_f16;
} an_pixels;

void an_pixels_fence(void);

const an_pixels *an_pixels_for(an_simd_tier tier);

extern const an_pixels an_pixels_scalar, an_pixels_avx2, an_pixels_avx512;

/* Conversion of one value, for the scalar loops and for what is left at the end of vector loops. */
uint16_t an_pixels_bf16(float value);
uint16_t an_pixels_f16(float value);

#endif
