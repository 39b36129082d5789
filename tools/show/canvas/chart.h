/* A line chart: title, axes with round numbers, grid, legend. Texts and points are the caller's and are not kept.
 * Failures are the canvas's. */
#ifndef AN_TOOLS_SHOW_CANVAS_CHART_H
#define AN_TOOLS_SHOW_CANVAS_CHART_H

#include "tools/show/canvas/canvas.h"

typedef struct {
    const char *name; /* in the legend; NULL: no entry */
    an_colour colour;
    bool dashed;            /* with a dot at each point */
    const an_point *points; /* x rising; y finite */
    int count;
} an_series;

typedef struct {
    const char *title, *x_label;
    const char *y_format; /* of numbers at the axis: "%g %%" */
    bool logarithmic;     /* y; points at or below 0 are left out */
    double least_top;     /* the y axis reaches at least this value; 0: as far as the data */
    const an_series *series;
    int count;
} an_chart;

void an_chart_draw(an_canvas *canvas, const an_chart *chart, double x, double y, double width, double height);

#endif
