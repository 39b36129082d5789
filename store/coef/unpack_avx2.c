/* Unpacking rows of blocks with AVX2 and BMI2; unpack_scalar.c says what it computes. */
#include <immintrin.h>

#include "store/coef/row_private.h"
#include "store/coef/unpack.h"

enum { NONE = 0x80 }; /* as an index of a byte shuffle (pshufb): gives zero */

/* expand[m]: the shuffle that moves consecutive bytes to the places where mask m has ones, as AVX-512's vpexpandb does;
 * for eight bytes. */
#define RANK(m, j) (((m) >> (j)&1) ? __builtin_popcount((m) & ((1 << (j)) - 1)) : NONE)
#define MASK(m)                                                                                                        \
    {                                                                                                                  \
        RANK(m, 0), RANK(m, 1), RANK(m, 2), RANK(m, 3), RANK(m, 4), RANK(m, 5), RANK(m, 6), RANK(m, 7)                 \
    }
#define MASKS_4(m) MASK(m), MASK(m + 1), MASK(m + 2), MASK(m + 3)
#define MASKS_16(m) MASKS_4(m), MASKS_4(m + 4), MASKS_4(m + 8), MASKS_4(m + 12)
#define MASKS_64(m) MASKS_16(m), MASKS_16(m + 16), MASKS_16(m + 32), MASKS_16(m + 48)
static const uint8_t expand[256][8] = {MASKS_64(0), MASKS_64(64), MASKS_64(128), MASKS_64(192)};

/* order[o][s]: the shuffle from bytes 16 s to 16 s + 15 in zigzag order to bytes 16 o to 16 o + 15 in row-major one. */
#define PICK_0(z) ((z) < 16 ? (z) : NONE)
#define PICK_1(z) ((z) >= 16 && (z) < 32 ? (z)-16 : NONE)
#define PICK_2(z) ((z) >= 32 && (z) < 48 ? (z)-32 : NONE)
#define PICK_3(z) ((z) >= 48 ? (z)-48 : NONE)
#define SIXTEEN(f, a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q)                                                     \
    {                                                                                                                  \
        f(a), f(b), f(c), f(d), f(e), f(g), f(h), f(i), f(j), f(k), f(l), f(m), f(n), f(o), f(p), f(q)                 \
    }
#define ROWS_01(f) SIXTEEN(f, 0, 1, 5, 6, 14, 15, 27, 28, 2, 4, 7, 13, 16, 26, 29, 42)
#define ROWS_23(f) SIXTEEN(f, 3, 8, 12, 17, 25, 30, 41, 43, 9, 11, 18, 24, 31, 40, 44, 53)
#define ROWS_45(f) SIXTEEN(f, 10, 19, 23, 32, 39, 45, 52, 54, 20, 22, 33, 38, 46, 51, 55, 60)
#define ROWS_67(f) SIXTEEN(f, 21, 34, 37, 47, 50, 56, 59, 61, 35, 36, 48, 49, 57, 58, 62, 63)
static const uint8_t order[4][4][16] = {
    {ROWS_01(PICK_0), ROWS_01(PICK_1), ROWS_01(PICK_2), ROWS_01(PICK_3)},
    {ROWS_23(PICK_0), ROWS_23(PICK_1), ROWS_23(PICK_2), ROWS_23(PICK_3)},
    {ROWS_45(PICK_0), ROWS_45(PICK_1), ROWS_45(PICK_2), ROWS_45(PICK_3)},
    {ROWS_67(PICK_0), ROWS_67(PICK_1), ROWS_67(PICK_2), ROWS_67(PICK_3)},
};

static inline __m128i load8(const void *p)
{
    return _mm_loadl_epi64(p);
}

static inline __m128i expand8(__m128i bytes, unsigned mask)
{
    return _mm_shuffle_epi8(bytes, load8(expand[mask]));
}

