#include "base/epochs/epochs.h"

#include <stdbool.h>

__extension__ typedef unsigned __int128 wide;

/* Steps of every epoch, but with AN_LAST_CARRY. */
static uint64_t steps_each(const an_epochs *e)
{
    if (e->images == 0 || e->batch == 0)
        return 0;
    bool rest = e->last != AN_LAST_DROP && e->images % e->batch;
    return e->images / e->batch + rest;
}

/* Place of the first image of a step in the order of all epochs. */
static wide place(const an_epochs *e, uint64_t step)
{
    return (wide)step * e->batch;
}

uint64_t an_epochs_done(const an_epochs *e, uint64_t steps)
{
    uint64_t each = steps_each(e);
    if (each == 0)
        return 0;
    return e->last == AN_LAST_CARRY ? (uint64_t)(place(e, steps) / e->images) : steps / each;
}

uint64_t an_epochs_steps(const an_epochs *e, uint64_t count)
{
    wide steps = (wide)count * steps_each(e);
    if (e->last == AN_LAST_CARRY && e->batch)
        steps = ((wide)count * e->images + e->batch - 1) / e->batch;
    return steps < UINT64_MAX ? (uint64_t)steps : UINT64_MAX;
}

uint64_t an_epochs_offset(const an_epochs *e, uint64_t step)
{
    uint64_t each = steps_each(e);
    if (each == 0)
        return 0;
    return e->last == AN_LAST_CARRY ? (uint64_t)(place(e, step) % e->images) : step % each * e->batch;
}

double an_epochs_each(const an_epochs *e)
{
    if (e->last != AN_LAST_CARRY || e->batch == 0)
        return (double)steps_each(e);
    return (double)e->images / (double)e->batch;
}

double an_epochs_at(const an_epochs *e, uint64_t steps)
{
    double each = an_epochs_each(e);
    return each > 0 ? (double)steps / each : 0;
}
