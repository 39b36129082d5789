/* One row of blocks: finding its streams. Everything is inlined into each SIMD tier, so that each counts bits with its
 * own instructions.
 *
 *     dc       n bytes          difference to the block on the left; AN_COEF_WIDE: it is in the next word
 *     lengths  n nibbles        bytes of the block's map, 0 to 8
 *     maps     0 to 8 bytes     bit i: AC coefficient i + 1 in zigzag order is not zero
 *     crumbs   2 bits           for each AC coefficient that is not zero
 *     nibbles  4 bits           for each crumb that is AN_COEF_NIBBLE
 *     bytes    a byte           for each crumb that is AN_COEF_BYTE
 *     words    16 bits          for each AN_COEF_WIDE, those of dc first
 *
 * The length of a stream is not stored: it follows from sums over the stream before it. Taking these sums first costs
 * two or three instructions a block. It proves that every stream lies inside the row, and gives the positions in the
 * streams at a window's first block without walking through the blocks before it. */
#ifndef AN_STORE_COEF_ROW_PRIVATE_H
#define AN_STORE_COEF_ROW_PRIVATE_H

#include <stdbool.h>

#include "base/bytes.h"
#include "store/coef/format.h"

typedef struct {
    const uint8_t *dc;      /* at the row's first block */
    const uint8_t *lengths; /* at the row's first block; the following at block `first` of an_coef_row_locate */
    const uint8_t *maps, *crumbs, *nibbles, *bytes;
    size_t crumb, nibble;       /* positions in crumbs and nibbles, in entries */
    size_t values;              /* AC coefficients that are not zero in the blocks asked for: 63 a block at most */
    const uint8_t *dc_words;    /* at the row's first block */
    const uint8_t *words, *end; /* the next word of an AC coefficient; the row's end */
} an_coef_row_streams;

static inline uint64_t an_coef_low_bits(uint64_t v, size_t bits)
{
    return bits < 64 ? v & (((uint64_t)1 << bits) - 1) : v;
}

static inline size_t an_coef_popcount(uint64_t v)
{
#ifdef __POPCNT__
    return (size_t)__builtin_popcountll(v);
#else
    v -= v >> 1 & 0x5555555555555555u;
    v = (v & 0x3333333333333333u) + (v >> 2 & 0x3333333333333333u);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return v * 0x0101010101010101u >> 56;
#endif
}

/* A block's map of n bytes (0 to 8) at p. A sound one has bit 63 clear; shifted left by one, its bit i is coefficient i
 * in zigzag order. Without a branch, because n cannot be predicted. */
static inline uint64_t an_coef_map(const uint8_t *p, size_t n)
{
    return an_bytes_u64(p) & (((uint64_t)1 << 4 * n << 4 * n) - 1);
}

/* False when bit 63 of a map is set: there is no such coefficient. `seen` is all maps' bits. */
static inline bool an_coef_maps_valid(uint64_t seen)
{
    return seen >> 63 == 0;
}

/* The bits that are set in the maps of blocks [first, end); `maps` is where the first one's begins. */
static inline uint64_t an_coef_maps_seen(const uint8_t *lengths, const uint8_t *maps, size_t first, size_t end)
{
    uint64_t seen = 0;
    for (size_t b = first; b < end; b++) {
        size_t n = lengths[b / 2] >> 4 * (b % 2) & 15;
        seen |= an_coef_map(maps, n);
        maps += n;
    }
    return seen;
}

/* The sum of the first n nibbles; sets *bad when one is above 8. */
static inline size_t an_coef_sum_nibbles(const uint8_t *p, size_t n, bool *bad)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i += 16) {
        uint64_t v = an_coef_low_bits(an_bytes_u64(p + i / 2), 4 * (n - i));
        uint64_t low = (v | v >> 1 | v >> 2) & 0x1111111111111111u;
        *bad |= (low & v >> 3) != 0;
        v = (v & 0x0f0f0f0f0f0f0f0fu) + (v >> 4 & 0x0f0f0f0f0f0f0f0fu);
        sum += v * 0x0101010101010101u >> 56;
    }
    return sum;
}

/* The number of ones in the first n bytes. */
static inline size_t an_coef_count_ones(const uint8_t *p, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i += 8)
        sum += an_coef_popcount(an_coef_low_bits(an_bytes_u64(p + i), 8 * (n - i)));
    return sum;
}

/* How many of the first n crumbs are AN_COEF_NIBBLE and AN_COEF_BYTE. */
static inline void an_coef_count_crumbs(const uint8_t *p, size_t n, size_t *nibbles, size_t *bytes)
{
    size_t upper = 0, both = 0;
    for (size_t i = 0; i < n; i += 32) {
        uint64_t v = an_coef_low_bits(an_bytes_u64(p + i / 4), 2 * (n - i));
        uint64_t high = v >> 1 & 0x5555555555555555u;
        upper += an_coef_popcount(high);
        both += an_coef_popcount(high & v);
    }
    *nibbles = upper - both;
    *bytes = both;
}

