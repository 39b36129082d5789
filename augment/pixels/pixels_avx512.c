#include "augment/pixels/pixels.h"
#include "augment/pixels/values.h"

#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2,avx2,fma,f16c,bmi2")))

TARGET static inline void stream32(uint8_t *dst, const uint8_t *src)
{
    _mm256_stream_si256((__m256i *)dst, _mm256_loadu_si256((const __m256i *)src));
}

/* Whole cache lines where dst allows it. */
TARGET static void copy(uint8_t *dst, const uint8_t *src, size_t bytes)
{
    size_t i = 0;
    if ((uintptr_t)dst % 64 == 32 && bytes >= 32) {
        stream32(dst, src);
        i = 32;
    }
    for (; (uintptr_t)(dst + i) % 64 == 0 && i + 64 <= bytes; i += 64)
        _mm512_stream_si512((__m512i *)(dst + i), _mm512_loadu_si512(src + i));
    for (; (uintptr_t)(dst + i) % 32 == 0 && i + 32 <= bytes; i += 32)
        stream32(dst + i, src + i);
    memcpy(dst + i, src + i, bytes - i);
}

/* Byte indices for vpermb. The compiler evaluates the loops. */
TARGET static __m512i mirror_index(void)
{
    uint8_t index[64] = {0};
    for (size_t k = 0; k < 63; k++)
        index[k + 1] = (uint8_t)(3 * (20 - k / 3) + k % 3);
    return _mm512_loadu_si512(index);
}

/* 21 pixels are 63 of the 64 bytes of a vector. Blocks are written from the end of dst downwards, so the superfluous
 * byte of each falls where the next one writes. */
TARGET static void mirror(uint8_t *dst, const uint8_t *src, size_t n)
{
    enum { BLOCK = 21 };
    const __m512i index = mirror_index();
    size_t i = 0;
    for (; i + BLOCK + 1 <= n; i += BLOCK) {
        __m512i in = _mm512_loadu_si512(src + 3 * i);
        _mm512_storeu_si512(dst + 3 * (n - i - BLOCK) - 1, _mm512_permutexvar_epi8(index, in));
    }
    an_pixels_scalar.mirror(dst, src + 3 * i, n - i);
}

TARGET static __m512i split_index(bool flip)
{
    uint8_t index[64] = {0};
    for (size_t k = 0; k < 48; k++)
        index[k] = (uint8_t)(3 * (flip ? 15 - k % 16 : k % 16) + k / 16);
    return _mm512_loadu_si512(index);
}

TARGET static inline void store_planes(uint8_t *to, size_t stride, __m512i planes)
{
    _mm_storeu_si128((__m128i *)to, _mm512_castsi512_si128(planes));
    _mm_storeu_si128((__m128i *)(to + stride), _mm512_extracti32x4_epi32(planes, 1));
    _mm_storeu_si128((__m128i *)(to + 2 * stride), _mm512_extracti32x4_epi32(planes, 2));
}

/* Sixteen pixels are 48 bytes. As long as 64 may be read, loads are plain; the last ones are masked. */
TARGET static void split(uint8_t *dst, size_t stride, const uint8_t *src, size_t n, bool flip)
{
    const __m512i index = split_index(flip);
    size_t i = 0;
    for (; i + 22 <= n; i += 16) {
        __m512i planes = _mm512_permutexvar_epi8(index, _mm512_loadu_si512(src + 3 * i));
        store_planes(dst + (flip ? n - i - 16 : i), stride, planes);
    }
    for (; i + 16 <= n; i += 16) {
        __m512i in = _mm512_maskz_loadu_epi8((UINT64_C(1) << 48) - 1, src + 3 * i);
        store_planes(dst + (flip ? n - i - 16 : i), stride, _mm512_permutexvar_epi8(index, in));
    }
    an_pixels_scalar.split(dst + (flip ? 0 : i), stride, src + 3 * i, n - i, flip);
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
    const __m512i index = pad_index(flip);
    const __mmask64 colours = UINT64_C(0x7777777777777777);
    size_t i = 0;
    for (; i + 22 <= n; i += 16) {
        __m512i out = _mm512_maskz_permutexvar_epi8(colours, index, _mm512_loadu_si512(src + 3 * i));
        _mm512_storeu_si512(dst + 4 * (flip ? n - i - 16 : i), out);
    }
    for (; i + 16 <= n; i += 16) {
        __m512i in = _mm512_maskz_loadu_epi8((UINT64_C(1) << 48) - 1, src + 3 * i);
        _mm512_storeu_si512(dst + 4 * (flip ? n - i - 16 : i), _mm512_maskz_permutexvar_epi8(colours, index, in));
    }
    an_pixels_scalar.pad(dst + (flip ? 0 : 4 * i), src + 3 * i, n - i, flip);
}

/* Which bytes of sixteen pixels become their pairs of 16 bits: two colours from the first on, each in its lower byte.
 */
TARGET static __m512i pair_index(bool flip, size_t first)
{
    uint8_t index[64] = {0};
    for (size_t k = 0; k < 64; k++)
        index[k] = (uint8_t)(3 * (flip ? 15 - k / 4 : k / 4) + first + k % 4 / 2);
    return _mm512_loadu_si512(index);
}

/* (19595 R + 38470 G + 7471 B + 32768) >> 16 in 16-bit weights: green's is 65536 more than what it is given here, so
 * that green itself is added at the end. Pairs of 16 bits: red and green, blue and nothing. */
