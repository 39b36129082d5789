/* Loops over the values of a segment, for each SIMD tier. They only add and round, so all tiers give the same bits. */
#include <string.h>

#include "base/cpu.h"
#include "model/cpu/kernels/bf16.h"
#include "train/group/reduce_private.h"

#define BLOCK 2048 /* values whose sum stays in the nearest cache */

#define AVX2 __attribute__((target("avx2")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,prefer-vector-width=512")))

/* sum += values, out = bf16, out = fp32. */
#define LOOPS(TIER, NAME)                                                                                              \
    TIER static void add_##NAME(float *restrict sum, const float *restrict values, size_t count)                       \
    {                                                                                                                  \
        for (size_t i = 0; i < count; i++)                                                                             \
            sum[i] += values[i];                                                                                       \
    }                                                                                                                  \
    TIER static void add_bf16_##NAME(float *restrict sum, const uint16_t *restrict values, size_t count)               \
    {                                                                                                                  \
        for (size_t i = 0; i < count; i++)                                                                             \
            sum[i] += an_bf16_widen(values[i]);                                                                        \
    }                                                                                                                  \
    TIER static void narrow_##NAME(uint16_t *restrict out, const float *restrict in, size_t count)                     \
    {                                                                                                                  \
        for (size_t i = 0; i < count; i++)                                                                             \
            out[i] = an_bf16_narrow(in[i]);                                                                            \
    }                                                                                                                  \
    TIER static void widen_##NAME(float *restrict out, const uint16_t *restrict in, size_t count)                      \
    {                                                                                                                  \
        for (size_t i = 0; i < count; i++)                                                                             \
            out[i] = an_bf16_widen(in[i]);                                                                             \
    }

LOOPS(, scalar)
LOOPS(AVX2, avx2)
LOOPS(AVX512, avx512)

typedef struct {
    void (*add)(float *restrict sum, const float *restrict values, size_t count);
    void (*add_bf16)(float *restrict sum, const uint16_t *restrict values, size_t count);
    void (*narrow)(uint16_t *restrict out, const float *restrict in, size_t count);
    void (*widen)(float *restrict out, const uint16_t *restrict in, size_t count);
} loops;

static const loops tiers[] = {
    [AN_SIMD_SCALAR] = {add_scalar, add_bf16_scalar, narrow_scalar, widen_scalar},
    [AN_SIMD_AVX2] = {add_avx2, add_bf16_avx2, narrow_avx2, widen_avx2},
    [AN_SIMD_AVX512] = {add_avx512, add_bf16_avx512, narrow_avx512, widen_avx512},
};

/* What another rank sent, from a place on: sum = values, or sum += values. */
static void begin(const loops *tier, float *sum, const void *values, size_t at, size_t size, bool bf16)
{
    if (bf16)
        tier->widen(sum, (const uint16_t *)values + at, size);
    else
        memcpy(sum, (const float *)values + at, size * sizeof *sum);
}

static void add(const loops *tier, float *sum, const void *values, size_t at, size_t size, bool bf16)
{
    if (bf16)
        tier->add_bf16(sum, (const uint16_t *)values + at, size);
    else
        tier->add(sum, (const float *)values + at, size);
}

/* The sum of the first two ranks is the same in either order, so rank 0 and rank 1 add to their own values. The others
 * begin with rank 0's. */
void an_reduce_sum(float *own, const void *received, size_t apart, int rank, int world, size_t count, bool bf16)
{
    const loops *tier = &tiers[an_cpu_simd()];
    float sum[BLOCK];
    for (size_t at = 0; at < count; at += BLOCK) {
        size_t size = count - at < BLOCK ? count - at : BLOCK;
        float *total = rank < 2 ? own + at : sum;
        if (rank >= 2)
            begin(tier, sum, received, at, size, bf16);
        for (int other = rank >= 2; other < world - 1; other++) {
            if (other == rank && rank >= 2)
                tier->add(total, own + at, size);
            add(tier, total, received, (size_t)other * apart + at, size, bf16);
        }
        if (rank >= 2 && rank == world - 1)
            tier->add(total, own + at, size);
        if (rank >= 2)
            memcpy(own + at, sum, size * sizeof *sum);
    }
}

/* To bf16 and back; size: at most a block. */
static void round_values(const loops *tier, float *values, size_t size)
{
    uint16_t rounded[BLOCK];
    tier->narrow(rounded, values, size);
    tier->widen(values, rounded, size);
}

void an_reduce_sum_near(float *const *values, int own, int world, size_t count, bool bf16)
{
    const loops *tier = &tiers[an_cpu_simd()];
    for (size_t at = 0; at < count; at += BLOCK) {
        size_t size = count - at < BLOCK ? count - at : BLOCK;
        float *sum = values[0] + at;
        for (int rank = 0; rank < world && bf16; rank++) {
            if (rank != own)
                round_values(tier, values[rank] + at, size);
        }
        for (int rank = 1; rank < world; rank++)
            tier->add(sum, values[rank] + at, size);
        if (bf16)
            round_values(tier, sum, size);
        for (int rank = 1; rank < world; rank++)
            memcpy(values[rank] + at, sum, size * sizeof *sum);
    }
}

void an_reduce_narrow(uint16_t *out, const float *in, size_t count)
{
    tiers[an_cpu_simd()].narrow(out, in, count);
}

void an_reduce_widen(float *out, const uint16_t *in, size_t count)
{
    tiers[an_cpu_simd()].widen(out, in, count);
}
