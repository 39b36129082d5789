/* Vectors of 16 bytes in the notation of GCC and Clang, under the names of operations that lanes_dct_private.h expects.
 * Five operations that have no such notation are SSE2 instructions, which every x86-64 processor has. */
#ifndef AN_STORE_IMAGE_PLANES_VECTORS_PRIVATE_H
#define AN_STORE_IMAGE_PLANES_VECTORS_PRIVATE_H

#include <emmintrin.h>
#include <stdint.h>
#include <string.h>

typedef int64_t an_vec __attribute__((vector_size(16)));
typedef int8_t an_vec8 __attribute__((vector_size(16)));
typedef int16_t an_vec16 __attribute__((vector_size(16)));
typedef uint16_t an_vecu16 __attribute__((vector_size(16)));
typedef int32_t an_vec32 __attribute__((vector_size(16)));
typedef uint32_t an_vecu32 __attribute__((vector_size(16)));

static inline an_vec an_vec_load(const void *p)
{
    an_vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void an_vec_store(void *p, an_vec v)
{
    memcpy(p, &v, sizeof v);
}

static inline an_vec an_vec_set1_epi8(int8_t v)
{
    return (an_vec)((an_vec8){0} + v);
}

static inline an_vec an_vec_set1_epi16(int16_t v)
{
    return (an_vec)((an_vec16){0} + v);
}

static inline an_vec an_vec_set1_epi32(int32_t v)
{
    return (an_vec)((an_vec32){0} + v);
}

/* Sums and products of 16 bits wrap around. */
static inline an_vec an_vec_add_epi16(an_vec a, an_vec b)
{
    return (an_vec)((an_vecu16)a + (an_vecu16)b);
}

static inline an_vec an_vec_sub_epi16(an_vec a, an_vec b)
{
    return (an_vec)((an_vecu16)a - (an_vecu16)b);
}

static inline an_vec an_vec_mullo_epi16(an_vec a, an_vec b)
{
    return (an_vec)((an_vecu16)a * (an_vecu16)b);
}

static inline an_vec an_vec_add_epi32(an_vec a, an_vec b)
{
    return (an_vec)((an_vecu32)a + (an_vecu32)b);
}

static inline an_vec an_vec_sub_epi32(an_vec a, an_vec b)
{
    return (an_vec)((an_vecu32)a - (an_vecu32)b);
}

static inline an_vec an_vec_srai_epi16(an_vec a, int bits)
{
    return (an_vec)((an_vec16)a >> (int16_t)bits);
}

static inline an_vec an_vec_srli_epi16(an_vec a, int bits)
{
    return (an_vec)((an_vecu16)a >> (uint16_t)bits);
}

static inline an_vec an_vec_slli_epi16(an_vec a, int bits)
{
    return (an_vec)((an_vecu16)a << (uint16_t)bits);
}

static inline an_vec an_vec_srai_epi32(an_vec a, int bits)
{
    return (an_vec)((an_vec32)a >> bits);
}

static inline an_vec an_vec_unpacklo_epi8(an_vec a, an_vec b)
{
    return (an_vec)__builtin_shufflevector((an_vec8)a, (an_vec8)b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7,
                                           23);
}

static inline an_vec an_vec_unpackhi_epi8(an_vec a, an_vec b)
{
    return (an_vec)__builtin_shufflevector((an_vec8)a, (an_vec8)b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30,
                                           15, 31);
}

static inline an_vec an_vec_unpacklo_epi16(an_vec a, an_vec b)
{
    return (an_vec)__builtin_shufflevector((an_vec16)a, (an_vec16)b, 0, 8, 1, 9, 2, 10, 3, 11);
}

static inline an_vec an_vec_unpackhi_epi16(an_vec a, an_vec b)
{
    return (an_vec)__builtin_shufflevector((an_vec16)a, (an_vec16)b, 4, 12, 5, 13, 6, 14, 7, 15);
}

static inline an_vec an_vec_unpacklo_epi32(an_vec a, an_vec b)
{
    return (an_vec)__builtin_shufflevector((an_vec32)a, (an_vec32)b, 0, 4, 1, 5);
}

static inline an_vec an_vec_unpackhi_epi32(an_vec a, an_vec b)
{
    return (an_vec)__builtin_shufflevector((an_vec32)a, (an_vec32)b, 2, 6, 3, 7);
}

static inline an_vec an_vec_unpacklo_epi64(an_vec a, an_vec b)
{
    return __builtin_shufflevector(a, b, 0, 2);
}

static inline an_vec an_vec_unpackhi_epi64(an_vec a, an_vec b)
{
    return __builtin_shufflevector(a, b, 1, 3);
}

/* Products of 16-bit values; those of two neighbours are added up in 32 bits. */
static inline an_vec an_vec_madd_epi16(an_vec a, an_vec b)
{
    return (an_vec)_mm_madd_epi16((__m128i)a, (__m128i)b);
}

/* The upper halves of the products of 16-bit values. */
static inline an_vec an_vec_mulhi_epi16(an_vec a, an_vec b)
{
    return (an_vec)_mm_mulhi_epi16((__m128i)a, (__m128i)b);
}

/* 32-bit values saturated to 16 bits, or 16-bit values to 8 bits: those of a, then those of b. */
static inline an_vec an_vec_packs_epi32(an_vec a, an_vec b)
{
    return (an_vec)_mm_packs_epi32((__m128i)a, (__m128i)b);
}

static inline an_vec an_vec_packs_epi16(an_vec a, an_vec b)
{
    return (an_vec)_mm_packs_epi16((__m128i)a, (__m128i)b);
}

/* 16-bit values saturated to 0 .. 255. */
static inline an_vec an_vec_packus_epi16(an_vec a, an_vec b)
{
    return (an_vec)_mm_packus_epi16((__m128i)a, (__m128i)b);
}

#endif