TARGET static inline __m128i grey_of(__m512i red_green, __m512i blue)
{
    const __m512i weights = _mm512_set1_epi32((int)((uint32_t)(AN_GREY_GREEN - 65536) << 16 | AN_GREY_RED));
    __m512i sum = _mm512_add_epi32(_mm512_madd_epi16(red_green, weights),
                                   _mm512_madd_epi16(blue, _mm512_set1_epi32(AN_GREY_BLUE)));
    sum = _mm512_srai_epi32(_mm512_add_epi32(sum, _mm512_set1_epi32(1 << (AN_GREY_BITS - 1))), AN_GREY_BITS);
    return _mm512_cvtepi32_epi8(_mm512_add_epi32(sum, _mm512_srli_epi32(red_green, 16)));
}

TARGET static void grey(uint8_t *dst, const uint8_t *src, size_t n, bool flip)
{
    const __m512i red_green = pair_index(flip, 0), blue = pair_index(flip, 2);
    const __mmask64 both = UINT64_C(0x5555555555555555), one = UINT64_C(0x1111111111111111);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m512i in = i + 22 <= n ? _mm512_loadu_si512(src + 3 * i)
                                 : _mm512_maskz_loadu_epi8((UINT64_C(1) << 48) - 1, src + 3 * i);
        __m128i out =
            grey_of(_mm512_maskz_permutexvar_epi8(both, red_green, in), _mm512_maskz_permutexvar_epi8(one, blue, in));
        _mm_storeu_si128((__m128i *)(dst + (flip ? n - i - 16 : i)), out);
    }
    an_pixels_scalar.grey(dst + (flip ? 0 : i), src + 3 * i, n - i, flip);
}

/* The next sixteen of the pattern. */
static inline size_t next_phase(size_t phase)
{
    return phase == AN_PIXELS_PATTERN - 16 ? 0 : phase + 16;
}

/* Sixteen values from i on, those under mask. */
TARGET static inline __m512 values(const uint8_t *src, const float *mean, bool mean_repeats, const float *shift,
                                   const float *scale, size_t i, size_t phase, __mmask16 mask)
{
    __m512 pixel = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, src + i)));
    __m512 centred = _mm512_sub_ps(pixel, _mm512_maskz_loadu_ps(mask, mean + (mean_repeats ? phase : i)));
    return _mm512_mul_ps(_mm512_add_ps(centred, _mm512_loadu_ps(shift + phase)), _mm512_loadu_ps(scale + phase));
}

TARGET static inline __mmask16 mask_of(size_t i, size_t n)
{
    return n - i < 16 ? (__mmask16)((1u << (n - i)) - 1) : (__mmask16)0xffff;
}

TARGET static void to_f32(void *dst, const uint8_t *src, const float *mean, bool mean_repeats, const float *shift,
                          const float *scale, size_t n)
{
    float *out = dst;
    size_t i = 0, phase = 0;
    for (; (uintptr_t)dst % 64 == 0 && i + 16 <= n; i += 16, phase = next_phase(phase))
        _mm512_stream_ps(out + i, values(src, mean, mean_repeats, shift, scale, i, phase, 0xffff));
    for (; i < n; i += 16, phase = next_phase(phase)) {
        __mmask16 mask = mask_of(i, n);
        _mm512_mask_storeu_ps(out + i, mask, values(src, mean, mean_repeats, shift, scale, i, phase, mask));
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
                           const float *scale, size_t n)
{
    uint16_t *out = dst;
    size_t i = 0, phase = 0;
    for (; (uintptr_t)dst % 64 == 0 && i + 32 <= n; i += 32) {
        __m256i low = to_bf16_16(values(src, mean, mean_repeats, shift, scale, i, phase, 0xffff));
        phase = next_phase(phase);
        __m256i high = to_bf16_16(values(src, mean, mean_repeats, shift, scale, i + 16, phase, 0xffff));
        phase = next_phase(phase);
        _mm512_stream_si512((__m512i *)(out + i), _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1));
    }
    for (; i < n; i += 16, phase = next_phase(phase)) {
        __mmask16 mask = mask_of(i, n);
        _mm256_mask_storeu_epi16(out + i, mask,
                                 to_bf16_16(values(src, mean, mean_repeats, shift, scale, i, phase, mask)));
    }
}

TARGET static void to_f16(void *dst, const uint8_t *src, const float *mean, bool mean_repeats, const float *shift,
                          const float *scale, size_t n)
{
    uint16_t *out = dst;
    size_t i = 0, phase = 0;
    for (; (uintptr_t)dst % 64 == 0 && i + 32 <= n; i += 32) {
        __m256i low = to_f16_16(values(src, mean, mean_repeats, shift, scale, i, phase, 0xffff));
        phase = next_phase(phase);
        __m256i high = to_f16_16(values(src, mean, mean_repeats, shift, scale, i + 16, phase, 0xffff));
        phase = next_phase(phase);
        _mm512_stream_si512((__m512i *)(out + i), _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1));
    }
    for (; i < n; i += 16, phase = next_phase(phase)) {
        __mmask16 mask = mask_of(i, n);
        _mm256_mask_storeu_epi16(out + i, mask,
                                 to_f16_16(values(src, mean, mean_repeats, shift, scale, i, phase, mask)));
    }
}

const an_pixels an_pixels_avx512 = {copy, mirror, split, pad, grey, to_f32, to_bf16, to_f16};
