/* Codec `yuv420`: planes of full-range JFIF YCbCr, chroma halved both ways. docs/record-format.md specifies the bytes
 * and the arithmetic. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/codec_private.h"
#include "store/image/planes/kernels.h"

/* ---------------------------------------------------------------------------------------------------- encode ---- */

enum { BITS = 16, HALF = 1 << (BITS - 1) };

static inline uint8_t luma(const uint8_t *rgb)
{
    return (uint8_t)((19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + HALF) >> BITS);
}

/* The sums of a 2 x 2 square's colours to Cb and Cr: one rounding, just below the half as in libjpeg, so that 255.5
 * stays 255. */
static inline void chroma(const int sum[3], uint8_t *cb, uint8_t *cr)
{
    const int offset = (128 << (BITS + 2)) + (1 << (BITS + 1)) - 1;
    *cb = (uint8_t)((-11059 * sum[0] - 21709 * sum[1] + 32768 * sum[2] + offset) >> (BITS + 2));
    *cr = (uint8_t)((32768 * sum[0] - 27439 * sum[1] - 5329 * sum[2] + offset) >> (BITS + 2));
}

static uint32_t half(uint32_t side)
{
    return (side + 1) / 2;
}

static size_t payload_size(uint32_t width, uint32_t height)
{
    return (size_t)width * height + 2 * (size_t)half(width) * half(height);
}

/* At an odd right or lower edge the last column or row counts twice. */
static void encode_chroma_row(const uint8_t *upper, const uint8_t *lower, uint32_t width, uint8_t *cb, uint8_t *cr)
{
    for (uint32_t x = 0; x < width; x += 2) {
        size_t left = (size_t)x * 3, right = x + 1 < width ? left + 3 : left;
        int sum[3];
        for (size_t c = 0; c < 3; c++)
            sum[c] = upper[left + c] + upper[right + c] + lower[left + c] + lower[right + c];
        chroma(sum, cb + x / 2, cr + x / 2);
    }
}

static int encode(void *encoder, const an_image *image, const an_codec_options *options, an_buffer *out)
{
    (void)encoder;
    (void)options;
    uint32_t width = image->width, height = image->height;
    int rc = an_buffer_reserve(out, out->size + payload_size(width, height));
    if (rc)
        return rc;
    uint8_t *y = out->data + out->size, *cb = y + (size_t)width * height;
    uint8_t *cr = cb + (size_t)half(width) * half(height);
    for (size_t i = 0; i < (size_t)width * height; i++)
        y[i] = luma(image->pixels + 3 * i);
    for (uint32_t row = 0; row < height; row += 2) {
        const uint8_t *upper = image->pixels + (size_t)row * width * 3;
        const uint8_t *lower = row + 1 < height ? upper + (size_t)width * 3 : upper;
        encode_chroma_row(upper, lower, width, cb, cr);
        cb += half(width);
        cr += half(width);
    }
    out->size += payload_size(width, height);
    return AN_OK;
}

/* ---------------------------------------------------------------------------------------------------- decode ---- */

/* Rows in the decoder's own memory: the kernels read a neighbour on each side and a vector beyond the end. */
typedef struct {
    const uint8_t *plane[2]; /* Cb, Cr */
    uint32_t width, height;  /* of the planes */
    uint32_t first, count;   /* columns the window needs */
    uint8_t *rows;           /* three for each plane, by row modulo 3 */
    size_t row_size;
    uint32_t next; /* rows below this one have been fetched */
} chroma_rows;

static uint8_t *chroma_row(const chroma_rows *c, int plane, uint32_t row)
{
    return c->rows + ((size_t)plane * 3 + row % 3) * c->row_size + 1;
}

/* The row's columns with their neighbours, which at the image's edge are copies of the edge. */
static void fetch_chroma_row(const chroma_rows *c, int plane, uint32_t row)
{
    const uint8_t *in = c->plane[plane] + (size_t)row * c->width + c->first;
    uint8_t *out = chroma_row(c, plane, row);
    memcpy(out, in, c->count);
    out[-1] = c->first > 0 ? in[-1] : in[0];
    out[c->count] = c->first + c->count < c->width ? in[c->count] : in[c->count - 1];
}

static void fetch_chroma(chroma_rows *c, uint32_t end)
{
    for (; c->next < end; c->next++)
        for (int plane = 0; plane < 2; plane++)
            fetch_chroma_row(c, plane, c->next);
}

/* The chroma row on the other side of image row y than the one that covers it. */
static uint32_t far_row(uint32_t y, uint32_t rows)
{
    uint32_t near = y / 2;
    if (y % 2 == 0)
        return near > 0 ? near - 1 : 0;
    return near + 1 < rows ? near + 1 : near;
}

typedef struct {
    chroma_rows chroma;
    uint8_t *luma, *up[2]; /* a row of the window; chroma upsampled */
} work;

static int work_make(work *w, const an_record *record, uint32_t x, uint32_t width, an_buffer *scratch)
{
    const an_record_header *h = &record->header;
    chroma_rows *c = &w->chroma;
    c->width = half(h->width);
    c->height = half(h->height);
    c->first = x / 2;
    c->count = (x + width - 1) / 2 - c->first + 1;
    c->plane[0] = record->payload + (size_t)h->width * h->height;
    c->plane[1] = c->plane[0] + (size_t)c->width * c->height;
    c->row_size = c->count + 2 + AN_PLANES_SLACK;
    size_t wide = 2 * ((size_t)c->count + AN_PLANES_SLACK); /* upsampling doubles what it reads too far */
    int rc = an_buffer_reserve(scratch, 6 * c->row_size + 3 * wide);
    if (rc)
        return rc;
    c->rows = scratch->data;
    w->luma = c->rows + 6 * c->row_size;
    w->up[0] = w->luma + wide;
    w->up[1] = w->up[0] + wide;
    return AN_OK;
}

static int decoder_create(void **out)
{
    *out = calloc(1, sizeof(an_buffer));
    return *out ? AN_OK : an_error(AN_ENOMEM, "out of memory: decoder");
}

static void decoder_free(void *decoder)
{
    if (decoder)
        an_buffer_free(decoder);
    free(decoder);
}

static int decode(void *decoder, const an_record *record, const an_codec_window *window, uint8_t *out, size_t stride)
{
    const an_planes_kernels *kernels = an_planes_kernels_get(an_cpu_simd());
    uint32_t x = window->x, y = window->y, width = window->width;
    work w;
    int rc = an_codec_check_length(record, payload_size(record->header.width, record->header.height));
    if (rc)
        return rc;
    rc = work_make(&w, record, x, width, decoder);
    if (rc)
        return rc;
    w.chroma.next = far_row(y, w.chroma.height) < y / 2 ? y / 2 - 1 : y / 2;
    for (uint32_t row = y; row < y + window->height; row++, out += stride) {
        uint32_t near = row / 2, far = far_row(row, w.chroma.height);
        fetch_chroma(&w.chroma, (near > far ? near : far) + 1);
        for (int plane = 0; plane < 2; plane++)
            kernels->upsample(chroma_row(&w.chroma, plane, near), chroma_row(&w.chroma, plane, far), w.chroma.count,
                              w.up[plane]);
        memcpy(w.luma, record->payload + (size_t)row * record->header.width + x, width);
        kernels->colour(w.luma, w.up[0] + x % 2, w.up[1] + x % 2, width, false, out);
    }
    return AN_OK;
}

const an_codec_row an_codec_row_yuv420 = {.codec = AN_CODEC_YUV420,
                                          .encode = encode,
                                          .decoder_create = decoder_create,
                                          .decoder_free = decoder_free,
                                          .decode = decode};
