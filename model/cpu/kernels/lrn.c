#include "model/cpu/kernels/lrn.h"

#include <stdint.h>

#include "base/cpu.h"
#include "model/cpu/kernels/simd_private.h"

#define LANES AN_SIMD_LANES
#define SPAN 256 /* pixels that a thread takes at a time */

bool an_lrn_possible(bool bf16)
{
    return bf16 ? an_cpu_bf16() : an_cpu_simd() == AN_SIMD_AVX512;
}

AN_SIMD_INLINE __m512 load(const void *from, size_t at, bool bf16)
{
    return bf16 ? an_simd_widen(_mm256_load_si256((const __m256i *)((const uint16_t *)from + at)))
                : _mm512_load_ps((const float *)from + at);
}

AN_SIMD_INLINE void store(void *to, size_t at, __m512 values, bool bf16)
{
    if (bf16)
        _mm256_store_si256((__m256i *)((uint16_t *)to + at), an_simd_narrow(values));
    else
        _mm512_store_ps((float *)to + at, values);
}

/* Sums over five neighbours of the middle one of three blocks of channels. */
AN_SIMD_INLINE __m512 window_sum(__m512 before, __m512 middle, __m512 behind)
{
    __m512i b = _mm512_castps_si512(before), m = _mm512_castps_si512(middle), a = _mm512_castps_si512(behind);
    __m512 two_below = _mm512_castsi512_ps(_mm512_alignr_epi32(m, b, 14));
    __m512 below = _mm512_castsi512_ps(_mm512_alignr_epi32(m, b, 15));
    __m512 above = _mm512_castsi512_ps(_mm512_alignr_epi32(a, m, 1));
    __m512 two_above = _mm512_castsi512_ps(_mm512_alignr_epi32(a, m, 2));
    return (two_below + two_above) + (below + above) + middle;
}

/* 1 / sqrt(b): an estimate of 14 bits, which is plenty for bf16, and one step of Newton's. */
AN_SIMD_INLINE __m512 inverse_root(__m512 b, bool bf16)
{
    __m512 r = _mm512_rsqrt14_ps(b);
    if (bf16)
        return r;
    return r * (_mm512_set1_ps(1.5F) - _mm512_set1_ps(0.5F) * b * r * r);
}

AN_SIMD_INLINE void pixel_forward(const an_lrn_shape *s, const void *x, void *y, size_t at, bool bf16)
{
    size_t step = s->area * LANES;
    __m512 k = _mm512_set1_ps(s->k), scale = _mm512_set1_ps(s->scale), zero = _mm512_setzero_ps();
    __m512 value = load(x, at, bf16), before = zero, middle = value * value;
    for (size_t i = 0; i < s->blocks; i++, at += step) {
        __m512 next = i + 1 < s->blocks ? load(x, at + step, bf16) : zero, behind = next * next;
        __m512 root = inverse_root(k + scale * window_sum(before, middle, behind), bf16);
        store(y, at, value * root * _mm512_sqrt_ps(root), bf16);
        before = middle;
        middle = behind;
        value = next;
    }
}

/* Of the channels of one pixel: dy x b^(-7/4), which its neighbours sum, and b^(-3/4). */
typedef struct {
    __m512 share[AN_LRN_BLOCKS_MAX + 2], power[AN_LRN_BLOCKS_MAX]; /* share: zeros at both ends */
} pixel;

AN_SIMD_INLINE void pixel_shares(const an_lrn_shape *s, const void *x, const void *dy, size_t at, pixel *p, bool bf16)
{
    size_t step = s->area * LANES;
    __m512 k = _mm512_set1_ps(s->k), scale = _mm512_set1_ps(s->scale), zero = _mm512_setzero_ps();
    __m512 value = load(x, at, bf16), before = zero, middle = value * value;
    p->share[0] = p->share[s->blocks + 1] = zero;
    for (size_t i = 0; i < s->blocks; i++, at += step) {
        __m512 next = i + 1 < s->blocks ? load(x, at + step, bf16) : zero, behind = next * next;
        __m512 root = inverse_root(k + scale * window_sum(before, middle, behind), bf16);
        p->power[i] = root * _mm512_sqrt_ps(root);
        p->share[i + 1] = load(dy, at, bf16) * value * p->power[i] * (root * root);
        before = middle;
        middle = behind;
        value = next;
    }
}

AN_SIMD_INLINE void pixel_backward(const an_lrn_shape *s, const void *x, const void *dy, void *dx, size_t at, bool bf16)
{
    size_t step = s->area * LANES;
    __m512 factor = _mm512_set1_ps(2 * (float)AN_LRN_EXPONENT * s->scale);
    pixel p;
    pixel_shares(s, x, dy, at, &p, bf16);
    for (size_t i = 0; i < s->blocks; i++, at += step) {
        __m512 sum = window_sum(p.share[i], p.share[i + 1], p.share[i + 2]);
        store(dx, at, load(dy, at, bf16) * p.power[i] - factor * load(x, at, bf16) * sum, bf16);
    }
}

/* Where an image's span of pixels begins, and how many there are. */
static size_t span_find(const an_lrn_shape *s, size_t number, size_t *count)
{
    size_t spans = (s->area + SPAN - 1) / SPAN, first = number % spans * SPAN;
    *count = s->area - first < SPAN ? s->area - first : SPAN;
    return (number / spans * s->blocks * s->area + first) * LANES;
}

static size_t span_count(const an_lrn_shape *s)
{
    return s->images * ((s->area + SPAN - 1) / SPAN);
}

static AN_SIMD_TARGET void span_forward(const an_lrn_shape *s, const void *x, void *y, size_t at, size_t count)
{
    for (size_t i = 0; i < count && s->bf16; i++)
        pixel_forward(s, x, y, at + i * LANES, true);
    for (size_t i = 0; i < count && !s->bf16; i++)
        pixel_forward(s, x, y, at + i * LANES, false);
}

static AN_SIMD_TARGET void span_backward(const an_lrn_shape *s, const void *x, const void *dy, void *dx, size_t at,
                                         size_t count)
{
    for (size_t i = 0; i < count && s->bf16; i++)
        pixel_backward(s, x, dy, dx, at + i * LANES, true);
    for (size_t i = 0; i < count && !s->bf16; i++)
        pixel_backward(s, x, dy, dx, at + i * LANES, false);
}

void an_lrn_forward(const an_lrn_shape *shape, const void *x, void *y)
{
    size_t spans = span_count(shape);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < spans; i++) {
        size_t count, at = span_find(shape, i, &count);
        span_forward(shape, x, y, at, count);
    }
}

void an_lrn_backward(const an_lrn_shape *shape, const void *x, const void *dy, void *dx)
{
    size_t spans = span_count(shape);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < spans; i++) {
        size_t count, at = span_find(shape, i, &count);
        span_backward(shape, x, dy, dx, at, count);
    }
}
