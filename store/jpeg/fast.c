/* The way that nearly all files take: our own Huffman decoder (scan.c), then the decoder of store/image/planes. The
 * pixels are libjpeg-turbo's, in less time.
 *
 * libjpeg-turbo reads the header. A file that is not a sound baseline file of a common kind is left to it (AN_AGAIN),
 * at whatever point that turns out: nothing of its state has been touched, so it decodes the file from the start. */
#include <string.h>

#include "base/cpu.h"
#include "base/error.h"
#include "store/image/planes/kernels.h"
#include "store/jpeg/jpeg_private.h"

int an_jpeg_fast_create(an_jpeg_decoder *d)
{
    if (an_cpu_simd() == AN_SIMD_SCALAR) /* libjpeg-turbo is as fast then */
        return AN_OK;
    int rc = an_jpeg_scan_create(&d->scan);
    if (rc)
        return rc;
    return an_planes_create(&d->planes, an_cpu_simd());
}

void an_jpeg_fast_free(an_jpeg_decoder *d)
{
    an_jpeg_scan_free(d->scan);
    an_planes_free(d->planes);
}

/* The scan as a source of coefficients. */
typedef struct {
    an_jpeg_scan *scan;
    uint32_t mcu_rows; /* taken so far */
} scan_source;

/* The scan writes only coefficients that are not zero. Kernels read whole groups, so these are cleared to the end. */
static void clear_row(const an_blocks_row *row)
{
    size_t groups = (row->end - row->first + AN_PLANES_GROUP - 1) / AN_PLANES_GROUP;
    if (groups > 0)
        memset(row->blocks, 0, groups * AN_PLANES_GROUP * sizeof *row->blocks);
}

static int next_mcu_row(void *context, const an_blocks_row rows[AN_BLOCKS_MCU_ROWS])
{
    scan_source *source = context;
    for (int i = 0; i < AN_BLOCKS_MCU_ROWS; i++)
        clear_row(&rows[i]);
    source->mcu_rows++;
    return an_jpeg_scan_mcu_row(source->scan, rows) ? AN_OK : AN_AGAIN;
}

/* The MCU rows that libjpeg-turbo would decode for this window, which decide whether it would notice damage: its
 * upsampling fetches the next MCU row along with the last two rows of pixels. */
static uint32_t mcu_rows_of(const an_blocks *blocks, const an_window *window)
{
    uint32_t bottom = window->y + window->height - 1;
    uint32_t last = an_blocks_halved_high(blocks) ? (bottom + 2) / 16 : bottom / 8;
    return last < blocks->mcu_rows ? last + 1 : blocks->mcu_rows;
}

/* Decode MCU rows without using them. */
static int skip_to(scan_source *source, uint32_t mcu_row)
{
    const an_blocks_row unwanted[AN_BLOCKS_MCU_ROWS] = {{NULL, 0, 0}};
    while (source->mcu_rows < mcu_row) {
        int rc = next_mcu_row(source, unwanted);
        if (rc)
            return rc;
    }
    return AN_OK;
}

int an_jpeg_fast_decode(an_jpeg_decoder *d, const an_window *window, bool all, uint8_t *out, size_t stride)
{
    an_blocks blocks;
    if (!d->planes || d->errors.warnings > 0 || !an_jpeg_blocks(&d->jpeg, &blocks))
        return AN_AGAIN;
    /* For a grey file with such a factor libjpeg-turbo reads two rows of blocks at a time, though nothing needs it. */
    if (blocks.sampling == AN_SAMPLING_GREY && d->jpeg.max_v_samp_factor > 1)
        return AN_AGAIN;
    if (!an_jpeg_scan_start(d->scan, &d->jpeg, &blocks))
        return AN_AGAIN;
    scan_source source = {d->scan, 0};
    const an_planes_sink sink = {.rgb = out, .stride = stride};
    int rc = an_planes_decode(d->planes, &blocks, &(an_planes_source){&source, next_mcu_row, false}, window, &sink);
    if (rc)
        return rc;
    rc = skip_to(&source, all ? blocks.mcu_rows : mcu_rows_of(&blocks, window));
    if (rc)
        return rc;
    return all && !an_jpeg_scan_end(d->scan) ? AN_AGAIN : AN_OK;
}
