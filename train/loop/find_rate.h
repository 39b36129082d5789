/* Looking for a learning rate: the rate rises geometrically with each step while the loss is watched. */
#ifndef AN_TRAIN_LOOP_FIND_RATE_H
#define AN_TRAIN_LOOP_FIND_RATE_H

#include "train/setup/session.h"

#define AN_FIND_RATE_MIN 1e-5
#define AN_FIND_RATE_MAX 10.0

typedef struct {
    double rate, loss; /* loss: smoothed over the last steps */
} an_rate_point;

/* Train for at most steps steps from fresh weights; ends early when the loss explodes. points has room for steps;
 * *count tells how many were made, *best the rate to begin with: a third of the one at which the loss was lowest. 0 if
 * the loss never fell below where it started and below that of guessing, ln(classes): a network that starts above it
 * also falls to it by dying. */
int an_find_rate(an_session *session, int steps, an_rate_point *points, int *count, double *best);

/* The rate of a step. */
double an_find_rate_at(int step, int steps);

/* *best from the points: also for tests. */
double an_find_rate_choose(const an_rate_point *points, int count, int classes);

#endif
