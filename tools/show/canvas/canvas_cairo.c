/* Drawing through cairo. */
#include "base/error.h"
#include "base/png.h"
#include "tools/show/canvas/canvas_private.h"

static void ink(an_canvas *c, an_colour colour, double alpha)
{
    unsigned rgb = an_palette(colour)->light;
    cairo_set_source_rgba(c->cairo, (double)(rgb >> 16) / 255, (double)(rgb >> 8 & 255) / 255,
                          (double)(rgb & 255) / 255, alpha);
}

static void path(an_canvas *c, const an_point *points, int count)
{
    cairo_new_path(c->cairo);
    for (int i = 0; i < count; i++)
        cairo_line_to(c->cairo, points[i].x, points[i].y);
}

static void fill(an_canvas *c, const an_point *points, int count, an_colour colour, double alpha)
{
    path(c, points, count);
    cairo_close_path(c->cairo);
    ink(c, colour, alpha);
    cairo_fill(c->cairo);
}

static void line(an_canvas *c, const an_point *points, int count, const an_stroke *stroke)
{
    path(c, points, count);
    ink(c, stroke->colour, stroke->alpha);
    cairo_set_line_width(c->cairo, stroke->width);
    cairo_set_line_join(c->cairo, CAIRO_LINE_JOIN_ROUND);
    cairo_set_dash(c->cairo, an_dash_lengths[stroke->dash], stroke->dash ? 2 : 0, 0);
    cairo_stroke(c->cairo);
}

static void dot(an_canvas *c, double x, double y, double radius, an_colour colour)
{
    cairo_new_path(c->cairo);
    cairo_arc(c->cairo, x, y, radius, 0, 6.283185307179586);
    ink(c, colour, 1);
    cairo_fill(c->cairo);
}

static void text(an_canvas *c, const char *string, double x, const an_text_style *style)
{
    (void)string; /* the layout holds it */
    ink(c, style->colour, 1);
    cairo_move_to(c->cairo, x, style->y - (double)pango_layout_get_baseline(c->layout) / PANGO_SCALE);
    pango_cairo_show_layout(c->cairo, c->layout);
}

cairo_surface_t *an_canvas_surface(const an_image *image)
{
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)image->width, (int)image->height);
    if (cairo_surface_status(surface) != CAIRO_STATUS_SUCCESS) {
        cairo_surface_destroy(surface);
        return NULL;
    }
    size_t stride = (size_t)cairo_image_surface_get_stride(surface);
    for (uint32_t y = 0; y < image->height; y++) {
        uint32_t *row = (uint32_t *)(void *)(cairo_image_surface_get_data(surface) + y * stride);
        const uint8_t *rgb = image->pixels + 3 * (size_t)y * image->width;
        for (uint32_t x = 0; x < image->width; x++, rgb += 3)
            row[x] = (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
    }
    cairo_surface_mark_dirty(surface);
    return surface;
}

int an_canvas_png(const an_image *image, an_buffer *out)
{
    return an_png_write(image->pixels, AN_PNG_RGB, image->width, image->height, (size_t)3 * image->width, out);
}

static void image_paint(an_canvas *c, const an_image *image, double x, double y, double width, double height,
                        bool sharp)
{
    cairo_surface_t *surface = an_canvas_surface(image);
    if (!surface) {
        an_canvas_fail(c, an_error(AN_ENOMEM, "out of memory for a picture"));
        return;
    }
    cairo_save(c->cairo);
    cairo_translate(c->cairo, x, y);
    cairo_rectangle(c->cairo, 0, 0, width, height);
    cairo_clip(c->cairo);
    cairo_scale(c->cairo, width / image->width, height / image->height);
    cairo_set_source_surface(c->cairo, surface, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(c->cairo), sharp ? CAIRO_FILTER_NEAREST : CAIRO_FILTER_GOOD);
    cairo_pattern_set_extend(cairo_get_source(c->cairo), CAIRO_EXTEND_PAD);
    cairo_paint(c->cairo);
    cairo_restore(c->cairo);
    cairo_surface_destroy(surface);
}

const an_canvas_api an_canvas_cairo = {fill, line, dot, text, image_paint};
