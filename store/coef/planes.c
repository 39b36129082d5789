/* From coefficients to rows of pixels. A component keeps the samples of one MCU row in slots, one a sample row; slot 0
 * is the last row of the MCU row above. With 4:2:0 an output row needs the chroma rows on both sides of it, so an MCU
 * row's last output row waits for the next MCU row's first chroma row, and its luma row is carried over with the chroma
 * row's. */
#include "store/coef/planes.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "store/coef/range.h"

static uint8_t *slot(const an_coef_decoder *d, int c, size_t index)
{
    return d->planes[c].samples + index * d->planes[c].stride;
}

static void copy_slot(an_coef_decoder *d, int c, size_t to, size_t from)
{
    memcpy(slot(d, c, to) - AN_COEF_ALIGNMENT, slot(d, c, from) - AN_COEF_ALIGNMENT, d->planes[c].stride);
}

/* Upsampling sees a copy of the edge's sample beyond it. */
static void extend_edges(an_coef_decoder *d, int c, size_t first_slot)
{
    const an_coef_plane *p = &d->planes[c];
    size_t samples = d->layout.component[c].samples_wide - 8 * (size_t)p->first;
    bool right = p->end == d->layout.component[c].blocks_wide;
    for (size_t i = first_slot; i < first_slot + 8; i++) {
        uint8_t *row = slot(d, c, i);
        if (p->first == 0)
            row[-1] = row[0];
        if (right)
            row[samples] = row[samples - 1];
    }
}

static void transform_block_row(an_coef_decoder *d, int c, const int16_t *coefficients, size_t first_slot)
{
    const an_coef_plane *p = &d->planes[c];
    d->kernels->inverse(coefficients, p->quantisation, p->end - p->first, slot(d, c, first_slot), p->stride);
    if (c > 0)
        extend_edges(d, c, first_slot);
}

static int decode_block_row(an_coef_decoder *d, int c, const uint8_t *row, size_t size, size_t first_slot)
{
    const an_coef_plane *p = &d->planes[c];
    if (!d->kernels->unpack(row, size, d->layout.component[c].blocks_wide, p->first, p->end, &d->work))
        return an_error(AN_ECORRUPT, "coef payload is damaged: streams of a row of blocks do not fit it");
    transform_block_row(d, c, d->work.coefficients, first_slot);
    return AN_OK;
}

/* Luma rows of blocks outside the window are passed over; chroma is needed in every MCU row that is entered. */
static bool is_needed(const an_coef_decoder *d, int c, uint32_t block_row)
{
    return c > 0 || (8 * block_row < d->window.y + d->window.height && 8 * block_row + 8 > d->window.y);
}

int an_coef_planes_from_payload(an_coef_decoder *d, uint32_t mcu_row, bool wanted)
{
    for (int c = 0; c < d->layout.components; c++) {
        const an_coef_component *component = &d->layout.component[c];
        uint32_t rows = an_coef_mcu_row_blocks(component, mcu_row);
        for (uint32_t r = 0; r < rows; r++) {
            const uint8_t *row = d->next_row;
            size_t size = an_bytes_u16(d->next_length);
            d->next_row += size;
            d->next_length += 2;
            if (!wanted || !is_needed(d, c, mcu_row * component->rows_per_mcu + r))
                continue;
            int rc = decode_block_row(d, c, row, size, 1 + 8 * (size_t)r);
            if (rc != AN_OK)
                return rc;
        }
    }
    return AN_OK;
}

/* Room for a row of blocks, zero, to the end of its last group. */
static an_coef_scan_row start_row(const an_coef_plane *p, int16_t *coefficients)
{
    size_t groups = (p->end - p->first + AN_COEF_GROUP - 1) / AN_COEF_GROUP;
    memset(coefficients, 0, groups * AN_COEF_GROUP * sizeof(int16_t[64]));
    return (an_coef_scan_row){(void *)coefficients, p->first, p->end};
}

/* Where the scan is to leave the rows of blocks of an MCU row: nowhere when they are not needed. */
static void set_scan_rows(an_coef_decoder *d, uint32_t mcu_row, bool wanted, an_coef_scan_row rows[AN_COEF_SCAN_ROWS])
{
    int16_t *coefficients = d->work.coefficients;
    for (int c = 0; c < d->layout.components; c++) {
        const an_coef_component *component = &d->layout.component[c];
        for (uint32_t r = 0; r < component->rows_per_mcu; r++, coefficients += d->scan_row) {
            uint32_t block_row = mcu_row * component->rows_per_mcu + r;
            *rows++ = wanted && block_row < component->blocks_high && is_needed(d, c, block_row)
                          ? start_row(&d->planes[c], coefficients)
                          : (an_coef_scan_row){NULL, 0, 0};
        }
    }
}

