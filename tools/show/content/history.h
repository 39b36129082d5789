/* A run's metrics.jsonl as curves. A history is a plain value of its owner; any thread may read it. */
#ifndef AN_TOOLS_SHOW_CONTENT_HISTORY_H
#define AN_TOOLS_SHOW_CONTENT_HISTORY_H

#include "tools/show/canvas/canvas.h"

typedef enum {
    AN_CURVE_ERROR, /* training top-1 error, per cent */
    AN_CURVE_VALIDATION_ERROR,
    AN_CURVE_LOSS,
    AN_CURVE_VALIDATION_LOSS,
    AN_CURVE_RATE,
    AN_CURVE_WAIT,  /* share of the time spent waiting for data, per cent */
    AN_CURVE_SPEED, /* images/s */
    AN_CURVES
} an_curve_kind;

typedef struct {
    an_point *points; /* x: epochs done */
    int count, capacity;
    double mean; /* of all values, also those that were averaged into one point; 0 without any */
} an_curve;

typedef struct {
    char *name; /* of the run: its folder's */
    an_curve curves[AN_CURVES];
    double epochs, steps; /* done at the last line */
} an_history;

/* Read the metrics of the folder run. A curve keeps at most 600 points: neighbours are averaged. Damaged lines, and a
 * last line that is not complete because the run is going on, are passed over. AN_ENOTFOUND if there is no such file,
 * AN_EINVAL if nothing was logged yet. The caller frees out, which on failure is empty. */
int an_history_load(an_history *out, const char *run);
/* The mean of all values logged for a curve; 0 if there are none. */
double an_history_mean(const an_history *history, an_curve_kind kind);
void an_history_free(an_history *history); /* zeroed is fine */

/* Draws several runs: a large chart of the error, below it loss, learning rate and wait for data. The caller frees. */
int an_curves_draw(an_canvas **out, an_canvas_kind kind, const an_history *runs, int count);

/* Draws one chart with a line for each of the two kinds. The second line is dashed; AN_CURVES: there is none. */
int an_curves_chart(an_canvas **out, an_canvas_kind kind, const an_history *run, const an_curve_kind kinds[2],
                    const char *title, const char *y_format, bool logarithmic, double least_top);

#endif
