/* Finding a learning rate to begin with: the network trains a few hundred steps while the rate rises by a constant
 * factor from each to the next, and the loss is recorded (the "learning rate range test"). The calling thread drives
 * the network. */
#ifndef AN_TRAIN_LOOP_FIND_RATE_H
#define AN_TRAIN_LOOP_FIND_RATE_H

#include "train/setup/session.h"

#define AN_FIND_RATE_MIN 1e-5
#define AN_FIND_RATE_MAX 10.0

typedef struct {
    double rate, loss; /* loss: an exponential average over the steps so far */
} an_rate_point;

/* Train from fresh weights for at most steps steps. Ends early, without failure, once the loss is four times what it
 * was at the start or not finite. points has room for steps entries, *count says how many were filled in. *best is
 * an_find_rate_choose of them. AN_STOPPED if a stop was requested. The session's weights are of no use afterwards. */
int an_find_rate(an_session *session, int steps, an_rate_point *points, int *count, double *best);

/* The rate of a step: from AN_FIND_RATE_MIN at step 0 to AN_FIND_RATE_MAX at the last one. */
double an_find_rate_at(int step, int steps);

/* The rate to begin with: a third of the one at which the loss was lowest. 0 if no rate made the network learn, that
 * is, if the loss did not fall clearly below both its start and ln(classes), the loss of guessing. Falling to
 * ln(classes) from above is not learning: a network whose units have all died guesses, too. */
double an_find_rate_choose(const an_rate_point *points, int count, int classes);

#endif
