#include "augment/pixels/pixels.h"

#include <string.h>
#include <xmmintrin.h>

#include "augment/pixels/narrow.h"
#include "augment/pixels/values.h"

uint16_t an_pixels_bf16(float value)
{
    return an_narrow_bf16(value);
}

uint16_t an_pixels_f16(float value)
{
    return an_narrow_f16(value);
}

static void copy(uint8_t *dst, const uint8_t *src, size_t bytes)
{
    memcpy(dst, src, bytes);
}

static void mirror(uint8_t *dst, const uint8_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        memcpy(dst + 3 * (n - 1 - i), src + 3 * i, 3);
}

static void split(uint8_t *dst, size_t stride, const uint8_t *src, size_t n, bool flip)
{
    for (size_t i = 0; i < n; i++) {
        size_t to = flip ? n - 1 - i : i;
        for (size_t c = 0; c < 3; c++)
            dst[c * stride + to] = src[3 * i + c];
    }
}

static void pad(uint8_t *dst, const uint8_t *src, size_t n, bool flip)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t *to = dst + 4 * (flip ? n - 1 - i : i);
        memcpy(to, src + 3 * i, 3);
        to[3] = 0;
    }
}

static void grey(uint8_t *dst, const uint8_t *src, size_t n, bool flip)
{
    for (size_t i = 0; i < n; i++)
        dst[flip ? n - 1 - i : i] = (uint8_t)AN_GREY_BYTE(src[3 * i], src[3 * i + 1], src[3 * i + 2]);
}

static float value_at(const uint8_t *src, const float *mean, bool mean_repeats, const float *shift, const float *scale,
                      size_t i)
{
    size_t phase = i % AN_PIXELS_PATTERN;
    return (((float)src[i] - mean[mean_repeats ? phase : i]) + shift[phase]) * scale[phase];
}

static void to_f32(void *dst, const uint8_t *src, const float *mean, bool mean_repeats, const float *shift,
                   const float *scale, size_t n)
{
    float *out = dst;
    for (size_t i = 0; i < n; i++)
        out[i] = value_at(src, mean, mean_repeats, shift, scale, i);
}

static void to_bf16(void *dst, const uint8_t *src, const float *mean, bool mean_repeats, const float *shift,
                    const float *scale, size_t n)
{
    uint16_t *out = dst;
    for (size_t i = 0; i < n; i++)
        out[i] = an_pixels_bf16(value_at(src, mean, mean_repeats, shift, scale, i));
}

static void to_f16(void *dst, const uint8_t *src, const float *mean, bool mean_repeats, const float *shift,
                   const float *scale, size_t n)
{
    uint16_t *out = dst;
    for (size_t i = 0; i < n; i++)
        out[i] = an_pixels_f16(value_at(src, mean, mean_repeats, shift, scale, i));
}

const an_pixels an_pixels_scalar = {copy, mirror, split, pad, grey, to_f32, to_bf16, to_f16};

void an_pixels_fence(void)
{
    _mm_sfence();
}

const an_pixels *an_pixels_for(an_simd_tier tier)
{
    if (tier == AN_SIMD_AVX512)
        return &an_pixels_avx512;
    return tier == AN_SIMD_AVX2 ? &an_pixels_avx2 : &an_pixels_scalar;
}
