/* Part of bodies.h: from the streams of 32 blocks to their coefficients, multiplied by the quantisation table. A lane
 * does a block. Where its values begin in each stream follows from sums over the lanes before it. */
#ifndef AN_AUGMENT_CUDA_KERNELS_UNPACK_H
#define AN_AUGMENT_CUDA_KERNELS_UNPACK_H

#include "augment/cuda/kernels/streams.h"

/* A warp's own memory. A block takes 33 words, so that the same coefficient of 32 blocks lies in 32 banks; the last one
 * is not used. */
enum { AN_ROOM_BLOCK = 33 };
typedef struct {
    uint32_t blocks[32 * AN_ROOM_BLOCK];
    uint32_t table[64]; /* in zigzag order: quantisation << 16 | position in row-major order */
} __attribute__((aligned(16))) an_decode_room;

typedef int16_t __attribute__((may_alias)) an_decode_value;

/* Positions in the streams at the next block, in entries, and the DC coefficient of the block before it. */
typedef struct {
    uint32_t map; /* in bytes from the row's beginning */
    uint32_t crumb, nibble, byte, wide_dc, dc;
} an_decode_cursor;

/* What the lanes have of their blocks. */
typedef struct {
    an_decode_maps maps;
    uint64_t first[AN_WIDTH], second[AN_WIDTH]; /* crumbs of the values in the lower and in the upper half of the map */
    uint32_t nibble[AN_WIDTH], byte[AN_WIDTH];  /* positions of the block's first ones */
    uint32_t dc[AN_WIDTH];
} an_decode_work;

AN_BODY void an_room_clear(an_decode_room *room)
{
    AN_EACH(w)
    {
        const an_decode_sixteen zero = {{0, 0, 0, 0}};
        for (uint32_t i = AN_LANE(w); i < 32 * AN_ROOM_BLOCK / 4; i += 32)
            ((an_decode_sixteen *)(void *)room->blocks)[i] = zero;
    }
}

AN_BODY void an_room_table(an_decode_room *room, const uint8_t *quantisation)
{
    static AN_CONSTANT uint8_t zigzag[64] = {AN_BLOCKS_ZIGZAG};
    AN_EACH(w)
    {
        for (uint32_t i = AN_LANE(w); i < 64; i += 32)
            room->table[i] = an_at_u8(quantisation + i) << 16 | zigzag[i];
    }
}

/* The crumbs of each lane's block, and where its nibbles and bytes begin. */
AN_BODY void an_work_crumbs(const an_decode_streams *s, an_decode_cursor *at, an_decode_work *work)
{
    uint32_t ones[AN_WIDTH], before[AN_WIDTH];
    AN_EACH(w)
    {
        ones[w] = an_ones(work->maps.low[w]) + an_ones(work->maps.high[w]);
    }
    uint32_t all = an_lanes_before(ones, before);
    AN_EACH(w)
    {
        uint32_t n = an_ones(work->maps.low[w]), crumb = at->crumb + before[w];
        const uint8_t *crumbs = s->row + s->crumbs;
        work->first[w] = n ? an_low(an_at_bits(crumbs, 2 * crumb), 2 * n) : 0;
        work->second[w] = ones[w] > n ? an_low(an_at_bits(crumbs, 2 * (crumb + n)), 2 * (ones[w] - n)) : 0;
        uint64_t odd = 0x5555555555555555u, high0 = work->first[w] >> 1 & odd, high1 = work->second[w] >> 1 & odd;
        uint32_t both = an_ones(high0 & work->first[w]) + an_ones(high1 & work->second[w]);
        ones[w] = both << 16 | (an_ones(high0) + an_ones(high1) - both); /* at most 63 x 32 of each */
    }
    uint32_t larger = an_lanes_before(ones, before);
    AN_EACH(w)
    {
        work->nibble[w] = at->nibble + (before[w] & 0xffff);
        work->byte[w] = at->byte + (before[w] >> 16);
    }
    at->crumb += all;
    at->nibble += larger & 0xffff;
    at->byte += larger >> 16;
}

