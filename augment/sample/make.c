/* From a record to a sample: decode the window, then convert it in one pass over its rows, while they are in the
 * processor's caches. */
#include <stdlib.h>
#include <string.h>

#include "augment/sample/sample_private.h"
#include "base/error.h"
#include "store/codec.h"
#include "store/image/resize.h"

struct an_sample_scratch {
    an_decoder *decoder;
    an_resizer *resizer; /* NULL without resized crops */
    uint8_t *window;     /* of the largest crop: pixels x 3 */
    uint8_t *row;        /* crop x channels */
};

/* Whether samples are rows of RGB bytes, which is what decoders write. */
static bool as_decoded(const an_sampler *s)
{
    return s->options.format.dtype == AN_DTYPE_U8 && !an_sampler_planar(s) &&
           s->options.format.channels == AN_SAMPLE_COLOURS;
}

static int make_resizer(an_sample_scratch *scratch, const an_sampler *sampler)
{
    int rc = an_resizer_create(&scratch->resizer);
    if (rc)
        return rc;
    return an_resizer_reserve(scratch->resizer, sampler->side, sampler->options.crop, AN_FILTER_TRIANGLE);
}

static int scratch_fill(an_sample_scratch *scratch, const an_sampler *sampler)
{
    bool resizes = sampler->options.area_min > 0;
    size_t crop = sampler->options.crop, largest = resizes ? sampler->side : crop;
    scratch->window = malloc(largest * largest * AN_SAMPLE_COLOURS);
    scratch->row = malloc(crop * (AN_SAMPLE_COLOURS + 1));
    if (!scratch->window || !scratch->row)
        return an_error(AN_ENOMEM, "out of memory for a crop of %zu pixels", largest);
    int rc = an_decoder_create(&scratch->decoder);
    if (rc)
        return rc;
    return resizes ? make_resizer(scratch, sampler) : AN_OK;
}

int an_sample_scratch_create(an_sample_scratch **out, const an_sampler *sampler)
{
    *out = NULL;
    an_sample_scratch *scratch = calloc(1, sizeof *scratch);
    if (!scratch)
        return an_error(AN_ENOMEM, "out of memory for a sampler");
    int rc = scratch_fill(scratch, sampler);
    if (rc) {
        an_sample_scratch_free(scratch);
        return rc;
    }
    *out = scratch;
    return AN_OK;
}

void an_sample_scratch_free(an_sample_scratch *scratch)
{
    if (!scratch)
        return;
    an_decoder_free(scratch->decoder);
    an_resizer_free(scratch->resizer);
    free(scratch->window);
    free(scratch->row);
    free(scratch);
}

/* One sample on its way out. Rows come from the decoder in any order. */
typedef struct {
    const an_sampler *sampler;
    const an_sample_draw *draw;
    bool mirror;  /* rows come unmirrored and leave mirrored */
    uint8_t *row; /* of the scratch */
    uint8_t *out;
    float shift[AN_SAMPLE_COLOURS][AN_PIXELS_PATTERN]; /* of each plane; interleaved: [0], of all channels */
    float scale[AN_SAMPLE_COLOURS][AN_PIXELS_PATTERN]; /* likewise */
} sheet;

/* One row of pixels into the order of the output, grey if that is: interleaved at dst, or planes stride bytes apart. */
static void arrange(const an_sampler *s, const uint8_t *src, bool mirror, uint8_t *dst, size_t stride)
{
    size_t crop = s->options.crop;
    if (an_sampler_planar(s))
        s->pixels->split(dst, stride, src, crop, mirror);
    else if (s->options.format.channels > AN_SAMPLE_COLOURS)
        s->pixels->pad(dst, src, crop, mirror);
    else if (s->options.format.channels == 1)
        s->pixels->grey(dst, src, crop, mirror);
    else
        s->pixels->mirror(dst, src, crop);
}

static an_pixels_convert *converter(const an_sampler *s)
{
    if (s->options.format.dtype == AN_DTYPE_F32)
        return s->pixels->to_f32;
    return s->options.format.dtype == AN_DTYPE_BF16 ? s->pixels->to_bf16 : s->pixels->to_f16;
}

/* The mean of row y of the crop in the output's order; plane 0 holds every channel when interleaved. */
static const float *mean_row(const an_sampler *s, const an_sample_draw *draw, size_t y, size_t plane)
{
    size_t side = s->side, step = an_sampler_planar(s) ? 1 : (size_t)s->options.format.channels;
    if (s->mean_repeats)
        return s->mean[0] + plane * AN_PIXELS_PATTERN;
    size_t x = draw->flip ? side - s->options.crop - draw->x : draw->x;
    return s->mean[draw->flip] + plane * side * side + ((draw->y + y) * side + x) * step;
}

static void convert_interleaved(const sheet *t, size_t y, const uint8_t *rgb)
{
    const an_sampler *s = t->sampler;
    size_t n = s->options.crop * (size_t)s->options.format.channels;
    const uint8_t *src = rgb;
    if (t->mirror || s->options.format.channels != AN_SAMPLE_COLOURS) {
        arrange(s, rgb, t->mirror, t->row, 0);
        src = t->row;
    }
    converter(s)(t->out + y * n * an_dtype_size(s->options.format.dtype), src, mean_row(s, t->draw, y, 0),
                 s->mean_repeats, t->shift[0], t->scale[0], n);
}

static void convert_planes(const sheet *t, size_t y, const uint8_t *rgb)
{
    const an_sampler *s = t->sampler;
    size_t crop = s->options.crop, size = crop * an_dtype_size(s->options.format.dtype);
    arrange(s, rgb, t->mirror, t->row, crop);
    for (size_t c = 0; c < AN_SAMPLE_COLOURS; c++)
        converter(s)(t->out + (c * crop + y) * size, t->row + c * crop, mean_row(s, t->draw, y, c), s->mean_repeats,
                     t->shift[c], t->scale[c], crop);
}

