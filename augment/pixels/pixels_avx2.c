#include "augment/pixels/pixels.h"
#include "augment/pixels/values.h"

#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target("avx2,fma,f16c,bmi2")))

TARGET static void copy(uint8_t *dst, const uint8_t *src, size_t bytes)
{
    size_t i = 0;
    for (; (uintptr_t)dst % 32 == 0 && i + 32 <= bytes; i += 32)
        _mm256_stream_si256((__m256i *)(dst + i), _mm256_loadu_si256((const __m256i *)(src + i)));
    memcpy(dst + i, src + i, bytes - i);
}

TARGET static void mirror(uint8_t *dst, const uint8_t *src, size_t n)
{
    enum {
        BLOCK = 5
    }; /* pixels are 15 of the 16 bytes of a vector; the superfluous byte falls where a later block writes */
    const __m128i order = _mm_setr_epi8(15, 12, 13, 14, 9, 10, 11, 6, 7, 8, 3, 4, 5, 0, 1, 2);
    size_t i = 0;
    for (; i + BLOCK + 1 <= n; i += BLOCK) {
        __m128i in = _mm_loadu_si128((const __m128i *)(src + 3 * i));
        _mm_storeu_si128((__m128i *)(dst + 3 * (n - i - BLOCK) - 1), _mm_shuffle_epi8(in, order));
    }
    an_pixels_scalar.mirror(dst, src + 3 * i, n - i);
}

/* One colour of sixteen pixels from three vectors: a, b and c say which byte of each goes where, -1: none. */
TARGET static inline __m128i gather(const __m128i in[3], __m128i a, __m128i b, __m128i c)
{
    __m128i low = _mm_or_si128(_mm_shuffle_epi8(in[0], a), _mm_shuffle_epi8(in[1], b));
    return _mm_or_si128(low, _mm_shuffle_epi8(in[2], c));
}

TARGET static void split(uint8_t *dst, size_t stride, const uint8_t *src, size_t n, bool flip)
{
    const __m128i ra = _mm_setr_epi8(0, 3, 6, 9, 12, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m128i rb = _mm_setr_epi8(-1, -1, -1, -1, -1, -1, 2, 5, 8, 11, 14, -1, -1, -1, -1, -1);
    const __m128i rc = _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 1, 4, 7, 10, 13);
    const __m128i ga = _mm_setr_epi8(1, 4, 7, 10, 13, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m128i gb = _mm_setr_epi8(-1, -1, -1, -1, -1, 0, 3, 6, 9, 12, 15, -1, -1, -1, -1, -1);
    const __m128i gc = _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 2, 5, 8, 11, 14);
    const __m128i ba = _mm_setr_epi8(2, 5, 8, 11, 14, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m128i bb = _mm_setr_epi8(-1, -1, -1, -1, -1, 1, 4, 7, 10, 13, -1, -1, -1, -1, -1, -1);
    const __m128i bc = _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 3, 6, 9, 12, 15);
    const __m128i same = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m128i back = _mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m128i order = flip ? back : same;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const __m128i *from = (const __m128i *)(src + 3 * i);
        const __m128i in[3] = {_mm_loadu_si128(from), _mm_loadu_si128(from + 1), _mm_loadu_si128(from + 2)};
        uint8_t *to = dst + (flip ? n - i - 16 : i);
        _mm_storeu_si128((__m128i *)to, _mm_shuffle_epi8(gather(in, ra, rb, rc), order));
        _mm_storeu_si128((__m128i *)(to + stride), _mm_shuffle_epi8(gather(in, ga, gb, gc), order));
        _mm_storeu_si128((__m128i *)(to + 2 * stride), _mm_shuffle_epi8(gather(in, ba, bb, bc), order));
    }
    an_pixels_scalar.split(dst + (flip ? 0 : i), stride, src + 3 * i, n - i, flip);
}

TARGET static void pad(uint8_t *dst, const uint8_t *src, size_t n, bool flip)
{
    const __m128i same = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1);
    const __m128i back = _mm_setr_epi8(9, 10, 11, -1, 6, 7, 8, -1, 3, 4, 5, -1, 0, 1, 2, -1);
    const __m128i order = flip ? back : same;
    size_t i = 0;
    for (; i + 6 <= n; i += 4) { /* four pixels of the sixteen bytes that are loaded */
        __m128i in = _mm_loadu_si128((const __m128i *)(src + 3 * i));
        _mm_storeu_si128((__m128i *)(dst + 4 * (flip ? n - i - 4 : i)), _mm_shuffle_epi8(in, order));
    }
    an_pixels_scalar.pad(dst + (flip ? 0 : 4 * i), src + 3 * i, n - i, flip);
}

/* (19595 R + 38470 G + 7471 B + 32768) >> 16 in 16-bit weights: green's is 65536 more than what it is given here, so
 * that green itself is added at the end. Pairs of 16 bits: red and green, blue and nothing. */
