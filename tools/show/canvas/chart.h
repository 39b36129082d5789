/* A line chart: title, legend, axes with round numbers, grid. Texts and points are the caller's and are not kept.
 * Failures are the canvas's. */
#ifndef AN_TOOLS_SHOW_CANVAS_CHART_H
#define AN_TOOLS_SHOW_CANVAS_CHART_H

#include "tools/show/canvas/legend.h"

typedef struct {
    an_colour colour;
    an_dash dash;
    const an_point *points; /* x rising; y finite */
    int count;
    bool dotted; /* thinner, with marks at points, as many as leave room between them; the last always has one */
    an_mark mark;
    bool stepping; /* each y holds from the point before it on; the first from x = 0 on */
    bool ended;    /* a ring around the last point */
    double smooth; /* y is averaged over this much of x, and the points themselves are a pale line behind; 0: not */
} an_series;

typedef struct {
    const char *title, *x_label;
    const char *y_format; /* of numbers at the axis: "%g %%"; not used where it is logarithmic */
    bool logarithmic;     /* y, over six powers of ten at most; lower points are left out, and those at or below 0 */
    double least_top;     /* the y axis reaches at least this value; 0: as far as the data */
    double least_end;     /* the same of the x axis */
    const an_series *series;
    int count;
    const an_legend_entry *legend; /* NULL: none */
    int entries;
} an_chart;

/* Height includes the legend. */
void an_chart_draw(an_canvas *canvas, const an_chart *chart, double x, double y, double width, double height);

/* From one number at an axis to the next: 1, 2 or 5 times a power of ten, so that about wanted of them fill the range.
 */
double an_chart_tick_step(double range, double wanted);

/* Each y becomes the mean of those at most width / 2 away in x. out may not be in. */
void an_chart_smooth(const an_point *in, int count, double width, an_point *out);

/* The corners of a line that steps as an_series says: out has room for 2 * count points. Returns how many it got. */
int an_chart_steps(const an_point *in, int count, an_point *out);

#endif
