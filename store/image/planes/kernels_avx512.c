/* The planes kernels with AVX-512 (F, BW, DQ, VL, VBMI). kernels_scalar.c says what they compute. */
#include <immintrin.h>
#include <string.h>

#include "store/image/planes/dct_constants.h"
#include "store/image/planes/kernels.h"

#define VECTOR __m512i
#define VEC(operation) _mm512_##operation
#define VEC_ZERO _mm512_setzero_si512()
#define VEC_LOAD(p) _mm512_loadu_si512(p)
#include "store/image/planes/lanes_dct_private.h"

#include "store/image/planes/lanes_colour_private.h" /* needs the one above */

/* 64 constants: f(k), f(k + 1) and so on. */
#define EIGHT(f, k) f(k), f(k + 1), f(k + 2), f(k + 3), f(k + 4), f(k + 5), f(k + 6), f(k + 7)
#define SIXTY_FOUR(f, k)                                                                                               \
    EIGHT(f, k), EIGHT(f, k + 8), EIGHT(f, k + 16), EIGHT(f, k + 24), EIGHT(f, k + 32), EIGHT(f, k + 40),              \
        EIGHT(f, k + 48), EIGHT(f, k + 56)

/* Row r of four blocks. */
static inline __m512i load_row(const int16_t *coefficients, size_t r)
{
    const int16_t *p = coefficients + 8 * r;
    __m512i v = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)p));
    v = _mm512_mask_broadcast_i32x4(v, 0x00f0, _mm_loadu_si128((const void *)(p + 64)));
    v = _mm512_mask_broadcast_i32x4(v, 0x0f00, _mm_loadu_si128((const void *)(p + 128)));
    return _mm512_mask_broadcast_i32x4(v, 0xf000, _mm_loadu_si128((const void *)(p + 192)));
}

static void inverse(const int16_t *coefficients, const int16_t quantisation[64], size_t blocks, uint8_t *samples,
                    size_t stride)
{
    const __m512i split = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    __m512i scale[8];
    for (size_t r = 0; r < 8; r++)
        scale[r] = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)(quantisation + 8 * r)));
    for (size_t b = 0; b < blocks; b += AN_PLANES_GROUP) {
        __m512i v[8], out[4];
        for (size_t r = 0; r < 8; r++)
            v[r] = _mm512_mullo_epi16(load_row(coefficients + 64 * b, r), scale[r]);
        an_dct_lanes_inverse(v, 11);
        an_dct_lanes_transpose(v);
        an_dct_lanes_inverse(v, 18);
        an_dct_lanes_samples(v, out);
        uint8_t *to = samples + 8 * b;
        for (size_t i = 0; i < 4; i++, to += 2 * stride) {
            __m512i rows = _mm512_permutexvar_epi64(split, out[i]);
            _mm256_storeu_si256((void *)to, _mm512_castsi512_si256(rows));
            _mm256_storeu_si256((void *)(to + stride), _mm512_extracti64x4_epi64(rows, 1));
        }
    }
}

static void upsample(const uint8_t *near, const uint8_t *far, size_t n, uint8_t *out)
{
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    for (size_t i = 0; i < n; i += 64) {
        __m512i v[2];
        an_planes_lanes_upsample(near + i, far ? far + i : NULL, v);
        _mm512_storeu_si512(out + 2 * i, _mm512_permutex2var_epi64(v[0], first, v[1]));
        _mm512_storeu_si512(out + 2 * i + 64, _mm512_permutex2var_epi64(v[0], second, v[1]));
    }
}

/* Where pixel p of 64 is: each lane holds its even pixels, then its odd ones. */
#define PACKED(p) ((p) / 16 * 16 + (p) % 2 * 8 + (p) % 16 / 2)
/* Which byte goes to byte k of 192: from R (0 to 63) and G (from 64 on), or from B. */
#define RED_GREEN(k) ((k) % 3 == 1 ? 64 + PACKED((k) / 3) : PACKED((k) / 3))
#define BLUE(k) PACKED((k) / 3)
#define FLIPPED_RED_GREEN(k) ((k) % 3 == 1 ? 64 + PACKED(63 - (k) / 3) : PACKED(63 - (k) / 3))
#define FLIPPED_BLUE(k) PACKED(63 - (k) / 3)

static const uint8_t red_green_order[2][192] = {
    {SIXTY_FOUR(RED_GREEN, 0), SIXTY_FOUR(RED_GREEN, 64), SIXTY_FOUR(RED_GREEN, 128)},
    {SIXTY_FOUR(FLIPPED_RED_GREEN, 0), SIXTY_FOUR(FLIPPED_RED_GREEN, 64), SIXTY_FOUR(FLIPPED_RED_GREEN, 128)},
};
static const uint8_t blue_order[2][192] = {
    {SIXTY_FOUR(BLUE, 0), SIXTY_FOUR(BLUE, 64), SIXTY_FOUR(BLUE, 128)},
    {SIXTY_FOUR(FLIPPED_BLUE, 0), SIXTY_FOUR(FLIPPED_BLUE, 64), SIXTY_FOUR(FLIPPED_BLUE, 128)},
};
/* Which bytes of the three vectors of output are blue. */
static const uint64_t blue_mask[3] = {0x4924924924924924u, 0x2492492492492492u, 0x9249249249249249u};

static void colour(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, size_t n, bool flip, uint8_t *rgb)
{
    for (size_t i = 0; i < n; i += 64) {
        uint8_t last[192];
        __m512i v[3];
        an_planes_lanes_colour(y + i, cb + i, cr + i, v);
        size_t whole = n - i < 64 ? n - i : 64;
        uint8_t *to = flip ? rgb + 3 * (n - i - whole) : rgb + 3 * i;
        uint8_t *out = whole < 64 ? last : to;
        for (size_t k = 0; k < 3; k++) {
            __m512i mixed = _mm512_permutex2var_epi8(v[0], VEC_LOAD(red_green_order[flip] + 64 * k), v[1]);
            mixed = _mm512_mask_permutexvar_epi8(mixed, blue_mask[k], VEC_LOAD(blue_order[flip] + 64 * k), v[2]);
            _mm512_storeu_si512(out + 64 * k, mixed);
        }
        if (whole < 64)
            memcpy(to, flip ? last + 3 * (64 - whole) : last, 3 * whole);
    }
}

const an_planes_kernels *an_planes_kernels_avx512(void)
{
    static const an_planes_kernels kernels = {an_planes_is_light_avx2, inverse, upsample, colour};
    return &kernels;
}
