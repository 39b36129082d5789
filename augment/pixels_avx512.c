#include "augment/pixels.h"

#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2,avx2,fma,f16c,bmi2")))

TARGET static void copy(uint8_t *dst, const uint8_t *src, size_t bytes)
{
    size_t i = 0;
    for (; (uintptr_t)dst % 32 == 0 && i + 32 <= bytes; i += 32)
        _mm256_stream_si256((__m256i *)(dst + i), _mm256_loadu_si256((const __m256i *)(src + i)));
    memcpy(dst + i, src + i, bytes - i);
}

/* Byte indices for vpermb, filled in from a rule when the compiler folds the loop. */
TARGET static __m512i reverse_index(size_t pixels)
{
    uint8_t index[64] = {0};
    for (size_t k = 0; k < 3 * pixels; k++)
        index[k] = (uint8_t)(3 * (pixels - 1 - k / 3) + k % 3);
    return _mm512_loadu_si512(index);
}

TARGET static void mirror(uint8_t *dst, const uint8_t *src, size_t n)
{
    enum { BLOCK = 21 }; /* 63 bytes */
    const __m512i full = reverse_index(BLOCK);
    const __mmask64 all = (UINT64_C(1) << 63) - 1;
    size_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK) {
        __m512i in = _mm512_maskz_loadu_epi8(all, src + 3 * i);
        _mm512_mask_storeu_epi8(dst + 3 * (n - i - BLOCK), all, _mm512_permutexvar_epi8(full, in));
    }
    size_t left = n - i;
    __mmask64 mask = (UINT64_C(1) << 3 * left) - 1;
    __m512i index = _mm512_sub_epi8(full, _mm512_set1_epi8((char)(3 * (BLOCK - left))));
    __m512i in = _mm512_maskz_loadu_epi8(mask, src + 3 * i);
    _mm512_mask_storeu_epi8(dst, mask, _mm512_permutexvar_epi8(index, in));
}

TARGET static __m512i split_index(bool flip)
{
    uint8_t index[64] = {0};
    for (size_t k = 0; k < 48; k++)
        index[k] = (uint8_t)(3 * (flip ? 15 - k % 16 : k % 16) + k / 16);
    return _mm512_loadu_si512(index);
}

TARGET static void split(uint8_t *dst, size_t stride, const uint8_t *src, size_t n, bool flip)
{
    const __m512i full = split_index(flip);
    for (size_t i = 0; i < n; i += 16) {
        size_t count = n - i < 16 ? n - i : 16;
        __mmask16 mask = (__mmask16)((1u << count) - 1);
        __m512i in = _mm512_maskz_loadu_epi8((UINT64_C(1) << 3 * count) - 1, src + 3 * i);
        __m512i index = flip ? _mm512_sub_epi8(full, _mm512_set1_epi8((char)(3 * (16 - count)))) : full;
        __m512i out = _mm512_permutexvar_epi8(index, in);
        uint8_t *to = dst + (flip ? n - i - count : i);
        _mm_mask_storeu_epi8(to, mask, _mm512_castsi512_si128(out));
        _mm_mask_storeu_epi8(to + stride, mask, _mm512_extracti32x4_epi32(out, 1));
        _mm_mask_storeu_epi8(to + 2 * stride, mask, _mm512_extracti32x4_epi32(out, 2));
    }
}

TARGET static __m512i pad_index(bool flip)
{
    uint8_t index[64] = {0};
    for (size_t k = 0; k < 64; k++)
        index[k] = (uint8_t)(3 * (flip ? 15 - k / 4 : k / 4) + k % 4);
    return _mm512_loadu_si512(index);
}

