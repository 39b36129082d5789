#include "store/image/resize_kernels_private.h"

#include <immintrin.h>

void an_resize_vertical_tail(const uint8_t *const *rows, const int16_t *weights, uint32_t taps, size_t from, size_t n,
                             int16_t *out)
{
    for (size_t i = from; i < n; i++) {
        int32_t sum = 1 << (AN_RESIZE_VERTICAL_SHIFT - 1);
        for (uint32_t t = 0; t < taps; t++)
            sum += weights[t] * rows[t][i];
        sum >>= AN_RESIZE_VERTICAL_SHIFT;
        out[i] = (int16_t)(sum > INT16_MAX ? INT16_MAX : sum < INT16_MIN ? INT16_MIN : sum);
    }
}

static void vertical_scalar(const uint8_t *const *rows, const int16_t *weights, uint32_t taps, size_t n, int16_t *out)
{
    an_resize_vertical_tail(rows, weights, taps, 0, n, out);
}

static uint8_t to_byte(int32_t sum)
{
    sum >>= AN_RESIZE_HORIZONTAL_SHIFT;
    return (uint8_t)(sum > 255 ? 255 : sum < 0 ? 0 : sum);
}

void an_resize_horizontal_tail(const int16_t *row, const an_resize_axis *axis, uint32_t first, uint8_t *out)
{
    const int16_t *weights = axis->weights + (size_t)first * axis->taps;
    out += (size_t)3 * first;
    for (uint32_t x = first; x < axis->output; x++, weights += axis->taps, out += 3) {
        const int16_t *pixel = row + 3 * (size_t)axis->starts[x];
        int32_t sum[3] = {1 << (AN_RESIZE_HORIZONTAL_SHIFT - 1), 1 << (AN_RESIZE_HORIZONTAL_SHIFT - 1),
                          1 << (AN_RESIZE_HORIZONTAL_SHIFT - 1)};
        for (uint32_t t = 0; t < axis->taps; t++, pixel += 3) {
            sum[0] += weights[t] * pixel[0];
            sum[1] += weights[t] * pixel[1];
            sum[2] += weights[t] * pixel[2];
        }
        for (int c = 0; c < 3; c++)
            out[c] = to_byte(sum[c]);
    }
}

static void horizontal_scalar(const int16_t *row, const an_resize_axis *axis, uint8_t *out)
{
    an_resize_horizontal_tail(row, axis, 0, out);
}

static const an_resize_kernels scalar = {.vertical = vertical_scalar, .horizontal = horizontal_scalar};

/* The bytes of two rows are interleaved and widened; then one multiply-add does two taps of eight columns. */
__attribute__((target("avx2"))) static void vertical_avx2(const uint8_t *const *rows, const int16_t *weights,
                                                          uint32_t taps, size_t n, int16_t *out)
{
    const __m256i zero = _mm256_setzero_si256(), round = _mm256_set1_epi32(1 << (AN_RESIZE_VERTICAL_SHIFT - 1));
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        __m256i sum[4] = {round, round, round, round};
        for (uint32_t t = 0; t < taps; t += 2) {
            __m256i w = _mm256_set1_epi32(an_resize_weight_pair(weights + t));
            __m256i a = _mm256_loadu_si256((const __m256i *)(rows[t] + i));
            __m256i b = _mm256_loadu_si256((const __m256i *)(rows[t + 1] + i));
            __m256i low = _mm256_unpacklo_epi8(a, b), high = _mm256_unpackhi_epi8(a, b);
            sum[0] = _mm256_add_epi32(sum[0], _mm256_madd_epi16(_mm256_unpacklo_epi8(low, zero), w));
            sum[1] = _mm256_add_epi32(sum[1], _mm256_madd_epi16(_mm256_unpackhi_epi8(low, zero), w));
            sum[2] = _mm256_add_epi32(sum[2], _mm256_madd_epi16(_mm256_unpacklo_epi8(high, zero), w));
            sum[3] = _mm256_add_epi32(sum[3], _mm256_madd_epi16(_mm256_unpackhi_epi8(high, zero), w));
        }
        __m256i first = _mm256_packs_epi32(_mm256_srai_epi32(sum[0], AN_RESIZE_VERTICAL_SHIFT),
                                           _mm256_srai_epi32(sum[1], AN_RESIZE_VERTICAL_SHIFT));
        __m256i second = _mm256_packs_epi32(_mm256_srai_epi32(sum[2], AN_RESIZE_VERTICAL_SHIFT),
                                            _mm256_srai_epi32(sum[3], AN_RESIZE_VERTICAL_SHIFT));
        _mm256_storeu_si256((__m256i *)(out + i), _mm256_permute2x128_si256(first, second, 0x20));
        _mm256_storeu_si256((__m256i *)(out + i + 16), _mm256_permute2x128_si256(first, second, 0x31));
    }
    an_resize_vertical_tail(rows, weights, taps, i, n, out);
}

/* One load holds two RGB pixels; a shuffle pairs their channels; one multiply-add does two taps of three channels. The
 * lower lane computes one output pixel, the upper lane the next. Four bytes are stored for three: the next pixel
 * overwrites the fourth, so the last one is stored alone. */
__attribute__((target("avx2"))) void an_resize_horizontal_avx2(const int16_t *row, const an_resize_axis *axis,
                                                               uint8_t *rgb)
{
    const uint32_t *starts = axis->starts, taps = axis->taps;
    const int16_t *weights = axis->weights;
    uint8_t *out = rgb;
    const __m256i pairs =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11, -1, -1, -1, -1));
    const __m256i round = _mm256_set1_epi32(1 << (AN_RESIZE_HORIZONTAL_SHIFT - 1));
    uint32_t x = 0;
    for (; x + 2 < axis->output; x += 2, weights += 2 * taps, out += 6) {
        const int16_t *low = row + 3 * (size_t)starts[x], *high = row + 3 * (size_t)starts[x + 1];
        __m256i sum = round;
        for (uint32_t t = 0; t < taps; t += 2, low += 6, high += 6) {
            __m256i pixels = _mm256_loadu2_m128i((const __m128i *)high, (const __m128i *)low);
            __m256i weight = _mm256_set_m128i(_mm_set1_epi32(an_resize_weight_pair(weights + taps + t)),
                                              _mm_set1_epi32(an_resize_weight_pair(weights + t)));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_shuffle_epi8(pixels, pairs), weight));
        }
        sum = _mm256_srai_epi32(sum, AN_RESIZE_HORIZONTAL_SHIFT);
        sum = _mm256_packus_epi16(_mm256_packs_epi32(sum, sum), sum);
        uint32_t first = (uint32_t)_mm256_extract_epi32(sum, 0), second = (uint32_t)_mm256_extract_epi32(sum, 4);
        memcpy(out, &first, 4);
        memcpy(out + 3, &second, 4);
    }
    an_resize_horizontal_tail(row, axis, x, rgb);
}

static const an_resize_kernels avx2 = {.vertical = vertical_avx2, .horizontal = an_resize_horizontal_avx2};

const an_resize_kernels *an_resize_kernels_for(an_simd_tier tier)
{
    if (tier == AN_SIMD_AVX512)
        return &an_resize_avx512;
    if (tier == AN_SIMD_AVX2)
        return &avx2;
    return &scalar;
}