/* The DC coefficients: sums of differences, modulo 2^16. */
AN_BODY void an_work_dc(const an_decode_streams *s, uint32_t first, an_decode_cursor *at, an_decode_work *work)
{
    uint32_t wide[AN_WIDTH], difference[AN_WIDTH], before[AN_WIDTH];
    AN_EACH(w)
    {
        uint32_t b = first + AN_LANE(w);
        difference[w] = b < s->blocks ? (uint32_t)(int8_t)an_at_u8(s->row + b) : 0;
        wide[w] = difference[w] == (uint32_t)AN_COEF_WIDE;
    }
    if (s->wide_dc) {
        uint32_t words = an_lanes_before(wide, before);
        AN_EACH(w)
        {
            const uint8_t *word = s->row + s->words + 2 * (at->wide_dc + before[w]);
            if (wide[w])
                difference[w] = an_at_u8(word) | an_at_u8(word + 1) << 8;
        }
        at->wide_dc += words;
    }
    uint32_t all = an_lanes_before(difference, before);
    AN_EACH(w)
    {
        work->dc[w] = at->dc + before[w] + difference[w];
    }
    at->dc += all;
}

/* Where one lane is in its block's values. */
typedef struct {
    const uint8_t *nibbles, *bytes, *words;
    uint32_t nibble, byte, word, available;
} an_decode_taker;

/* The value of a crumb that is AN_COEF_NIBBLE or AN_COEF_BYTE. */
AN_BODY int32_t an_take_larger(an_decode_taker *t, uint32_t crumb)
{
    if (crumb == AN_COEF_NIBBLE) {
        int32_t nibble = (int32_t)(an_at_u8(t->nibbles + t->nibble / 2) >> 4 * (t->nibble % 2) & 15);
        t->nibble++;
        return nibble < 8 ? nibble + 2 : 6 - nibble;
    }
    int32_t value = (int8_t)an_at_u8(t->bytes + t->byte++);
    if (value == AN_COEF_WIDE && t->word < t->available) {
        const uint8_t *word = t->words + 2 * t->word++;
        value = (int16_t)(an_at_u8(word) | an_at_u8(word + 1) << 8);
    }
    return value;
}

/* The values of one half of a block's map. table: of the half's first coefficient. */
AN_BODY void an_take_half(an_decode_taker *t, uint32_t map, uint64_t crumbs, const uint32_t *table,
                          an_decode_value *block)
{
    for (; map; map &= map - 1, crumbs >>= 2) {
        uint32_t crumb = (uint32_t)crumbs & 3, entry = table[an_lowest(map)];
        int32_t value = crumb & 2 ? an_take_larger(t, crumb) : 1 - 2 * (int32_t)crumb;
        block[entry & 63] = (an_decode_value)(value * (int32_t)(entry >> 16));
    }
}

/* Puts the coefficients of the lanes' blocks into the room, those of blocks begin to end - 1 of the 32. */
AN_BODY void an_work_place(const an_decode_streams *s, const an_decode_work *work, uint32_t begin, uint32_t end,
                           an_decode_room *room)
{
    AN_EACH(w)
    {
        uint32_t slot = AN_LANE(w);
        an_decode_value *block = (an_decode_value *)(void *)(room->blocks + slot * AN_ROOM_BLOCK);
        an_decode_taker t = {s->row + s->nibbles, s->row + s->bytes, s->row + s->words, work->nibble[w],
                             work->byte[w],       s->wide_dc,        s->available};
        if (slot >= begin && slot < end) {
            for (uint32_t i = 0; s->wide_bytes && i < work->byte[w]; i++) /* rare */
                t.word += an_at_u8(t.bytes + i) == (AN_COEF_WIDE & 255);
            block[0] = (an_decode_value)((int32_t)(int16_t)work->dc[w] * (int32_t)(room->table[0] >> 16));
            an_take_half(&t, work->maps.low[w], work->first[w], room->table + 1, block);
            an_take_half(&t, work->maps.high[w], work->second[w], room->table + 33, block);
        }
    }
}

#endif
