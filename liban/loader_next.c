/* Lending batches, one epoch after the other, and interrupting those who wait for them. */
#include "base/clock.h"
#include "liban/common_private.h"
#include "liban/loader_private.h"

/* The batch is lent: the loader's place is behind it. */
static void go_on(liban_loader *l, const liban_batch *batch)
{
    pthread_mutex_lock(&l->lock);
    l->end_due = batch->last;
    l->epoch = batch->epoch + (batch->last ? 1 : 0);
    l->position = batch->last ? 0 : batch->position;
    pthread_mutex_unlock(&l->lock);
}

/* The epoch is over, and the caller is told so. What comes next is started now, so that it is ready when it is wanted.
 * If that fails, the next call tries again, and reports it. */
static int end(liban_loader *l)
{
    pthread_mutex_lock(&l->lock);
    l->end_due = false;
    pthread_mutex_unlock(&l->lock);
    (void)an_lib_loader_start(l);
    return LIBAN_END;
}

static uint64_t time_left(uint64_t deadline_ns)
{
    if (deadline_ns == UINT64_MAX)
        return UINT64_MAX;
    uint64_t now = an_clock_ns();
    return now < deadline_ns ? deadline_ns - now : 0;
}

/* With the turn. */
static int next(liban_loader *l, liban_batch **out, uint64_t deadline_ns)
{
    if (l->end_due)
        return end(l);
    int rc = an_lib_loader_start(l);
    if (rc)
        return rc;
    rc = an_lib_run_next(l->run, time_left(deadline_ns), out);
    if (!rc)
        go_on(l, *out);
    return rc;
}

int liban_loader_next_within(liban_loader *loader, liban_batch **out, uint64_t nanoseconds)
{
    *out = NULL;
    int rc = an_lib_check_process(loader->process, "loader");
    if (rc)
        return rc;
    uint64_t deadline;
    if (__builtin_add_overflow(an_clock_ns(), nanoseconds, &deadline))
        deadline = UINT64_MAX;
    rc = an_lib_loader_take_turn(loader, deadline);
    if (rc)
        return rc;
    rc = next(loader, out, deadline);
    an_lib_loader_give_turn(loader);
    return rc;
}

int liban_loader_next(liban_loader *loader, liban_batch **out)
{
    return liban_loader_next_within(loader, out, UINT64_MAX);
}

void liban_loader_interrupt(liban_loader *loader)
{
    liban_loader *l = loader;
    if (an_lib_is_forked(l->process))
        return;
    pthread_mutex_lock(&l->lock);
    l->interrupted = true;
    l->interruptions++;
    if (l->run)
        an_lib_source_interrupt(an_lib_run_source(l->run));
    pthread_cond_broadcast(&l->turn);
    pthread_mutex_unlock(&l->lock);
}

void liban_loader_resume(liban_loader *loader)
{
    liban_loader *l = loader;
    if (an_lib_is_forked(l->process))
        return;
    pthread_mutex_lock(&l->lock);
    l->interrupted = false;
    if (l->run && !l->closed)
        an_lib_source_resume(an_lib_run_source(l->run));
    pthread_mutex_unlock(&l->lock);
}
