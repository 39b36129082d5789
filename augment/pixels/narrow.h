/* From fp32 to the narrow types, rounded to nearest even, on processors that have no instruction for it. */
#ifndef AN_AUGMENT_PIXELS_NARROW_H
#define AN_AUGMENT_PIXELS_NARROW_H

#include <stdint.h>
#include <string.h>

static inline uint32_t an_narrow_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Inputs are finite: bytes, means and shifts of that size. */
static inline uint16_t an_narrow_bf16(float value)
{
    uint32_t bits = an_narrow_bits(value);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline uint32_t an_narrow_subnormal(uint32_t magnitude)
{
    uint32_t shift = 126 - (magnitude >> 23); /* value = mantissa * 2^-shift in units of 2^-24 */
    if (shift > 24)
        return 0;
    uint32_t mantissa = (magnitude & 0x7fffff) | 0x800000;
    uint32_t value = mantissa >> shift, rest = mantissa & ((1u << shift) - 1), half = 1u << (shift - 1);
    return value + (rest > half || (rest == half && (value & 1)));
}

static inline uint16_t an_narrow_f16(float value)
{
    uint32_t bits = an_narrow_bits(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude >= 0x47800000) /* 65536 and beyond: infinity */
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x38800000) /* below 2^-14 */
        return (uint16_t)(sign | an_narrow_subnormal(magnitude));
    return (uint16_t)(sign | ((magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13));
}

#endif
