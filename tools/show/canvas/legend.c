#include "tools/show/canvas/legend.h"

#include <math.h>

#define ROW 18.0
#define SAMPLE 20.0 /* of the line */
#define SPACE 5.0   /* between sample and name */
#define GAP 18.0    /* between entries */
#define FONT 10.0

typedef struct {
    double x, width; /* left end and room of the name */
    int row;
} place;

/* Where an entry goes that follows one which ended at *end of row *row. */
static place place_next(an_canvas *canvas, const char *name, double width, double *end, int *row)
{
    double text = fmin(an_canvas_text_width(canvas, name, FONT, false), width - SAMPLE - SPACE);
    double start = *end > 0 ? *end + GAP : 0;
    if (start > 0 && start + SAMPLE + SPACE + text > width) {
        start = 0;
        ++*row;
    }
    *end = start + SAMPLE + SPACE + text;
    return (place){start, text, *row};
}

double an_legend_height(an_canvas *canvas, const an_legend_entry *entries, int count, double width)
{
    double end = 0;
    int row = 0;
    for (int i = 0; i < count; i++)
        place_next(canvas, entries[i].name, width, &end, &row);
    return count ? ROW * (row + 1) : 0;
}

void an_legend_draw(an_canvas *canvas, const an_legend_entry *entries, int count, double x, double y, double width)
{
    double end = 0;
    int row = 0;
    for (int i = 0; i < count; i++) {
        const an_legend_entry *e = &entries[i];
        place at = place_next(canvas, e->name, width, &end, &row);
        double left = x + at.x, base = y + ROW * at.row + 12, middle = base - 3.5;
        an_canvas_stroke(canvas, (an_point[]){{left, middle}, {left + SAMPLE, middle}}, 2, &e->stroke);
        if (e->dotted)
            an_mark_draw(canvas, e->mark, left + SAMPLE / 2, middle, e->stroke.colour);
        an_canvas_text(
            canvas, e->name,
            &(an_text_style){left + SAMPLE + SPACE, base, at.width + 1, FONT, AN_ALIGN_LEFT, AN_COLOUR_INK, false});
    }
}
