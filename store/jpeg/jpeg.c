#include "store/jpeg/jpeg.h"

#include <stdlib.h>

#include "base/error.h"
#include "store/jpeg/jpeg_private.h"

enum {
    CROP_MIN = 16,   /* columns to decode at least: for a single column of chroma libjpeg-turbo has another upsampler */
    CROP_BESIDE = 2, /* columns to decode on each side of what is wanted, for upsampling */
    SCANS_MAX = 500  /* progressive files have about ten; each scan costs a pass over all coefficients */
};

static void count_scans(j_common_ptr jpeg)
{
    an_jpeg_decoder *d = jpeg->client_data;
    if (d->jpeg.input_scan_number > SCANS_MAX)
        an_jpeg_escape(&d->errors, an_error(AN_ECORRUPT, "JPEG: more than %d scans", SCANS_MAX));
}

/* Fails where the library is of another version than its headers: better now than at every file. */
static int try_library(void *context)
{
    an_jpeg_decoder *d = context;
    jpeg_create_decompress(&d->jpeg);
    return AN_OK;
}

int an_jpeg_decoder_create_plain(an_jpeg_decoder **out)
{
    *out = NULL;
    an_jpeg_decoder *d = calloc(1, sizeof *d);
    if (!d)
        return an_error(AN_ENOMEM, "out of memory: JPEG decoder");
    an_jpeg_errors_init(&d->errors);
    d->jpeg.err = &d->errors.manager;
    d->jpeg.client_data = d;
    d->progress.progress_monitor = count_scans;
    int rc = an_jpeg_guard(&d->errors, try_library, d);
    an_jpeg_close(&d->jpeg);
    if (rc) {
        an_jpeg_decoder_free(d);
        return rc;
    }
    *out = d;
    return AN_OK;
}

int an_jpeg_decoder_create(an_jpeg_decoder **out)
{
    int rc = an_jpeg_decoder_create_plain(out);
    if (!rc)
        rc = an_jpeg_fast_create(*out);
    if (rc) {
        an_jpeg_decoder_free(*out);
        *out = NULL;
    }
    return rc;
}

void an_jpeg_decoder_free(an_jpeg_decoder *decoder)
{
    if (!decoder)
        return;
    an_jpeg_fast_free(decoder);
    an_buffer_free(&decoder->row);
    free(decoder);
}

void an_jpeg_read_header(an_jpeg_decoder *d, const uint8_t *data, size_t size)
{
    an_jpeg_open(&d->jpeg, &d->errors, data, size);
    d->jpeg.progress = &d->progress;
}

void an_jpeg_set_output(an_jpeg_decoder *d)
{
    d->jpeg.out_color_space = d->jpeg.num_components == 4 ? JCS_CMYK : JCS_RGB;
    d->jpeg.dct_method = JDCT_ISLOW;
    d->jpeg.do_fancy_upsampling = TRUE;
}

/* a * b / 255, rounded. */
static inline uint8_t scale(unsigned a, unsigned b)
{
    unsigned t = a * b + 128;
    return (uint8_t)((t + (t >> 8)) >> 8);
}

void an_jpeg_from_cmyk(const uint8_t *cmyk, size_t pixels, uint8_t *rgb)
{
    for (size_t i = 0; i < pixels; i++, cmyk += 4, rgb += 3)
        for (int c = 0; c < 3; c++)
            rgb[c] = scale(cmyk[c], cmyk[3]);
}

static bool has_sampling(const jpeg_component_info *component, int h, int v)
{
    return component->h_samp_factor == h && component->v_samp_factor == v;
}

static void describe(const an_jpeg_decoder *d, an_jpeg_info *info)
{
    const struct jpeg_decompress_struct *jpeg = &d->jpeg;
    const jpeg_component_info *components = jpeg->comp_info;
    *info =
        (an_jpeg_info){.width = jpeg->image_width, .height = jpeg->image_height, .components = jpeg->num_components};
    info->baseline_420 = jpeg->num_components == 3 && jpeg->jpeg_color_space == JCS_YCbCr && !jpeg->progressive_mode &&
                         !jpeg->arith_code && has_sampling(&components[0], 2, 2) &&
                         has_sampling(&components[1], 1, 1) && has_sampling(&components[2], 1, 1);
}

