/* The planes kernels with AVX2. kernels_scalar.c says what they compute. */
#include <immintrin.h>
#include <string.h>

#include "store/image/planes/dct_constants.h"
#include "store/image/planes/dct_range.h"
#include "store/image/planes/kernels.h"

#define VECTOR __m256i
#define VEC(operation) _mm256_##operation
#define VEC_ZERO _mm256_setzero_si256()
#define VEC_LOAD(p) _mm256_loadu_si256((const void *)(p))
#include "store/image/planes/lanes_dct_private.h"

#include "store/image/planes/lanes_colour_private.h" /* needs the one above */

enum { NONE = 0x80 }; /* as an index of a byte shuffle (pshufb): gives zero */

/* Row r of two blocks. */
static inline __m256i load_row(const int16_t *coefficients, size_t r)
{
    const int16_t *p = coefficients + 8 * r;
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const void *)p)),
                                   _mm_loadu_si128((const void *)(p + 64)), 1);
}

static void inverse(const int16_t *coefficients, const int16_t quantisation[64], size_t blocks, uint8_t *samples,
                    size_t stride)
{
    __m256i scale[8];
    for (size_t r = 0; r < 8; r++)
        scale[r] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)(quantisation + 8 * r)));
    for (size_t b = 0; b < blocks; b += 2) {
        __m256i v[8], out[4];
        for (size_t r = 0; r < 8; r++)
            v[r] = _mm256_mullo_epi16(load_row(coefficients + 64 * b, r), scale[r]);
        an_dct_lanes_inverse(v, 11);
        an_dct_lanes_transpose(v);
        an_dct_lanes_inverse(v, 18);
        an_dct_lanes_samples(v, out);
        uint8_t *to = samples + 8 * b;
        for (size_t i = 0; i < 4; i++, to += 2 * stride) {
            __m256i rows = _mm256_permute4x64_epi64(out[i], 0xd8);
            _mm_storeu_si128((void *)to, _mm256_castsi256_si128(rows));
            _mm_storeu_si128((void *)(to + stride), _mm256_extracti128_si256(rows, 1));
        }
    }
}

static void upsample(const uint8_t *near, const uint8_t *far, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i += 32) {
        __m256i v[2];
        an_planes_lanes_upsample(near + i, far ? far + i : NULL, v);
        _mm256_storeu_si256((void *)(out + 2 * i), _mm256_permute2x128_si256(v[0], v[1], 0x20));
        _mm256_storeu_si256((void *)(out + 2 * i + 32), _mm256_permute2x128_si256(v[0], v[1], 0x31));
    }
}

/* interleave[flip][t][c]: which byte of channel c goes to each of the bytes 16 t to 16 t + 15 of 16 pixels' 48 bytes.
 * The channels come with the even pixels first, then the odd ones. */
#define PACKED(p) ((p) % 2 * 8 + (p) / 2)
#define BYTE(c, k) ((k) % 3 == (c) ? PACKED((k) / 3) : NONE)
#define FLIPPED_BYTE(c, k) ((k) % 3 == (c) ? PACKED(15 - (k) / 3) : NONE)
#define VECTOR_OF(f, c, k)                                                                                             \
    {                                                                                                                  \
        f(c, k), f(c, k + 1), f(c, k + 2), f(c, k + 3), f(c, k + 4), f(c, k + 5), f(c, k + 6), f(c, k + 7),            \
            f(c, k + 8), f(c, k + 9), f(c, k + 10), f(c, k + 11), f(c, k + 12), f(c, k + 13), f(c, k + 14),            \
            f(c, k + 15)                                                                                               \
    }
#define CHANNELS_OF(f, k)                                                                                              \
    {                                                                                                                  \
        VECTOR_OF(f, 0, k), VECTOR_OF(f, 1, k), VECTOR_OF(f, 2, k)                                                     \
    }
static const uint8_t interleave[2][3][3][16] = {
    {CHANNELS_OF(BYTE, 0), CHANNELS_OF(BYTE, 16), CHANNELS_OF(BYTE, 32)},
    {CHANNELS_OF(FLIPPED_BYTE, 0), CHANNELS_OF(FLIPPED_BYTE, 16), CHANNELS_OF(FLIPPED_BYTE, 32)},
};

static inline __m256i order_of(bool flip, int third, int channel)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)interleave[flip][third][channel]));
}

/* Store 32 pixels, 96 bytes. */
static inline void store_pixels(const __m256i v[3], bool flip, uint8_t *out)
{
    __m256i third[3];
    for (int t = 0; t < 3; t++) {
        __m256i rg = _mm256_or_si256(_mm256_shuffle_epi8(v[0], order_of(flip, t, 0)),
                                     _mm256_shuffle_epi8(v[1], order_of(flip, t, 1)));
        third[t] = _mm256_or_si256(rg, _mm256_shuffle_epi8(v[2], order_of(flip, t, 2)));
    }
    for (int t = 0; t < 3; t++) {
        _mm_storeu_si128((void *)(out + 16 * t + (flip ? 48 : 0)), _mm256_castsi256_si128(third[t]));
        _mm_storeu_si128((void *)(out + 16 * t + (flip ? 0 : 48)), _mm256_extracti128_si256(third[t], 1));
    }
}

static void colour(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, size_t n, bool flip, uint8_t *rgb)
{
    for (size_t i = 0; i < n; i += 32) {
        uint8_t last[96];
        __m256i v[3];
        an_planes_lanes_colour(y + i, cb + i, cr + i, v);
        size_t whole = n - i < 32 ? n - i : 32;
        uint8_t *to = flip ? rgb + 3 * (n - i - whole) : rgb + 3 * i;
        store_pixels(v, flip, whole < 32 ? last : to);
        if (whole < 32)
            memcpy(to, flip ? last + 3 * (32 - whole) : last, 3 * whole);
    }
}

/* A block's weight, as eight sums that are still to be added up. */
static inline __m256i weigh(const int16_t *block, const __m256i quantisation[4])
{
    __m256i sum = _mm256_setzero_si256();
    for (int i = 0; i < 4; i++)
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_abs_epi16(VEC_LOAD(block + 16 * i)), quantisation[i]));
    return sum;
}

bool an_planes_is_light_avx2(const int16_t *coefficients, const int16_t quantisation[64], size_t blocks)
{
    __m256i table[4], heaviest = _mm256_setzero_si256();
    for (int i = 0; i < 4; i++)
        table[i] = VEC_LOAD(quantisation + 16 * i);
    for (size_t b = 0; b < blocks; b += 4) {
        const int16_t *group = coefficients + 64 * b;
        __m256i ab = _mm256_hadd_epi32(weigh(group, table), weigh(group + 64, table));
        __m256i cd = _mm256_hadd_epi32(weigh(group + 128, table), weigh(group + 192, table));
        __m256i halves = _mm256_hadd_epi32(ab, cd);
        heaviest = _mm256_max_epu32(heaviest, _mm256_add_epi32(halves, _mm256_permute2x128_si256(halves, halves, 1)));
    }
    __m256i limit = _mm256_set1_epi32(AN_DCT_SAFE_WEIGHT);
    return _mm256_movemask_epi8(_mm256_cmpeq_epi32(_mm256_max_epu32(heaviest, limit), limit)) == -1;
}

const an_planes_kernels *an_planes_kernels_avx2(void)
{
    static const an_planes_kernels kernels = {an_planes_is_light_avx2, inverse, upsample, colour};
    return &kernels;
}
