/* The coef decoder's way through an image: MCU row by MCU row, each from its bytes to finished RGB rows while it lies
 * in the first-level cache. The work itself is in the tiers' kernels (coef_kernels.h). Coefficients come from a coef
 * payload or from the scan of a JPEG (coef_scan.h); from there on the way is the same.
 *
 * A component keeps the samples of one MCU row in slots, one a sample row; slot 0 is the last row of the MCU row above.
 * With 4:2:0 an output row needs the chroma rows on both sides of it, so an MCU row's last output row waits for the
 * next MCU row's first chroma row, and its luma row is carried over with the chroma row's. */
#include "store/coef.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/bytes.h"
#include "store/coef_format.h"
#include "store/coef_kernels.h"
#include "store/coef_range.h"
#include "store/coef_scan.h"

enum { ALIGNMENT = 64, SLOTS_MAX = 18 };

typedef struct {
    uint32_t first, end; /* columns of blocks that the window needs */
    size_t stride;
    uint8_t *samples; /* slot 0, at the first sample of block first; ALIGNMENT bytes before each slot may be written */
    int16_t quantisation[64]; /* row-major */
} plane;

struct an_coef_decoder {
    const an_coef_kernels *kernels;
    void *memory;
    size_t capacity;
    an_coef_work work; /* in memory, for one image; as are: */
    uint8_t *chroma[2], *row;
    an_coef_layout layout;
    an_coef_window window;
    plane planes[3];
    const uint8_t *next_row, *next_length; /* of a payload */
    an_coef_scan *scan;                    /* or NULL */
    size_t scan_row;                       /* coefficients between its rows of blocks */
};

int an_coef_decoder_create(an_coef_decoder **out)
{
    return an_coef_decoder_create_tier(out, an_cpu_simd());
}

int an_coef_decoder_create_tier(an_coef_decoder **out, an_simd_tier tier)
{
    *out = NULL;
    if (tier > an_cpu_simd_best())
        return an_error(AN_EUNSUPPORTED, "this processor has no %s", an_cpu_simd_name(tier));
    *out = calloc(1, sizeof **out);
    if (!*out)
        return an_error(AN_ENOMEM, "out of memory");
    (*out)->kernels = an_coef_kernels_get(tier);
    return AN_OK;
}

void an_coef_decoder_free(an_coef_decoder *decoder)
{
    if (!decoder)
        return;
    free(decoder->memory);
    free(decoder);
}

static bool halved_wide(const an_coef_decoder *d)
{
    return d->layout.info.sampling == AN_COEF_422 || d->layout.info.sampling == AN_COEF_420;
}

static bool halved_high(const an_coef_decoder *d)
{
    return d->layout.info.sampling == AN_COEF_420;
}

/* Columns of blocks for the window's samples, with a neighbour on each side for upsampling. */
static void set_columns(an_coef_decoder *d, int c)
{
    const an_coef_component *component = &d->layout.component[c];
    uint32_t first = d->window.x, last = d->window.x + d->window.width - 1;
    if (c > 0 && halved_wide(d)) {
        first = first / 2 > 0 ? first / 2 - 1 : 0;
        last = last / 2 + 1 < component->samples_wide ? last / 2 + 1 : component->samples_wide - 1;
    }
    d->planes[c].first = first / 8;
    d->planes[c].end = last / 8 + 1;
}

static void set_quantisation(an_coef_decoder *d, int c)
{
    for (int i = 0; i < 64; i++)
        d->planes[c].quantisation[an_coef_zigzag[i]] = d->layout.component[c].quantisation[i];
}

