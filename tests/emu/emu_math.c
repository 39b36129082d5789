#include "tests/emu/emu_math.h"

#include <string.h>

#include "tests/emu/emu_internal.h"

float *emu_floats(const void *from, bool bf16, size_t count)
{
    float *out = emu_new(count * sizeof *out);
    if (!bf16) {
        memcpy(out, from, count * sizeof *out);
        return out;
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)((const uint16_t *)from)[i] << 16;
        memcpy(&out[i], &bits, sizeof bits);
    }
    return out;
}

static uint16_t rounded(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

void emu_floats_store(void *to, bool bf16, const float *values, size_t count)
{
    if (!bf16) {
        memcpy(to, values, count * sizeof *values);
        return;
    }
    for (size_t i = 0; i < count; i++)
        ((uint16_t *)to)[i] = rounded(values[i]);
}

#define LANES 8
float emu_dot(const float *a, const float *b, size_t count)
{
    float sums[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int k = 0; k < LANES; k++)
            sums[k] += a[i + (size_t)k] * b[i + (size_t)k];
    for (; i < count; i++)
        sum += a[i] * b[i];
    for (int k = 0; k < LANES; k++)
        sum += sums[k];
    return sum;
}

void emu_add_scaled(float *restrict to, const float *restrict from, float scale, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] += scale * from[i];
}
