/* Part of bodies.h: where the streams of a row of blocks lie (docs/record-format.md), with the checks of
 * store/coef/row_private.h. All lanes know all of it. */
#ifndef AN_AUGMENT_CUDA_KERNELS_STREAMS_H
#define AN_AUGMENT_CUDA_KERNELS_STREAMS_H

#include "augment/cuda/kernels/payload.h"

typedef struct {
    const uint8_t *row;
    uint32_t size, blocks;
    uint32_t maps, crumbs, nibbles, bytes, words; /* where each begins: bytes from the row's beginning */
    uint32_t crumb_count, byte_count;
    uint32_t wide_dc, wide_bytes; /* how many of dc and of bytes continue in words */
    uint32_t available;           /* words that the row has */
} an_decode_streams;

/* 32 blocks of a row, one for each lane: their maps. */
typedef struct {
    uint32_t low[AN_WIDTH], high[AN_WIDTH]; /* bits 0 to 31 and 32 to 63 */
} an_decode_maps;

/* The maps of blocks first to first + 31; those beyond the row are empty. *at, where the first map begins, moves to
 * behind the last one. False when a map is longer than 8 bytes, leaves the row or has a bit 63. */
AN_BODY int an_maps_read(const an_decode_streams *s, uint32_t first, uint32_t *at, an_decode_maps *maps)
{
    uint32_t length[AN_WIDTH], offset[AN_WIDTH], bad[AN_WIDTH];
    AN_EACH(w)
    {
        uint32_t b = first + AN_LANE(w);
        length[w] = b < s->blocks ? an_at_u8(s->row + s->blocks + b / 2) >> 4 * (b % 2) & 15 : 0;
        bad[w] = length[w] > 8;
    }
    uint32_t all = an_lanes_before(length, offset);
    if (an_lanes_any(bad) || *at + all > s->size)
        return 0;
    AN_EACH(w)
    {
        uint64_t map = length[w] ? an_low(an_at_bits(s->row + *at + offset[w], 0), 8 * length[w]) : 0;
        maps->low[w] = (uint32_t)map;
        maps->high[w] = (uint32_t)(map >> 32);
        bad[w] = maps->high[w] >> 31;
    }
    *at += all;
    return !an_lanes_any(bad);
}

/* Adds up the ones of all maps; maps holds those of the last 32 blocks afterwards. */
AN_BODY int an_streams_maps(an_decode_streams *s, an_decode_maps *maps)
{
    uint32_t ones[AN_WIDTH];
    AN_EACH(w)
    {
        ones[w] = 0;
    }
    s->maps = s->blocks + (s->blocks + 1) / 2;
    s->crumbs = s->maps;
    if (s->maps > s->size)
        return 0;
    AN_ROLLED for (uint32_t first = 0; first < s->blocks; first += 32)
    {
        if (!an_maps_read(s, first, &s->crumbs, maps))
            return 0;
        AN_EACH(w)
        {
            ones[w] += an_ones(maps->low[w]) + an_ones(maps->high[w]);
        }
    }
    s->crumb_count = an_lanes_sum(ones);
    s->nibbles = s->crumbs + (s->crumb_count + 3) / 4;
    return s->nibbles <= s->size;
}

/* Counts the crumbs that continue as nibbles and as bytes. */
AN_BODY int an_streams_crumbs(an_decode_streams *s)
{
    uint32_t upper[AN_WIDTH], both[AN_WIDTH];
    AN_EACH(w)
    {
        upper[w] = both[w] = 0;
        AN_ROLLED for (uint32_t i = 16 * AN_LANE(w); i < s->crumb_count; i += 16 * 32)
        {
            uint32_t crumbs = (uint32_t)an_low(an_at_four(s->row + s->crumbs + i / 4), 2 * (s->crumb_count - i));
            uint32_t high = crumbs >> 1 & 0x55555555u;
            upper[w] += an_ones(high);
            both[w] += an_ones(high & crumbs);
        }
    }
    s->byte_count = an_lanes_sum(both);
    s->bytes = s->nibbles + (an_lanes_sum(upper) - s->byte_count + 1) / 2;
    s->words = s->bytes + s->byte_count;
    return s->words <= s->size;
}

/* How many of a word's bytes are AN_COEF_WIDE: the top bit is set, and no other. */
AN_BODY uint32_t an_bytes_wide(uint32_t v)
{
    return an_ones(v & ~((v & 0x7f7f7f7fu) + 0x7f7f7f7fu) & 0x80808080u);
}

/* How many of the first n bytes at `at` are AN_COEF_WIDE. */
AN_BODY uint32_t an_count_wide(const uint8_t *at, uint32_t n)
{
    uint32_t sum[AN_WIDTH];
    AN_EACH(w)
    {
        sum[w] = 0;
        AN_ROLLED for (uint32_t i = 4 * AN_LANE(w); i < n; i += 4 * 32)
        {
            sum[w] += an_bytes_wide((uint32_t)an_low(an_at_four(at + i), 8 * (n - i)));
        }
    }
    return an_lanes_sum(sum);
}

/* Finds the streams of the row. False when it is damaged. */
AN_BODY int an_streams_find(an_decode_streams *s, an_decode_maps *maps)
{
    if (!an_streams_maps(s, maps) || !an_streams_crumbs(s))
        return 0;
    s->wide_dc = an_count_wide(s->row, s->blocks);
    s->wide_bytes = an_count_wide(s->row + s->bytes, s->byte_count);
    s->available = (s->size - s->words) / 2;
    return s->wide_dc <= s->available;
}

#endif
