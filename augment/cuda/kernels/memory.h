/* Part of bodies.h: reading and writing memory at any alignment. A device reads only aligned words, so unaligned ones
 * are put together from two or three of them; up to three bytes before and four behind what is asked for are read. */
#ifndef AN_AUGMENT_CUDA_KERNELS_MEMORY_H
#define AN_AUGMENT_CUDA_KERNELS_MEMORY_H

#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define AN_UNROLL _Pragma("unroll")
#define AN_ROLLED _Pragma("unroll 1")
#else
#define AN_UNROLL
#define AN_ROLLED
#endif

/* Told of every access to memory: its address and size. */
#ifndef AN_TOUCH
#define AN_TOUCH(at, size) ((void)0)
#endif

typedef uint32_t __attribute__((may_alias)) an_decode_word;

typedef struct {
    uint32_t words[2];
} __attribute__((aligned(8), may_alias)) an_decode_eight;

typedef struct {
    uint32_t words[4];
} __attribute__((aligned(16), may_alias)) an_decode_sixteen;

AN_BODY uint32_t an_at_u8(const uint8_t *at)
{
    AN_TOUCH(at, 1);
    return *at;
}

/* at is even. */
AN_BODY uint32_t an_at_u16(const uint8_t *at)
{
    AN_TOUCH(at, 2);
    return *(const uint16_t __attribute__((may_alias)) *)(const void *)at;
}

/* at is a multiple of four. */
AN_BODY uint32_t an_at_word(const uint8_t *at)
{
    AN_TOUCH(at, 4);
    return *(const an_decode_word *)(const void *)at;
}

/* The low word of high:low >> bits; bits is below 32. */
AN_BODY uint32_t an_funnel(uint32_t low, uint32_t high, uint32_t bits)
{
#ifdef __CUDA_ARCH__
    return __funnelshift_r(low, high, bits);
#else
    return (uint32_t)(((uint64_t)high << 32 | low) >> bits);
#endif
}

/* An address whose bytes are read by aligned words: the word that holds the first one, and its bits before that.
 * Whoever reads at a distance that is a multiple of four finds it once. */
typedef struct {
    const uint8_t *word;
    uint32_t shift;
} an_decode_place;

AN_BODY an_decode_place an_place_at(const uint8_t *at)
{
    uint32_t off = (uint32_t)((uintptr_t)at & 3);
    an_decode_place place = {at - off, 8 * off};
    return place;
}

/* Eight bytes, distance bytes behind a place. */
AN_BODY void an_place_eight(const an_decode_place *place, int64_t distance, uint32_t *words)
{
    const uint8_t *from = place->word + distance;
    uint32_t a = an_at_word(from), b = an_at_word(from + 4), c = an_at_word(from + 8);
    words[0] = an_funnel(a, b, place->shift);
    words[1] = an_funnel(b, c, place->shift);
}

/* Four bytes out of the eight of low and high: those that the nibbles of which name, the lowest first. */
AN_BODY uint32_t an_pick(uint32_t low, uint32_t high, uint32_t which)
{
#ifdef __CUDA_ARCH__
    return __byte_perm(low, high, which);
#else
    uint64_t all = (uint64_t)high << 32 | low;
    uint32_t out = 0;
    for (int i = 0; i < 4; i++)
        out |= (uint32_t)(all >> (8 * (which >> 4 * i & 7)) & 255) << (8 * i);
    return out;
#endif
}

/* Four bytes at any address. */
AN_BODY uint32_t an_at_four(const uint8_t *at)
{
    uint32_t off = (uint32_t)((uintptr_t)at & 3);
    const uint8_t *from = at - off;
    return an_funnel(an_at_word(from), an_at_word(from + 4), 8 * off);
}

/* 64 bits, from bit number `bit` behind `at`. */
AN_BODY uint64_t an_at_bits(const uint8_t *at, uint32_t bit)
{
    const uint8_t *byte = at + bit / 8;
    uint32_t off = (uint32_t)((uintptr_t)byte & 3), shift = 8 * off + bit % 8;
    const uint8_t *from = byte - off;
    uint32_t a = an_at_word(from), b = an_at_word(from + 4), c = an_at_word(from + 8);
    return (uint64_t)an_funnel(b, c, shift) << 32 | an_funnel(a, b, shift);
}

