/* Draws an <svg> element of a page. Its colours are variables of the page, which may be light or dark. */
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

static void fill(an_canvas *c, const an_point *points, int count, an_colour colour, double alpha)
{
    path(c, points, count);
    put(c, "Z\" fill=\"var(--%s)\" fill-opacity=\"%.2f\"/>\n", an_palette(colour)->name, alpha);
}

static void line(an_canvas *c, const an_point *points, int count, an_colour colour, double width, bool dashed)
{
    path(c, points, count);
    put(c, "\" fill=\"none\" stroke=\"var(--%s)\" stroke-width=\"%.2f\" stroke-linejoin=\"round\"%s/>\n",
        an_palette(colour)->name, width, dashed ? " stroke-dasharray=\"4 3\"" : "");
}

static void dot(an_canvas *c, double x, double y, double radius, an_colour colour)
{
    put(c, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"%.2f\" fill=\"var(--%s)\"/>\n", x, y, radius, an_palette(colour)->name);
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
    (void)x; /* the browser's font may be another: it aligns by itself */
    put(c, "<text x=\"%.2f\" y=\"%.2f\" font-size=\"%.1f\" text-anchor=\"%s\" fill=\"var(--%s)\"%s>", style->x,
        style->y, style->size, anchors[style->align], an_palette(style->colour)->name,
        style->bold ? " font-weight=\"bold\"" : "");
    if (!c->code)
        c->code = shown(c, string);
    put(c, "</text>\n");
}

static void image(an_canvas *c, const an_image *pixels, double x, double y, double width, double height, bool sharp)
{
    an_buffer png = {0};
    put(c, "<image x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"%s href=\"data:image/png;base64,", x, y, width,
        height, sharp ? " style=\"image-rendering:pixelated\"" : "");
    if (!c->code)
        c->code = an_canvas_png(pixels, &png);
    if (!c->code)
        c->code = an_html_base64(&c->bytes, &png);
    put(c, "\"/>\n");
    an_buffer_free(&png);
}

int an_canvas_page_begin(an_canvas *c, const char *title)
{
    put(c, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" style=\"max-width:%.0fpx\"><title>", c->width, c->height,
        c->width);
    if (!c->code)
        c->code = an_html_text(&c->bytes, title);
    put(c, "</title>\n");
    return c->code;
}

int an_canvas_page_end(an_canvas *c)
{
    put(c, "</svg>\n");
    return c->code;
}

const an_canvas_api an_canvas_page = {fill, line, dot, text, image};
