/* Part of bodies.h: a payload's header and its table of lengths, with the checks of store/coef/format.c. */
#ifndef AN_AUGMENT_CUDA_KERNELS_PAYLOAD_H
#define AN_AUGMENT_CUDA_KERNELS_PAYLOAD_H

#include "augment/cuda/kernels/geometry.h"
#include "store/coef/format.h"

typedef struct {
    uint32_t sampling, tables, components;
    uint32_t wide[2];            /* blocks in a row: luma, chroma */
    uint32_t high[2];            /* rows of blocks */
    uint32_t block_rows;         /* of all components */
    uint32_t lengths, rows, end; /* bytes from the payload's beginning */
} an_decode_layout;

AN_BODY uint32_t an_blocks_for(uint32_t samples)
{
    return (samples + 7) / 8;
}

AN_BODY void an_layout_count(an_decode_layout *l, uint32_t side)
{
    l->components = l->sampling == AN_SAMPLING_GREY ? 1 : 3;
    l->wide[0] = l->high[0] = an_blocks_for(side);
    l->wide[1] = an_blocks_for(an_samples_in(side, an_halved_wide(l->sampling)));
    l->high[1] = an_blocks_for(an_samples_in(side, an_halved_high(l->sampling)));
    l->block_rows = l->high[0] + (l->components - 1) * l->high[1];
}

/* Returns an_decode_code, or 0. */
AN_BODY uint32_t an_layout_read(an_decode_layout *l, const an_decode_sample *s, uint32_t side, an_decode_detail *detail)
{
    detail->first = s->size;
    if (s->size < AN_COEF_HEADER + AN_COEF_PADDING)
        return AN_DECODE_TRUNCATED;
    uint32_t head = an_at_word(s->payload), shape = an_at_word(s->payload + 4);
    uint32_t width = shape & 0xffff, height = shape >> 16;
    l->sampling = head >> 8 & 255;
    l->tables = head >> 16 & 255;
    detail->first = head & 255;
    if ((head & 255) != AN_COEF_VERSION)
        return AN_DECODE_VERSION;
    if (l->sampling > AN_SAMPLING_420 || head >> 24 || l->tables < 1 ||
        l->tables > (l->sampling == AN_SAMPLING_GREY ? 1u : 3u))
        return AN_DECODE_HEADER;
    detail->first = width;
    detail->second = height;
    if (width < 1 || height < 1 || width > AN_IMAGE_SIDE_MAX || height > AN_IMAGE_SIDE_MAX)
        return AN_DECODE_IMPOSSIBLE;
    if (width != side || height != side)
        return AN_DECODE_OTHER_SIDE;
    an_layout_count(l, side);
    l->lengths = AN_COEF_HEADER + 64 * l->tables;
    l->rows = l->lengths + 2 * l->block_rows;
    detail->first = s->size;
    if (s->size < l->rows + AN_COEF_PADDING)
        return AN_DECODE_TRUNCATED;
    l->end = s->size - AN_COEF_PADDING;
    return 0;
}

/* Each block takes at least a byte and a half. */
AN_BODY uint32_t an_layout_least(const an_decode_layout *l)
{
    uint32_t luma = l->high[0] * (l->wide[0] + (l->wide[0] + 1) / 2);
    uint32_t chroma = l->high[1] * (l->wide[1] + (l->wide[1] + 1) / 2);
    return luma + (l->components - 1) * chroma;
}

/* Where row number `number` begins, from the payload's beginning, and its size. Adds up the table of lengths, each lane
 * a part of it. Returns an_decode_code, or 0. */
AN_BODY uint32_t an_layout_row(const an_decode_layout *l, const uint8_t *payload, uint32_t number, uint32_t *begin,
                               uint32_t *size, an_decode_detail *detail)
{
    uint32_t before[AN_WIDTH], all[AN_WIDTH];
    AN_EACH(w)
    {
        before[w] = all[w] = 0;
        AN_ROLLED for (uint32_t r = AN_LANE(w); r < l->block_rows; r += 32)
        {
            uint32_t length = an_at_u16(payload + l->lengths + 2 * r);
            before[w] += r < number ? length : 0;
            all[w] += length;
        }
    }
    uint32_t sum = an_lanes_sum(all), rows = l->end - l->rows;
    detail->first = rows;
    detail->second = sum;
    if (sum != rows || sum < an_layout_least(l))
        return AN_DECODE_LENGTHS;
    *begin = l->rows + an_lanes_sum(before);
    *size = an_at_u16(payload + l->lengths + 2 * number);
    return 0;
}

#endif
