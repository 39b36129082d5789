/* Decoding a window with libjpeg-turbo, where fast.c does not take the file. What lies left and right of the window is
 * entropy-decoded but not transformed (jpeg_crop_scanline, which works in whole MCUs), and so is what lies above it
 * (jpeg_skip_scanlines). What lies below is not decoded.
 *
 * Fancy upsampling mixes each chroma sample with its neighbours, but treats the edge of what is decoded as the edge of
 * the image. So one more column than asked for is decoded on each side; for rows jpeg_skip_scanlines does the same. */
#include <string.h>

#include "base/error.h"
#include "store/jpeg/jpeg_private.h"

/* Pixels to decode at least: for a single column of chroma libjpeg-turbo has another upsampler. */
enum { WIDTH_MIN = 8 };

typedef struct {
    an_jpeg_decoder *decoder;
    const uint8_t *data;
    size_t size;
    const an_jpeg_window *window;
    uint8_t *out;
    size_t stride;
} job;

static int check_window(const an_jpeg_window *w, size_t stride)
{
    if (w->width == 0 || w->height == 0 || w->x > w->image_width || w->width > w->image_width - w->x ||
        w->y > w->image_height || w->height > w->image_height - w->y || stride / 3 < w->width)
        return an_error(AN_EINVAL, "window of %ux%u pixels at %u, %u, rows %zu bytes apart, in an image of %ux%u",
                        w->width, w->height, w->x, w->y, stride, w->image_width, w->image_height);
    return AN_OK;
}

static int check_size(const struct jpeg_decompress_struct *jpeg, const an_jpeg_window *w)
{
    if (jpeg->image_width != w->image_width || jpeg->image_height != w->image_height)
        return an_error(AN_ECORRUPT, "JPEG of %ux%u pixels where %ux%u are declared", jpeg->image_width,
                        jpeg->image_height, w->image_width, w->image_height);
    return AN_OK;
}

/* Limit decoding to the columns that the window needs; returns the window's x within them. */
static uint32_t crop_columns(struct jpeg_decompress_struct *jpeg, const an_jpeg_window *w)
{
    /* Where scans are missing libjpeg-turbo smooths across blocks, so all columns must be decoded. */
    if (jpeg->progressive_mode)
        return w->x;
    unsigned mcu = (unsigned)jpeg->max_h_samp_factor * DCTSIZE;
    unsigned beside = jpeg->max_h_samp_factor > 1;
    JDIMENSION start = w->x < beside ? 0 : (w->x - beside) / mcu * mcu;
    JDIMENSION end = w->x + w->width + beside;
    if (end > jpeg->output_width)
        end = jpeg->output_width;
    if (end - start < WIDTH_MIN && start > 0)
        start -= mcu;
    if (end - start < WIDTH_MIN)
        end = jpeg->output_width < WIDTH_MIN ? jpeg->output_width : WIDTH_MIN;
    JDIMENSION width = end - start;
    if (width < jpeg->output_width)
        jpeg_crop_scanline(jpeg, &start, &width);
    return w->x - start;
}

static void read_row(struct jpeg_decompress_struct *jpeg, uint8_t *row)
{
    (void)jpeg_read_scanlines(jpeg, &row, 1); /* reads one row: a source in memory never suspends */
}

static int read_rows(const job *j, uint32_t x)
{
    an_jpeg_decoder *d = j->decoder;
    struct jpeg_decompress_struct *jpeg = &d->jpeg;
    const an_jpeg_window *w = j->window;
    bool cmyk = jpeg->out_color_space == JCS_CMYK;
    size_t pixel = cmyk ? 4 : 3;
    int rc = an_buffer_reserve(&d->row, 1 + jpeg->output_width * pixel);
    if (rc)
        return rc;
    /* An odd address on purpose: at multiples of 32 bytes libjpeg-turbo uses stores that bypass the caches, and the row
     * is copied from at once. */
    uint8_t *row = d->row.data + 1;
    (void)jpeg_skip_scanlines(jpeg, w->y);
    bool direct = !cmyk && jpeg->output_width == w->width;
    for (uint32_t i = 0; i < w->height; i++) {
        uint8_t *target = j->out + i * j->stride;
        read_row(jpeg, direct ? target : row);
        if (cmyk)
            an_jpeg_from_cmyk(row + x * pixel, w->width, target);
        else if (!direct)
            memcpy(target, row + x * pixel, w->width * pixel);
    }
    return AN_OK;
}

static int decode(void *context)
{
    const job *j = context;
    an_jpeg_decoder *d = j->decoder;
    an_jpeg_read_header(d, j->data, j->size);
    int rc = check_size(&d->jpeg, j->window);
    if (rc)
        return rc;
    const an_jpeg_window *w = j->window;
    rc = an_jpeg_fast_decode(d, &(an_window){w->x, w->y, w->width, w->height, false}, false, j->out, j->stride);
    if (rc != AN_AGAIN)
        return rc;
    an_jpeg_set_output(d);
    (void)jpeg_start_decompress(&d->jpeg); /* a source in memory never suspends */
    rc = read_rows(j, crop_columns(&d->jpeg, j->window));
    if (!rc && d->errors.warnings > 0)
        return an_error(AN_ECORRUPT, "damaged JPEG: %s", d->errors.warning);
    return rc;
}

int an_jpeg_decode_window(an_jpeg_decoder *decoder, const uint8_t *data, size_t size, const an_jpeg_window *window,
                          uint8_t *out, size_t stride)
{
    int rc = check_window(window, stride);
    if (rc)
        return rc;
    job j = {decoder, data, size, window, out, stride};
    rc = an_jpeg_guard(&decoder->errors, decode, &j);
    an_jpeg_close(&decoder->jpeg);
    return rc;
}
