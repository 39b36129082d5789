/* How long a run still takes, from how long its steps and validations took. A value without resources of its own. */
#ifndef AN_TRAIN_LOOP_PACE_H
#define AN_TRAIN_LOOP_PACE_H

#include <stdint.h>

typedef struct {
    double step_seconds;       /* of late; 0: no step was timed yet */
    double validation_seconds; /* of the last one; 0: none was timed yet, and none is counted */
} an_pace;

/* These steps took so long together. Later ones count more, so that a wait that is over is soon forgotten. */
void an_pace_steps(an_pace *pace, uint64_t steps, double seconds);
void an_pace_validation(an_pace *pace, double seconds);

/* Seconds that so many steps and validations will take. */
double an_pace_left(const an_pace *pace, uint64_t steps, uint64_t validations);

#endif
