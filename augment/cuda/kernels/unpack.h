/* Part of bodies.h: from the streams of 32 blocks to their coefficients, multiplied by the quantisation table.
 *
 * First all values of the 32 blocks are made, one after the other: a lane does four crumbs at a time, and sums over the
 * lanes before it say where its nibbles and bytes are. Then block by block every lane takes care of two frequencies: if
 * the block's map has its bit, the bits before that one say which value it is. */
#ifndef AN_AUGMENT_CUDA_KERNELS_UNPACK_H
#define AN_AUGMENT_CUDA_KERNELS_UNPACK_H

#include "augment/cuda/kernels/streams.h"

/* What every lane needs to know of a block. */
typedef struct {
    uint32_t low, high; /* bits 0 to 31 and 32 to 62 of its map */
    uint32_t starts;    /* its first value; in the upper half, the first one of map's bit 32 and on */
    uint32_t dc;
} __attribute__((aligned(16))) an_decode_record;

/* A warp's own memory. A block takes 33 words, so that eight lanes each of four blocks read from 32 banks. Behind the
 * blocks come the values, a byte each. Once blocks are being transformed these are not needed any more: three blocks
 * more than 32, which fill up the last group of four, may overwrite them. */
enum {
    AN_ROOM_BLOCK = 33,
    AN_ROOM_BLOCKS = 32 * AN_ROOM_BLOCK,
    AN_ROOM_VALUES = 512 /* words: 63 bytes for each block, and three before them */
};
typedef struct {
    uint32_t words[AN_ROOM_BLOCKS + AN_ROOM_VALUES];
    an_decode_record records[32];
} __attribute__((aligned(16))) an_decode_room;

typedef int16_t __attribute__((may_alias)) an_decode_value;
typedef int8_t __attribute__((may_alias)) an_decode_small;

/* The two frequencies of each lane: where they lie in a block, and their factors. In zigzag order they are number lane
 * + 1 and number lane + 33; the last lane has DC in place of the second. */
typedef struct {
    uint32_t first[AN_WIDTH], second[AN_WIDTH];
    int32_t first_factor[AN_WIDTH], second_factor[AN_WIDTH];
} an_decode_lanes;

/* Positions in the streams at the next block, in entries, and the DC coefficient of the block before it. */
typedef struct {
    uint32_t map; /* in bytes from the row's beginning */
    uint32_t crumb, nibble, byte, wide_dc, dc;
    uint32_t wide; /* values that are AN_COEF_WIDE, before this block */
} an_decode_cursor;

AN_BODY void an_lanes_start(an_decode_lanes *lanes, const uint8_t *quantisation)
{
    static AN_CONSTANT uint8_t zigzag[64] = {AN_BLOCKS_ZIGZAG};
    AN_EACH(w)
    {
        uint32_t lane = AN_LANE(w), second = (lane + 33) % 64;
        lanes->first[w] = zigzag[lane + 1];
        lanes->second[w] = zigzag[second];
        lanes->first_factor[w] = (int32_t)an_at_u8(quantisation + lane + 1);
        lanes->second_factor[w] = (int32_t)an_at_u8(quantisation + second);
    }
}

/* The DC coefficients: sums of differences, modulo 2^16. */
AN_BODY void an_work_dc(const an_decode_streams *s, uint32_t first, an_decode_cursor *at, uint32_t *dc)
{
    uint32_t wide[AN_WIDTH], before[AN_WIDTH];
    AN_EACH(w)
    {
        uint32_t b = first + AN_LANE(w);
        dc[w] = b < s->blocks ? (uint32_t)(int8_t)an_at_u8(s->row + b) : 0;
        wide[w] = dc[w] == (uint32_t)AN_COEF_WIDE;
    }
    if (s->wide_dc) {
        uint32_t words = an_lanes_before(wide, before);
        AN_EACH(w)
        {
            const uint8_t *word = s->row + s->words + 2 * (at->wide_dc + before[w]);
            if (wide[w])
                dc[w] = an_at_u8(word) | an_at_u8(word + 1) << 8;
        }
        at->wide_dc += words;
    }
    uint32_t all = an_lanes_before(dc, before);
    AN_EACH(w)
    {
        dc[w] += at->dc + before[w];
    }
    at->dc += all;
}

