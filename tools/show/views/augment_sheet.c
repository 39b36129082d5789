#include "tools/show/views/augment_sheet.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "augment/loader.h"
#include "base/error.h"
#include "tools/show/views/augment_private.h"

#define CELL 118.0
#define CAPTION 32.0
#define GAP 12.0
#define TEN 104.0 /* ten crops in a row, with captions */
#define TEN_GAP 6.0

static int samplers_create(an_augment_artist *a)
{
    const an_augment_sheet *s = a->sheet;
    uint32_t side = an_dataset_side(s->dataset);
    an_sample_options options = s->sample;
    options.format = (an_format){AN_DTYPE_F32, AN_LAYOUT_NHWC, 3};
    int rc = an_sampler_create(&a->input, &options, side, an_dataset_statistics(s->dataset));
    options.mean = AN_MEAN_NONE;
    options.scale = 1;
    if (!rc)
        rc = an_sampler_create(&a->seen, &options, side, an_dataset_statistics(s->dataset));
    if (!rc)
        rc = an_sample_scratch_create(&a->input_scratch, a->input);
    if (!rc)
        rc = an_sample_scratch_create(&a->seen_scratch, a->seen);
    return rc;
}

static int whole_decode(an_augment_artist *a)
{
    an_decoder *decoder = NULL;
    an_image *whole = &a->whole;
    int rc = an_decoder_create(&decoder);
    if (!rc)
        rc = an_image_set_size(whole, a->record.header.width, a->record.header.height);
    if (!rc)
        rc = an_decoder_window(decoder, &a->record, 0, 0, whole->width, whole->height, whole->pixels,
                               (size_t)3 * whole->width);
    an_decoder_free(decoder);
    return rc;
}

static int artist_open(an_augment_artist *a, const an_augment_sheet *sheet)
{
    *a = (an_augment_artist){.sheet = sheet};
    size_t values = (size_t)sheet->sample.crop * sheet->sample.crop * 3;
    int rc = samplers_create(a);
    if (!rc)
        rc = an_dataset_record(sheet->dataset, sheet->record, &a->record);
    if (!rc)
        rc = an_record_verify(&a->record);
    if (!rc)
        rc = an_image_set_size(&a->image, sheet->sample.crop, sheet->sample.crop);
    if (!rc)
        rc = whole_decode(a);
    if (rc < 0)
        return rc;
    a->values = aligned_alloc(64, (values * sizeof(float) + 63) / 64 * 64);
    a->draws = calloc((size_t)sheet->epochs, sizeof(*a->draws));
    if (!a->values || !a->draws)
        return an_error(AN_ENOMEM, "out of memory for a sheet");
    for (int i = 0; i < sheet->epochs; i++)
        an_sampler_draw(a->input, sheet->seed, (uint64_t)i, sheet->record, &a->draws[i]);
    return AN_OK;
}

static void artist_close(an_augment_artist *a)
{
    an_sample_scratch_free(a->seen_scratch);
    an_sample_scratch_free(a->input_scratch);
    an_sampler_free(a->seen);
    an_sampler_free(a->input);
    an_image_free(&a->image);
    an_image_free(&a->whole);
    free(a->values);
    free(a->draws);
}

/* offset and factor bring values to 0..255. */
static int sample_paint(an_augment_artist *a, bool input, const an_sample_draw *draw, float offset, float factor)
{
    int rc = an_sampler_make(input ? a->input : a->seen, input ? a->input_scratch : a->seen_scratch, &a->record, draw,
                             a->values);
    size_t count = (size_t)a->sheet->sample.crop * a->sheet->sample.crop * 3;
    for (size_t i = 0; !rc && i < count; i++)
        a->image.pixels[i] = (uint8_t)lrintf(fminf(fmaxf(offset + factor * a->values[i], 0), 255));
    return rc;
}

static void caption(const an_augment_artist *a, double x, double y, const char *text, an_colour colour)
{
    an_canvas_text(a->canvas, text, &(an_text_style){x + CELL / 2, y, CELL, 9, AN_ALIGN_CENTRE, colour, false});
}

static void draw_captions(const an_augment_artist *a, const an_sample_draw *d, int epoch, double x, double y)
{
    char text[96];
    snprintf(text, sizeof(text), "%d: at %u, %u%s", epoch, d->x, d->y, d->flip ? ", mirrored" : "");
    caption(a, x, y + 12, text, AN_COLOUR_INK);
    if (a->sheet->sample.jitter > 0) {
        snprintf(text, sizeof(text), "colour %+ld %+ld %+ld", lrintf(d->shift[0]), lrintf(d->shift[1]),
                 lrintf(d->shift[2]));
        caption(a, x, y + 24, text, AN_COLOUR_MUTED);
    }
}

static double left_of_grid(void)
{
    return AN_AUGMENT_MARGIN + AN_AUGMENT_STORED + 28;
}

static int epochs_draw(an_augment_artist *a, double top, bool input)
{
    /* Inputs are shown as training scales them, on a grey zero: one deviation of an image is about 64 of 255. */
    float factor = input ? 1 / (float)a->sheet->sample.scale * 0.5f : 1, offset = input ? 127.5f : 0;
    int rc = AN_OK;
    for (int i = 0; !rc && i < a->sheet->epochs; i++) {
        double x = left_of_grid() + (CELL + GAP) * (i % AN_AUGMENT_COLUMNS);
        double y = top + AN_AUGMENT_HEADING + (CELL + (input ? GAP : CAPTION)) * (i / AN_AUGMENT_COLUMNS);
        rc = sample_paint(a, input, &a->draws[i], offset, factor);
        if (rc < 0)
            break;
        an_canvas_image(a->canvas, &a->image, x, y, CELL, CELL, false);
        if (!input)
            draw_captions(a, &a->draws[i], i, x, y + CELL);
    }
    return rc;
}

