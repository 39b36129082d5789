/* What stands at the points of a line, and tells lines of one colour apart. */
#ifndef AN_TOOLS_SHOW_CANVAS_MARK_H
#define AN_TOOLS_SHOW_CANVAS_MARK_H

#include "tools/show/canvas/canvas.h"

typedef enum { AN_MARK_DOT, AN_MARK_SQUARE, AN_MARK_DIAMOND, AN_MARK_TRIANGLE, AN_MARKS } an_mark;

void an_mark_draw(an_canvas *canvas, an_mark mark, double x, double y, an_colour colour);

#endif
