/* Draws an <svg> element: a file, or a part of a page. A page's colours are its variables, because it may be light or
 * dark; those of a file stand where they are used, because not every program knows variables. */
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "tools/show/canvas/canvas_private.h"
#include "tools/show/canvas/html.h"

static void put(an_canvas *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(an_canvas *c, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (!c->code)
        c->code = length < 0 || (size_t)length >= sizeof(text) ? an_error(AN_EINTERNAL, "a shape is too long for SVG")
                                                               : an_buffer_append(&c->bytes, text, (size_t)length);
}

static void path(an_canvas *c, const an_point *points, int count)
{
    put(c, "<path d=\"");
    for (int i = 0; i < count; i++)
        put(c, "%c%.2f %.2f", i ? 'L' : 'M', points[i].x, points[i].y);
}

/* attribute: "fill" or "stroke" */
static void paint(an_canvas *c, const char *attribute, an_colour colour, double alpha)
{
    const an_palette_entry *entry = an_palette(colour);
    if (c->kind == AN_CANVAS_PAGE)
        put(c, " %s=\"var(--%s)\"", attribute, entry->name);
    else
        put(c, " %s=\"#%06x\"", attribute, entry->light);
    if (alpha < 1)
        put(c, " %s-opacity=\"%.2f\"", attribute, alpha);
}

static void fill(an_canvas *c, const an_point *points, int count, an_colour colour, double alpha)
{
    path(c, points, count);
    put(c, "Z\"");
    paint(c, "fill", colour, alpha);
    put(c, "/>\n");
}

static void line(an_canvas *c, const an_point *points, int count, const an_stroke *stroke)
{
    const double *dash = an_dash_lengths[stroke->dash];
    path(c, points, count);
    put(c, "\" fill=\"none\"");
    paint(c, "stroke", stroke->colour, stroke->alpha);
    put(c, " stroke-width=\"%.2f\" stroke-linejoin=\"round\"", stroke->width);
    if (stroke->dash)
        put(c, " stroke-dasharray=\"%g %g\"", dash[0], dash[1]);
    put(c, "/>\n");
}

static void dot(an_canvas *c, double x, double y, double radius, an_colour colour)
{
    put(c, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"%.2f\"", x, y, radius);
    paint(c, "fill", colour, 1);
    put(c, "/>\n");
}

/* As much of text as the layout shows, with the ellipsis that it put there. */
static int shown(an_canvas *c, const char *text)
{
    if (!pango_layout_is_ellipsized(c->layout))
        return an_html_text(&c->bytes, text);
    int index = 0, trailing = 0;
    double size = (double)pango_font_description_get_size(pango_layout_get_font_description(c->layout));
    pango_layout_xy_to_index(c->layout, pango_layout_get_width(c->layout) - (int)size, 0, &index, &trailing);
    char *cut = g_strdup_printf("%.*s\u2026", index, pango_layout_get_text(c->layout));
    int rc = an_html_text(&c->bytes, cut);
    g_free(cut);
    return rc;
}

static void text(an_canvas *c, const char *string, double x, const an_text_style *style)
{
    static const char *const anchors[] = {"start", "middle", "end"};
    (void)x; /* the reader's font may be another: it aligns by itself */
    put(c, "<text x=\"%.2f\" y=\"%.2f\" font-size=\"%.1f\" text-anchor=\"%s\"", style->x, style->y, style->size,
        anchors[style->align]);
    paint(c, "fill", style->colour, 1);
    put(c, "%s>", style->bold ? " font-weight=\"bold\"" : "");
    if (!c->code)
        c->code = shown(c, string);
    put(c, "</text>\n");
}

static void image(an_canvas *c, const an_image *pixels, double x, double y, double width, double height, bool sharp)
{
    an_buffer png = {0};
    put(c, "<image x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" preserveAspectRatio=\"none\"", x, y, width,
        height);
    if (sharp) /* the attribute is for programs that know no style */
        put(c, " image-rendering=\"optimizeSpeed\" style=\"image-rendering:pixelated\"");
    put(c, " %s=\"data:image/png;base64,", c->kind == AN_CANVAS_PAGE ? "href" : "xlink:href");
    if (!c->code)
        c->code = an_canvas_png(pixels, &png);
    if (!c->code)
        c->code = an_html_base64(&c->bytes, &png);
    put(c, "\"/>\n");
    an_buffer_free(&png);
}

/* Verdana's letters are about as wide as DejaVu's, with which texts were measured. */
static void begin_file(an_canvas *c)
{
    put(c, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" "
           "xmlns:xlink=\"http://www.w3.org/1999/xlink\" ");
    put(c, "width=\"%.0fpt\" height=\"%.0fpt\" font-family=\"DejaVu Sans, Verdana, sans-serif\" ", c->width, c->height);
    put(c, "viewBox=\"0 0 %.2f %.2f\"><title>", c->width, c->height);
}

static void begin_element(an_canvas *c)
{
    put(c, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" style=\"max-width:%.0fpx\"><title>", c->width, c->height,
        c->width);
}

int an_canvas_svg_begin(an_canvas *c, const char *title)
{
    if (c->kind == AN_CANVAS_PAGE)
        begin_element(c);
    else
        begin_file(c);
    if (!c->code)
        c->code = an_html_text(&c->bytes, title);
    put(c, "</title>\n");
    return c->code;
}

int an_canvas_svg_end(an_canvas *c)
{
    put(c, "</svg>\n");
    return c->code;
}

const an_canvas_api an_canvas_svg = {fill, line, dot, text, image};
