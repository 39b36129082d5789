#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

#include "store/record_copy_private.h"

#define TARGET __attribute__((target("avx512f")))

TARGET static inline __m512i secret_at(size_t offset)
{
    return _mm512_loadu_si512(an_xxh3_secret + offset);
}

/* Each sum takes the product of its word's halves, keyed, and its neighbour's word. */
TARGET static inline __m512i add_stripe(__m512i sums, __m512i stripe, __m512i secret)
{
    __m512i keyed = _mm512_xor_si512(stripe, secret);
    __m512i product = _mm512_mul_epu32(keyed, _mm512_srli_epi64(keyed, 32));
    __m512i neighbour = _mm512_shuffle_epi32(stripe, _MM_PERM_BADC);
    return _mm512_add_epi64(_mm512_add_epi64(sums, neighbour), product);
}

TARGET static inline __m512i scramble(__m512i sums)
{
    const __m512i prime = _mm512_set1_epi64(AN_XXH3_PRIME32_1);
    __m512i mixed = _mm512_xor_si512(sums, _mm512_srli_epi64(sums, 47));
    mixed = _mm512_xor_si512(mixed, secret_at(AN_XXH3_SCRAMBLE));
    __m512i low = _mm512_mul_epu32(mixed, prime), high = _mm512_mul_epu32(_mm512_srli_epi64(mixed, 32), prime);
    return _mm512_add_epi64(low, _mm512_slli_epi64(high, 32));
}

TARGET static inline __m512i copy_stripe(uint8_t *out, const uint8_t *src, bool stream, __m512i sums, size_t number)
{
    __m512i stripe = _mm512_loadu_si512(src);
    if (stream)
        _mm512_stream_si512((__m512i *)out, stripe);
    else
        _mm512_storeu_si512(out, stripe);
    return add_stripe(sums, stripe, secret_at(number * AN_XXH3_STEP));
}

TARGET static inline uint64_t copy(uint8_t *out, const an_record_span *span, bool stream)
{
    const uint8_t *src = span->src;
    size_t size = span->size;
    __m512i sums = _mm512_loadu_si512(an_xxh3_start);
    uint64_t words[8];
    size_t i = 0, stripes = (size - 1) / AN_XXH3_STRIPE;
    for (size_t block = 0; block < stripes / AN_XXH3_STRIPES; block++) {
        for (size_t k = 0; k < AN_XXH3_STRIPES; k++, i += AN_XXH3_STRIPE) {
            if (i < span->next_size)
                _mm_prefetch((const char *)span->next + i, _MM_HINT_T1);
            sums = copy_stripe(out + i, src + i, stream, sums, k);
        }
        sums = scramble(sums);
    }
    for (size_t k = 0; k < stripes % AN_XXH3_STRIPES; k++, i += AN_XXH3_STRIPE)
        sums = copy_stripe(out + i, src + i, stream, sums, k);
    memcpy(out + i, src + i, size - i);
    sums = add_stripe(sums, _mm512_loadu_si512(src + size - AN_XXH3_STRIPE), secret_at(AN_XXH3_LAST));
    _mm512_storeu_si512(words, sums);
    return an_xxh3_finish(words, size);
}

TARGET uint64_t an_record_copy_avx512(uint8_t *out, const an_record_span *span)
{
    if ((uintptr_t)out % AN_XXH3_STRIPE)
        return copy(out, span, false);
    uint64_t hash = copy(out, span, true);
    _mm_sfence();
    return hash;
}
