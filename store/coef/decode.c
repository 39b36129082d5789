/* Decoding a coef payload: the decoder of store/image/planes with the payload as its source of coefficients. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "store/coef/coef.h"
#include "store/coef/format.h"
#include "store/coef/unpack.h"
#include "store/image/planes/kernels.h"

enum { ALIGNMENT = 64 };

struct an_coef_decoder {
    an_planes *planes;
    an_coef_unpack *unpack;
    an_coef_work work;     /* dc and values, in one allocation */
    uint32_t work_blocks;  /* it has room for so many */
    an_coef_layout layout; /* of the present payload; then its next row of blocks */
    const uint8_t *row, *length;
    uint32_t mcu_row;
};

int an_coef_decoder_create(an_coef_decoder **out)
{
    return an_coef_decoder_create_tier(out, an_cpu_simd());
}

int an_coef_decoder_create_tier(an_coef_decoder **out, an_simd_tier tier)
{
    *out = NULL;
    an_coef_decoder *d = calloc(1, sizeof *d);
    if (!d)
        return an_error(AN_ENOMEM, "out of memory");
    int rc = an_planes_create(&d->planes, tier);
    if (rc) {
        an_coef_decoder_free(d);
        return rc;
    }
    d->unpack = an_coef_unpack_get(tier);
    *out = d;
    return AN_OK;
}

void an_coef_decoder_free(an_coef_decoder *decoder)
{
    if (!decoder)
        return;
    an_planes_free(decoder->planes);
    free(decoder->work.values);
    free(decoder);
}

static size_t align_up(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static int reserve_work(an_coef_decoder *d, uint32_t blocks)
{
    if (blocks <= d->work_blocks)
        return AN_OK;
    size_t values = align_up((size_t)blocks * 63 + AN_PLANES_SLACK), dc = align_up(blocks * sizeof(int16_t));
    int8_t *memory = aligned_alloc(ALIGNMENT, values + dc);
    if (!memory)
        return an_error(AN_ENOMEM, "cannot allocate %zu bytes", values + dc);
    memset(memory, 0, values + dc); /* bytes beyond the values are read, and not used */
    free(d->work.values);
    d->work.values = memory;
    d->work.dc = (void *)(memory + values);
    d->work_blocks = blocks;
    return AN_OK;
}

/* Unpack the payload's next row of blocks, or only step over it where it is not wanted. */
static int next_row(an_coef_decoder *d, const an_blocks_component *component, const an_blocks_row *to)
{
    const uint8_t *row = d->row;
    size_t size = an_bytes_u16(d->length);
    d->row += size;
    d->length += 2;
    if (to->first == to->end)
        return AN_OK;
    d->work.coefficients = to->blocks[0];
    if (!d->unpack(row, size, component->blocks_wide, to->first, to->end, &d->work))
        return an_error(AN_ECORRUPT, "coef payload is damaged: streams of a row of blocks do not fit it");
    return AN_OK;
}

static int next_mcu_row(void *context, const an_blocks_row rows[AN_BLOCKS_MCU_ROWS])
{
    an_coef_decoder *d = context;
    for (int c = 0; c < d->layout.blocks.components; c++) {
        const an_blocks_component *component = &d->layout.blocks.component[c];
        uint32_t count = an_blocks_rows_in_mcu(component, d->mcu_row);
        for (uint32_t r = 0; r < count; r++) {
            int rc = next_row(d, component, &rows[r]);
            if (rc)
                return rc;
        }
        rows += component->rows_per_mcu;
    }
    d->mcu_row++;
    return AN_OK;
}

static int decode(an_coef_decoder *d, const uint8_t *payload, size_t size, const an_window *window,
                  const an_planes_sink *sink)
{
    int rc = an_coef_layout_parse(&d->layout, payload, size);
    if (rc)
        return rc;
    rc = reserve_work(d, d->layout.blocks.component[0].blocks_wide);
    if (rc)
        return rc;
    d->row = d->layout.rows;
    d->length = d->layout.lengths;
    d->mcu_row = 0;
    const an_planes_source source = {d, next_mcu_row, true}; /* the encoder refuses blocks that are not in range */
    return an_planes_decode(d->planes, &d->layout.blocks, &source, window, sink);
}

int an_coef_decode_window(an_coef_decoder *decoder, const uint8_t *payload, size_t size, const an_window *window,
                          uint8_t *rgb, size_t stride)
{
    return decode(decoder, payload, size, window, &(an_planes_sink){.rgb = rgb, .stride = stride});
}

int an_coef_decode_rows(an_coef_decoder *decoder, const uint8_t *payload, size_t size, const an_window *window,
                        an_planes_row *row, void *context)
{
    return decode(decoder, payload, size, window, &(an_planes_sink){.row = row, .context = context});
}
