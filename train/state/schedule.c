#include "train/state/schedule.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

int an_schedule_parse_epochs(an_schedule *schedule, const char *text)
{
    schedule->epoch_count = 0;
    long previous = 0;
    for (const char *at = text; at && *at;) {
        char *end;
        errno = 0;
        long epoch = strtol(at, &end, 10);
        if (end == at || errno || epoch <= previous || epoch > INT_MAX || (*end && *end != ',') ||
            (*end == ',' && !end[1]))
            return an_error(AN_EINVAL, "--rate-epochs '%s': give ascending epoch numbers, such as 30,60,80", text);
        if (schedule->epoch_count == AN_SCHEDULE_STEPS_MAX)
            return an_error(AN_EINVAL, "--rate-epochs '%s': at most %d numbers", text, AN_SCHEDULE_STEPS_MAX);
        schedule->epochs[schedule->epoch_count++] = (int)epoch;
        previous = epoch;
        at = *end ? end + 1 : end;
    }
    return AN_OK;
}

static int epochs_passed(const an_schedule *schedule, uint64_t step)
{
    uint64_t epoch = an_epochs_done(&schedule->span, step);
    int passed = 0;
    while (passed < schedule->epoch_count && epoch >= (uint64_t)schedule->epochs[passed])
        passed++;
    return passed;
}

/* One division by a power rounds once: 0.01 / 100 prints as 0.0001, which repeated division need not. */
static double divided(const an_schedule *schedule, int times)
{
    return schedule->rate / pow(schedule->divisor, times);
}

/* What is left of a schedule with a length, 1 at the start and 0 at its end. */
static double share_left(const an_schedule *schedule, uint64_t step)
{
    return step < schedule->total_steps ? 1.0 - (double)step / (double)schedule->total_steps : 0;
}

/* Without the warm-up. */
static double full_rate(const an_schedule *schedule, const an_schedule_state *state, uint64_t step)
{
    switch (schedule->kind) {
    case AN_SCHEDULE_STEPS:
    case AN_SCHEDULE_PLATEAU:
        return divided(schedule, an_schedule_divisions(schedule, state, step));
    case AN_SCHEDULE_COSINE:
        return schedule->rate * 0.5 * (1.0 + cos(acos(-1.0) * (double)step / (double)schedule->total_steps));
    case AN_SCHEDULE_POLY:
        return schedule->rate * pow(share_left(schedule, step), schedule->power);
    case AN_SCHEDULE_CONSTANT:
        break;
    }
    return schedule->rate;
}

double an_schedule_rate(const an_schedule *schedule, const an_schedule_state *state, uint64_t step)
{
    double rate = full_rate(schedule, state, step);
    if (step >= schedule->warmup_steps)
        return rate;
    return rate * ((double)(step + 1) / (double)schedule->warmup_steps);
}

int an_schedule_divisions(const an_schedule *schedule, const an_schedule_state *state, uint64_t step)
{
    if (schedule->kind == AN_SCHEDULE_STEPS)
        return epochs_passed(schedule, step);
    return schedule->kind == AN_SCHEDULE_PLATEAU ? state->drops : 0;
}

void an_schedule_tell(const an_schedule *schedule, int before, int now, uint64_t after, char *text, size_t size)
{
    double from = divided(schedule, before), to = divided(schedule, now);
    if (schedule->kind == AN_SCHEDULE_PLATEAU)
        snprintf(text, size,
                 "the rate falls from %g to %g after epoch %" PRIu64 ": %d validation%s without a new best top-1", from,
                 to, after, schedule->patience, schedule->patience == 1 ? "" : "s");
    else
        snprintf(text, size, "the rate falls from %g to %g after epoch %" PRIu64, from, to, after);
}

bool an_schedule_has_length(const an_schedule *schedule)
{
    return schedule->kind == AN_SCHEDULE_COSINE || schedule->kind == AN_SCHEDULE_POLY;
}

void an_schedule_observe(const an_schedule *schedule, an_schedule_state *state, double top1)
{
    if (top1 > state->best) {
        state->best = top1;
        state->waited = 0;
        return;
    }
    if (++state->waited < schedule->patience || state->drops >= schedule->drops_max)
        return;
    state->drops++;
    state->waited = 0;
}
