#include "train/setup/step_time.h"

#include "base/clock.h"
#include "base/error.h"

#define ROUND_SECONDS 0.05
#define ROUND_MOST 20

static int step(an_exec *exec, const an_step_batch *b, uint64_t number, bool another)
{
    an_exec_result result;
    if (another)
        an_exec_prefetch(exec, &b->images, b->count);
    int rc = an_exec_step(exec, &b->images, b->labels, b->count, number, &result);
    if (rc)
        return rc;
    return an_exec_update(exec, &(an_sgd){.rate = 0, .bias_rate_scale = 1});
}

static int time_steps(an_exec *exec, const an_step_batch *b, uint64_t first, int count, double *seconds)
{
    uint64_t start = an_clock_ns();
    int rc = AN_OK;
    for (int i = 0; i < count && !rc; i++)
        rc = step(exec, b, first + (uint64_t)i, true);
    if (!rc)
        rc = an_exec_wait(exec);
    *seconds = an_clock_seconds_since(start) / count;
    return rc;
}

/* The fastest of three rounds, each of one step if it takes long, else of several: what begins and ends a round, when
 * nothing overlaps, counts less then. Before them, a step that makes what is needed, and one that is recorded; behind
 * them, one that takes the images which the last one sent ahead: others may lie at their place next. */
int an_step_time(an_exec *exec, const an_step_batch *batch, double *seconds)
{
    double took = 0;
    *seconds = 1e30;
    int rc = time_steps(exec, batch, 0, 1, &took);
    if (!rc)
        rc = time_steps(exec, batch, 1, 1, &took);
    int count = took * ROUND_MOST < ROUND_SECONDS ? ROUND_MOST : took < ROUND_SECONDS ? (int)(ROUND_SECONDS / took) : 1;
    for (int i = 0; i < 3 && !rc; i++) {
        rc = time_steps(exec, batch, 2 + (uint64_t)(i * count), count, &took);
        if (took < *seconds)
            *seconds = took;
    }
    if (!rc)
        rc = step(exec, batch, 2, false);
    return rc ? rc : an_exec_wait(exec);
}
