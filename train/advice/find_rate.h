/* Finding a learning rate to begin with: the network trains a few hundred steps while the rate rises by a constant
 * factor from each to the next, and the loss is recorded (the "learning rate range test"). The calling thread drives
 * the network. */
#ifndef AN_TRAIN_ADVICE_FIND_RATE_H
#define AN_TRAIN_ADVICE_FIND_RATE_H

#include <stdbool.h>

#include "base/buffer.h"
#include "train/setup/session.h"

#define AN_FIND_RATE_MIN 1e-5
#define AN_FIND_RATE_MAX 10.0

typedef struct {
    double rate, loss; /* loss: an exponential average over the steps so far */
} an_rate_point;

/* What the points say. */
typedef struct {
    double rate;         /* to begin with: a third of the one at which the loss was lowest; 0: no rate can be named */
    double lowest, at;   /* the lowest loss, and its rate; 0 without points */
    double bar;          /* the loss that it is compared with */
    bool bar_is_guesses; /* that is ln(classes), the loss of guessing; else it is the loss at the start, which was lower
                          */
} an_rate_choice;

/* Train from fresh weights for at most steps steps. Ends early, without failure, once the loss is four times what it
 * was at the start or not finite. points has room for steps entries, *count says how many were filled in. *choice is
 * an_find_rate_choose of them. AN_STOPPED if a stop was requested. The session's weights are of no use afterwards. */
int an_find_rate(an_session *session, int steps, an_rate_point *points, int *count, an_rate_choice *choice);

/* The rate of a step: from AN_FIND_RATE_MIN at step 0 to AN_FIND_RATE_MAX at the last one. */
double an_find_rate_at(int step, int steps);

/* A rate is named if the loss fell clearly, by 2 %, below both its start and ln(classes). Falling to ln(classes) from
 * above is not learning: a network whose units have all died guesses, too. And a loss that only varies from batch to
 * batch is a little below at times. */
an_rate_choice an_find_rate_choose(const an_rate_point *points, int count, int classes);

/* What the program says about it: some twenty of the points, what they say, and what to do where no rate can be named.
 */
typedef struct {
    const an_rate_point *points;
    int count, steps; /* steps: as many as were asked for */
    an_rate_choice choice;
    int classes;
    bool paper_init; /* the weights were --init paper's */
} an_rate_finding;

int an_find_rate_print(const an_rate_finding *finding, an_buffer *out);

/* As JSON, an object a line: type "find-lr" for each point, with step, rate and loss; and at the end type "found-lr",
 * with rate (or null), lowest_loss, lowest_rate, bar and bar_is ("guessing" or "start"). */
int an_find_rate_print_json(const an_rate_finding *finding, an_buffer *out);

#endif
