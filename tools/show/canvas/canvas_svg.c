/* Draws an <svg> element: a file, or a part of a page. A page's colours are its variables, because it may be light or
 * dark; those of a file stand where they are used, because not every program knows variables. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "tools/show/canvas/canvas_private.h"
#include "tools/show/canvas/html.h"

#define ENLARGED 8

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

/* As many characters of text as fit with an ellipsis behind them. The caller frees it. */
static gchar *shorten(an_canvas *c, const char *text, const an_text_style *style)
{
    long low = 0, high = g_utf8_strlen(text, -1);
    gchar *best = g_strdup("\u2026");
    while (low < high) {
        long middle = (low + high + 1) / 2;
        int bytes = (int)(g_utf8_offset_to_pointer(text, middle) - text);
        gchar *tried = g_strdup_printf("%.*s\u2026", bytes, text);
        bool fits = an_canvas_text_width(c, tried, style->size, style->bold) <= style->room;
        low = fits ? middle : low;
        high = fits ? high : middle - 1;
        g_free(fits ? best : tried);
        best = fits ? tried : best;
    }
    return best;
}

/* The layout holds text as it is shown. */
static int shown(an_canvas *c, const char *text, const an_text_style *style)
{
    if (!pango_layout_is_ellipsized(c->layout))
        return an_html_text(&c->bytes, text);
    gchar *whole = g_strdup(pango_layout_get_text(c->layout)), *cut = shorten(c, whole, style);
    int rc = an_html_text(&c->bytes, cut);
    g_free(whole);
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
        c->code = shown(c, string, style);
    put(c, "</text>\n");
}

/* Each pixel becomes a square of pixels: not every program leaves the edges sharp that it enlarges. */
static int enlarge(const an_image *image, an_image *out)
{
    int rc = an_image_set_size(out, image->width * ENLARGED, image->height * ENLARGED);
    if (rc)
        return rc;
    for (size_t y = 0; y < out->height; y++)
        for (size_t x = 0; x < out->width; x++)
            memcpy(out->pixels + 3 * (y * out->width + x),
                   image->pixels + 3 * (y / ENLARGED * image->width + x / ENLARGED), 3);
    return AN_OK;
}

static int image_png(const an_canvas *c, const an_image *image, bool sharp, an_buffer *png)
{
    an_image large = {0};
    if (!sharp || c->kind == AN_CANVAS_PAGE) /* browsers do as they are told */
        return an_canvas_png(image, png);
    int rc = enlarge(image, &large);
    if (!rc)
        rc = an_canvas_png(&large, png);
    an_image_free(&large);
    return rc;
}

static void image(an_canvas *c, const an_image *pixels, double x, double y, double width, double height, bool sharp)
{
    an_buffer png = {0};
    put(c, "<image x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" preserveAspectRatio=\"none\"", x, y, width,
        height);
    if (sharp)
        put(c, " style=\"image-rendering:pixelated\"");
    put(c, " %s=\"data:image/png;base64,", c->kind == AN_CANVAS_PAGE ? "href" : "xlink:href");
    if (!c->code)
        c->code = image_png(c, pixels, sharp, &png);
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
