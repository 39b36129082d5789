/* Part of bodies.h: values as they lie in memory, one by one and 16 bytes at once, and where they lie. */
#ifndef AN_MODEL_CUDA_KERNELS_VALUES_H
#define AN_MODEL_CUDA_KERNELS_VALUES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "model/cuda/kernels/kernels.h"

#ifdef __CUDACC__
#define AN_UNROLL _Pragma("unroll")
#define AN_ROOT(x) rsqrtf(x)
#else
#define AN_UNROLL
#define AN_ROOT(x) (1 / sqrtf(x))
#endif

/* What a thread reads and writes at once. Values beside each other go through it where their number is a multiple of
 * what it holds: addresses are then computed, and memory is asked, once for four or eight of them. Functions on groups
 * take the type and count as constants of their callers, so that arrays become registers. */
typedef struct {
    uint32_t words[4];
} __attribute__((aligned(16), may_alias)) an_sixteen;

typedef uint32_t __attribute__((may_alias)) an_word;

AN_BODY float an_bits_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

AN_BODY float an_load(const void *from, an_stored stored, uint64_t i)
{
    if (stored == AN_STORED_F32)
        return ((const float *)from)[i];
    return an_bits_float((uint32_t)((const uint16_t *)from)[i] << 16);
}

/* As stored; bf16 to the nearest, ties to even; a NaN stays one. */
AN_BODY uint32_t an_stored_bits(an_stored stored, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (stored == AN_STORED_F32)
        return bits;
    if (value != value)
        bits |= 0x400000;
    else
        bits += 0x7FFF + (bits >> 16 & 1);
    return bits >> 16;
}

AN_BODY void an_store(void *to, an_stored stored, uint64_t i, float value)
{
    if (stored == AN_STORED_F32)
        ((float *)to)[i] = value;
    else
        ((uint16_t *)to)[i] = (uint16_t)an_stored_bits(stored, value);
}

AN_BODY void an_put(void *to, an_stored stored, uint64_t i, float value, int accumulate)
{
    an_store(to, stored, i, accumulate ? an_load(to, stored, i) + value : value);
}

AN_BODY const an_sixteen *an_sixteen_at(const void *from, an_stored stored, uint64_t i)
{
    return (const an_sixteen *)(const void *)((const char *)from + i * (stored == AN_STORED_F32 ? 4 : 2));
}

AN_BODY void an_group_load(const void *from, an_stored stored, uint64_t first, int count, float *out)
{
    int values = stored == AN_STORED_F32 ? 4 : 8;
    AN_UNROLL for (int g = 0; g < count; g += values)
    {
        an_sixteen v = *an_sixteen_at(from, stored, first + (uint64_t)g);
        AN_UNROLL for (int k = 0; k < values; k++)
        {
            uint32_t word = v.words[stored == AN_STORED_F32 ? k : k / 2];
            out[g + k] = an_bits_float(stored == AN_STORED_F32 ? word : k % 2 ? word & 0xFFFF0000U : word << 16);
        }
    }
}

AN_BODY void an_group_store(void *to, an_stored stored, uint64_t first, int count, const float *values)
{
    int each = stored == AN_STORED_F32 ? 4 : 8;
    AN_UNROLL for (int g = 0; g < count; g += each)
    {
        an_sixteen v;
        AN_UNROLL for (int k = 0; k < 4; k++)
        {
            v.words[k] = stored == AN_STORED_F32 ? an_stored_bits(stored, values[g + k])
                                                 : an_stored_bits(stored, values[g + 2 * k]) |
                                                       an_stored_bits(stored, values[g + 2 * k + 1]) << 16;
        }
        *(an_sixteen *)(uintptr_t)an_sixteen_at(to, stored, first + (uint64_t)g) = v;
    }
}

AN_BODY void an_group_put(void *to, an_stored stored, uint64_t first, int count, float *values, int accumulate)
{
    float before[8];
    if (accumulate) {
        an_group_load(to, stored, first, count, before);
        AN_UNROLL for (int k = 0; k < count; k++) values[k] = before[k] + values[k];
    }
    an_group_store(to, stored, first, count, values);
}

/* The position of a pixel's values: sample, row, column and channel of item i. */
typedef struct {
    uint64_t n;
    int y, x, c;
} an_place;

AN_BODY an_place an_place_of(uint64_t i, int h, int w, int channels)
{
    an_place p;
    p.c = (int)(i % (uint64_t)channels);
    i /= (uint64_t)channels;
    p.x = (int)(i % (uint64_t)w);
    i /= (uint64_t)w;
    p.y = (int)(i % (uint64_t)h);
    p.n = i / (uint64_t)h;
    return p;
}

AN_BODY uint64_t an_place_index(uint64_t n, int y, int x, int c, int h, int w, int channels)
{
    return ((n * (uint64_t)h + (uint64_t)y) * (uint64_t)w + (uint64_t)x) * (uint64_t)channels + (uint64_t)c;
}

#endif
