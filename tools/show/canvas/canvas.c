#include "tools/show/canvas/canvas.h"

#include <cairo-pdf.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/file.h"
#include "base/png.h"
#include "base/text/utf8.h"
#include "tools/show/canvas/canvas_private.h"

#define SIDE_MAX 16000 /* points: twice as many pixels are still a cairo image */
#define PNG_SCALE 2

int an_canvas_kind_of(const char *path, an_canvas_kind *out)
{
    static const char *const endings[] = {".png", ".svg", ".pdf"};
    const char *ending = strrchr(path, '.');
    for (int i = 0; ending && i < 3; i++)
        if (strcasecmp(ending, endings[i]) == 0) {
            *out = (an_canvas_kind)i;
            return AN_OK;
        }
    return an_error(AN_EINVAL, "'%s': a picture's name ends in .png, .svg or .pdf", path);
}

void an_canvas_fail(an_canvas *c, int code)
{
    if (!c->code)
        c->code = code;
}

cairo_status_t an_canvas_append(void *buffer, const unsigned char *data, unsigned length)
{
    return an_buffer_append(buffer, data, length) ? CAIRO_STATUS_NO_MEMORY : CAIRO_STATUS_SUCCESS;
}

const double an_dash_lengths[AN_DASHES][2] = {
    [AN_DASH_NONE] = {0, 0}, [AN_DASH_SHORT] = {5, 3}, [AN_DASH_DOTS] = {1.5, 2.5}, [AN_DASH_LONG] = {10, 3}};

static bool is_svg(const an_canvas *c)
{
    return c->kind == AN_CANVAS_SVG || c->kind == AN_CANVAS_PAGE;
}

static cairo_surface_t *surface_create(an_canvas *c)
{
    if (c->kind == AN_CANVAS_PNG)
        return cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)(c->width * PNG_SCALE),
                                          (int)(c->height * PNG_SCALE));
    if (is_svg(c))
        return cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1);
    cairo_surface_t *pdf = cairo_pdf_surface_create_for_stream(an_canvas_append, &c->bytes, c->width, c->height);
    cairo_pdf_surface_set_metadata(pdf, CAIRO_PDF_METADATA_CREATE_DATE, ""); /* the same picture, the same bytes */
    return pdf;
}

/* Without any font Pango draws nothing, or boxes. cairo then falls back to a built-in alphabet, which is not of the
 * FreeType kind: that is how the lack is noticed. */
