/* Integers in files: little-endian values at any alignment, and big-endian keys, whose bytes sort as their values do.
 */
#ifndef AN_BASE_BYTES_H
#define AN_BASE_BYTES_H

#include <stdint.h>

static inline uint16_t an_bytes_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t an_bytes_u32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t an_bytes_u64(const uint8_t *p)
{
    return an_bytes_u32(p) | (uint64_t)an_bytes_u32(p + 4) << 32;
}

static inline void an_bytes_put_u32(uint8_t *p, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

static inline void an_bytes_put_u64(uint8_t *p, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

/* Keys: size is 4 or 8. */
static inline uint64_t an_bytes_key(const uint8_t *p, uint32_t size)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < size; i++)
        value = value << 8 | p[i];
    return value;
}

static inline void an_bytes_put_key(uint8_t *p, uint32_t size, uint64_t value)
{
    for (uint32_t i = 0; i < size; i++)
        p[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
}

#endif
