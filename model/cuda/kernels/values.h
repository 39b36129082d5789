/* Part of bodies.h: reading and writing values in memory, one by one and 16 bytes at once, and the index of a value in
 * a tensor. */
#ifndef AN_MODEL_CUDA_KERNELS_VALUES_H
#define AN_MODEL_CUDA_KERNELS_VALUES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "model/cuda/kernels/kernels.h"

#ifdef __CUDACC__
#define AN_UNROLL _Pragma("unroll")
#define AN_NO_UNROLL _Pragma("unroll 1")
#else
#define AN_UNROLL
#define AN_NO_UNROLL
#endif

/* Told of every access to memory: its address and size. A device compiles it to nothing; the tests' emulator compares
 * each access with what the kernel's arguments describe. */
#ifndef AN_TOUCH
#define AN_TOUCH(at, size) ((void)0)
#endif

/* The 16 bytes that a thread reads or writes with one instruction: four fp32 values or eight bf16 values. A kernel
 * works on such groups where its channels divide into them, which computes addresses and asks memory once for a whole
 * group. Functions on groups are called with constants for the type and the count, so that the compiler unrolls their
 * loops and keeps their arrays in registers. */
typedef struct {
    uint32_t words[4];
} __attribute__((aligned(16), may_alias)) an_sixteen;

typedef struct {
    uint32_t words[2];
} __attribute__((aligned(8), may_alias)) an_eight;

typedef uint32_t __attribute__((may_alias)) an_word;
typedef uint16_t __attribute__((may_alias)) an_half;

AN_BODY float an_bits_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Value number i of an array. */
AN_BODY float an_load(const void *from, an_stored stored, uint64_t i)
{
    AN_TOUCH((const char *)from + i * (stored == AN_STORED_F32 ? 4 : 2), stored == AN_STORED_F32 ? 4 : 2);
    if (stored == AN_STORED_F32)
        return ((const float *)from)[i];
    return an_bits_float((uint32_t)((const uint16_t *)from)[i] << 16);
}

/* 1 / sqrt(x). A device takes one instruction, for which values below the smallest normal one are zero. */
AN_BODY float an_root(float x)
{
#ifdef __CUDA_ARCH__
    float root;
    asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(root) : "f"(x));
    return root;
#else
    return 1 / sqrtf(x);
#endif
}

/* The bits that represent a value in memory. bf16 is rounded to nearest, ties to even; there is one bf16 NaN. */
AN_BODY uint32_t an_stored_bits(an_stored stored, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (stored == AN_STORED_F32)
        return bits;
    if (value != value)
        return 0x7FFF;
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
}

/* Value number k of words in memory. */
AN_BODY float an_word_value(const uint32_t *words, an_stored stored, int k)
{
    if (stored == AN_STORED_F32)
        return an_bits_float(words[k]);
    return an_bits_float(k % 2 ? words[k / 2] & 0xFFFF0000U : words[k / 2] << 16);
}

/* Two values as bf16 in a word, the first in its lower half. Devices from compute capability 8.0 on have an instruction
 * that rounds as an_stored_bits does; it makes every NaN 0x7FFF. */
AN_BODY uint32_t an_bf16_pair(float first, float second)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    uint32_t word;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(second), "f"(first));
    return word;
#else
    return an_stored_bits(AN_STORED_BF16, first) | an_stored_bits(AN_STORED_BF16, second) << 16;
#endif
}

AN_BODY void an_store(void *to, an_stored stored, uint64_t i, float value)
{
    AN_TOUCH((const char *)to + i * (stored == AN_STORED_F32 ? 4 : 2), stored == AN_STORED_F32 ? 4 : 2);
    if (stored == AN_STORED_F32)
        ((float *)to)[i] = value;
    else
        ((uint16_t *)to)[i] = (uint16_t)an_stored_bits(stored, value);
}

/* Stores a value, or adds it to the one that is there. */
AN_BODY void an_put(void *to, an_stored stored, uint64_t i, float value, int accumulate)
{
    an_store(to, stored, i, accumulate ? an_load(to, stored, i) + value : value);
}

AN_BODY uint8_t an_load_byte(const void *from, uint64_t i)
{
    AN_TOUCH((const uint8_t *)from + i, 1);
    return ((const uint8_t *)from)[i];
}

AN_BODY void an_store_byte(void *to, uint64_t i, uint8_t value)
{
    AN_TOUCH((const uint8_t *)to + i, 1);
    ((uint8_t *)to)[i] = value;
}

AN_BODY uint32_t an_load_word(const void *from, uint64_t i)
{
    AN_TOUCH((const uint32_t *)from + i, 4);
    return ((const uint32_t *)from)[i];
}

AN_BODY const an_sixteen *an_sixteen_at(const void *from, an_stored stored, uint64_t i)
{
    return (const an_sixteen *)(const void *)((const char *)from + i * (stored == AN_STORED_F32 ? 4 : 2));
}

AN_BODY void an_sixteen_store(void *to, an_stored stored, uint64_t i, an_sixteen v)
{
    an_sixteen *at = (an_sixteen *)(void *)((char *)to + i * (stored == AN_STORED_F32 ? 4 : 2));
    AN_TOUCH(at, 16);
    *at = v;
}

AN_BODY void an_group_load(const void *from, an_stored stored, uint64_t first, int count, float *out)
{
    int values = stored == AN_STORED_F32 ? 4 : 8;
    AN_UNROLL for (int g = 0; g < count; g += values)
    {
        AN_TOUCH(an_sixteen_at(from, stored, first + (uint64_t)g), 16);
        an_sixteen v = *an_sixteen_at(from, stored, first + (uint64_t)g);
        AN_UNROLL for (int k = 0; k < values; k++) out[g + k] = an_word_value(v.words, stored, k);
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
                                                 : an_bf16_pair(values[g + 2 * k], values[g + 2 * k + 1]);
        }
        an_sixteen_store(to, stored, first + (uint64_t)g, v);
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

/* A group, or a single value if count is 1. */
AN_BODY void an_values_load(const void *from, an_stored stored, uint64_t first, int count, float *out)
{
    if (count == 1)
        out[0] = an_load(from, stored, first);
    else
        an_group_load(from, stored, first, count, out);
}

AN_BODY void an_values_store(void *to, an_stored stored, uint64_t first, int count, const float *values)
{
    if (count == 1)
        an_store(to, stored, first, values[0]);
    else
        an_group_store(to, stored, first, count, values);
}

/* Sums are fp32 whatever the values are. */
AN_BODY void an_sums_store(void *to, uint64_t first, int count, const float *sums)
{
    an_values_store(to, AN_STORED_F32, first, count, sums);
}

/* The sample, row, column and channel of item i of an N x H x W x C tensor. */
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

/* The inverse. */
AN_BODY uint64_t an_place_index(uint64_t n, int y, int x, int c, int h, int w, int channels)
{
    return ((n * (uint64_t)h + (uint64_t)y) * (uint64_t)w + (uint64_t)x) * (uint64_t)channels + (uint64_t)c;
}

/* The index in memory of channel c of a row. */
AN_BODY uint64_t an_rows_index(const an_rows *lie, uint64_t row, int c)
{
    return row * (uint64_t)lie->channels + (uint64_t)c + (c >= lie->channels ? lie->second : 0);
}

/* The same of the row that is pixel y, x of sample n. */
AN_BODY uint64_t an_pixel_index(const an_rows *lie, uint64_t n, int y, int x, int c, int h, int w)
{
    return an_rows_index(lie, (n * (uint64_t)h + (uint64_t)y) * (uint64_t)w + (uint64_t)x, c);
}

#endif
