/* Part of bodies.h: which rows and columns of blocks a crop needs, and where a sample's payload lies. */
#ifndef AN_AUGMENT_CUDA_KERNELS_GEOMETRY_H
#define AN_AUGMENT_CUDA_KERNELS_GEOMETRY_H

#include "augment/cuda/kernels/kernels.h"
#include "augment/cuda/kernels/memory.h"
#include "store/image/image.h"
#include "store/image/planes/blocks.h"

/* A sample of the batch, checked against the block. */
typedef struct {
    const uint8_t *payload;
    uint32_t size, kind;
    uint32_t x, y, flip;
    uint32_t code; /* an_decode_code, or 0 */
} an_decode_sample;

AN_BODY an_decode_sample an_sample_of(const an_decode_batch *b, const void *block, uint32_t n)
{
    const an_image_draw *draw = (const an_image_draw *)block + n;
    const an_payload *place = (const an_payload *)(const void *)((const uint8_t *)block + b->places) + n;
    AN_TOUCH(draw, sizeof *draw);
    AN_TOUCH(place, sizeof *place);
    an_decode_sample s = {
        (const uint8_t *)block + place->offset, place->size, place->kind, draw->x, draw->y, draw->flip, 0};
    uint32_t free = b->side - b->crop;
    if (place->offset % AN_PAYLOAD_ALIGNMENT || (uint64_t)place->offset + place->size + AN_PAYLOAD_SLACK > b->size)
        s.code = AN_DECODE_PLACE;
    else if (s.kind > AN_PAYLOAD_PIXELS)
        s.code = AN_DECODE_KIND;
    else if (s.kind == AN_PAYLOAD_COEF && (s.x > free || s.y > free))
        s.code = AN_DECODE_CROP;
    else if (s.kind == AN_PAYLOAD_PIXELS && s.size != b->crop * b->crop * 3)
        s.code = AN_DECODE_BYTES;
    /* The host may have made the sample of a window of any size, which can begin further out. Its place matters for a
     * mean image alone, and such samples have none. */
    s.x = s.x < free ? s.x : free;
    s.y = s.y < free ? s.y : free;
    return s;
}

/* Whether chroma has half as many columns, and half as many rows, as luma. */
AN_BODY uint32_t an_halved_wide(uint32_t sampling)
{
    return sampling >= AN_SAMPLING_422;
}

AN_BODY uint32_t an_halved_high(uint32_t sampling)
{
    return sampling == AN_SAMPLING_420;
}

/* Samples in a row (or a column) of a component. */
AN_BODY uint32_t an_samples_in(uint32_t side, uint32_t halved)
{
    return (side + halved) >> halved;
}

/* Blocks first to last that hold what samples of a component the pixels from `from` to `to` need, in one direction. */
typedef struct {
    uint32_t first, last;
} an_decode_blocks;

/* Upsampling needs a neighbour on each side. */
AN_BODY an_decode_blocks an_columns_of(uint32_t from, uint32_t to, uint32_t side, uint32_t halved)
{
    an_decode_blocks c = {from / 8, to / 8};
    if (halved) {
        uint32_t last = to / 2 + 1, most = an_samples_in(side, 1) - 1;
        c.first = (from / 2 > 0 ? from / 2 - 1 : 0) / 8;
        c.last = (last < most ? last : most) / 8;
    }
    return c;
}

/* All of chroma's rows of the MCU rows that the crop needs, as the host's decoder takes them. */
AN_BODY an_decode_blocks an_rows_of_blocks(uint32_t from, uint32_t to, uint32_t side, uint32_t halved)
{
    an_decode_blocks r = {from / 8, to / 8};
    if (halved) {
        uint32_t last = (to + 1) / 16, most = (side + 15) / 16 - 1;
        r.first = from > 0 ? (from - 1) / 16 : 0;
        r.last = last < most ? last : most;
    }
    return r;
}

/* A component's plane for this crop, and which blocks it holds. */
typedef struct {
    an_decode_blocks columns, rows;
} an_decode_part;

AN_BODY an_decode_part an_part_of(const an_decode_batch *b, const an_decode_sample *s, uint32_t sampling,
                                  uint32_t chroma)
{
    an_decode_part part;
    part.columns = an_columns_of(s->x, s->x + b->crop - 1, b->side, chroma && an_halved_wide(sampling));
    part.rows = an_rows_of_blocks(s->y, s->y + b->crop - 1, b->side, chroma && an_halved_high(sampling));
    return part;
}

/* The number, in the payload's order, of row `row` of blocks of a component. */
AN_BODY uint32_t an_row_number(uint32_t sampling, uint32_t component, uint32_t row, uint32_t luma_rows)
{
    if (sampling == AN_SAMPLING_GREY)
        return row;
    if (!an_halved_high(sampling))
        return 3 * row + component;
    if (component == 0)
        return 4 * (row / 2) + row % 2;
    uint32_t luma = luma_rows - 2 * row;
    return 4 * row + (luma < 2 ? luma : 2) + component - 1;
}

AN_BODY uint64_t an_plane_offset(const an_decode_batch *b, uint32_t n, uint32_t component)
{
    return ((uint64_t)n * 3 + component) * b->span * 8 * b->stride;
}

#endif