TARGET static void pad(uint8_t *dst, const uint8_t *src, size_t n, bool flip)
{
    const __m512i full = pad_index(flip);
    const __mmask64 colours = UINT64_C(0x7777777777777777);
    for (size_t i = 0; i < n; i += 16) {
        size_t count = n - i < 16 ? n - i : 16;
        __mmask64 mask = count == 16 ? ~UINT64_C(0) : (UINT64_C(1) << 4 * count) - 1;
        __m512i in = _mm512_maskz_loadu_epi8((UINT64_C(1) << 3 * count) - 1, src + 3 * i);
        __m512i index = flip ? _mm512_sub_epi8(full, _mm512_set1_epi8((char)(3 * (16 - count)))) : full;
        __m512i out = _mm512_maskz_permutexvar_epi8(colours, index, in);
        _mm512_mask_storeu_epi8(dst + 4 * (flip ? n - i - count : i), mask, out);
    }
}

/* Sixteen values from i on, those under mask. */
TARGET static inline __m512 values(const uint8_t *src, const float *mean, bool mean_repeats, const float *shift,
                                   __m512 scale, size_t i, __mmask16 mask)
{
    size_t phase = i % AN_PIXELS_PATTERN;
    __m512 pixel = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, src + i)));
    __m512 centred = _mm512_sub_ps(pixel, _mm512_maskz_loadu_ps(mask, mean + (mean_repeats ? phase : i)));
    return _mm512_mul_ps(_mm512_add_ps(centred, _mm512_loadu_ps(shift + phase)), scale);
}

TARGET static inline __mmask16 mask_of(size_t i, size_t n)
{
    return n - i < 16 ? (__mmask16)((1u << (n - i)) - 1) : (__mmask16)0xffff;
}

TARGET static void to_f32(void *dst, const uint8_t *src, const float *mean, bool mean_repeats, const float *shift,
                          float scale, size_t n)
{
    float *out = dst;
    const __m512 factor = _mm512_set1_ps(scale);
    size_t i = 0;
    for (; (uintptr_t)dst % 64 == 0 && i + 16 <= n; i += 16)
        _mm512_stream_ps(out + i, values(src, mean, mean_repeats, shift, factor, i, 0xffff));
    for (; i < n; i += 16) {
        __mmask16 mask = mask_of(i, n);
        _mm512_mask_storeu_ps(out + i, mask, values(src, mean, mean_repeats, shift, factor, i, mask));
    }
}

TARGET static inline __m256i to_bf16_16(__m512 value)
{
    __m512i bits = _mm512_castps_si512(value);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    bits = _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd), 16);
    return _mm512_cvtepi32_epi16(bits);
}

TARGET static inline __m256i to_f16_16(__m512 value)
{
    return _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

TARGET static void to_bf16(void *dst, const uint8_t *src, const float *mean, bool mean_repeats, const float *shift,
                           float scale, size_t n)
{
    uint16_t *out = dst;
    const __m512 factor = _mm512_set1_ps(scale);
    size_t i = 0;
    for (; (uintptr_t)dst % 32 == 0 && i + 16 <= n; i += 16)
        _mm256_stream_si256((__m256i *)(out + i),
                            to_bf16_16(values(src, mean, mean_repeats, shift, factor, i, 0xffff)));
    for (; i < n; i += 16) {
        __mmask16 mask = mask_of(i, n);
        _mm256_mask_storeu_epi16(out + i, mask, to_bf16_16(values(src, mean, mean_repeats, shift, factor, i, mask)));
    }
}

TARGET static void to_f16(void *dst, const uint8_t *src, const float *mean, bool mean_repeats, const float *shift,
                          float scale, size_t n)
{
    uint16_t *out = dst;
    const __m512 factor = _mm512_set1_ps(scale);
    size_t i = 0;
    for (; (uintptr_t)dst % 32 == 0 && i + 16 <= n; i += 16)
        _mm256_stream_si256((__m256i *)(out + i), to_f16_16(values(src, mean, mean_repeats, shift, factor, i, 0xffff)));
    for (; i < n; i += 16) {
        __mmask16 mask = mask_of(i, n);
        _mm256_mask_storeu_epi16(out + i, mask, to_f16_16(values(src, mean, mean_repeats, shift, factor, i, mask)));
    }
}

const an_pixels an_pixels_avx512 = {copy, mirror, split, pad, to_f32, to_bf16, to_f16};
