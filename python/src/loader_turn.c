/* Taking turns at a loader: see loader_private.h. */
#include "python/src/loader_private.h"

#include <errno.h>
#include <time.h>

static int check_open(an_py_loader *self)
{
    if (an_py_check_process(self->process, "loader") < 0)
        return -1;
    if (!atomic_load(&self->closed))
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "the loader is closed");
    return -1;
}

void an_py_turn_init(an_py_turn *turn)
{
    /* None of these can fail on Linux. */
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&turn->given, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&turn->lock, NULL);
}

void an_py_turn_destroy(an_py_turn *turn)
{
    pthread_cond_destroy(&turn->given);
    pthread_mutex_destroy(&turn->lock);
}

/* False if somebody else has it until then. Without a time it does not wait. */
static bool try_turn(an_py_turn *turn, const struct timespec *until)
{
    bool in_time = until;
    pthread_mutex_lock(&turn->lock);
    while (turn->taken && in_time)
        in_time = pthread_cond_timedwait(&turn->given, &turn->lock, until) != ETIMEDOUT;
    bool mine = !turn->taken;
    turn->taken = true;
    pthread_mutex_unlock(&turn->lock);
    return mine;
}

static bool wait_for_turn(an_py_turn *turn)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += AN_PY_SLICE_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return try_turn(turn, &until);
}

int an_py_loader_take_turn(an_py_loader *self)
{
    if (check_open(self) < 0)
        return -1;
    if (try_turn(&self->turn, NULL))
        return 0;
    for (;;) {
        bool mine;
        Py_BEGIN_ALLOW_THREADS;
        mine = wait_for_turn(&self->turn);
        Py_END_ALLOW_THREADS;
        if (mine)
            return 0;
        if (PyErr_CheckSignals() < 0)
            return -1;
    }
}

void an_py_loader_give_turn(an_py_loader *self)
{
    pthread_mutex_lock(&self->turn.lock);
    self->turn.taken = false;
    pthread_cond_signal(&self->turn.given);
    pthread_mutex_unlock(&self->turn.lock);
}
