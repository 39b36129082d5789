/* From the coefficients of an MCU row to rows of pixels. Each component keeps the samples of one MCU row in slots, one
 * slot a row; slot 0 holds the last row of the MCU row above. With 4:2:0 a row of pixels needs the chroma rows above
 * and below it. So the last row of pixels of an MCU row can only be made once the next MCU row is there, and its luma
 * and chroma are carried over in slot 0. */
#include <string.h>

#include "base/error.h"
#include "store/image/planes/dct_range.h"
#include "store/image/planes/planes_private.h"

static uint8_t *slot(const an_planes *p, int c, size_t index)
{
    return p->plane[c].samples + index * p->plane[c].stride;
}

static void copy_slot(an_planes *p, int c, size_t to, size_t from)
{
    memcpy(slot(p, c, to) - AN_PLANES_ALIGNMENT, slot(p, c, from) - AN_PLANES_ALIGNMENT, p->plane[c].stride);
}

/* Upsampling reads a neighbour on each side: beyond the image's edge a copy of the sample at the edge. */
static void extend_edges(an_planes *p, int c, size_t first_slot)
{
    const an_plane *plane = &p->plane[c];
    size_t samples = p->blocks.component[c].samples_wide - 8 * (size_t)plane->first;
    bool right = plane->end == p->blocks.component[c].blocks_wide;
    for (size_t i = first_slot; i < first_slot + 8; i++) {
        uint8_t *row = slot(p, c, i);
        if (plane->first == 0)
            row[-1] = row[0];
        if (right)
            row[samples] = row[samples - 1];
    }
}

static void transform_block_row(an_planes *p, int c, const int16_t *coefficients, size_t first_slot)
{
    const an_plane *plane = &p->plane[c];
    p->kernels->inverse(coefficients, plane->quantisation, plane->end - plane->first, slot(p, c, first_slot),
                        plane->stride);
    if (c > 0)
        extend_edges(p, c, first_slot);
}

/* Whether all SIMD tiers and libjpeg-turbo give the same samples for these blocks. */
static bool row_in_range(const an_planes *p, const an_plane *plane, const an_blocks_row *row)
{
    uint16_t quantisation[64];
    if (p->kernels->is_light(row->blocks[0], plane->quantisation, row->end - row->first))
        return true;
    memcpy(quantisation, plane->quantisation, sizeof quantisation);
    for (uint32_t b = 0; b < row->end - row->first; b++)
        if (!an_dct_in_range(row->blocks[b], quantisation))
            return false;
    return true;
}

int an_planes_transform(an_planes *p, const an_blocks_row rows[AN_BLOCKS_MCU_ROWS], bool in_range)
{
    const an_blocks_row *row = rows;
    for (int c = 0; c < p->blocks.components; c++)
        for (uint32_t r = 0; r < p->blocks.component[c].rows_per_mcu; r++, row++) {
            if (row->first == row->end)
                continue;
            if (!in_range && !row_in_range(p, &p->plane[c], row))
                return AN_AGAIN;
            transform_block_row(p, c, row->blocks[0], 1 + 8 * (size_t)r);
        }
    return AN_OK;
}

/* The chroma row above the image's first is a copy of the first, the one below the last a copy of the last. */
static void extend_chroma(an_planes *p, uint32_t mcu_row)
{
    for (int c = 1; c < 3; c++) {
        if (mcu_row == 0)
            copy_slot(p, c, 0, 1);
        if (mcu_row == p->blocks.mcu_rows - 1) {
            uint32_t rows = p->blocks.component[c].samples_high - 8 * mcu_row;
            copy_slot(p, c, rows + 1, rows);
        }
    }
}

/* The last rows of this MCU row become slot 0 of the next one. */
static void carry_slots(an_planes *p)
{
    copy_slot(p, 0, 0, 16);
    copy_slot(p, 1, 0, 8);
    copy_slot(p, 2, 0, 8);
}

/* libjpeg-turbo does not interpolate components of one or two columns, but repeats each sample. */
static void repeat(const uint8_t *in, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++)
        out[2 * i] = out[2 * i + 1] = in[i];
}

/* The row of chroma for the row of luma in luma_slot, upsampled to its width. */
static const uint8_t *chroma_row(an_planes *p, int c, size_t luma_slot)
{
    const an_plane *plane = &p->plane[c];
    uint32_t x = p->window.x;
    if (!an_blocks_halved_wide(&p->blocks))
        return slot(p, c, luma_slot) + x - 8 * (size_t)plane->first;
    bool between_rows = an_blocks_halved_high(&p->blocks);
    size_t near = luma_slot, far = 0;
    if (between_rows) {
        near = (luma_slot + 1) / 2;
        far = luma_slot % 2 ? near - 1 : near + 1; /* slot 1 is an even row of the image */
    }
    size_t offset = x / 2 - 8 * (size_t)plane->first;
    size_t n = (x + p->window.width - 1) / 2 - x / 2 + 1;
    uint8_t *out = p->chroma[c - 1];
    if (p->blocks.component[c].samples_wide <= 2)
        repeat(slot(p, c, near) + offset, n, out);
    else
        p->kernels->upsample(slot(p, c, near) + offset, between_rows ? slot(p, c, far) + offset : NULL, n, out);
    return out + x % 2;
}

static void make_row(an_planes *p, size_t luma_slot, uint8_t *rgb)
{
    const uint8_t *y = slot(p, 0, luma_slot) + p->window.x - 8 * (size_t)p->plane[0].first;
    const uint8_t *cb = p->chroma[0], *cr = p->chroma[0];
    if (p->blocks.components == 3) {
        cb = chroma_row(p, 1, luma_slot);
        cr = chroma_row(p, 2, luma_slot);
    }
    p->kernels->colour(y, cb, cr, p->window.width, p->window.flip, rgb);
}

/* The rows of pixels that are complete and inside the window. */
static void make_rows(an_planes *p, uint32_t mcu_row, const an_planes_sink *sink)
{
    uint32_t high = an_blocks_halved_high(&p->blocks) ? 16 : 8, top = mcu_row * high, bottom = top + high;
    uint32_t begin = p->window.y, end = p->window.y + p->window.height;
    bool late = an_blocks_halved_high(&p->blocks); /* the last row comes with the next MCU row */
    if (late && mcu_row < p->blocks.mcu_rows - 1)
        bottom--;
    if (late && mcu_row > 0)
        top--;
    for (uint32_t y = begin > top ? begin : top; y < bottom && y < end; y++) {
        uint8_t *rgb = sink->row ? p->row : sink->rgb + (y - begin) * sink->stride;
        make_row(p, y + 1 - mcu_row * high, rgb);
        if (sink->row)
            sink->row(sink->context, y - begin, rgb);
    }
}

void an_planes_emit(an_planes *p, uint32_t mcu_row, const an_planes_sink *sink)
{
    if (an_blocks_halved_high(&p->blocks))
        extend_chroma(p, mcu_row);
    make_rows(p, mcu_row, sink);
    if (an_blocks_halved_high(&p->blocks))
        carry_slots(p);
}
