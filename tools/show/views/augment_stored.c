/* The left column of a sheet. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "augment/loader.h"
#include "base/error.h"
#include "tools/show/views/augment_private.h"

#define LINE 17.0
#define DESCRIPTION (20 + 3 * LINE + 26) /* below the record's picture */
#define SMALL 150.0                      /* the pictures below that */
#define BETWEEN 14.0                     /* them */

void an_augment_heading(const an_augment_artist *a, double x, double y, const char *text)
{
    an_canvas_text(a->canvas, text, &(an_text_style){x, y + 18, 0, 12, AN_ALIGN_LEFT, AN_COLOUR_INK, true});
}

const char *an_augment_place(const an_augment_artist *a, const an_sample_draw *draw)
{
    uint32_t middle = (an_dataset_side(a->sheet->dataset) - a->sheet->sample.crop) / 2;
    if (draw->x == middle && draw->y == middle)
        return "centre";
    if (draw->y == 0)
        return draw->x ? "top right" : "top left";
    return draw->x ? "bottom right" : "bottom left";
}

/* A picture in the column: where it is, and its side. */
typedef struct {
    double x, y, side;
} place;

static void picture_draw(const an_augment_artist *a, const an_image *image, place at, bool sharp)
{
    an_canvas_image(a->canvas, image, at.x, at.y, at.side, at.side, sharp);
}

static void frame_draw(const an_augment_artist *a, const an_sample_draw *draw, place at, int number)
{
    double scale = at.side / an_dataset_side(a->sheet->dataset), crop = scale * a->sheet->sample.crop;
    an_canvas_frame(a->canvas, at.x + scale * draw->x, at.y + scale * draw->y, crop, crop, an_palette_series(number),
                    1);
}

static int describe(const an_augment_artist *a, double y)
{
    const an_augment_sheet *s = a->sheet;
    const char *name = "";
    char text[4][160];
    size_t length = 0;
    int rc = an_dataset_name(s->dataset, s->record, &name, &length);
    if (rc)
        return rc;
    snprintf(text[0], sizeof(text[0]), "%s", an_dataset_class(s->dataset, a->record.header.label)->name);
    snprintf(text[1], sizeof(text[1]), "%.*s", (int)(length < 120 ? length : 120), name);
    snprintf(text[2], sizeof(text[2]), "record %" PRIu64 ", %u \u00d7 %u, %s, %u bytes", s->record,
             a->record.header.width, a->record.header.height, an_codec_name(a->record.header.codec),
             a->record.header.length);
    snprintf(text[3], sizeof(text[3]), "frames: where the crops were cut");
    for (int i = 0; i < 4; i++)
        an_canvas_text(a->canvas, text[i],
                       &(an_text_style){AN_AUGMENT_MARGIN, y + 20 + LINE * i, AN_AUGMENT_STORED, i ? 10 : 12,
                                        AN_ALIGN_LEFT, i ? AN_COLOUR_MUTED : AN_COLOUR_INK, i == 0});
    return AN_OK;
}

/* A line of text beside a picture, if there is room. */
static void note(const an_augment_artist *a, place at, int line, const char *text, an_colour colour)
{
    if (at.side == SMALL)
        an_canvas_text(a->canvas, text,
                       &(an_text_style){at.x + SMALL + 10, at.y + 12 + LINE * line, AN_AUGMENT_STORED - SMALL - 10, 10,
                                        AN_ALIGN_LEFT, colour, false});
}

static int mean_image_draw(const an_augment_artist *a, const an_statistics *statistics, place at)
{
    an_image mean = {0};
    int rc = an_image_set_size(&mean, statistics->side, statistics->side);
    if (rc)
        return rc;
    for (size_t i = 0; i < (size_t)3 * statistics->side * statistics->side; i++)
        mean.pixels[i] = (uint8_t)lrintf(fminf(fmaxf(statistics->mean_image[i], 0), 255));
    picture_draw(a, &mean, at, false);
    an_image_free(&mean);
    return AN_OK;
}