static void count_warnings(const an_jpeg_decoder *d, an_jpeg_info *info)
{
    info->warnings = d->errors.warnings;
    info->truncated = d->errors.truncated;
}

typedef struct {
    an_jpeg_decoder *decoder;
    const uint8_t *data;
    size_t size;
    uint32_t min_side;
    uint64_t pixels_max;
    an_image *out;
    an_jpeg_info *info;
    bool square_only;
    uint32_t margin;
} whole;

static int read_info(void *context)
{
    whole *w = context;
    an_jpeg_read_header(w->decoder, w->data, w->size);
    describe(w->decoder, w->info);
    count_warnings(w->decoder, w->info);
    return AN_OK;
}

int an_jpeg_info_read(an_jpeg_decoder *decoder, const uint8_t *data, size_t size, an_jpeg_info *info)
{
    whole w = {.decoder = decoder, .data = data, .size = size, .info = info};
    int rc = an_jpeg_guard(&decoder->errors, read_info, &w);
    an_jpeg_close(&decoder->jpeg);
    return rc;
}

/* The smallest of the scales that libjpeg-turbo has fast code for. */
static void choose_scale(struct jpeg_decompress_struct *jpeg, uint32_t min_side)
{
    jpeg->scale_num = 1;
    jpeg->scale_denom = 1;
    for (unsigned denom = 8; min_side > 0 && denom > 1; denom /= 2) {
        unsigned width = (jpeg->image_width + denom - 1) / denom, height = (jpeg->image_height + denom - 1) / denom;
        if (width >= min_side && height >= min_side) {
            jpeg->scale_denom = denom;
            return;
        }
    }
}

/* Whether libjpeg-turbo decodes a part to the same pixels: the file has one scan, and chroma is whole or halved. */
static bool can_crop(const struct jpeg_decompress_struct *jpeg)
{
    return !jpeg->progressive_mode && !jpeg->arith_code && jpeg->max_h_samp_factor <= 2 &&
           jpeg->max_v_samp_factor <= 2 && jpeg->comps_in_scan == jpeg->num_components;
}

/* The centred square with its margin along one side of the image. Both ends have the same distance from the edges, so
 * the size may be one pixel more than asked for. */
static void set_side(uint32_t image, uint32_t side, uint32_t margin, uint32_t *first, uint32_t *size)
{
    uint32_t beside = (image - side) / 2;
    *first = beside > margin ? beside - margin : 0;
    *size = image - 2 * *first;
}

/* Limit decoding to the columns of the centred square with its margin, and skip the rows above; returns the first
 * column that is decoded. Upsampling treats the edge of what is decoded as the edge of the image, so CROP_BESIDE more
 * columns are decoded. The rows below are decoded too: only that shows whether the file is complete. */
static uint32_t crop_to_square(struct jpeg_decompress_struct *jpeg, uint32_t margin)
{
    uint32_t width = jpeg->output_width, height = jpeg->output_height, side = width < height ? width : height;
    uint32_t start, columns, top, rows;
    set_side(width, side, margin + CROP_BESIDE, &start, &columns);
    set_side(height, side, margin, &top, &rows);
    if (start > 0 && columns >= CROP_MIN)
        jpeg_crop_scanline(jpeg, &start, &columns);
    else
        start = 0;
    if (top > 0)
        (void)jpeg_skip_scanlines(jpeg, top);
    return start;
}

