/* The coef decoder's way through an image: MCU row by MCU row, each from its coefficients to finished RGB rows while it
 * lies in the first-level cache. Coefficients come from a coef payload or from the scan of a JPEG (coef_scan.h); from
 * there on the way is the same (coef_planes.c). The work itself is in the tiers' kernels (coef_kernels.h). */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/coef/planes.h"

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

/* Columns of blocks for the window's samples, with a neighbour on each side for upsampling. */
static void set_columns(an_coef_decoder *d, int c)
{
    const an_coef_component *component = &d->layout.component[c];
    uint32_t first = d->window.x, last = d->window.x + d->window.width - 1;
    if (c > 0 && an_coef_halved_wide(d)) {
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
    return (bytes + AN_COEF_SLACK + AN_COEF_ALIGNMENT - 1) / AN_COEF_ALIGNMENT * AN_COEF_ALIGNMENT;
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
    void *memory = aligned_alloc(AN_COEF_ALIGNMENT, capacity);
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
        an_coef_plane *p = &d->planes[c];
        size_t wide = group_up(p->end - p->first);
        blocks = wide > blocks ? wide : blocks;
        columns = p->end > columns ? p->end : columns;
        p->stride = AN_COEF_ALIGNMENT + part(8 * wide);
        samples += p->stride * AN_COEF_SLOTS;
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
        d->planes[c].samples = take(&at, d->planes[c].stride * AN_COEF_SLOTS) + AN_COEF_ALIGNMENT;
    return AN_OK;
}

/* The MCU rows whose samples the window needs. */
static void mcu_range(const an_coef_decoder *d, uint32_t *first, uint32_t *last)
{
    uint32_t top = d->window.y, bottom = d->window.y + d->window.height - 1;
    *first = top / 8;
    *last = bottom / 8;
    if (an_coef_halved_high(d)) {
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

static int decode_rows(an_coef_decoder *d, const an_coef_sink *to)
{
    uint32_t first, last;
    mcu_range(d, &first, &last);
    for (uint32_t m = 0; m <= last; m++) {
        int rc = d->scan ? an_coef_planes_from_scan(d, m, m >= first) : an_coef_planes_from_payload(d, m, m >= first);
        if (rc != AN_OK)
            return rc;
        if (m >= first)
            an_coef_planes_rows(d, m, to);
    }
    return AN_OK;
}

static int decode(an_coef_decoder *d, const uint8_t *payload, size_t size, const an_coef_window *window,
                  const an_coef_sink *to)
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
    uint32_t last = an_coef_halved_high(d) ? (bottom + 2) / 16 : bottom / 8;
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
        rc = decode_rows(d, &(an_coef_sink){.rgb = rgb, .stride = stride});
    mcu_range(d, &first, &last);
    uint32_t end = all ? d->layout.mcu_rows : rows_looked_at(d);
    for (uint32_t m = last + 1; rc == AN_OK && m < end; m++)
        rc = an_coef_planes_from_scan(d, m, false);
    return rc == AN_OK && all && !an_coef_scan_end(scan) ? AN_AGAIN : rc;
}

int an_coef_decode_window(an_coef_decoder *decoder, const uint8_t *payload, size_t size, const an_coef_window *window,
                          uint8_t *rgb, size_t stride)
{
    return decode(decoder, payload, size, window, &(an_coef_sink){.rgb = rgb, .stride = stride});
}

int an_coef_decode_rows(an_coef_decoder *decoder, const uint8_t *payload, size_t size, const an_coef_window *window,
                        an_coef_row *row, void *context)
{
    return decode(decoder, payload, size, window, &(an_coef_sink){.row = row, .context = context});
}