/* Bytes for a part of the working memory: slack behind it, the next part aligned. */
static size_t part(size_t bytes)
{
    return (bytes + AN_COEF_SLACK + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t group_up(uint32_t blocks)
{
    return ((size_t)blocks + AN_COEF_GROUP - 1) / AN_COEF_GROUP * AN_COEF_GROUP;
}

/* Make room; contents are lost when it grows. */
static int reserve(an_coef_decoder *d, size_t size)
{
    if (size <= d->capacity)
        return AN_OK;
    size_t capacity = part(size + size / 2);
    void *memory = aligned_alloc(ALIGNMENT, capacity);
    if (!memory)
        return an_error(AN_ENOMEM, "cannot allocate %zu bytes", capacity);
    memset(memory, 0, capacity); /* kernels look at samples beyond the window's, and throw the results away */
    free(d->memory);
    d->memory = memory;
    d->capacity = capacity;
    return AN_OK;
}

static uint8_t *take(uint8_t **at, size_t size)
{
    uint8_t *taken = *at;
    *at += size;
    return taken;
}

/* Divide the working memory for this image and window. */
static int set_memory(an_coef_decoder *d)
{
    size_t blocks = 0, columns = 0, samples = 0;
    for (int c = 0; c < d->layout.components; c++) {
        plane *p = &d->planes[c];
        size_t wide = group_up(p->end - p->first);
        blocks = wide > blocks ? wide : blocks;
        columns = p->end > columns ? p->end : columns;
        p->stride = ALIGNMENT + part(8 * wide);
        samples += p->stride * SLOTS_MAX;
    }
    d->scan_row = 64 * blocks;
    size_t rows = d->scan ? AN_COEF_SCAN_ROWS : 1;
    size_t coefficients = part(rows * blocks * 64 * sizeof(int16_t)), dc = part(columns * sizeof(int16_t));
    size_t values = part(blocks * 63), chroma = part(d->window.width + 2 + AN_COEF_SLACK),
           row = part(3 * (size_t)d->window.width);
    int rc = reserve(d, coefficients + dc + values + samples + 2 * chroma + row);
    if (rc != AN_OK)
        return rc;
    uint8_t *at = d->memory;
    d->work.coefficients = (void *)take(&at, coefficients);
    d->work.dc = (void *)take(&at, dc);
    d->work.values = (void *)take(&at, values);
    d->chroma[0] = take(&at, chroma);
    d->chroma[1] = take(&at, chroma);
    d->row = take(&at, row);
    for (int c = 0; c < d->layout.components; c++)
        d->planes[c].samples = take(&at, d->planes[c].stride * SLOTS_MAX) + ALIGNMENT;
    return AN_OK;
}

static uint8_t *slot(const an_coef_decoder *d, int c, size_t index)
{
    return d->planes[c].samples + index * d->planes[c].stride;
}

static void copy_slot(an_coef_decoder *d, int c, size_t to, size_t from)
{
    memcpy(slot(d, c, to) - ALIGNMENT, slot(d, c, from) - ALIGNMENT, d->planes[c].stride);
}

/* Upsampling sees a copy of the edge's sample beyond it. */
static void extend_edges(an_coef_decoder *d, int c, size_t first_slot)
{
    const plane *p = &d->planes[c];
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
    const plane *p = &d->planes[c];
    d->kernels->inverse(coefficients, p->quantisation, p->end - p->first, slot(d, c, first_slot), p->stride);
    if (c > 0)
        extend_edges(d, c, first_slot);
}

static int decode_block_row(an_coef_decoder *d, int c, const uint8_t *row, size_t size, size_t first_slot)
{
    const plane *p = &d->planes[c];
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

/* Fill the slots of one MCU row from 1 on, or only step over its bytes. */
static int decode_mcu_row(an_coef_decoder *d, uint32_t mcu_row, bool wanted)
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

/* Where the scan is to leave the rows of blocks of an MCU row: nowhere when they are not needed. */
static void set_scan_rows(an_coef_decoder *d, uint32_t mcu_row, bool wanted, an_coef_scan_row rows[AN_COEF_SCAN_ROWS])
{
    int16_t *coefficients = d->work.coefficients;
    for (int c = 0; c < d->layout.components; c++) {
        const an_coef_component *component = &d->layout.component[c];
        const plane *p = &d->planes[c];
        for (uint32_t r = 0; r < component->rows_per_mcu; r++, coefficients += d->scan_row) {
            uint32_t block_row = mcu_row * component->rows_per_mcu + r;
            *rows++ = wanted && block_row < component->blocks_high && is_needed(d, c, block_row)
                          ? (an_coef_scan_row){(void *)coefficients, p->first, p->end}
                          : (an_coef_scan_row){NULL, 0, 0};
        }
    }
}

/* Whether every SIMD tier and libjpeg-turbo agree on the samples. */
static bool row_in_range(const an_coef_decoder *d, const plane *p, const an_coef_scan_row *row)
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

/* As decode_mcu_row, from a JPEG. AN_AGAIN: leave it to libjpeg-turbo. */
static int scan_mcu_row(an_coef_decoder *d, uint32_t mcu_row, bool wanted)
{
    an_coef_scan_row rows[AN_COEF_SCAN_ROWS];
    set_scan_rows(d, mcu_row, wanted, rows);
    for (size_t i = 0; i < AN_COEF_SCAN_ROWS && wanted; i++)
        memset(d->work.coefficients + i * d->scan_row, 0, d->scan_row * sizeof(int16_t));
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
    const plane *p = &d->planes[c];
    uint32_t x = d->window.x;
    if (!halved_wide(d))
        return slot(d, c, luma_slot) + x - 8 * (size_t)p->first;
    size_t near = luma_slot, far = 0;
    if (halved_high(d)) {
        near = (luma_slot + 1) / 2;
        far = luma_slot % 2 ? near - 1 : near + 1; /* slot 1 is an even row of the image */
    }
    size_t offset = x / 2 - 8 * (size_t)p->first;
    size_t n = (x + d->window.width - 1) / 2 - x / 2 + 1;
    uint8_t *out = d->chroma[c - 1];
    if (d->layout.component[c].samples_wide <= 2)
        repeat(slot(d, c, near) + offset, n, out);
    else
        d->kernels->upsample(slot(d, c, near) + offset, halved_high(d) ? slot(d, c, far) + offset : NULL, n, out);
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

/* Where rows go: into the caller's image, or one by one to a function. */
typedef struct {
    uint8_t *rgb;
    size_t stride;
    an_coef_row *row;
    void *context;
} sink;

static void make_rows(an_coef_decoder *d, uint32_t mcu_row, const sink *to)
{
    uint32_t high = halved_high(d) ? 16 : 8, top = mcu_row * high, bottom = top + high;
    uint32_t begin = d->window.y, end = d->window.y + d->window.height;
    if (halved_high(d) && mcu_row < d->layout.mcu_rows - 1)
        bottom--;
    if (halved_high(d) && mcu_row > 0)
        top--;
    for (uint32_t y = begin > top ? begin : top; y < bottom && y < end; y++) {
        uint8_t *rgb = to->row ? d->row : to->rgb + (y - begin) * to->stride;
        make_row(d, y + 1 - mcu_row * high, rgb);
        if (to->row)
            to->row(to->context, y - begin, rgb);
    }
}

/* The MCU rows whose samples the window needs. */
static void mcu_range(const an_coef_decoder *d, uint32_t *first, uint32_t *last)
{
    uint32_t top = d->window.y, bottom = d->window.y + d->window.height - 1;
    *first = top / 8;
    *last = bottom / 8;
    if (halved_high(d)) {
        *first = top > 0 ? (top - 1) / 16 : 0;
        *last = (bottom + 1) / 16 < d->layout.mcu_rows ? (bottom + 1) / 16 : d->layout.mcu_rows - 1;
    }
}

/* The layout is set. */
static int prepare(an_coef_decoder *d, const an_coef_window *window)
{
    const an_coef_info *info = &d->layout.info;
    if (window->width < 1 || window->height < 1 || window->x >= info->width || window->y >= info->height ||
        window->width > info->width - window->x || window->height > info->height - window->y)
        return an_error(AN_EINVAL, "window %ux%u+%u+%u is not inside an image of %ux%u", window->width, window->height,
                        window->x, window->y, info->width, info->height);
    d->window = *window;
    for (int c = 0; c < d->layout.components; c++) {
        set_columns(d, c);
        set_quantisation(d, c);
    }
    int rc = set_memory(d);
    if (rc == AN_OK && d->layout.components == 1)
        memset(d->chroma[0], 128, window->width);
    d->next_row = d->layout.rows;
    d->next_length = d->layout.lengths;
    return rc;
}

static int decode_rows(an_coef_decoder *d, const sink *to)
{
    uint32_t first, last;
    mcu_range(d, &first, &last);
    for (uint32_t m = 0; m <= last; m++) {
        int rc = d->scan ? scan_mcu_row(d, m, m >= first) : decode_mcu_row(d, m, m >= first);
        if (rc != AN_OK)
            return rc;
        if (m < first)
            continue;
        if (halved_high(d))
            extend_chroma(d, m);
        make_rows(d, m, to);
        if (halved_high(d))
            carry_slots(d);
    }
    return AN_OK;
}

static int decode(an_coef_decoder *d, const uint8_t *payload, size_t size, const an_coef_window *window, const sink *to)
{
    d->scan = NULL;
    int rc = an_coef_layout_parse(&d->layout, payload, size);
    if (rc == AN_OK)
        rc = prepare(d, window);
    return rc == AN_OK ? decode_rows(d, to) : rc;
}

/* MCU rows that libjpeg-turbo looks at for this window: its upsampling fetches the next one with the last two rows of
 * pixels. */
static uint32_t rows_looked_at(const an_coef_decoder *d)
{
    uint32_t bottom = d->window.y + d->window.height - 1;
    uint32_t last = halved_high(d) ? (bottom + 2) / 16 : bottom / 8;
    return last < d->layout.mcu_rows ? last + 1 : d->layout.mcu_rows;
}

int an_coef_decode_scan(an_coef_decoder *d, an_coef_scan *scan, const an_coef_layout *layout, bool all,
                        const an_coef_window *window, uint8_t *rgb, size_t stride)
{
    uint32_t first, last;
    d->scan = scan;
    d->layout = *layout;
    int rc = prepare(d, window);
    if (rc == AN_OK)
        rc = decode_rows(d, &(sink){.rgb = rgb, .stride = stride});
    mcu_range(d, &first, &last);
    uint32_t end = all ? d->layout.mcu_rows : rows_looked_at(d);
    for (uint32_t m = last + 1; rc == AN_OK && m < end; m++)
        rc = scan_mcu_row(d, m, false);
    return rc == AN_OK && all && !an_coef_scan_end(scan) ? AN_AGAIN : rc;
}

int an_coef_decode_window(an_coef_decoder *decoder, const uint8_t *payload, size_t size, const an_coef_window *window,
                          uint8_t *rgb, size_t stride)
{
    return decode(decoder, payload, size, window, &(sink){.rgb = rgb, .stride = stride});
}

int an_coef_decode_rows(an_coef_decoder *decoder, const uint8_t *payload, size_t size, const an_coef_window *window,
                        an_coef_row *row, void *context)
{
    return decode(decoder, payload, size, window, &(sink){.row = row, .context = context});
}
