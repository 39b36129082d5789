/* Charts of how runs went. Runs are told apart by colour, and by dashes where there are more runs than colours; lines
 * with marks are validation, and the shape of the marks tells its sets apart. The caller frees canvases. */
#ifndef AN_TOOLS_SHOW_VIEWS_CURVES_DRAW_H
#define AN_TOOLS_SHOW_VIEWS_CURVES_DRAW_H

#include "tools/show/content/history.h"

#define AN_CURVES_CHARTS 5         /* top-1, top-5, loss, rate, wait for data */
#define AN_CURVES_SMOOTH_USUAL 2.0 /* per cent */

/* Whether runs have something to tell in chart number 0 to AN_CURVES_CHARTS - 1: with five classes or fewer the top-5
 * error is always 0. */
bool an_curves_has(const an_history *runs, int count, int chart);

/* A large chart of the top-1 error, and the others below it. Curves of training are averaged over smooth per cent of
 * the longest run, with what was logged behind; 0: not at all. Names of runs should differ. */
int an_curves_draw(an_canvas **out, an_canvas_kind kind, const an_history *runs, int count, double smooth);

/* One chart of one run, smoothed as usual. */
int an_curves_chart(an_canvas **out, an_canvas_kind kind, const an_history *run, int chart);

#endif
