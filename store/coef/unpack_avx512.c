/* Unpacking rows of blocks with AVX-512 (F, BW, DQ, VL, VBMI, VBMI2); unpack_scalar.c says what it computes. */
#include <immintrin.h>

#include "store/coef/row_private.h"
#include "store/coef/unpack.h"

#define VEC_LOAD(p) _mm512_loadu_si512(p)
/* 64 constants: f(k), f(k + 1) and so on. */
#define EIGHT(f, k) f(k), f(k + 1), f(k + 2), f(k + 3), f(k + 4), f(k + 5), f(k + 6), f(k + 7)
#define SIXTY_FOUR(f, k)                                                                                               \
    EIGHT(f, k), EIGHT(f, k + 8), EIGHT(f, k + 16), EIGHT(f, k + 24), EIGHT(f, k + 32), EIGHT(f, k + 40),              \
        EIGHT(f, k + 48), EIGHT(f, k + 56)

/* for each row-major position the zigzag one */
static const uint8_t natural[64] = {
    0,  1,  5,  6,  14, 15, 27, 28, 2,  4,  7,  13, 16, 26, 29, 42, 3,  8,  12, 17, 25, 30,
    41, 43, 9,  11, 18, 24, 31, 40, 44, 53, 10, 19, 23, 32, 39, 45, 52, 54, 20, 22, 33, 38,
    46, 51, 55, 60, 21, 34, 37, 47, 50, 56, 59, 61, 35, 36, 48, 49, 57, 58, 62, 63,
};

/* 64 crumbs of two bits from `position` on, each in a byte. Each 64-bit word is given the three bytes that hold its
 * eight crumbs; multishift then picks the bits of each crumb. */
static inline __m512i take_crumbs(const uint8_t *stream, size_t position)
{
#define CRUMB_BYTE(k) ((k) / 8 * 2 + ((k) % 8 < 3 ? (k) % 8 : 2))
#define CRUMB_SHIFT(k) ((k) % 8 * 2)
    static const uint8_t bytes[64] = {SIXTY_FOUR(CRUMB_BYTE, 0)}, shifts[64] = {SIXTY_FOUR(CRUMB_SHIFT, 0)};
    __m512i raw = _mm512_castsi256_si512(_mm256_loadu_si256((const void *)(stream + position / 4)));
    __m512i words = _mm512_permutexvar_epi8(VEC_LOAD(bytes), raw);
    __m512i shift = _mm512_add_epi8(VEC_LOAD(shifts), _mm512_set1_epi8((char)(position % 4 * 2)));
    return _mm512_and_si512(_mm512_multishift_epi64_epi8(shift, words), _mm512_set1_epi8(3));
}

/* 64 nibbles from `position` on, each in a byte. */
static inline __m512i take_nibbles(const uint8_t *stream, size_t position)
{
#define NIBBLE_BYTE(k) ((k) / 8 * 4 + ((k) % 8 < 5 ? (k) % 8 : 4))
#define NIBBLE_SHIFT(k) ((k) % 8 * 4)
    static const uint8_t bytes[64] = {SIXTY_FOUR(NIBBLE_BYTE, 0)}, shifts[64] = {SIXTY_FOUR(NIBBLE_SHIFT, 0)};
    __m512i words = _mm512_permutexvar_epi8(VEC_LOAD(bytes), VEC_LOAD(stream + position / 2));
    __m512i shift = _mm512_add_epi8(VEC_LOAD(shifts), _mm512_set1_epi8((char)(position % 2 * 4)));
    return _mm512_and_si512(_mm512_multishift_epi64_epi8(shift, words), _mm512_set1_epi8(15));
}

/* The values of the blocks asked for, one after the other. True when AN_COEF_WIDE is among them. */
static bool take_values(const an_coef_row_streams *s, int8_t *out)
{
    const __m512i small = _mm512_set1_epi32(0x0000ff01); /* by crumb: +1, -1, and two that are replaced */
    const __m512i medium =
        _mm512_broadcast_i32x4(_mm_setr_epi8(2, 3, 4, 5, 6, 7, 8, 9, -2, -3, -4, -5, -6, -7, -8, -9));
    const uint8_t *byte = s->bytes;
    size_t nibble = s->nibble;
    __mmask64 wide = 0;
    for (size_t i = 0; i < s->values; i += 64) {
        __mmask64 live = _bzhi_u64(~(uint64_t)0, (unsigned)(s->values - i < 64 ? s->values - i : 64));
        __m512i crumbs = take_crumbs(s->crumbs, s->crumb + i);
        __mmask64 nibbles = _mm512_mask_cmpeq_epi8_mask(live, crumbs, _mm512_set1_epi8(AN_COEF_NIBBLE));
        __mmask64 bytes = _mm512_mask_cmpeq_epi8_mask(live, crumbs, _mm512_set1_epi8(AN_COEF_BYTE));
        __m512i values = _mm512_shuffle_epi8(small, crumbs);
        __m512i sixteen = take_nibbles(s->nibbles, nibble);
        values = _mm512_mask_expand_epi8(values, nibbles, _mm512_shuffle_epi8(medium, sixteen));
        values = _mm512_mask_expand_epi8(values, bytes, VEC_LOAD(byte));
        _mm512_storeu_si512(out + i, values);
        wide |= _mm512_mask_cmpeq_epi8_mask(bytes, values, _mm512_set1_epi8(AN_COEF_WIDE));
        nibble += an_coef_popcount(nibbles);
        byte += an_coef_popcount(bytes);
    }
    return wide != 0;
}

/* Which bytes are AN_COEF_WIDE, by zigzag position. */
static inline uint64_t find_wide(__m512i zigzag)
{
    return _mm512_cmpeq_epi8_mask(zigzag, _mm512_set1_epi8(AN_COEF_WIDE));
}

bool an_coef_unpack_avx512(const uint8_t *row, size_t size, size_t blocks, size_t first, size_t end,
                           const an_coef_work *work)
{
    an_coef_row_streams s;
    if (!an_coef_row_locate(&s, row, size, blocks, first, end))
        return false;
    an_coef_row_dc(&s, end, work->dc);
    bool wide = take_values(&s, work->values);
    const int8_t *value = work->values;
    const __m512i order = VEC_LOAD(natural);
    int16_t *out = work->coefficients;
    uint64_t seen = 0;
    for (size_t b = first; b < end; b++, out += 64) {
        size_t map_length = an_coef_row_map_length(&s, b);
        uint64_t bits = an_coef_map(s.maps, map_length), map = bits << 1;
        seen |= bits;
        s.maps += map_length;
        __m512i zigzag = _mm512_maskz_expand_epi8(map, VEC_LOAD(value));
        value += an_coef_popcount(map);
        __m512i ordered = _mm512_permutexvar_epi8(order, zigzag);
        _mm512_storeu_si512(out, _mm512_cvtepi8_epi16(_mm512_castsi512_si256(ordered)));
        _mm512_storeu_si512(out + 32, _mm512_cvtepi8_epi16(_mm512_extracti64x4_epi64(ordered, 1)));
        out[0] = work->dc[b];
        if (wide && !an_coef_row_patch(&s, find_wide(zigzag), out))
            return false;
    }
    return an_coef_maps_valid(seen);
}
