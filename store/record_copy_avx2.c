#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

#include "store/record_copy_private.h"

#define TARGET __attribute__((target("avx2")))

/* The eight sums are two vectors: [0] the first half of each stripe, [1] the second. */
enum { HALF = AN_XXH3_STRIPE / 2 };

TARGET static inline __m256i load(const uint8_t *src)
{
    return _mm256_loadu_si256((const __m256i *)src);
}

/* Each sum takes the product of its word's halves, keyed, and its neighbour's word. */
TARGET static inline __m256i add_half(__m256i sums, __m256i half, const uint8_t *secret)
{
    __m256i keyed = _mm256_xor_si256(half, load(secret));
    __m256i product = _mm256_mul_epu32(keyed, _mm256_srli_epi64(keyed, 32));
    __m256i neighbour = _mm256_shuffle_epi32(half, _MM_SHUFFLE(1, 0, 3, 2));
    return _mm256_add_epi64(_mm256_add_epi64(sums, neighbour), product);
}

TARGET static inline void scramble(__m256i sums[2])
{
    const __m256i prime = _mm256_set1_epi64x(AN_XXH3_PRIME32_1);
    for (int i = 0; i < 2; i++) {
        __m256i mixed = _mm256_xor_si256(sums[i], _mm256_srli_epi64(sums[i], 47));
        mixed = _mm256_xor_si256(mixed, load(an_xxh3_secret + AN_XXH3_SCRAMBLE + i * HALF));
        __m256i low = _mm256_mul_epu32(mixed, prime), high = _mm256_mul_epu32(_mm256_srli_epi64(mixed, 32), prime);
        sums[i] = _mm256_add_epi64(low, _mm256_slli_epi64(high, 32));
    }
}

TARGET static inline void copy_stripe(uint8_t *out, const uint8_t *src, bool stream, __m256i sums[2], size_t number)
{
    for (int i = 0; i < 2; i++) {
        __m256i half = load(src + i * HALF);
        if (stream)
            _mm256_stream_si256((__m256i *)(out + i * HALF), half);
        else
            _mm256_storeu_si256((__m256i *)(out + i * HALF), half);
        sums[i] = add_half(sums[i], half, an_xxh3_secret + number * AN_XXH3_STEP + i * HALF);
    }
}

TARGET static inline void add_last(const uint8_t *src, __m256i sums[2])
{
    for (int i = 0; i < 2; i++)
        sums[i] = add_half(sums[i], load(src + i * HALF), an_xxh3_secret + AN_XXH3_LAST + i * HALF);
}

TARGET static inline uint64_t copy(uint8_t *out, const an_record_span *span, bool stream)
{
    const uint8_t *src = span->src;
    size_t size = span->size;
    __m256i sums[2] = {load((const uint8_t *)an_xxh3_start), load((const uint8_t *)an_xxh3_start + HALF)};
    uint64_t words[8];
    size_t i = 0, stripes = (size - 1) / AN_XXH3_STRIPE;
    for (size_t block = 0; block < stripes / AN_XXH3_STRIPES; block++) {
        for (size_t k = 0; k < AN_XXH3_STRIPES; k++, i += AN_XXH3_STRIPE) {
            if (i < span->next_size)
                _mm_prefetch((const char *)span->next + i, _MM_HINT_T1);
            copy_stripe(out + i, src + i, stream, sums, k);
        }
        scramble(sums);
    }
    for (size_t k = 0; k < stripes % AN_XXH3_STRIPES; k++, i += AN_XXH3_STRIPE)
        copy_stripe(out + i, src + i, stream, sums, k);
    memcpy(out + i, src + i, size - i);
    add_last(src + size - AN_XXH3_STRIPE, sums);
    memcpy(words, sums, sizeof words);
    return an_xxh3_finish(words, size);
}

TARGET uint64_t an_record_copy_avx2(uint8_t *out, const an_record_span *span)
{
    if ((uintptr_t)out % HALF)
        return copy(out, span, false);
    uint64_t hash = copy(out, span, true);
    _mm_sfence();
    return hash;
}