/* How many of the first n bytes are AN_COEF_WIDE. */
static inline size_t an_coef_count_wide(const uint8_t *p, size_t n)
{
    const uint64_t low7 = 0x7f7f7f7f7f7f7f7fu;
    size_t sum = 0;
    for (size_t i = 0; i < n; i += 8) {
        uint64_t v = an_coef_low_bits(an_bytes_u64(p + i), 8 * (n - i));
        sum += an_coef_popcount(v & ~((v & low7) + low7) & ~low7); /* top bit set, no other */
    }
    return sum;
}

/* Find the streams of a row of blocks, with positions at block `first`, and count the values of blocks [first, end).
 * False when the row is damaged. Of the maps of blocks [first, end) it only knows that they have not more ones than the
 * caller has room for: who walks through them checks them with an_coef_maps_valid. At most 8 bytes beyond the row are
 * read. */
static inline bool an_coef_row_locate(an_coef_row_streams *s, const uint8_t *row, size_t size, size_t blocks,
                                      size_t first, size_t end)
{
    bool bad = false;
    s->dc = row;
    s->end = row + size;
    size_t used = blocks + (blocks + 1) / 2;
    if (used > size)
        return false;
    s->lengths = row + blocks;
    const uint8_t *maps = row + used;
    size_t before = an_coef_sum_nibbles(s->lengths, first, &bad);
    size_t within = an_coef_sum_nibbles(s->lengths, end, &bad);
    size_t all = an_coef_sum_nibbles(s->lengths, blocks, &bad);
    used += all;
    if (bad || used > size)
        return false;
    s->maps = maps + before;
    s->crumbs = row + used;
    s->crumb = an_coef_count_ones(maps, before);
    s->values = an_coef_count_ones(s->maps, within - before);
    uint64_t outside =
        an_coef_maps_seen(s->lengths, maps, 0, first) | an_coef_maps_seen(s->lengths, maps + within, end, blocks);
    if (s->values > 63 * (end - first) || !an_coef_maps_valid(outside))
        return false;
    size_t crumbs = s->crumb + s->values + an_coef_count_ones(maps + within, all - within);
    used += (crumbs + 3) / 4;
    if (used > size)
        return false;
    s->nibbles = row + used;
    size_t nibbles, bytes, bytes_before;
    an_coef_count_crumbs(s->crumbs, crumbs, &nibbles, &bytes);
    an_coef_count_crumbs(s->crumbs, s->crumb, &s->nibble, &bytes_before);
    used += (nibbles + 1) / 2;
    if (used + bytes > size)
        return false;
    s->bytes = row + used + bytes_before;
    s->dc_words = row + used + bytes;
    size_t words_before = an_coef_count_wide(s->dc, blocks) + an_coef_count_wide(row + used, bytes_before);
    if (used + bytes + 2 * words_before > size)
        return false;
    s->words = s->dc_words + 2 * words_before;
    return true;
}

/* The DC coefficients of blocks [0, end): the sums of the differences. */
static inline void an_coef_row_dc(const an_coef_row_streams *s, size_t end, int16_t *out)
{
    const uint8_t *words = s->dc_words;
    uint32_t dc = 0;
    for (size_t b = 0; b < end; b++) {
        int32_t difference = (int8_t)s->dc[b];
        if (difference == AN_COEF_WIDE) {
            difference = (int16_t)an_bytes_u16(words);
            words += 2;
        }
        dc += (uint32_t)difference;
        out[b] = (int16_t)dc;
    }
}

/* Take the next word of an AC coefficient; false at the row's end. */
static inline bool an_coef_row_word(an_coef_row_streams *s, int16_t *out)
{
    if (s->end - s->words < 2)
        return false;
    *out = (int16_t)an_bytes_u16(s->words);
    s->words += 2;
    return true;
}

/* Replace the coefficients of a block that need more than a byte, at the zigzag positions whose bit is set in `wide`,
 * by their words. */
static inline bool an_coef_row_patch(an_coef_row_streams *s, uint64_t wide, int16_t *out)
{
    for (; wide != 0; wide &= wide - 1)
        if (!an_coef_row_word(s, &out[an_blocks_zigzag[__builtin_ctzll(wide)]]))
            return false;
    return true;
}

/* The number of bytes of block b's map. */
static inline size_t an_coef_row_map_length(const an_coef_row_streams *s, size_t b)
{
    return s->lengths[b / 2] >> 4 * (b % 2) & 15;
}

#endif