TARGET static inline __m256i grey_of(__m256i red_green, __m256i blue)
{
    const __m256i weights = _mm256_set1_epi32((int)((uint32_t)(AN_GREY_GREEN - 65536) << 16 | AN_GREY_RED));
    __m256i sum = _mm256_add_epi32(_mm256_madd_epi16(red_green, weights),
                                   _mm256_madd_epi16(blue, _mm256_set1_epi32(AN_GREY_BLUE)));
    sum = _mm256_srai_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(1 << (AN_GREY_BITS - 1))), AN_GREY_BITS);
    return _mm256_add_epi32(sum, _mm256_srli_epi32(red_green, 16));
}

TARGET static void grey(uint8_t *dst, const uint8_t *src, size_t n, bool flip)
{
    const __m256i red_green =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 1, -1, 3, -1, 4, -1, 6, -1, 7, -1, 9, -1, 10, -1));
    const __m256i blue =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(2, -1, -1, -1, 5, -1, -1, -1, 8, -1, -1, -1, 11, -1, -1, -1));
    const __m256i same = _mm256_broadcastsi128_si256(_mm_set1_epi32(0x0c080400));
    const __m256i back = _mm256_broadcastsi128_si256(_mm_set1_epi32(0x0004080c));
    const __m256i order = flip ? back : same,
                  halves = flip ? _mm256_set1_epi64x(4) : _mm256_set1_epi64x((int64_t)4 << 32);
    size_t i = 0;
    for (; i + 10 <= n; i += 8) { /* eight pixels of the 28 bytes that are loaded */
        __m256i in = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(src + 3 * i)));
        in = _mm256_inserti128_si256(in, _mm_loadu_si128((const __m128i *)(src + 3 * i + 12)), 1);
        __m256i out = grey_of(_mm256_shuffle_epi8(in, red_green), _mm256_shuffle_epi8(in, blue));
        out = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(out, order), halves);
        _mm_storel_epi64((__m128i *)(dst + (flip ? n - i - 8 : i)), _mm256_castsi256_si128(out));
    }
    an_pixels_scalar.grey(dst + (flip ? 0 : i), src + 3 * i, n - i, flip);
}

/* The next eight of the pattern. */
static inline size_t next_phase(size_t phase)
{
    return phase == AN_PIXELS_PATTERN - 8 ? 0 : phase + 8;
}

/* Eight values from i on. */
TARGET static inline __m256 values(const uint8_t *src, const float *mean, bool mean_repeats, const float *shift,
                                   const float *scale, size_t i, size_t phase)
{
    __m256 pixel = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(src + i))));
    __m256 centred = _mm256_sub_ps(pixel, _mm256_loadu_ps(mean + (mean_repeats ? phase : i)));
    return _mm256_mul_ps(_mm256_add_ps(centred, _mm256_loadu_ps(shift + phase)), _mm256_loadu_ps(scale + phase));
}

static inline float value_at(const uint8_t *src, const float *mean, bool mean_repeats, const float *shift,
                             const float *scale, size_t i)
{
    size_t phase = i % AN_PIXELS_PATTERN;
    return (((float)src[i] - mean[mean_repeats ? phase : i]) + shift[phase]) * scale[phase];
}

TARGET static void to_f32(void *dst, const uint8_t *src, const float *mean, bool mean_repeats, const float *shift,
                          const float *scale, size_t n)
{
    float *out = dst;
    size_t i = 0, phase = 0;
    for (; (uintptr_t)dst % 32 == 0 && i + 8 <= n; i += 8, phase = next_phase(phase))
        _mm256_stream_ps(out + i, values(src, mean, mean_repeats, shift, scale, i, phase));
    for (; i + 8 <= n; i += 8, phase = next_phase(phase))
        _mm256_storeu_ps(out + i, values(src, mean, mean_repeats, shift, scale, i, phase));
    for (; i < n; i++)
        out[i] = value_at(src, mean, mean_repeats, shift, scale, i);
}

TARGET static inline __m128i to_bf16_8(__m256 value)
{
    __m256i bits = _mm256_castps_si256(value);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    bits = _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd), 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1));
}

TARGET static void to_bf16(void *dst, const uint8_t *src, const float *mean, bool mean_repeats, const float *shift,
                           const float *scale, size_t n)
{
    uint16_t *out = dst;
    size_t i = 0, phase = 0;
    for (; i + 8 <= n; i += 8, phase = next_phase(phase)) {
        __m256 value = values(src, mean, mean_repeats, shift, scale, i, phase);
        _mm_storeu_si128((__m128i *)(out + i), to_bf16_8(value));
    }
    for (; i < n; i++)
        out[i] = an_pixels_bf16(value_at(src, mean, mean_repeats, shift, scale, i));
}

TARGET static void to_f16(void *dst, const uint8_t *src, const float *mean, bool mean_repeats, const float *shift,
                          const float *scale, size_t n)
{
    uint16_t *out = dst;
    size_t i = 0, phase = 0;
    for (; i + 8 <= n; i += 8, phase = next_phase(phase)) {
        __m256 value = values(src, mean, mean_repeats, shift, scale, i, phase);
        __m128i half = _mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        _mm_storeu_si128((__m128i *)(out + i), half);
    }
    for (; i < n; i++)
        out[i] = an_pixels_f16(value_at(src, mean, mean_repeats, shift, scale, i));
}

const an_pixels an_pixels_avx2 = {copy, mirror, split, pad, grey, to_f32, to_bf16, to_f16};
