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

/* A warp's own memory. A block takes 33 words, so that eight lanes each of four blocks read from 32 banks. */
enum { AN_ROOM_BLOCK = 33, AN_ROOM_VALUES = 2048 /* 63 for each block, and three before them */ };
typedef struct {
    uint32_t blocks[32 * AN_ROOM_BLOCK];
    uint32_t values[AN_ROOM_VALUES / 4]; /* bytes */
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

/* The value of a crumb; *nibble and *byte, the positions of the next ones, move on. */
AN_BODY int32_t an_crumb_value(const an_decode_streams *s, uint32_t crumb, uint32_t *nibble, uint32_t *byte)
{
    if (crumb == AN_COEF_NIBBLE) {
        uint32_t at = (*nibble)++;
        int32_t value = (int32_t)(an_at_u8(s->row + s->nibbles + at / 2) >> 4 * (at % 2) & 15);
        return value < 8 ? value + 2 : 6 - value;
    }
    if (crumb == AN_COEF_BYTE)
        return (int8_t)an_at_u8(s->row + s->bytes + (*byte)++);
    return 1 - 2 * (int32_t)crumb;
}

/* The next `count` values, those of 32 blocks, into the room. */
AN_BODY void an_work_values(const an_decode_streams *s, uint32_t count, an_decode_cursor *at, an_decode_room *room)
{
    uint32_t skipped = at->crumb % 4, end = skipped + count;
    const uint8_t *from = s->row + s->crumbs + at->crumb / 4;
    for (uint32_t first = 0; first < end; first += 4 * 32) {
        uint32_t crumbs[AN_WIDTH], larger[AN_WIDTH], before[AN_WIDTH];
        AN_EACH(w)
        {
            uint32_t i = first + 4 * AN_LANE(w);
            crumbs[w] = i < end ? an_at_u8(from + i / 4) & (uint32_t)an_low(255, 2 * (end - i)) : 0;
            if (i == 0)
                crumbs[w] &= 255u << 2 * skipped;
            uint32_t high = crumbs[w] >> 1 & 0x55, both = an_ones(high & crumbs[w]);
            larger[w] = both << 16 | (an_ones(high) - both);
        }
        uint32_t all = an_lanes_before(larger, before);
        AN_EACH(w)
        {
            uint32_t nibble = at->nibble + (before[w] & 0xffff), byte = at->byte + (before[w] >> 16), values = 0;
            AN_UNROLL for (uint32_t k = 0; k < 4; k++) values |=
                ((uint32_t)an_crumb_value(s, crumbs[w] >> 2 * k & 3, &nibble, &byte) & 255) << (8 * k);
            if (first + 4 * AN_LANE(w) < end)
                room->values[first / 4 + AN_LANE(w)] = values;
        }
        at->nibble += all & 0xffff;
        at->byte += all >> 16;
    }
}

/* How many of the room's values from `first` to before `end` are AN_COEF_WIDE. Rarely called. */
AN_BODY uint32_t an_room_wide(const an_decode_room *room, uint32_t first, uint32_t end)
{
    const an_decode_small *values = (const an_decode_small *)(const void *)room->values;
    uint32_t count = 0;
    for (uint32_t i = first; i < end; i++)
        count += values[i] == AN_COEF_WIDE;
    return count;
}

/* Value number i of the room, which may continue in a word. skipped: the number of the first one. */
AN_BODY int32_t an_room_value(const an_decode_streams *s, const an_decode_cursor *at, const an_decode_room *room,
                              uint32_t skipped, uint32_t i, int wide)
{
    int32_t value = ((const an_decode_small *)(const void *)room->values)[i];
    if (wide && value == AN_COEF_WIDE) {
        uint32_t number = s->wide_dc + at->wide + an_room_wide(room, skipped, i);
        const uint8_t *word = s->row + s->words + 2 * number;
        if (number < s->available)
            value = (int16_t)(an_at_u8(word) | an_at_u8(word + 1) << 8);
    }
    return value;
}

/* Makes the coefficients of blocks begin to end - 1 of the 32. wide: some values continue in words. */
AN_BODY void an_work_place(const an_decode_streams *s, const an_decode_cursor *at, const an_decode_lanes *lanes,
                           uint32_t skipped, uint32_t begin, uint32_t end, int wide, an_decode_room *room)
{
    for (uint32_t b = begin; b < end; b++)
        AN_EACH(w)
        {
            const an_decode_record r = room->records[b];
            an_decode_value *block = (an_decode_value *)(void *)(room->blocks + b * AN_ROOM_BLOCK);
            uint32_t lane = AN_LANE(w), bit = 1u << lane;
            int32_t first = 0, second = 0;
            if (r.low & bit)
                first = an_room_value(s, at, room, skipped, (r.starts & 0xffff) + an_ones(r.low & (bit - 1)), wide);
            if (r.high & bit)
                second = an_room_value(s, at, room, skipped, (r.starts >> 16) + an_ones(r.high & (bit - 1)), wide);
            if (lane == 31)
                second = (int16_t)r.dc;
            block[lanes->first[w]] = (an_decode_value)(first * lanes->first_factor[w]);
            block[lanes->second[w]] = (an_decode_value)(second * lanes->second_factor[w]);
        }
}

#endif
