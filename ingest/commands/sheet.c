#include "ingest/commands/sheet.h"

#include <cairo.h>
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/png.h"
#include "base/rng.h"
#include "base/text/utf8.h"
#include "ingest/commands/each.h"
#include "store/image/resize.h"

#define GAP 8
#define CAPTION 18
#define SIDE_MAX 32767u /* pixels, limit of cairo */

typedef struct {
    const an_dataset *dataset;
    uint32_t cell, columns, rows, count;
    uint64_t *chosen;
    an_each_worker worker;
    an_resizer *resizer;
    an_image scaled;
    cairo_t *cairo;
} sheet;

/* Choose count records at random, in the order of their indices (Knuth, TAOCP 2, 3.4.2, algorithm S): a record is taken
 * with the probability (records still needed) / (records still to come). */
static void choose(sheet *s, uint64_t seed)
{
    an_rng rng = an_rng_make(seed, AN_RNG_SPLIT, 1, 0);
    uint64_t total = an_dataset_count(s->dataset);
    uint32_t taken = 0;
    for (uint64_t i = 0; i < total && taken < s->count; i++)
        if (an_rng_uniform(&rng) * (double)(total - i) < (double)(s->count - taken))
            s->chosen[taken++] = i;
    s->count = taken;
}

static int draw_image(sheet *s, const an_image *image, double x, double y)
{
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)image->width, (int)image->height);
    if (cairo_surface_status(surface) != CAIRO_STATUS_SUCCESS) {
        cairo_surface_destroy(surface);
        return an_error(AN_ENOMEM, "out of memory for a picture of the sheet");
    }
    uint8_t *data = cairo_image_surface_get_data(surface);
    size_t stride = (size_t)cairo_image_surface_get_stride(surface);
    for (uint32_t v = 0; v < image->height; v++)
        for (uint32_t u = 0; u < image->width; u++) {
            const uint8_t *rgb = image->pixels + 3 * ((size_t)v * image->width + u);
            uint32_t pixel = (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
            *(uint32_t *)(void *)(data + v * stride + 4 * (size_t)u) = pixel;
        }
    cairo_surface_mark_dirty(surface);
    cairo_set_source_surface(s->cairo, surface, x, y);
    cairo_paint(s->cairo);
    cairo_surface_destroy(surface);
    return AN_OK;
}

/* Write the class name, clipped to the width of its cell. */
static void draw_caption(sheet *s, const char *text, double x, double y)
{
    cairo_save(s->cairo);
    cairo_rectangle(s->cairo, x, y, s->cell, CAPTION);
    cairo_clip(s->cairo);
    cairo_set_source_rgb(s->cairo, 0.1, 0.1, 0.1);
    cairo_move_to(s->cairo, x, y + CAPTION - 5);
    cairo_show_text(s->cairo, an_shown_make(text).text);
    cairo_restore(s->cairo);
}

static int draw_record(sheet *s, uint32_t i)
{
    an_record record;
    uint64_t index = s->chosen[i];
    int rc = an_each_decode(s->dataset, &s->worker, index, &record);
    if (!rc)
        rc = an_resizer_square(s->resizer, &s->worker.image, s->cell, AN_FILTER_TRIANGLE, &s->scaled);
    if (rc)
        return an_error_prefix(rc, "record %llu", (unsigned long long)index);
    double x = GAP + (double)(i % s->columns) * (s->cell + GAP),
           y = GAP + (double)(i / s->columns) * (s->cell + CAPTION + GAP);
    const an_class *one = an_dataset_class(s->dataset, an_dataset_index(s->dataset)[index].label);
    draw_caption(s, one ? one->name : "?", x, y + s->cell);
    return draw_image(s, &s->scaled, x, y);
}

static int write_png(cairo_surface_t *surface, an_buffer *out)
{
    cairo_surface_flush(surface);
    return an_png_write(
        cairo_image_surface_get_data(surface), AN_PNG_BGRX, (uint32_t)cairo_image_surface_get_width(surface),
        (uint32_t)cairo_image_surface_get_height(surface), (size_t)cairo_image_surface_get_stride(surface), out);
}

static int draw(sheet *s, an_buffer *out)
{
    uint64_t width = (uint64_t)s->columns * (s->cell + GAP) + GAP;
    uint64_t height = (uint64_t)s->rows * (s->cell + CAPTION + GAP) + GAP;
    if (width > SIDE_MAX || height > SIDE_MAX)
        return an_error(AN_EINVAL, "a sheet of %llu x %llu pixels is too large: fewer images or a smaller cell",
                        (unsigned long long)width, (unsigned long long)height);
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)height);
    s->cairo = cairo_create(surface);
    cairo_set_source_rgb(s->cairo, 1, 1, 1);
    cairo_paint(s->cairo);
    cairo_select_font_face(s->cairo, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(s->cairo, 11);
    int rc = AN_OK;
    for (uint32_t i = 0; i < s->count && !rc; i++)
        rc = draw_record(s, i);
    cairo_status_t status = cairo_status(s->cairo);
    if (!rc && status != CAIRO_STATUS_SUCCESS)
        rc = an_error(AN_EINTERNAL, "cannot draw the sheet: %s", cairo_status_to_string(status));
    if (!rc)
        rc = write_png(surface, out);
    cairo_destroy(s->cairo);
    cairo_surface_destroy(surface);
    return rc;
}

static void lay_out(sheet *s, const an_sheet_options *options)
{
    s->columns = options->columns ? options->columns : (uint32_t)ceil(sqrt(s->count));
    s->columns = s->columns < s->count ? s->columns : s->count;
    s->rows = (s->count + s->columns - 1) / s->columns;
}

int an_sheet_make(const an_dataset *dataset, const an_sheet_options *options, an_buffer *out)
{
    uint64_t total = an_dataset_count(dataset);
    sheet s = {.dataset = dataset, .cell = options->cell};
    s.count = total < options->images ? (uint32_t)total : options->images;
    if (!s.count || !s.cell)
        return an_error(AN_ECORRUPT, "no images for a sheet of '%s'", an_dataset_path(dataset));
    s.chosen = malloc(s.count * sizeof(*s.chosen));
    int rc = s.chosen ? an_decoder_create(&s.worker.decoder) : an_error(AN_ENOMEM, "out of memory for the sheet");
    if (!rc)
        rc = an_resizer_create(&s.resizer);
    if (!rc) {
        choose(&s, options->seed);
        lay_out(&s, options);
        rc = draw(&s, out);
    }
    free(s.chosen);
    an_decoder_free(s.worker.decoder);
    an_image_free(&s.worker.image);
    an_image_free(&s.scaled);
    an_resizer_free(s.resizer);
    return rc;
}