/* 32 bits, from bit number `bit` behind `at`. */
AN_BODY uint32_t an_at_four_bits(const uint8_t *at, uint32_t bit)
{
    const uint8_t *byte = at + bit / 8;
    uint32_t off = (uint32_t)((uintptr_t)byte & 3), shift = 8 * off + bit % 8;
    const uint8_t *from = byte - off;
    return an_funnel(an_at_word(from), an_at_word(from + 4), shift);
}

AN_BODY void an_put_eight(uint8_t *at, uint32_t low, uint32_t high)
{
    an_decode_eight v = {{low, high}};
    AN_TOUCH(at, 8);
    *(an_decode_eight *)(void *)at = v;
}

AN_BODY void an_put_u8(uint8_t *at, uint32_t value)
{
    AN_TOUCH(at, 1);
    *at = (uint8_t)value;
}

/* Asks for the bytes of a row of blocks, a line of 128 for each lane, so that they arrive together and not one stream
 * after the other. */
AN_BODY void an_prefetch(const uint8_t *from, uint32_t size)
{
#ifdef __CUDA_ARCH__
    if (128 * AN_LANE(0) < size)
        asm volatile("prefetch.global.L2 [%0];" ::"l"(from + 128 * AN_LANE(0)));
#else
    (void)from, (void)size;
#endif
}

AN_BODY uint32_t an_ones(uint64_t bits)
{
#ifdef __CUDA_ARCH__
    return (uint32_t)__popcll(bits);
#else
    return (uint32_t)__builtin_popcountll(bits);
#endif
}

/* The number of the lowest one; bits is not 0. */
AN_BODY uint32_t an_lowest(uint32_t bits)
{
#ifdef __CUDA_ARCH__
    return (uint32_t)__ffs((int)bits) - 1;
#else
    return (uint32_t)__builtin_ctz(bits);
#endif
}

/* The lowest n bits; n is at most 64. */
AN_BODY uint64_t an_low(uint64_t bits, uint32_t n)
{
    return n < 64 ? bits & (((uint64_t)1 << n) - 1) : bits;
}

/* Four numbers as bytes, each the nearest that a byte can hold, in the order that they have in memory. */
AN_BODY uint32_t an_four_bytes(int32_t a, int32_t b, int32_t c, int32_t d)
{
#ifdef __CUDA_ARCH__
    uint32_t high, all;
    asm("cvt.pack.sat.u8.s32.b32 %0, %1, %2, 0;" : "=r"(high) : "r"(d), "r"(c));
    asm("cvt.pack.sat.u8.s32.b32 %0, %1, %2, %3;" : "=r"(all) : "r"(b), "r"(a), "r"(high));
    return all;
#else
    int32_t values[4] = {a, b, c, d};
    uint32_t all = 0;
    for (int i = 0; i < 4; i++)
        all |= (uint32_t)(values[i] < 0 ? 0 : values[i] > 255 ? 255 : values[i]) << (8 * i);
    return all;
#endif
}

/* The same of numbers that count from 128. */
AN_BODY uint32_t an_four_centred(int32_t a, int32_t b, int32_t c, int32_t d)
{
#ifdef __CUDA_ARCH__
    uint32_t high, all;
    asm("cvt.pack.sat.s8.s32.b32 %0, %1, %2, 0;" : "=r"(high) : "r"(d), "r"(c));
    asm("cvt.pack.sat.s8.s32.b32 %0, %1, %2, %3;" : "=r"(all) : "r"(b), "r"(a), "r"(high));
    return all ^ 0x80808080u;
#else
    return an_four_bytes(a + 128, b + 128, c + 128, d + 128);
#endif
}

/* Two numbers in 16 bits each, the nearest that these can hold. */
AN_BODY uint32_t an_two_shorts(int32_t a, int32_t b)
{
#ifdef __CUDA_ARCH__
    uint32_t both;
    asm("cvt.pack.sat.s16.s32 %0, %1, %2;" : "=r"(both) : "r"(b), "r"(a));
    return both;
#else
    int32_t low = a < INT16_MIN ? INT16_MIN : a > INT16_MAX ? INT16_MAX : a;
    int32_t high = b < INT16_MIN ? INT16_MIN : b > INT16_MAX ? INT16_MAX : b;
    return ((uint32_t)low & 0xffff) | (uint32_t)high << 16;
#endif
}

#endif
