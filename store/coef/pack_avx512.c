/* Packing rows of blocks with AVX-512; pack.c says what it does. */
#include <immintrin.h>

#include "store/coef/format.h"
#include "store/coef/pack_private.h"

static an_coef_block collect(const int16_t block[64], const uint16_t quantisation[64], int8_t *values)
{
    /* for each zigzag position the row-major one */
    static const uint16_t order[64] = {
        0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
        41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
        30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
    };
    const __m512i least = _mm512_set1_epi16(-INT16_MAX); /* instead of -32768, whose absolute value does not fit */
    __m512i top = _mm512_loadu_si512(block), bottom = _mm512_loadu_si512(block + 32);
    __m512i sums = _mm512_add_epi32(
        _mm512_madd_epi16(_mm512_abs_epi16(_mm512_max_epi16(top, least)), _mm512_loadu_si512(quantisation)),
        _mm512_madd_epi16(_mm512_abs_epi16(_mm512_max_epi16(bottom, least)), _mm512_loadu_si512(quantisation + 32)));
    __m512i low = _mm512_permutex2var_epi16(top, _mm512_loadu_si512(order), bottom);
    __m512i high = _mm512_permutex2var_epi16(top, _mm512_loadu_si512(order + 32), bottom);
    __m512i bytes =
        _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtsepi16_epi8(low)), _mm512_cvtsepi16_epi8(high), 1);
    const __m512i limit = _mm512_set1_epi16(127);
    uint64_t wide = _mm512_cmpgt_epi16_mask(_mm512_abs_epi16(low), limit) |
                    (uint64_t)_mm512_cmpgt_epi16_mask(_mm512_abs_epi16(high), limit) << 32;
    wide |= _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(AN_COEF_WIDE)); /* -32768, whose absolute value is itself */
    bytes = _mm512_mask_mov_epi8(bytes, wide, _mm512_set1_epi8(AN_COEF_WIDE));
    an_coef_block found = {.map = _mm512_test_epi8_mask(bytes, bytes),
                           .weight = (uint32_t)_mm512_reduce_add_epi32(sums),
                           .wide = wide >> 1 != 0};
    _mm512_storeu_si512(values, _mm512_maskz_compress_epi8(found.map & ~(uint64_t)1, bytes));
    return found;
}

static void divide(const int8_t *values, size_t n, an_coef_value_streams *out)
{
    const __m512i one = _mm512_set1_epi8(1), zero = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += 64) {
        __mmask64 live = _bzhi_u64(~(uint64_t)0, (unsigned)(n - i < 64 ? n - i : 64));
        __m512i value = _mm512_loadu_si512(values + i), size = _mm512_abs_epi8(value);
        __mmask64 negative = _mm512_mask_cmplt_epi8_mask(live, value, zero);
        __mmask64 larger = _mm512_mask_cmpneq_epi8_mask(live, size, one);
        __mmask64 bytes = _mm512_mask_cmpgt_epu8_mask(larger, size, _mm512_set1_epi8(9));
        uint64_t upper = larger, lower = bytes | (negative & ~larger);
        uint64_t crumbs[2] = {_pdep_u64(lower, 0x5555555555555555u) | _pdep_u64(upper, 0xaaaaaaaaaaaaaaaau),
                              _pdep_u64(lower >> 32, 0x5555555555555555u) |
                                  _pdep_u64(upper >> 32, 0xaaaaaaaaaaaaaaaau)};
        _mm_storeu_si128((void *)(out->crumbs + i / 4), _mm_loadu_si128((const void *)crumbs));
        __m512i codes = _mm512_sub_epi8(size, _mm512_set1_epi8(2));
        codes = _mm512_mask_add_epi8(codes, negative, codes, _mm512_set1_epi8(8));
        __mmask64 nibbles = larger & ~bytes;
        _mm512_storeu_si512(out->nibbles + out->nibble, _mm512_maskz_compress_epi8(nibbles, codes));
        _mm512_storeu_si512(out->bytes + out->byte, _mm512_maskz_compress_epi8(bytes, value));
        out->nibble += (size_t)__builtin_popcountll(nibbles);
        out->byte += (size_t)__builtin_popcountll(bytes);
    }
}

const an_coef_pack_kernels *an_coef_pack_avx512(void)
{
    static const an_coef_pack_kernels kernels = {collect, divide};
    return &kernels;
}