static int read_rows(an_jpeg_decoder *d, an_image *out, uint32_t x)
{
    struct jpeg_decompress_struct *jpeg = &d->jpeg;
    bool cmyk = jpeg->out_color_space == JCS_CMYK;
    size_t stride = (size_t)out->width * 3;
    int rc = cmyk ? an_buffer_reserve(&d->row, (size_t)jpeg->output_width * 4) : AN_OK;
    while (!rc && jpeg->output_scanline < jpeg->output_height) {
        uint8_t *target = out->pixels + jpeg->output_scanline * stride + 3 * (size_t)x;
        JSAMPROW row = cmyk ? d->row.data : target;
        (void)jpeg_read_scanlines(jpeg, &row, 1); /* reads one row: a source in memory never suspends */
        if (cmyk)
            an_jpeg_from_cmyk(row, jpeg->output_width, target);
    }
    return rc;
}

/* Decode with our own decoder. AN_AGAIN: libjpeg-turbo has to do it. */
static int decode_fast(const whole *w)
{
    uint32_t width = w->out->width, height = w->out->height, side = width < height ? width : height;
    an_window window = {0, 0, width, height, false};
    if (w->decoder->jpeg.scale_denom != 1)
        return AN_AGAIN;
    if (w->square_only) {
        set_side(width, side, w->margin, &window.x, &window.width);
        set_side(height, side, w->margin, &window.y, &window.height);
    }
    size_t stride = 3 * (size_t)width;
    int rc = an_jpeg_fast_decode(w->decoder, &window, true, w->out->pixels + window.y * stride + 3 * (size_t)window.x,
                                 stride);
    if (rc)
        return rc;
    describe(w->decoder, w->info);
    count_warnings(w->decoder, w->info);
    return AN_OK;
}

static int decode_whole(void *context)
{
    whole *w = context;
    struct jpeg_decompress_struct *jpeg = &w->decoder->jpeg;
    an_jpeg_read_header(w->decoder, w->data, w->size);
    if ((uint64_t)jpeg->image_width * jpeg->image_height > w->pixels_max)
        return an_error(AN_EUNSUPPORTED, "JPEG of %ux%u pixels: more than the limit of %llu pixels", jpeg->image_width,
                        jpeg->image_height, (unsigned long long)w->pixels_max);
    an_jpeg_set_output(w->decoder);
    choose_scale(jpeg, w->min_side);
    jpeg_calc_output_dimensions(jpeg);
    int rc = an_image_set_size(w->out, jpeg->output_width, jpeg->output_height);
    if (!rc)
        rc = decode_fast(w);
    if (rc != AN_AGAIN)
        return rc;
    (void)jpeg_start_decompress(jpeg); /* a source in memory never suspends */
    rc = read_rows(w->decoder, w->out, w->square_only && can_crop(jpeg) ? crop_to_square(jpeg, w->margin) : 0);
    if (rc)
        return rc;
    describe(w->decoder, w->info);
    (void)jpeg_finish_decompress(jpeg); /* frees what describe reads */
    count_warnings(w->decoder, w->info);
    return AN_OK;
}

int an_jpeg_decode(an_jpeg_decoder *decoder, const uint8_t *data, size_t size, uint32_t min_side, uint64_t pixels_max,
                   an_image *out, an_jpeg_info *info)
{
    an_jpeg_info unused;
    whole w = {decoder, data, size, min_side, pixels_max, out, info ? info : &unused, false, 0};
    int rc = an_jpeg_guard(&decoder->errors, decode_whole, &w);
    an_jpeg_close(&decoder->jpeg);
    return rc;
}

int an_jpeg_decode_square(an_jpeg_decoder *decoder, const uint8_t *data, size_t size, uint32_t min_side,
                          uint32_t margin, uint64_t pixels_max, an_image *out, an_jpeg_info *info)
{
    an_jpeg_info unused;
    whole w = {decoder, data, size, min_side, pixels_max, out, info ? info : &unused, true, margin};
    int rc = an_jpeg_guard(&decoder->errors, decode_whole, &w);
    an_jpeg_close(&decoder->jpeg);
    return rc;
}

#define TEXT_OF(token) #token
#define TEXT(macro) TEXT_OF(macro)

int an_jpeg_libraries(an_buffer *out)
{
    return an_buffer_printf(out, "libjpeg-turbo %s\n", TEXT(LIBJPEG_TURBO_VERSION));
}