static int font_check(cairo_t *cairo)
{
    cairo_select_font_face(cairo, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    cairo_scaled_font_t *font = cairo_get_scaled_font(cairo);
    if (cairo_scaled_font_status(font) != CAIRO_STATUS_SUCCESS ||
        cairo_scaled_font_get_type(font) != CAIRO_FONT_TYPE_FT)
        return an_error(AN_ENOTFOUND, "no font is installed: install one, with 'apt-get install fonts-dejavu-core'");
    return AN_OK;
}

static int canvas_open(an_canvas *c, const char *title)
{
    c->surface = surface_create(c);
    c->cairo = cairo_create(c->surface);
    if (cairo_status(c->cairo) != CAIRO_STATUS_SUCCESS)
        return an_error(AN_ENOMEM, "cannot make a picture of %.0f x %.0f: %s", c->width, c->height,
                        cairo_status_to_string(cairo_status(c->cairo)));
    int rc = font_check(c->cairo);
    if (rc < 0)
        return rc;
    if (c->kind == AN_CANVAS_PNG)
        cairo_scale(c->cairo, PNG_SCALE, PNG_SCALE);
    c->layout = pango_cairo_create_layout(c->cairo);
    pango_layout_set_single_paragraph_mode(c->layout, TRUE);
    pango_layout_set_ellipsize(c->layout, PANGO_ELLIPSIZE_END);
    rc = is_svg(c) ? an_canvas_svg_begin(c, title) : AN_OK;
    if (!rc && c->kind != AN_CANVAS_PAGE)
        an_canvas_rectangle(c, 0, 0, c->width, c->height, AN_COLOUR_PAPER);
    return rc;
}

int an_canvas_create(an_canvas **out, an_canvas_kind kind, double width, double height, const char *title)
{
    if (width < 1 || height < 1 || width > SIDE_MAX || height > SIDE_MAX)
        return an_error(AN_EINVAL, "a picture of %.0f x %.0f points: at most %d fit, show fewer things", width, height,
                        SIDE_MAX);
    an_canvas *c = calloc(1, sizeof(*c));
    if (!c)
        return an_error(AN_ENOMEM, "out of memory for a picture");
    c->kind = kind;
    c->api = is_svg(c) ? &an_canvas_svg : &an_canvas_cairo;
    c->width = width;
    c->height = height;
    int rc = canvas_open(c, title);
    if (rc < 0) {
        an_canvas_free(c);
        return rc;
    }
    *out = c;
    return AN_OK;
}

void an_canvas_free(an_canvas *c)
{
    if (!c)
        return;
    if (c->layout)
        g_object_unref(c->layout);
    cairo_destroy(c->cairo);
    cairo_surface_destroy(c->surface);
    an_buffer_free(&c->bytes);
    free(c);
}

static int png_finish(an_canvas *c)
{
    cairo_surface_flush(c->surface);
    return an_png_write(cairo_image_surface_get_data(c->surface), AN_PNG_BGRX,
                        (uint32_t)cairo_image_surface_get_width(c->surface),
                        (uint32_t)cairo_image_surface_get_height(c->surface),
                        (size_t)cairo_image_surface_get_stride(c->surface), &c->bytes);
}

static int file_finish(an_canvas *c)
{
    cairo_status_t status = cairo_status(c->cairo);
    if (status == CAIRO_STATUS_SUCCESS && c->kind == AN_CANVAS_PNG)
        return png_finish(c);
    cairo_surface_finish(c->surface);
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_status(c->surface);
    if (status != CAIRO_STATUS_SUCCESS)
        return an_error(AN_EINTERNAL, "cannot draw the picture: %s", cairo_status_to_string(status));
    return AN_OK;
}

int an_canvas_finish(an_canvas *c, an_buffer *out)
{
    int rc = c->code;
    if (!rc)
        rc = is_svg(c) ? an_canvas_svg_end(c) : file_finish(c);
    return rc < 0 ? rc : an_buffer_append(out, c->bytes.data, c->bytes.size);
}

int an_canvas_save(an_canvas *c, const char *path)
{
    an_buffer file = {0};
    int rc = an_canvas_finish(c, &file);
    if (!rc)
        rc = an_file_write_atomic(path, file.data, file.size);
    an_buffer_free(&file);
    return rc;
}

void an_canvas_fill(an_canvas *c, const an_point *points, int count, an_colour colour, double alpha)
{
    c->api->fill(c, points, count, colour, alpha);
}

void an_canvas_stroke(an_canvas *c, const an_point *points, int count, const an_stroke *stroke)
{
    c->api->line(c, points, count, stroke);
}

void an_canvas_line(an_canvas *c, const an_point *points, int count, an_colour colour, double width)
{
    an_canvas_stroke(c, points, count, &(an_stroke){colour, width, 1, AN_DASH_NONE});
}

void an_canvas_dot(an_canvas *c, double x, double y, double radius, an_colour colour)
{
    c->api->dot(c, x, y, radius, colour);
}

void an_canvas_rectangle(an_canvas *c, double x, double y, double width, double height, an_colour colour)
{
    c->api->fill(c, (an_point[]){{x, y}, {x + width, y}, {x + width, y + height}, {x, y + height}}, 4, colour, 1);
}

void an_canvas_frame(an_canvas *c, double x, double y, double width, double height, an_colour colour, double line)
{
    const an_point corners[] = {{x, y}, {x + width, y}, {x + width, y + height}, {x, y + height}, {x, y}};
    an_canvas_line(c, corners, 5, colour, line);
}

void an_canvas_image(an_canvas *c, const an_image *image, double x, double y, double width, double height, bool sharp)
{
    c->api->image(c, image, x, y, width, height, sharp);
}

/* The layout holds text afterwards; returns its width, which an ellipsis keeps within room. */
static double layout_fit(an_canvas *c, const char *text, double room, double size, bool bold)
{
    an_shown shown = an_shown_make(text);
    PangoFontDescription *font = pango_font_description_from_string("DejaVu Sans, sans-serif");
    PangoRectangle ink, logical;
    pango_font_description_set_absolute_size(font, size * PANGO_SCALE);
    pango_font_description_set_weight(font, bold ? PANGO_WEIGHT_BOLD : PANGO_WEIGHT_NORMAL);
    pango_layout_set_font_description(c->layout, font);
    pango_layout_set_width(c->layout, room > 0 ? (int)(room * PANGO_SCALE) : -1);
    pango_layout_set_text(c->layout, shown.text, -1);
    pango_layout_get_extents(c->layout, &ink, &logical);
    pango_font_description_free(font);
    return (double)logical.width / PANGO_SCALE;
}

double an_canvas_text_width(an_canvas *c, const char *text, double size, bool bold)
{
    return layout_fit(c, text, 0, size, bold);
}

void an_canvas_text(an_canvas *c, const char *text, const an_text_style *style)
{
    double width = layout_fit(c, text, style->room, style->size, style->bold);
    double shift = style->align == AN_ALIGN_LEFT ? 0 : style->align == AN_ALIGN_CENTRE ? width / 2 : width;
    c->api->text(c, text, style->x - shift, style);
}
