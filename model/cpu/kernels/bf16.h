/* bf16: the upper half of a float. */
#ifndef AN_MODEL_CPU_KERNELS_BF16_H
#define AN_MODEL_CPU_KERNELS_BF16_H

#include <stdint.h>
#include <string.h>

static inline float an_bf16_widen(uint16_t value)
{
    uint32_t bits = (uint32_t)value << 16;
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

/* To nearest, ties to even. A NaN stays one: its upper half would otherwise be rounded to infinity. */
static inline uint16_t an_bf16_narrow(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (uint16_t)(value == value ? rounded : 0x7fc0);
}

#endif
