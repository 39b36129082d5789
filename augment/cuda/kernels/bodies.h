/* The arithmetic of the kernels, written once in the common subset of C and CUDA: an_body_NAME does the work of one
 * item of the kernel NAME (kernels.h).
 *
 * A warp works on an item of rows. Its 32 lanes keep in step: the code is a sequence of loops AN_EACH(w) over the lanes
 * that a thread runs. On a device that is its own lane alone, w is 0, and what varies between the lanes is an array of
 * one. On a host it is all 32, and the array has 32 elements. What lanes tell each other through the warp's memory is
 * written in one such loop and read in another behind an AN_SYNC.
 *
 * The including file defines
 *   - AN_BODY: the storage class and attributes of a function; AN_CONSTANT: of a table;
 *   - AN_WIDTH, AN_EACH(w), AN_LANE(w), AN_SYNC(): as above; AN_LANE(w) is the lane's number;
 *   - an_lanes_sum(v), an_lanes_any(v): the sum of v over the lanes, and whether one is not 0;
 *     an_lanes_before(v, before): the same sum, and for each lane that over the lanes before it;
 *   - AN_LEAST(at, value): *at becomes the smaller of the two, whoever else does the same;
 *   - AN_FENCE(): what was written before it is seen by the host before what is written after it;
 *   - AN_TOUCH(address, size), if it wants to be told of every access (memory.h).
 * Nothing here allocates or fails. */
#ifndef AN_AUGMENT_CUDA_KERNELS_BODIES_H
#define AN_AUGMENT_CUDA_KERNELS_BODIES_H

#include "augment/cuda/kernels/dct.h"
#include "augment/cuda/kernels/kernels.h"
#include "augment/cuda/kernels/values.h"

/* Which row of blocks of its sample an item is. */
typedef struct {
    uint32_t component, row;
    an_decode_part part;
} an_decode_row;

/* False when the sample needs fewer rows. */
AN_BODY int an_row_of(const an_decode_batch *b, const an_decode_sample *s, const an_decode_layout *l, uint32_t number,
                      an_decode_row *out)
{
    an_decode_part luma = an_part_of(b, s, l->sampling, 0), chroma = an_part_of(b, s, l->sampling, 1);
    uint32_t luma_rows = luma.rows.last - luma.rows.first + 1, chroma_rows = chroma.rows.last - chroma.rows.first + 1;
    out->component = 0;
    out->part = luma;
    if (number >= luma_rows) {
        number -= luma_rows;
        out->component = number < chroma_rows ? 1 : 2;
        out->part = chroma;
        number -= out->component == 2 ? chroma_rows : 0;
        if (l->components == 1 || number >= chroma_rows)
            return 0;
    }
    out->row = out->part.rows.first + number;
    return 1;
}

AN_BODY void an_fault_set(const an_decode_rows_args *a, uint32_t n, uint32_t code, const an_decode_detail *detail)
{
    AN_EACH(w)
    {
        if (AN_LANE(w) == 0) {
            an_decode_detail *to = (an_decode_detail *)a->at.out[2] + n;
            AN_TOUCH(a->at.out[1], sizeof(uint64_t));
            AN_TOUCH(to, sizeof *to);
            *to = *detail;
            AN_LEAST((uint64_t *)a->at.out[1], an_decode_fault(n, code));
        }
    }
}

/* Decodes the 32 blocks of a row from `first` on, those of them that the part needs. False when there are not enough
 * words. */
AN_BODY int an_row_blocks(const an_decode_streams *s, const an_decode_lanes *lanes, const an_decode_maps *maps,
                          uint32_t first, const an_decode_blocks *columns, an_decode_cursor *at, uint8_t *to,
                          uint32_t stride, an_decode_room *room)
{
    uint32_t skipped = at->crumb % 4, count = an_work_records(s, first, maps, at, room), sound = 1;
    uint32_t begin = columns->first > first ? columns->first - first : 0;
    uint32_t end = columns->last - first < 31 ? columns->last - first + 1 : 32;
    an_work_values(s, count, at, room);
    AN_SYNC();
    if (begin < 32 && !s->wide_bytes) {
        an_work_place(s, lanes, begin, end, 0, 0, room);
    } else if (begin < 32) {
        uint32_t word = at->wide + an_room_wide(room, skipped, room->records[begin].starts & 0xffff);
        sound = s->wide_dc + an_work_place(s, lanes, begin, end, 1, word, room) <= s->available;
    }
    if (s->wide_bytes)
        at->wide += an_room_wide(room, skipped, skipped + count);
    at->crumb += count;
    AN_SYNC();
    if (begin < 32) {
        an_room_transform(room, begin, end);
        an_room_write(room, begin, end, to + 8 * (first + begin - columns->first), stride);
    }
    AN_SYNC();
    return (int)sound;
}

/* Decodes a row of blocks into its plane. False when it is damaged. */
AN_BODY int an_row_decode(const an_decode_rows_args *a, an_decode_streams *s, const an_decode_row *row,
                          const uint8_t *quantisation, uint8_t *plane, an_decode_room *room)
{
    uint32_t stride = a->batch.stride;
    uint8_t *to = plane + (uint64_t)(8 * (row->row - row->part.rows.first)) * stride;
    an_decode_maps maps;
    an_decode_lanes lanes;
    int sound = an_streams_find(s, &maps);
    an_decode_cursor at = {s->maps, 0, 0, 0, 0, 0, 0};
    an_lanes_start(&lanes, quantisation);
    if (sound && s->blocks <= 32) /* nothing has to be kept while they are transformed */
        return an_row_blocks(s, &lanes, &maps, 0, &row->part.columns, &at, to, stride, room);
    AN_ROLLED for (uint32_t first = 0; sound && first <= row->part.columns.last; first += 32)
    {
        an_maps_read(s, first, &at.map, &maps);
        sound = an_row_blocks(s, &lanes, &maps, first, &row->part.columns, &at, to, stride, room);
    }
    return sound;
}

AN_BODY void an_body_rows(const an_decode_rows_args *a, uint64_t item, an_decode_room *room)
{
    uint32_t n = (uint32_t)item / a->rows, number = (uint32_t)item - n * a->rows, begin, size;
    an_decode_sample s = an_sample_of(&a->batch, a->at.in[0], n);
    an_decode_detail detail = {s.size, a->batch.crop * a->batch.crop * 3};
    an_decode_layout l;
    an_decode_row row;
    uint32_t code = s.code;
    if (!code && s.kind == AN_PAYLOAD_PIXELS)
        return;
    if (!code)
        code = an_layout_read(&l, &s, a->batch.side, &detail);
    if (!code && !an_row_of(&a->batch, &s, &l, number, &row))
        return;
    if (!code)
        code = an_layout_row(&l, s.payload, an_row_number(l.sampling, row.component, row.row, l.high[0]), &begin, &size,
                             &detail);
    if (code) {
        if (number == 0)
            an_fault_set(a, n, code, &detail);
        return;
    }
    an_prefetch(s.payload + begin, size);
    an_decode_streams streams = {
        s.payload + begin, size, row.component ? l.wide[1] : l.wide[0], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    uint32_t table = row.component < l.tables ? row.component : l.tables - 1;
    uint8_t *plane = (uint8_t *)a->at.out[0] + AN_PLANES_MARGIN + an_plane_offset(&a->batch, n, row.component);
    if (!an_row_decode(a, &streams, &row, s.payload + AN_COEF_HEADER + 64 * table, plane, room))
        an_fault_set(a, n, AN_DECODE_STREAMS, &detail);
}

#endif
