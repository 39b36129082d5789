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
    for (uint32_t c = 0; c < l->components; c++) {
        an_decode_part part = an_part_of(b, s, l->sampling, c);
        uint32_t rows = part.rows.last - part.rows.first + 1;
        if (number < rows) {
            out->component = c;
            out->row = part.rows.first + number;
            out->part = part;
            return 1;
        }
        number -= rows;
    }
    return 0;
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

/* How many bytes of the row's stream belong to blocks up to number last, which is one of the last 32. */
AN_BODY uint32_t an_work_bytes(const an_decode_cursor *at, const an_decode_work *work, uint32_t last)
{
    uint32_t next = (last + 1) % 32, byte[AN_WIDTH];
    AN_EACH(w)
    {
        byte[w] = AN_LANE(w) == next ? work->byte[w] : 0;
    }
    return next ? an_lanes_sum(byte) : at->byte;
}

/* Decodes a row of blocks into its plane. False when it is damaged. */
AN_BODY int an_row_decode(const an_decode_rows_args *a, an_decode_streams *s, const an_decode_row *row, uint8_t *plane,
                          an_decode_room *room)
{
    const an_decode_blocks *columns = &row->part.columns;
    uint32_t stride = a->batch.stride;
    uint8_t *to = plane + (uint64_t)(8 * (row->row - row->part.rows.first)) * stride;
    an_decode_work work;
    if (!an_streams_find(s, &work.maps))
        return 0;
    an_decode_cursor at = {s->maps, 0, 0, 0, 0, 0};
    for (uint32_t first = 0; first <= columns->last; first += 32) {
        if (s->blocks > 32)
            an_maps_read(s, first, &at.map, &work.maps);
        an_work_crumbs(s, &at, &work);
        an_work_dc(s, first, &at, &work);
        if (columns->first >= first + 32)
            continue;
        uint32_t begin = columns->first > first ? columns->first - first : 0;
        uint32_t end = columns->last - first < 31 ? columns->last - first + 1 : 32;
        an_room_clear(room);
        AN_SYNC();
        an_work_place(s, &work, begin, end, room);
        AN_SYNC();
        an_room_transform(room, begin, end);
        AN_SYNC();
        an_room_write(room, begin, end, to + 8 * (first + begin - columns->first), stride);
        AN_SYNC();
    }
    if (!s->wide_bytes)
        return 1;
    return s->wide_dc + an_count_wide(s->row + s->bytes, an_work_bytes(&at, &work, columns->last)) <= s->available;
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
    an_decode_streams streams = {s.payload + begin, size, l.wide[row.component > 0], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    uint32_t table = row.component < l.tables ? row.component : l.tables - 1;
    uint8_t *plane = (uint8_t *)a->at.out[0] + AN_PLANES_MARGIN + an_plane_offset(&a->batch, n, row.component);
    an_room_table(room, s.payload + AN_COEF_HEADER + 64 * table);
    if (!an_row_decode(a, &streams, &row, plane, room))
        an_fault_set(a, n, AN_DECODE_STREAMS, &detail);
}

#endif