/* Rows that leave as they came, but for mirroring. */
static void copy_row(const sheet *t, size_t y, const uint8_t *rgb)
{
    const an_sampler *s = t->sampler;
    size_t row = (size_t)s->options.crop * AN_SAMPLE_COLOURS;
    if (t->mirror)
        s->pixels->mirror(t->row, rgb, s->options.crop);
    s->pixels->copy(t->out + y * row, t->mirror ? t->row : rgb, row);
}

static void write_row(void *context, uint32_t y, const uint8_t *rgb)
{
    const sheet *t = context;
    const an_sampler *s = t->sampler;
    size_t crop = s->options.crop, row = an_sampler_planar(s) ? crop : crop * (size_t)s->options.format.channels;
    if (as_decoded(s))
        copy_row(t, y, rgb);
    else if (s->options.format.dtype == AN_DTYPE_U8)
        arrange(s, rgb, t->mirror, t->out + y * row, crop * crop);
    else if (an_sampler_planar(s))
        convert_planes(t, y, rgb);
    else
        convert_interleaved(t, y, rgb);
}

static void fill_patterns(sheet *t)
{
    const an_sampler *s = t->sampler;
    const float *shift = t->draw->shift;
    float scale[AN_SAMPLE_COLOURS];
    for (int c = 0; c < AN_SAMPLE_COLOURS; c++)
        scale[c] = s->scale[c] * t->draw->factor;
    bool planar = an_sampler_planar(s);
    for (int plane = 0; plane < (planar ? AN_SAMPLE_COLOURS : 1); plane++) {
        an_sampler_pattern(s, shift, planar ? plane : -1, t->shift[plane]);
        an_sampler_pattern(s, scale, planar ? plane : -1, t->scale[plane]);
    }
}

static int check_record(const an_sampler *s, const an_record *record, const an_sample_draw *draw)
{
    const an_record_header *header = &record->header;
    bool resized = draw->width || draw->height;
    uint32_t width = resized ? draw->width : s->options.crop, height = resized ? draw->height : s->options.crop;
    if (header->width != s->side || header->height != s->side)
        return an_error(AN_ECORRUPT, "the record is %u x %u pixels, the dataset's are %u", header->width,
                        header->height, s->side);
    if (resized && !(s->options.area_min > 0 && width && height))
        return an_error(AN_EINVAL, "a crop of %u x %u: this sampler does not resize", draw->width, draw->height);
    if (width > s->side || height > s->side || draw->x > s->side - width || draw->y > s->side - height)
        return an_error(AN_EINVAL, "a crop of %u x %u at %u, %u leaves the record of %u pixels", width, height, draw->x,
                        draw->y, s->side);
    return AN_OK;
}

/* Each row is written out as soon as the codec has it. */
static int make_by_rows(sheet *t, an_sample_scratch *scratch, const an_record *record)
{
    uint32_t crop = t->sampler->options.crop;
    return an_decoder_rows(scratch->decoder, record, t->draw->x, t->draw->y, crop, crop, &t->mirror, write_row, t);
}

static int make_window(sheet *t, an_sample_scratch *scratch, const an_record *record)
{
    const an_sampler *s = t->sampler;
    uint32_t crop = s->options.crop;
    size_t stride = (size_t)crop * AN_SAMPLE_COLOURS;
    bool straight = as_decoded(s) && !t->draw->flip;
    uint8_t *pixels = straight ? t->out : scratch->window;
    int rc = an_decoder_window(scratch->decoder, record, t->draw->x, t->draw->y, crop, crop, pixels, stride);
    if (rc || straight)
        return rc;
    for (uint32_t y = 0; y < crop; y++)
        write_row(t, y, pixels + y * stride);
    return AN_OK;
}

static int make_resized(sheet *t, an_sample_scratch *scratch, const an_record *record)
{
    const an_sample_draw *draw = t->draw;
    int rc = an_decoder_window(scratch->decoder, record, draw->x, draw->y, draw->width, draw->height, scratch->window,
                               (size_t)draw->width * AN_SAMPLE_COLOURS);
    if (rc)
        return rc;
    const an_image window = {.pixels = scratch->window, .width = draw->width, .height = draw->height};
    uint32_t crop = t->sampler->options.crop;
    return an_resizer_rows(scratch->resizer, &window, crop, crop, AN_FILTER_TRIANGLE, write_row, t);
}

static int make_rows(sheet *t, an_sample_scratch *scratch, const an_record *record)
{
    if (t->draw->width)
        return make_resized(t, scratch, record);
    return an_codec_has_rows(record->header.codec) ? make_by_rows(t, scratch, record) : make_window(t, scratch, record);
}

int an_sampler_make(const an_sampler *sampler, an_sample_scratch *scratch, const an_record *record,
                    const an_sample_draw *draw, void *out)
{
    const an_format *format = &sampler->options.format;
    size_t crop = sampler->options.crop, plane = crop * crop * an_dtype_size(format->dtype);
    sheet t = {.sampler = sampler, .draw = draw, .mirror = draw->flip, .row = scratch->row, .out = out};
    int rc = check_record(sampler, record, draw);
    if (rc)
        return rc;
    if (format->dtype != AN_DTYPE_U8)
        fill_patterns(&t);
    rc = make_rows(&t, scratch, record);
    if (!rc && an_sampler_planar(sampler) && format->channels > AN_SAMPLE_COLOURS)
        memset(t.out + AN_SAMPLE_COLOURS * plane, 0, plane);
    an_pixels_fence();
    return rc;
}