static int mean_colour_draw(const an_augment_artist *a, const an_statistics *statistics, place at)
{
    uint8_t pixel[3];
    for (int i = 0; i < 3; i++)
        pixel[i] = (uint8_t)lrint(fmin(fmax(statistics->mean[i], 0), 255));
    picture_draw(a, &(an_image){.width = 1, .height = 1, .pixels = pixel}, at, true);
    return AN_OK;
}

static int mean_draw(const an_augment_artist *a, place at)
{
    static const char *const letters[] = {"red", "green", "blue"};
    const an_statistics *statistics = an_dataset_statistics(a->sheet->dataset);
    bool image = a->sheet->sample.mean == AN_MEAN_PIXEL;
    an_augment_heading(a, at.x, at.y - AN_AUGMENT_HEADING, "Subtracted");
    int rc = image ? mean_image_draw(a, statistics, at) : mean_colour_draw(a, statistics, at);
    note(a, at, 0, image ? "the mean image" : "the mean colour", AN_COLOUR_INK);
    for (int i = 0; i < 3; i++) {
        char text[32];
        snprintf(text, sizeof(text), "%s %.1f", letters[i], statistics->mean[i]);
        note(a, at, i + 1, text, AN_COLOUR_MUTED);
    }
    return rc;
}

static void ten_frames_draw(const an_augment_artist *a, place at)
{
    an_sample_draw ten[AN_SAMPLE_TEN];
    an_sampler_ten_crop(a->seen, ten);
    an_augment_heading(a, at.x, at.y - AN_AUGMENT_HEADING, "The ten crops");
    picture_draw(a, &a->whole, at, false);
    for (int i = 0; i < AN_SAMPLE_TEN / 2; i++) {
        frame_draw(a, &ten[i], at, i);
        note(a, at, i, an_augment_place(a, &ten[i]), an_palette_series(i));
    }
    note(a, at, AN_SAMPLE_TEN / 2, "each also mirrored", AN_COLOUR_MUTED);
}

/* Where the two pictures below the record go: below each other, or, if the right column is short, side by side. */
static void places(const an_augment_sheet *sheet, place *mean, place *ten)
{
    double y = AN_AUGMENT_TOP + AN_AUGMENT_HEADING + AN_AUGMENT_STORED + DESCRIPTION + AN_AUGMENT_HEADING;
    *mean = *ten = (place){AN_AUGMENT_MARGIN, y, SMALL};
    if (sheet->sample.mean == AN_MEAN_NONE)
        return;
    if (sheet->epochs > AN_AUGMENT_COLUMNS) {
        ten->y += SMALL + BETWEEN + AN_AUGMENT_HEADING;
        return;
    }
    mean->side = ten->side = (AN_AUGMENT_STORED - BETWEEN) / 2;
    ten->x += mean->side + BETWEEN;
}

int an_augment_stored_draw(const an_augment_artist *a)
{
    place mean, ten, stored = {AN_AUGMENT_MARGIN, AN_AUGMENT_TOP + AN_AUGMENT_HEADING, AN_AUGMENT_STORED};
    places(a->sheet, &mean, &ten);
    an_augment_heading(a, stored.x, AN_AUGMENT_TOP, "As stored");
    picture_draw(a, &a->whole, stored, false);
    for (int i = 0; i < a->sheet->epochs; i++)
        frame_draw(a, &a->draws[i], stored, i);
    ten_frames_draw(a, ten);
    int rc = describe(a, stored.y + stored.side);
    if (!rc && a->sheet->sample.mean != AN_MEAN_NONE)
        rc = mean_draw(a, mean);
    return rc;
}

double an_augment_stored_bottom(const an_augment_sheet *sheet)
{
    place mean, ten;
    places(sheet, &mean, &ten);
    return ten.y + ten.side;
}
