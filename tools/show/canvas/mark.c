#include "tools/show/canvas/mark.h"

/* Marks of about one area, in points. */
#define DOT 2.6
#define SQUARE 2.4
#define DIAMOND 3.4
#define TRIANGLE 3.3

void an_mark_draw(an_canvas *canvas, an_mark mark, double x, double y, an_colour colour)
{
    if (mark == AN_MARK_SQUARE)
        an_canvas_rectangle(canvas, x - SQUARE, y - SQUARE, 2 * SQUARE, 2 * SQUARE, colour);
    else if (mark == AN_MARK_DIAMOND)
        an_canvas_fill(canvas, (an_point[]){{x - DIAMOND, y}, {x, y - DIAMOND}, {x + DIAMOND, y}, {x, y + DIAMOND}}, 4,
                       colour, 1);
    else if (mark == AN_MARK_TRIANGLE)
        an_canvas_fill(
            canvas,
            (an_point[]){{x - TRIANGLE, y + 0.7 * TRIANGLE}, {x, y - TRIANGLE}, {x + TRIANGLE, y + 0.7 * TRIANGLE}}, 3,
            colour, 1);
    else
        an_canvas_dot(canvas, x, y, DOT, colour);
}