/* Whether every SIMD tier and libjpeg-turbo agree on the samples. */
static bool row_in_range(const an_coef_decoder *d, const an_coef_plane *p, const an_coef_scan_row *row)
{
    uint16_t quantisation[64];
    if (d->kernels->is_light(row->blocks[0], p->quantisation, row->end - row->first))
        return true;
    memcpy(quantisation, p->quantisation, sizeof quantisation);
    for (uint32_t b = 0; b < row->end - row->first; b++)
        if (!an_coef_in_range(row->blocks[b], quantisation))
            return false;
    return true;
}

int an_coef_planes_from_scan(an_coef_decoder *d, uint32_t mcu_row, bool wanted)
{
    an_coef_scan_row rows[AN_COEF_SCAN_ROWS];
    set_scan_rows(d, mcu_row, wanted, rows);
    if (!an_coef_scan_mcu_row(d->scan, rows))
        return AN_AGAIN;
    const an_coef_scan_row *row = rows;
    for (int c = 0; c < d->layout.components; c++)
        for (uint32_t r = 0; r < d->layout.component[c].rows_per_mcu; r++, row++) {
            if (!row->blocks)
                continue;
            if (!row_in_range(d, &d->planes[c], row))
                return AN_AGAIN;
            transform_block_row(d, c, row->blocks[0], 1 + 8 * (size_t)r);
        }
    return AN_OK;
}

/* The chroma rows above the first and below the last are copies of these. */
static void extend_chroma(an_coef_decoder *d, uint32_t mcu_row)
{
    for (int c = 1; c < 3; c++) {
        if (mcu_row == 0)
            copy_slot(d, c, 0, 1);
        if (mcu_row == d->layout.mcu_rows - 1) {
            uint32_t rows = d->layout.component[c].samples_high - 8 * mcu_row;
            copy_slot(d, c, rows + 1, rows);
        }
    }
}

static void carry_slots(an_coef_decoder *d)
{
    copy_slot(d, 0, 0, 16);
    copy_slot(d, 1, 0, 8);
    copy_slot(d, 2, 0, 8);
}

/* libjpeg-turbo's rule: components of one or two columns are repeated, not interpolated. */
static void repeat(const uint8_t *in, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++)
        out[2 * i] = out[2 * i + 1] = in[i];
}

/* A chroma component for one output row; luma_slot is the row's slot. */
static const uint8_t *chroma_row(an_coef_decoder *d, int c, size_t luma_slot)
{
    const an_coef_plane *p = &d->planes[c];
    uint32_t x = d->window.x;
    if (!an_coef_halved_wide(d))
        return slot(d, c, luma_slot) + x - 8 * (size_t)p->first;
    size_t near = luma_slot, far = 0;
    if (an_coef_halved_high(d)) {
        near = (luma_slot + 1) / 2;
        far = luma_slot % 2 ? near - 1 : near + 1; /* slot 1 is an even row of the image */
    }
    size_t offset = x / 2 - 8 * (size_t)p->first;
    size_t n = (x + d->window.width - 1) / 2 - x / 2 + 1;
    uint8_t *out = d->chroma[c - 1];
    if (d->layout.component[c].samples_wide <= 2)
        repeat(slot(d, c, near) + offset, n, out);
    else
        d->kernels->upsample(slot(d, c, near) + offset, an_coef_halved_high(d) ? slot(d, c, far) + offset : NULL, n,
                             out);
    return out + x % 2;
}

static void make_row(an_coef_decoder *d, size_t luma_slot, uint8_t *rgb)
{
    const uint8_t *y = slot(d, 0, luma_slot) + d->window.x - 8 * (size_t)d->planes[0].first;
    const uint8_t *cb = d->chroma[0], *cr = d->chroma[0];
    if (d->layout.components == 3) {
        cb = chroma_row(d, 1, luma_slot);
        cr = chroma_row(d, 2, luma_slot);
    }
    d->kernels->colour(y, cb, cr, d->window.width, d->window.flip, rgb);
}

static void make_rows(an_coef_decoder *d, uint32_t mcu_row, const an_coef_sink *to)
{
    uint32_t high = an_coef_halved_high(d) ? 16 : 8, top = mcu_row * high, bottom = top + high;
    uint32_t begin = d->window.y, end = d->window.y + d->window.height;
    if (an_coef_halved_high(d) && mcu_row < d->layout.mcu_rows - 1)
        bottom--;
    if (an_coef_halved_high(d) && mcu_row > 0)
        top--;
    for (uint32_t y = begin > top ? begin : top; y < bottom && y < end; y++) {
        uint8_t *rgb = to->row ? d->row : to->rgb + (y - begin) * to->stride;
        make_row(d, y + 1 - mcu_row * high, rgb);
        if (to->row)
            to->row(to->context, y - begin, rgb);
    }
}

void an_coef_planes_rows(an_coef_decoder *d, uint32_t mcu_row, const an_coef_sink *to)
{
    if (an_coef_halved_high(d))
        extend_chroma(d, mcu_row);
    make_rows(d, mcu_row, to);
    if (an_coef_halved_high(d))
        carry_slots(d);
}
