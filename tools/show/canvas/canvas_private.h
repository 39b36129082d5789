#ifndef AN_TOOLS_SHOW_CANVAS_CANVAS_PRIVATE_H
#define AN_TOOLS_SHOW_CANVAS_CANVAS_PRIVATE_H

#include <cairo.h>
#include <pango/pangocairo.h>

#include "tools/show/canvas/canvas.h"

typedef struct {
    void (*fill)(an_canvas *c, const an_point *points, int count, an_colour colour, double alpha);
    void (*line)(an_canvas *c, const an_point *points, int count, const an_stroke *stroke);
    void (*dot)(an_canvas *c, double x, double y, double radius, an_colour colour);
    void (*text)(an_canvas *c, const char *text, double x, const an_text_style *style); /* fits; x: left end */
    void (*image)(an_canvas *c, const an_image *image, double x, double y, double width, double height, bool sharp);
} an_canvas_api;

struct an_canvas {
    const an_canvas_api *api;
    an_canvas_kind kind;
    double width, height;
    an_buffer bytes;          /* the file */
    cairo_surface_t *surface; /* of SVG: only measures */
    cairo_t *cairo;
    PangoLayout *layout;
    int code; /* the first failure */
};

extern const an_canvas_api an_canvas_cairo, an_canvas_svg;

/* How long a dash and the gap after it are, in points. */
extern const double an_dash_lengths[AN_DASHES][2];

void an_canvas_fail(an_canvas *c, int code);
/* cairo's image of the same pixels, or NULL. The caller destroys it. */
cairo_surface_t *an_canvas_surface(const an_image *image);
cairo_status_t an_canvas_append(void *buffer, const unsigned char *data, unsigned length);

/* SVG: begin and end of the <svg> element. */
int an_canvas_svg_begin(an_canvas *c, const char *title);
int an_canvas_svg_end(an_canvas *c);

#endif