/* The values of the blocks asked for, made eight at a time. True when AN_COEF_WIDE is among them. */
static bool take_values(const an_coef_row_streams *s, int8_t *out)
{
    const __m128i small = _mm_setr_epi8(1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m128i medium = _mm_setr_epi8(2, 3, 4, 5, 6, 7, 8, 9, -2, -3, -4, -5, -6, -7, -8, -9);
    const uint8_t *byte = s->bytes;
    size_t nibble = s->nibble;
    __m128i wide = _mm_setzero_si128();
    for (size_t i = 0; i < s->values; i += 8) {
        size_t at = s->crumb + i;
        uint64_t crumbs =
            an_coef_low_bits(an_bytes_u64(s->crumbs + at / 4) >> 2 * (at % 4) & 0xffff, 2 * (s->values - i));
        unsigned high = (unsigned)_pext_u64(crumbs, 0xaaaa), low = (unsigned)_pext_u64(crumbs, 0x5555);
        unsigned nibbles = high & ~low, bytes = high & low;
        __m128i four = _mm_cvtsi64_si128((long long)_pdep_u64(crumbs, 0x0303030303030303u));
        uint64_t raw = an_bytes_u64(s->nibbles + nibble / 2) >> 4 * (nibble % 2);
        __m128i sixteen = _mm_cvtsi64_si128((long long)_pdep_u64(raw, 0x0f0f0f0f0f0f0f0fu));
        __m128i values =
            _mm_or_si128(_mm_shuffle_epi8(small, four), expand8(_mm_shuffle_epi8(medium, sixteen), nibbles));
        __m128i large = expand8(load8(byte), bytes);
        wide = _mm_or_si128(wide, _mm_cmpeq_epi8(large, _mm_set1_epi8((char)AN_COEF_WIDE)));
        _mm_storel_epi64((void *)(out + i), _mm_or_si128(values, large));
        nibble += an_coef_popcount(nibbles);
        byte += an_coef_popcount(bytes);
    }
    return _mm_movemask_epi8(wide) != 0;
}

/* Put a block's values in their places in zigzag order; *value moves to the next block's. */
static inline void place_values(uint64_t map, const int8_t **value, __m128i zigzag[4])
{
    const int8_t *v = *value;
    for (int i = 0; i < 4; i++, map >>= 16) {
        unsigned first = map & 255, second = map >> 8 & 255;
        __m128i low = expand8(load8(v), first);
        v += an_coef_popcount(first);
        zigzag[i] = _mm_unpacklo_epi64(low, expand8(load8(v), second));
        v += an_coef_popcount(second);
    }
    *value = v;
}

/* Rows 2 i and 2 i + 1 of a block, sixteen coefficients of 16 bits. Quarters of the zigzag order that have none of
 * these are left out. */
static inline __m256i take_rows(const __m128i zigzag[4], int i)
{
    __m128i v = _mm_setzero_si128();
    for (int s = i == 3; s < (i == 0 ? 3 : 4); s++)
        v = _mm_or_si128(v, _mm_shuffle_epi8(zigzag[s], _mm_loadu_si128((const void *)order[i][s])));
    return _mm256_cvtepi8_epi16(v);
}

/* Which bytes are AN_COEF_WIDE, by zigzag position. */
static inline uint64_t find_wide(const __m128i zigzag[4])
{
    uint64_t wide = 0;
    for (int i = 0; i < 4; i++) {
        __m128i equal = _mm_cmpeq_epi8(zigzag[i], _mm_set1_epi8((char)AN_COEF_WIDE));
        wide |= (uint64_t)(unsigned)_mm_movemask_epi8(equal) << 16 * i;
    }
    return wide;
}

bool an_coef_unpack_avx2(const uint8_t *row, size_t size, size_t blocks, size_t first, size_t end,
                         const an_coef_work *work)
{
    an_coef_row_streams s;
    if (!an_coef_row_locate(&s, row, size, blocks, first, end))
        return false;
    an_coef_row_dc(&s, end, work->dc);
    bool wide = take_values(&s, work->values);
    const int8_t *value = work->values;
    int16_t *out = work->coefficients;
    uint64_t seen = 0;
    for (size_t b = first; b < end; b++, out += 64) {
        size_t map_length = an_coef_row_map_length(&s, b);
        uint64_t bits = an_coef_map(s.maps, map_length), map = bits << 1;
        seen |= bits;
        s.maps += map_length;
        __m128i zigzag[4];
        place_values(map, &value, zigzag);
        for (int i = 0; i < 4; i++)
            _mm256_storeu_si256((void *)(out + 16 * i), take_rows(zigzag, i));
        out[0] = work->dc[b];
        if (wide && !an_coef_row_patch(&s, find_wide(zigzag), out))
            return false;
    }
    return an_coef_maps_valid(seen);
}
