/* The decoder's way through an image: MCU row by MCU row, each from its coefficients to finished rows of pixels while
 * they are in the first-level cache. */
#include "store/image/planes/planes.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/image/planes/planes_private.h"

int an_planes_create(an_planes **out, an_simd_tier tier)
{
    *out = NULL;
    if (tier > an_cpu_simd_best())
        return an_error(AN_EUNSUPPORTED, "this processor has no %s", an_cpu_simd_name(tier));
    an_planes *p = calloc(1, sizeof *p);
    if (!p)
        return an_error(AN_ENOMEM, "out of memory");
    p->kernels = an_planes_kernels_get(tier);
    *out = p;
    return AN_OK;
}

void an_planes_free(an_planes *planes)
{
    if (!planes)
        return;
    free(planes->memory);
    free(planes);
}

/* The columns of blocks that hold the window's samples and, for upsampling, one more sample on each side. */
static void set_columns(an_planes *p, int c)
{
    const an_blocks_component *component = &p->blocks.component[c];
    uint32_t first = p->window.x, last = p->window.x + p->window.width - 1;
    if (c > 0 && an_blocks_halved_wide(&p->blocks)) {
        first = first / 2 > 0 ? first / 2 - 1 : 0;
        last = last / 2 + 1 < component->samples_wide ? last / 2 + 1 : component->samples_wide - 1;
    }
    p->plane[c].first = first / 8;
    p->plane[c].end = last / 8 + 1;
}

static void set_quantisation(an_planes *p, int c)
{
    for (int i = 0; i < 64; i++)
        p->plane[c].quantisation[an_blocks_zigzag[i]] = p->blocks.component[c].quantisation[i];
}

/* The size of a part of the working memory: with slack behind it, and so that the next part is aligned. */
static size_t part(size_t bytes)
{
    return (bytes + AN_PLANES_SLACK + AN_PLANES_ALIGNMENT - 1) / AN_PLANES_ALIGNMENT * AN_PLANES_ALIGNMENT;
}

static size_t group_up(uint32_t blocks)
{
    return ((size_t)blocks + AN_PLANES_GROUP - 1) / AN_PLANES_GROUP * AN_PLANES_GROUP;
}

/* Make room; the contents are lost when it grows. */
static int reserve(an_planes *p, size_t size)
{
    if (size <= p->capacity)
        return AN_OK;
    size_t capacity = part(size + size / 2);
    void *memory = aligned_alloc(AN_PLANES_ALIGNMENT, capacity);
    if (!memory)
        return an_error(AN_ENOMEM, "cannot allocate %zu bytes", capacity);
    memset(memory, 0, capacity); /* kernels read samples beyond the window's, whose results are not used */
    free(p->memory);
    p->memory = memory;
    p->capacity = capacity;
    return AN_OK;
}

static uint8_t *take(uint8_t **at, size_t size)
{
    uint8_t *taken = *at;
    *at += size;
    return taken;
}

/* Divide the working memory for this image and window. */
static int set_memory(an_planes *p)
{
    size_t blocks = 0, samples = 0;
    for (int c = 0; c < p->blocks.components; c++) {
        an_plane *plane = &p->plane[c];
        size_t wide = group_up(plane->end - plane->first);
        blocks = wide > blocks ? wide : blocks;
        plane->stride = AN_PLANES_ALIGNMENT + part(8 * wide);
        samples += plane->stride * AN_PLANES_SLOTS;
    }
    p->row_size = 64 * blocks;
    size_t coefficients = part(AN_BLOCKS_MCU_ROWS * p->row_size * sizeof(int16_t));
    size_t chroma = part(p->window.width + 2 + AN_PLANES_SLACK), row = part(3 * (size_t)p->window.width);
    int rc = reserve(p, coefficients + samples + 2 * chroma + row);
    if (rc)
        return rc;
    uint8_t *at = p->memory;
    p->coefficients = (void *)take(&at, coefficients);
    p->chroma[0] = take(&at, chroma);
    p->chroma[1] = take(&at, chroma);
    p->row = take(&at, row);
    for (int c = 0; c < p->blocks.components; c++)
        p->plane[c].samples = take(&at, p->plane[c].stride * AN_PLANES_SLOTS) + AN_PLANES_ALIGNMENT;
    return AN_OK;
}

static int check_window(const an_blocks *blocks, const an_window *w)
{
    if (w->width < 1 || w->height < 1 || w->x >= blocks->width || w->y >= blocks->height ||
        w->width > blocks->width - w->x || w->height > blocks->height - w->y)
        return an_error(AN_EINVAL, "window %ux%u+%u+%u is not inside an image of %ux%u", w->width, w->height, w->x,
                        w->y, blocks->width, blocks->height);
    return AN_OK;
}

static int prepare(an_planes *p, const an_blocks *blocks, const an_window *window)
{
    int rc = check_window(blocks, window);
    if (rc)
        return rc;
    p->blocks = *blocks;
    p->window = *window;
    for (int c = 0; c < blocks->components; c++) {
        set_columns(p, c);
        set_quantisation(p, c);
    }
    rc = set_memory(p);
    if (rc)
        return rc;
    if (blocks->components == 1)
        memset(p->chroma[0], 128, window->width);
    return AN_OK;
}

/* The MCU rows whose samples the window needs. */
static void mcu_range(const an_planes *p, uint32_t *first, uint32_t *last)
{
    uint32_t top = p->window.y, bottom = p->window.y + p->window.height - 1;
    *first = top / 8;
    *last = bottom / 8;
    if (an_blocks_halved_high(&p->blocks)) {
        *first = top > 0 ? (top - 1) / 16 : 0;
        *last = (bottom + 1) / 16 < p->blocks.mcu_rows ? (bottom + 1) / 16 : p->blocks.mcu_rows - 1;
    }
}

/* Luma is needed where the window is; chroma in every MCU row that the window needs. */
static bool is_needed(const an_planes *p, int c, uint32_t block_row)
{
    if (block_row >= p->blocks.component[c].blocks_high)
        return false;
    return c > 0 || (8 * block_row < p->window.y + p->window.height && 8 * block_row + 8 > p->window.y);
}

/* Which rows of blocks the source is to fill, and where. */
static void set_rows(const an_planes *p, uint32_t mcu_row, an_blocks_row rows[AN_BLOCKS_MCU_ROWS])
{
    int16_t *coefficients = p->coefficients;
    for (int c = 0; c < p->blocks.components; c++) {
        uint32_t count = p->blocks.component[c].rows_per_mcu;
        for (uint32_t r = 0; r < count; r++, rows++, coefficients += p->row_size)
            if (is_needed(p, c, mcu_row * count + r))
                *rows = (an_blocks_row){(void *)coefficients, p->plane[c].first, p->plane[c].end};
    }
}

int an_planes_decode(an_planes *planes, const an_blocks *blocks, const an_planes_source *source,
                     const an_window *window, const an_planes_sink *sink)
{
    uint32_t first, last;
    int rc = prepare(planes, blocks, window);
    if (rc)
        return rc;
    mcu_range(planes, &first, &last);
    for (uint32_t m = 0; m <= last; m++) {
        an_blocks_row rows[AN_BLOCKS_MCU_ROWS] = {{NULL, 0, 0}};
        if (m >= first)
            set_rows(planes, m, rows);
        rc = source->next(source->context, rows);
        if (rc)
            return rc;
        if (m < first)
            continue;
        rc = an_planes_transform(planes, rows, source->in_range);
        if (rc)
            return rc;
        an_planes_emit(planes, m, sink);
    }
    return AN_OK;
}
