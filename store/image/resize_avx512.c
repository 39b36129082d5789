/* The resizer's loops with AVX-512 (F, BW). Horizontally, a vector holds sixteen sums, of which fifteen are used: five
 * output pixels. All that goes into them lies within 64 elements of the row, which are two vectors; one permutation
 * takes a pair of taps for each sum from these. The permutation's indices, and the weights in the order of the sums,
 * are made once an image (arrange). */
#include <immintrin.h>

#include "store/image/resize_kernels_private.h"

#define PIXELS 5
#define LANES 32 /* elements of a vector */

/* The elements of lanes for five pixels: the indices of their first pairs of taps, then the weights pair by pair. */
static size_t group_size(uint32_t taps)
{
    return (size_t)LANES * (1 + taps / 2);
}

static size_t lanes_size(uint32_t output, uint32_t taps)
{
    return (output + PIXELS - 1) / PIXELS * group_size(taps);
}

/* Fill in the lanes of five pixels. False when a tap lies beyond the two vectors. */
static bool arrange_group(const an_resize_axis *axis, uint32_t first, int16_t *lanes)
{
    for (uint32_t i = 0; i < LANES / 2; i++) {
        uint32_t x = first + i / 3, at = 0;
        bool used = i / 3 < PIXELS && x < axis->output;
        if (used)
            at = 3 * (axis->starts[x] - axis->starts[first]) + i % 3;
        if (at + 3 * (axis->taps - 1) >= 2 * LANES)
            return false;
        lanes[2 * i] = (int16_t)at;
        lanes[2 * i + 1] = (int16_t)(at + 3);
        for (uint32_t t = 0; t < axis->taps; t++)
            lanes[LANES * (1 + t / 2) + 2 * i + t % 2] = used ? axis->weights[(size_t)x * axis->taps + t] : 0;
    }
    return true;
}

static void arrange(an_resize_axis *axis)
{
    int16_t *lanes = axis->lanes;
    axis->arranged = true;
    for (uint32_t x = 0; x < axis->output && axis->arranged; x += PIXELS, lanes += group_size(axis->taps))
        axis->arranged = arrange_group(axis, x, lanes);
}

static __m128i five_pixels(const int16_t *row, const int16_t *lanes, uint32_t taps)
{
    const __m512i next = _mm512_set1_epi16(6);
    __m512i low = _mm512_loadu_si512(row), high = _mm512_loadu_si512(row + LANES);
    __m512i index = _mm512_load_si512(lanes), sum = _mm512_set1_epi32(1 << (AN_RESIZE_HORIZONTAL_SHIFT - 1));
    for (uint32_t t = 0; t < taps; t += 2) {
        lanes += LANES;
        __m512i pairs = _mm512_permutex2var_epi16(low, index, high);
        sum = _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_load_si512(lanes)));
        index = _mm512_add_epi16(index, next);
    }
    sum = _mm512_max_epi32(_mm512_srai_epi32(sum, AN_RESIZE_HORIZONTAL_SHIFT), _mm512_setzero_si512());
    return _mm512_cvtusepi32_epi8(sum);
}

/* Five pixels are fifteen bytes, but sixteen are stored: the next five overwrite the last byte. The row's last store is
 * masked. */
static void horizontal(const int16_t *row, const an_resize_axis *axis, uint8_t *out)
{
    const int16_t *lanes = axis->lanes;
    uint32_t x = 0, taps = axis->taps;
    if (!axis->arranged) {
        an_resize_horizontal_avx2(row, axis, out);
        return;
    }
    for (; x + PIXELS < axis->output; x += PIXELS, lanes += group_size(taps))
        _mm_storeu_si128((__m128i *)(out + (size_t)3 * x), five_pixels(row + (size_t)3 * axis->starts[x], lanes, taps));
    _mm_mask_storeu_epi8(out + (size_t)3 * x, (__mmask16)((1u << 3 * (axis->output - x)) - 1),
                         five_pixels(row + (size_t)3 * axis->starts[x], lanes, taps));
}

/* 1 to 64 columns. The bytes of two rows are interleaved and widened; then one multiply-add does two taps of sixteen
 * columns. */
static inline void sixty_four_columns(const uint8_t *const *rows, size_t at, size_t n, const int16_t *weights,
                                      uint32_t taps, int16_t *out)
{
    const __m512i zero = _mm512_setzero_si512(), round = _mm512_set1_epi32(1 << (AN_RESIZE_VERTICAL_SHIFT - 1));
    const __mmask64 columns = ~0ull >> (64 - n);
    __m512i sum0 = round, sum1 = round, sum2 = round, sum3 = round;
    for (uint32_t t = 0; t < taps; t += 2) {
        __m512i w = _mm512_set1_epi32(an_resize_weight_pair(weights + t));
        __m512i a = _mm512_maskz_loadu_epi8(columns, rows[t] + at);
        __m512i b = _mm512_maskz_loadu_epi8(columns, rows[t + 1] + at);
        __m512i low = _mm512_unpacklo_epi8(a, b), high = _mm512_unpackhi_epi8(a, b);
        sum0 = _mm512_add_epi32(sum0, _mm512_madd_epi16(_mm512_unpacklo_epi8(low, zero), w));
        sum1 = _mm512_add_epi32(sum1, _mm512_madd_epi16(_mm512_unpackhi_epi8(low, zero), w));
        sum2 = _mm512_add_epi32(sum2, _mm512_madd_epi16(_mm512_unpacklo_epi8(high, zero), w));
        sum3 = _mm512_add_epi32(sum3, _mm512_madd_epi16(_mm512_unpackhi_epi8(high, zero), w));
    }
    __m512i first = _mm512_packs_epi32(_mm512_srai_epi32(sum0, AN_RESIZE_VERTICAL_SHIFT),
                                       _mm512_srai_epi32(sum1, AN_RESIZE_VERTICAL_SHIFT));
    __m512i second = _mm512_packs_epi32(_mm512_srai_epi32(sum2, AN_RESIZE_VERTICAL_SHIFT),
                                        _mm512_srai_epi32(sum3, AN_RESIZE_VERTICAL_SHIFT));
    __m512i lower = _mm512_permutex2var_epi64(first, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), second);
    __m512i upper = _mm512_permutex2var_epi64(first, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), second);
    _mm512_mask_storeu_epi16(out + at, (__mmask32)columns, lower);
    _mm512_mask_storeu_epi16(out + at + 32, (__mmask32)(columns >> 32), upper);
}

static void vertical(const uint8_t *const *rows, const int16_t *weights, uint32_t taps, size_t n, int16_t *out)
{
    size_t i = 0;
    for (; i + 64 <= n; i += 64)
        sixty_four_columns(rows, i, 64, weights, taps, out); /* with a constant n, so that no masks are used */
    if (i < n)
        sixty_four_columns(rows, i, n - i, weights, taps, out);
}

const an_resize_kernels an_resize_avx512 = {vertical, horizontal, lanes_size, arrange};