/* Writes the records of 32 blocks; returns how many values these have. The first one is number crumb % 4. */
AN_BODY uint32_t an_work_records(const an_decode_streams *s, uint32_t first, const an_decode_maps *maps,
                                 an_decode_cursor *at, an_decode_room *room)
{
    uint32_t ones[AN_WIDTH], before[AN_WIDTH], dc[AN_WIDTH];
    AN_EACH(w)
    {
        ones[w] = an_ones(maps->low[w]) + an_ones(maps->high[w]);
    }
    uint32_t all = an_lanes_before(ones, before);
    an_work_dc(s, first, at, dc);
    AN_EACH(w)
    {
        uint32_t start = at->crumb % 4 + before[w], second = start + an_ones(maps->low[w]);
        an_decode_record record = {maps->low[w], maps->high[w], start | second << 16, dc[w]};
        room->records[AN_LANE(w)] = record;
    }
    return all;
}

/* Four crumbs in a byte each. */
AN_BODY uint32_t an_crumbs_spread(uint32_t crumbs)
{
    uint32_t pairs = (crumbs | crumbs << 12) & 0x000f000fu;
    return (pairs | pairs << 6) & 0x03030303u;
}

/* Four nibbles as the values that they stand for, in a byte each: 0 to 7 are 2 to 9, 8 to 15 are -2 to -9. */
AN_BODY uint32_t an_nibbles_values(uint32_t nibbles)
{
    uint32_t pairs = (nibbles | nibbles << 8) & 0x00ff00ffu, each = (pairs | pairs << 4) & 0x0f0f0f0fu;
    uint32_t size = (each & 0x07070707u) + 0x02020202u, negative = each >> 3 & 0x01010101u;
    return (size ^ negative * 255) + negative;
}

/* The values of four crumbs, in a byte each. spread: the crumbs. nibbles, bytes: the next four of each stream, of which
 * the first ones are used. */
AN_BODY uint32_t an_crumbs_values(uint32_t spread, uint32_t nibbles, uint32_t bytes)
{
    const uint32_t ones = 0x01010101u, behind = 0x01010100u; /* a product with `behind`: sums of the bytes before */
    uint32_t medium = spread >> 1 & ~spread & ones, large = spread >> 1 & spread & ones;
    uint32_t small = ones + (spread & ones) * 254;
    uint32_t is_medium = medium * 255, large_ranks = large * behind + 4 * ones;
    uint32_t which = (medium * behind & is_medium) | (large_ranks & ~is_medium);
    which = (which | which >> 4) & 0x00ff00ffu;
    which = (which | which >> 8) & 0xffffu;
    uint32_t larger = an_pick(an_nibbles_values(nibbles & 0xffff), bytes, which), is_larger = (medium | large) * 255;
    return (larger & is_larger) | (small & ~is_larger);
}

/* The next `count` values, those of 32 blocks, into the room. */
AN_BODY void an_work_values(const an_decode_streams *s, uint32_t count, an_decode_cursor *at, an_decode_room *room)
{
    uint32_t skipped = at->crumb % 4, end = skipped + count;
    const uint8_t *from = s->row + s->crumbs + at->crumb / 4;
    AN_ROLLED for (uint32_t first = 0; first < end; first += 4 * 32)
    {
        uint32_t spread[AN_WIDTH], larger[AN_WIDTH], before[AN_WIDTH];
        AN_EACH(w)
        {
            uint32_t i = first + 4 * AN_LANE(w), left = end - i, crumbs = 0;
            if (i < end)
                crumbs = an_at_u8(from + i / 4) & (left < 4 ? (1u << 2 * left) - 1 : 255);
            if (i == 0)
                crumbs &= 255u << 2 * skipped;
            spread[w] = an_crumbs_spread(crumbs);
            uint32_t high = crumbs >> 1 & 0x55, both = an_ones(high & crumbs);
            larger[w] = both << 16 | (an_ones(high) - both);
        }
        uint32_t all = an_lanes_before(larger, before);
        AN_EACH(w)
        {
            uint32_t nibble = at->nibble + (before[w] & 0xffff), byte = at->byte + (before[w] >> 16);
            uint32_t nibbles = larger[w] & 0xffff ? an_at_four_bits(s->row + s->nibbles, 4 * nibble) : 0;
            uint32_t bytes = larger[w] >> 16 ? an_at_four_bits(s->row + s->bytes, 8 * byte) : 0;
            if (first + 4 * AN_LANE(w) < end)
                room->words[AN_ROOM_BLOCKS + first / 4 + AN_LANE(w)] = an_crumbs_values(spread[w], nibbles, bytes);
        }
        at->nibble += all & 0xffff;
        at->byte += all >> 16;
    }
}

