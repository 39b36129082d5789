/* Decoding whole files, as ingest does: sound ones, those that cameras and phones end in their own ways, and damaged
 * ones, which must not pass for sound. */
#include "store/jpeg/jpeg_private.h"

#include <string.h>

#include <jerror.h>

#include "base/error.h"

enum {
    CROP_MIN = 16,   /* columns to decode at least: for a single column of chroma libjpeg-turbo has another upsampler */
    CROP_BESIDE = 2, /* columns to decode on each side of what is wanted, for upsampling */
    STEP = 256       /* bytes, fewer than libjpeg-turbo must have to decode Huffman codes its faster way */
};

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
    bool carefully; /* see read_in_steps */
} whole;

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
    an_jpeg_describe(w->decoder, w->info);
    return AN_OK;
}

/* libjpeg-turbo has come to the end of a step. */
static boolean next_step(j_decompress_ptr jpeg)
{
    an_jpeg_decoder *d = jpeg->client_data;
    static const uint8_t end_marker[] = {0xff, JPEG_EOI};
    size_t left = (size_t)(d->end - d->step), size = left < STEP ? left : STEP;
    if (left == 0) {
        WARNMS(jpeg, JWRN_JPEG_EOF);
        jpeg->src->next_input_byte = end_marker;
        jpeg->src->bytes_in_buffer = sizeof end_marker;
        return TRUE;
    }
    jpeg->src->next_input_byte = d->step;
    jpeg->src->bytes_in_buffer = size;
    d->step += size;
    return TRUE;
}

/* Give libjpeg-turbo the rest of the file in steps. From larger pieces it decodes Huffman codes in a faster way, which
 * takes a code that does not exist for a zero and gives no warning. */
static void read_in_steps(an_jpeg_decoder *d)
{
    struct jpeg_source_mgr *source = d->jpeg.src;
    d->step = source->next_input_byte;
    d->end = d->step + source->bytes_in_buffer;
    source->fill_input_buffer = next_step;
    (void)next_step(&d->jpeg);
}

/* Whether there is a scan of every component and, in a progressive file, of every bit. */
static bool has_all_scans(const struct jpeg_decompress_struct *jpeg)
{
    for (int c = 0; c < jpeg->num_components; c++) {
        if (!jpeg->comp_info[c].quant_table) /* kept when a component's first scan begins */
            return false;
        for (int i = 0; i < 64 && jpeg->progressive_mode; i++)
            if (jpeg->coef_bits[c][i] != 0)
                return false;
    }
    return true;
}

/* Decode with libjpeg-turbo, to the end of the file. */
static int decode_fully(const whole *w)
{
    an_jpeg_decoder *d = w->decoder;
    struct jpeg_decompress_struct *jpeg = &d->jpeg;
    if (w->carefully)
        read_in_steps(d);
    (void)jpeg_start_decompress(jpeg); /* a source in memory never suspends */
    int rc = read_rows(d, w->out, w->square_only && can_crop(jpeg) ? crop_to_square(jpeg, w->margin) : 0);
    if (rc)
        return rc;
    an_jpeg_describe(d, w->info);
    bool complete = has_all_scans(jpeg);
    (void)jpeg_finish_decompress(jpeg); /* frees what was read here */
    if (d->errors.damage[0] != '\0')
        return an_error(AN_ECORRUPT, "damaged JPEG: %s", d->errors.damage);
    w->info->warnings = d->errors.warnings;
    w->info->truncated = d->errors.cut || (d->errors.no_end && !complete);
    return AN_OK;
}

static int decode_whole(void *context)
{
    whole *w = context;
    struct jpeg_decompress_struct *jpeg = &w->decoder->jpeg;
    an_jpeg_read_header(w->decoder, w->data, w->size);
    an_jpeg_describe(w->decoder, w->info);
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
    return decode_fully(w);
}

/* After a failure: whether it happened behind the picture, at something that is no end marker. Some cameras put a
 * trailer of their own there. The file is then to be decoded again up to that place, as w->size now says. */
static bool ends_in_trailer(whole *w, int rc)
{
    const an_jpeg_errors *errors = &w->decoder->errors;
    const struct jpeg_decompress_struct *jpeg = &w->decoder->jpeg;
    if (rc != AN_ECORRUPT && rc != AN_EUNSUPPORTED)
        return false;
    /* A marker was being read, behind the first scan; a second header has not overwritten what is asked here. */
    if (jpeg->unread_marker == 0 || jpeg->input_scan_number == 0 || errors->manager.msg_code == JERR_SOF_DUPLICATE)
        return false;
    if (jpeg->input_scan_number > AN_JPEG_SCANS_MAX || jpeg->arith_code)
        return false;
    if (errors->cut || errors->damage[0] != '\0' || !has_all_scans(jpeg))
        return false;
    uintptr_t first = (uintptr_t)w->data, behind = (uintptr_t)jpeg->src->next_input_byte;
    if (behind < first + 2 || behind > first + w->size) /* it lies in the end marker that was added */
        return false;
    w->size = behind - first - 2;
    return true;
}

/* After a success: whether codes that do not exist may have been passed over. They put the decoder out of step, and
 * then data are left over at the end, or missing. */
static bool is_doubtful(const whole *w)
{
    const an_jpeg_errors *errors = &w->decoder->errors;
    const struct jpeg_decompress_struct *jpeg = &w->decoder->jpeg;
    return (errors->surplus || errors->cut) && !jpeg->progressive_mode && !jpeg->arith_code;
}

static int decode(whole *w)
{
    an_jpeg_decoder *decoder = w->decoder;
    int rc = an_jpeg_guard(&decoder->errors, decode_whole, w);
    if (rc && ends_in_trailer(w, rc)) {
        an_jpeg_close(&decoder->jpeg);
        rc = an_jpeg_guard(&decoder->errors, decode_whole, w);
    }
    if (!rc && is_doubtful(w)) {
        an_jpeg_close(&decoder->jpeg);
        w->carefully = true;
        rc = an_jpeg_guard(&decoder->errors, decode_whole, w);
    }
    an_jpeg_close(&decoder->jpeg);
    return rc;
}

int an_jpeg_decode(an_jpeg_decoder *decoder, const uint8_t *data, size_t size, uint32_t min_side, uint64_t pixels_max,
                   an_image *out, an_jpeg_info *info)
{
    an_jpeg_info unused;
    whole w = {decoder, data, size, min_side, pixels_max, out, info ? info : &unused, false, 0, false};
    return decode(&w);
}

int an_jpeg_decode_square(an_jpeg_decoder *decoder, const uint8_t *data, size_t size, uint32_t min_side,
                          uint32_t margin, uint64_t pixels_max, an_image *out, an_jpeg_info *info)
{
    an_jpeg_info unused;
    whole w = {decoder, data, size, min_side, pixels_max, out, info ? info : &unused, true, margin, false};
    return decode(&w);
}
