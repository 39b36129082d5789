#include "train/loop/pace.h"

#define NEW_SHARE 0.3 /* of the latest steps in the mean */

void an_pace_steps(an_pace *pace, uint64_t steps, double seconds)
{
    if (steps == 0)
        return;
    double each = seconds / (double)steps;
    pace->step_seconds = pace->step_seconds > 0 ? (1 - NEW_SHARE) * pace->step_seconds + NEW_SHARE * each : each;
}

void an_pace_validation(an_pace *pace, double seconds)
{
    pace->validation_seconds = seconds;
}

double an_pace_left(const an_pace *pace, uint64_t steps, uint64_t validations)
{
    return (double)steps * pace->step_seconds + (double)validations * pace->validation_seconds;
}