static int ten_draw(an_augment_artist *a, double top)
{
    an_sample_draw ten[AN_SAMPLE_TEN];
    double cell = (AN_AUGMENT_COLUMNS * (CELL + GAP) - GAP - 9 * TEN_GAP) / 10;
    int rc = AN_OK;
    an_sampler_ten_crop(a->seen, ten);
    for (int i = 0; !rc && i < AN_SAMPLE_TEN; i++) {
        double x = left_of_grid() + (cell + TEN_GAP) * i, y = top + AN_AUGMENT_HEADING;
        rc = sample_paint(a, false, &ten[i], 0, 1);
        if (rc)
            break;
        an_canvas_image(a->canvas, &a->image, x, y, cell, cell, false);
        an_canvas_text(
            a->canvas, an_augment_place(a, &ten[i]),
            &(an_text_style){x + cell / 2, y + cell + 12, cell + TEN_GAP, 9, AN_ALIGN_CENTRE, AN_COLOUR_INK, false});
        if (ten[i].flip)
            an_canvas_text(a->canvas, "mirrored",
                           &(an_text_style){x + cell / 2, y + cell + 23, cell + TEN_GAP, 9, AN_ALIGN_CENTRE,
                                            AN_COLOUR_MUTED, false});
    }
    return rc;
}

static int sections_draw(an_augment_artist *a, int rows)
{
    static const char *const means[] = {"no mean", "the mean colour", "the mean image"};
    char text[128];
    double x = left_of_grid(), second = AN_AUGMENT_TOP + AN_AUGMENT_HEADING + rows * (CELL + CAPTION) + 8;
    double third = second + AN_AUGMENT_HEADING + rows * (CELL + GAP) + 4;
    an_augment_heading(a, x, AN_AUGMENT_TOP, "As cut, mirrored and coloured, epoch by epoch");
    snprintf(text, sizeof(text), "The same minus %s: what the first layer gets (grey is zero)",
             means[a->sheet->sample.mean]);
    an_augment_heading(a, x, second, text);
    an_augment_heading(a, x, third, "At test time: ten crops, whose predictions are averaged");
    int rc = an_augment_stored_draw(a);
    if (!rc)
        rc = epochs_draw(a, AN_AUGMENT_TOP, false);
    if (!rc)
        rc = epochs_draw(a, second, true);
    return rc ? rc : ten_draw(a, third);
}

static int sheet_draw(an_augment_artist *a, an_canvas_kind kind)
{
    char text[160];
    const an_sample_options *o = &a->sheet->sample;
    int rows = (a->sheet->epochs + AN_AUGMENT_COLUMNS - 1) / AN_AUGMENT_COLUMNS;
    double width = left_of_grid() + AN_AUGMENT_COLUMNS * (CELL + GAP) - GAP + AN_AUGMENT_MARGIN;
    double right = AN_AUGMENT_TOP + 3 * AN_AUGMENT_HEADING + rows * (2 * CELL + CAPTION + GAP) + 12 + TEN;
    double height = fmax(right, an_augment_stored_bottom(a->sheet)) + AN_AUGMENT_MARGIN;
    int rc = an_canvas_create(&a->canvas, kind, width, height, "What training makes of one image");
    if (rc < 0)
        return rc;
    snprintf(text, sizeof(text), "crop %u of %u, %s, %s, colour jitter %g, seed %" PRIu64, o->crop,
             an_dataset_side(a->sheet->dataset), o->random_crop ? "at random" : "from the centre",
             o->flip ? "mirrored half the time" : "never mirrored", o->jitter, a->sheet->seed);
    an_canvas_text(
        a->canvas, "What training makes of one image",
        &(an_text_style){AN_AUGMENT_MARGIN, 34, width - 2 * AN_AUGMENT_MARGIN, 17, AN_ALIGN_LEFT, AN_COLOUR_INK, true});
    an_canvas_text(a->canvas, text,
                   &(an_text_style){AN_AUGMENT_MARGIN, 54, width - 2 * AN_AUGMENT_MARGIN, 11.5, AN_ALIGN_LEFT,
                                    AN_COLOUR_MUTED, false});
    return sections_draw(a, rows);
}

int an_augment_sheet_draw(an_canvas **out, an_canvas_kind kind, const an_augment_sheet *sheet)
{
    an_augment_artist a = {0};
    if (sheet->record >= an_dataset_count(sheet->dataset))
        return an_error(AN_EINVAL, "'%s' has no record %" PRIu64 ": it holds %" PRIu64, an_dataset_path(sheet->dataset),
                        sheet->record, an_dataset_count(sheet->dataset));
    int rc = artist_open(&a, sheet);
    if (!rc)
        rc = sheet_draw(&a, kind);
    if (rc == AN_ECORRUPT)
        rc = an_loader_name_error(sheet->dataset, rc, sheet->record);
    artist_close(&a);
    if (rc < 0)
        an_canvas_free(a.canvas);
    else
        *out = a.canvas;
    return rc;
}