AN_BODY const an_decode_small *an_room_values(const an_decode_room *room)
{
    return (const an_decode_small *)(const void *)(room->words + AN_ROOM_BLOCKS);
}

/* How many of the room's values from `first` to before `end` are AN_COEF_WIDE. */
AN_BODY uint32_t an_room_wide(const an_decode_room *room, uint32_t first, uint32_t end)
{
    uint32_t sum[AN_WIDTH];
    AN_EACH(w)
    {
        sum[w] = 0;
        AN_ROLLED for (uint32_t i = first / 4 + AN_LANE(w); 4 * i < end; i += 32)
        {
            uint32_t v = (uint32_t)an_low(room->words[AN_ROOM_BLOCKS + i], 8 * (end - 4 * i));
            if (4 * i < first)
                v &= 0xffffffffu << 8 * (first - 4 * i);
            sum[w] += an_bytes_wide(v);
        }
    }
    return an_lanes_sum(sum);
}

/* Word number `number` behind those of DC, as a value. Beyond the row's words it is not read: the row is damaged. */
AN_BODY int32_t an_streams_word(const an_decode_streams *s, uint32_t number)
{
    const uint8_t *word = s->row + s->words + 2 * (s->wide_dc + number);
    if (s->wide_dc + number >= s->available)
        return AN_COEF_WIDE;
    return (int16_t)(an_at_u8(word) | an_at_u8(word + 1) << 8);
}

/* Values of one block that are AN_COEF_WIDE become their words, `before` words after the first. The lanes' first values
 * come before their second ones. Returns how many there are. A row with such values is rare, but the whole batch waits
 * for it: so lanes count together, and none looks at the values before its own. */
AN_BODY uint32_t an_work_widen(const an_decode_streams *s, uint32_t before, int32_t *first, int32_t *second)
{
    uint32_t wide[AN_WIDTH], ranks[AN_WIDTH];
    AN_EACH(w)
    {
        wide[w] = (uint32_t)(first[w] == AN_COEF_WIDE) | (uint32_t)(second[w] == AN_COEF_WIDE) << 16;
    }
    if (!an_lanes_any(wide))
        return 0;
    uint32_t all = an_lanes_before(wide, ranks);
    AN_EACH(w)
    {
        if (wide[w] & 0xffff)
            first[w] = an_streams_word(s, before + (ranks[w] & 0xffff));
        if (wide[w] >> 16)
            second[w] = an_streams_word(s, before + (all & 0xffff) + (ranks[w] >> 16));
    }
    return (all & 0xffff) + (all >> 16);
}

/* Makes the coefficients of blocks begin to end - 1 of the 32. widen: some values continue in words, the first of them
 * in word number `word` behind those of DC. Returns the number of the word behind the last one. */
AN_BODY uint32_t an_work_place(const an_decode_streams *s, const an_decode_lanes *lanes, uint32_t begin, uint32_t end,
                               int widen, uint32_t word, an_decode_room *room)
{
    AN_ROLLED for (uint32_t b = begin; b < end; b++)
    {
        const an_decode_record r = room->records[b];
        const an_decode_small *values = an_room_values(room);
        an_decode_value *block = (an_decode_value *)(void *)(room->words + b * AN_ROOM_BLOCK);
        int32_t first[AN_WIDTH], second[AN_WIDTH];
        AN_EACH(w)
        {
            uint32_t bit = 1u << AN_LANE(w);
            first[w] = second[w] = 0;
            if (r.low & bit)
                first[w] = values[(r.starts & 0xffff) + an_ones(r.low & (bit - 1))];
            if (r.high & bit)
                second[w] = values[(r.starts >> 16) + an_ones(r.high & (bit - 1))];
        }
        if (widen)
            word += an_work_widen(s, word, first, second);
        AN_EACH(w)
        {
            if (AN_LANE(w) == 31)
                second[w] = (int16_t)r.dc;
            block[lanes->first[w]] = (an_decode_value)(first[w] * lanes->first_factor[w]);
            block[lanes->second[w]] = (an_decode_value)(second[w] * lanes->second_factor[w]);
        }
    }
    return word;
}

#endif
