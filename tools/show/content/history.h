/* A run's metrics.jsonl as curves. A history is a plain value of its owner; any thread may read it. */
#ifndef AN_TOOLS_SHOW_CONTENT_HISTORY_H
#define AN_TOOLS_SHOW_CONTENT_HISTORY_H

#include "tools/show/canvas/canvas.h"
#include "tools/show/content/origin.h"

typedef enum {
    AN_CURVE_ERROR, /* training top-1 error, per cent */
    AN_CURVE_VALIDATION_ERROR,
    AN_CURVE_TOP5, /* training top-5 error, per cent */
    AN_CURVE_VALIDATION_TOP5,
    AN_CURVE_LOSS,
    AN_CURVE_VALIDATION_LOSS,
    AN_CURVE_RATE,  /* of the step that the point is at */
    AN_CURVE_WAIT,  /* share of the time spent waiting for data, per cent */
    AN_CURVE_SPEED, /* images/s */
    AN_CURVES
} an_curve_kind;

typedef struct {
    an_point *points; /* x: epochs done */
    int count, capacity;
    double mean; /* of all values, also those that were averaged into one point; 0 without any */
} an_curve;

#define AN_HISTORY_SETS_MAX 16 /* validation sets of a run; lines of further ones are passed over */

typedef struct {
    char *name;                 /* as lines call it; "" where they do not */
    an_curve curves[AN_CURVES]; /* those of validation */
} an_history_set;

typedef struct {
    char *path;                 /* of the run, without slashes at its end */
    char *name;                 /* its folder's */
    an_curve curves[AN_CURVES]; /* of training, and of the first validation set */
    an_history_set *sets;       /* the second and further validation sets */
    int set_count;
    an_origin origin;
    char *first_set;      /* name of the first; NULL: nothing was validated */
    double epochs, steps; /* done at the last line, or at the last checkpoint, where that is later */
    double saved;         /* step of the last checkpoint; 0: none */
} an_history;

/* Read the metrics of the folder run. A curve keeps at most 600 points: neighbours are averaged. Of the rate, which
 * steps, points between equal ones go first, then every so many. Damaged lines, and a last line that is not complete
 * because the run is going on, are passed over. AN_ENOTFOUND if there is no such file,
 * AN_EINVAL if nothing was logged yet. The caller frees out, which on failure is empty. */
int an_history_load(an_history *out, const char *run);
/* The mean of all values logged for a curve; 0 if there are none. */
double an_history_mean(const an_history *history, an_curve_kind kind);
void an_history_free(an_history *history); /* zeroed is fine */

/* Runs of one name get as much of their paths before it as tells them apart: "old/first", "new/first". */
int an_history_distinguish(an_history *runs, int count);

#endif
