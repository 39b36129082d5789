/* A picture under construction: PNG and PDF files through cairo and Pango, SVG files, or SVG text for a web page, whose
 * colours and fonts are the page's. SVG keeps text as text, which can be searched, read aloud and edited. Units are
 * points from the top left corner; a PNG has two pixels a point. The first failure is kept and returned by
 * an_canvas_finish, so that drawing need not look at every call. */
#ifndef AN_TOOLS_SHOW_CANVAS_CANVAS_H
#define AN_TOOLS_SHOW_CANVAS_CANVAS_H

#include <stdbool.h>

#include "base/buffer.h"
#include "store/image/image.h"
#include "tools/show/canvas/palette.h"

typedef enum { AN_CANVAS_PNG, AN_CANVAS_SVG, AN_CANVAS_PDF, AN_CANVAS_PAGE } an_canvas_kind;
typedef enum { AN_ALIGN_LEFT, AN_ALIGN_CENTRE, AN_ALIGN_RIGHT } an_align;

typedef struct {
    double x, y;
} an_point;

typedef struct {
    double x, y; /* left, centre or right end of the baseline */
    double room; /* width: longer text is shortened with an ellipsis; 0: any */
    double size; /* of the font */
    an_align align;
    an_colour colour;
    bool bold;
} an_text_style;

typedef enum { AN_DASH_NONE, AN_DASH_SHORT, AN_DASH_DOTS, AN_DASH_LONG, AN_DASHES } an_dash;

typedef struct {
    an_colour colour;
    double width;
    double alpha; /* 0..1 */
    an_dash dash;
} an_stroke;

typedef struct an_canvas an_canvas;

/* The kind that a file's name asks for: AN_EINVAL unless it ends in .png, .svg or .pdf. */
int an_canvas_kind_of(const char *path, an_canvas_kind *out);

/* White paper. title: what a page says to those who cannot see the picture. AN_ENOTFOUND if there is no font. */
int an_canvas_create(an_canvas **out, an_canvas_kind kind, double width, double height, const char *title);
void an_canvas_free(an_canvas *canvas); /* NULL is fine */

/* Append the finished picture to out. Call once. */
int an_canvas_finish(an_canvas *canvas, an_buffer *out);
/* The same to a file, atomically. */
int an_canvas_save(an_canvas *canvas, const char *path);

void an_canvas_fill(an_canvas *c, const an_point *points, int count, an_colour colour, double alpha);
void an_canvas_line(an_canvas *c, const an_point *points, int count, an_colour colour, double width);
void an_canvas_stroke(an_canvas *c, const an_point *points, int count, const an_stroke *stroke);
void an_canvas_rectangle(an_canvas *c, double x, double y, double width, double height, an_colour colour);
void an_canvas_frame(an_canvas *c, double x, double y, double width, double height, an_colour colour, double line);
void an_canvas_dot(an_canvas *c, double x, double y, double radius, an_colour colour);

/* text may be any bytes: it is drawn as base/text/utf8.h shows it. */
void an_canvas_text(an_canvas *c, const char *text, const an_text_style *style);
double an_canvas_text_width(an_canvas *c, const char *text, double size, bool bold);

/* Scaled to width x height; sharp: pixels stay squares. */
void an_canvas_image(an_canvas *c, const an_image *image, double x, double y, double width, double height, bool sharp);

/* An image alone as a PNG file; appended. */
int an_canvas_png(const an_image *image, an_buffer *out);

#endif
