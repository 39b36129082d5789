/* The group's thread. */
#include <sys/prctl.h>
#include <time.h>

#include "base/clock.h"
#include "train/group/group_private.h"

/* How long to sleep while nothing moves, in nanoseconds. Each time costs a thread that computes some microseconds. */
#define PAUSE_FIRST UINT64_C(20000)
#define PAUSE_EXPECTING UINT64_C(200000) /* at most, while messages are expected */
#define PAUSE_IDLE UINT64_C(20000000)    /* at most, otherwise: training threads wake this one */

void an_group_until(pthread_cond_t *condition, pthread_mutex_t *lock, uint64_t ns)
{
    struct timespec until = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    (void)pthread_cond_timedwait(condition, lock, &until); /* callers look at what they wait for, and at the clock */
}

void an_group_wake(an_group *group)
{
    group->woken = true;
    pthread_cond_signal(&group->work);
}

static int check_world(const an_group *group)
{
    const an_mpi_place *place = &group->place;
    if (place->world == group->promised)
        return AN_OK;
    return an_error(AN_EUNSUPPORTED,
                    "the launcher started %d processes, but %s sees %d: the launcher is another MPI's; start them with "
                    "the mpirun of %s, or with srun --mpi=pmix",
                    group->promised, place->library, place->world, place->library);
}

static int begin(an_group *group)
{
    char text[AN_MPI_TEXT];
    (void)prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL); /* else 20 us become 70; a refusal costs speed only */
    int code = group->mpi->begin(group->mpi->context, &group->place);
    if (code) {
        group->mpi->describe(group->mpi->context, code, text);
        return an_error(AN_EUNSUPPORTED, "MPI cannot be started: %s", text);
    }
    group->begun_mpi = true;
    int rc = check_world(group);
    return rc ? rc : an_life_begin(group);
}

static bool expects(an_group *group)
{
    if (an_fail_pending(group) || an_collective_busy(group))
        return true;
    return group->way.busy && group->way.busy(group, group->way.context);
}

static void rest(an_group *group, uint64_t pause)
{
    pthread_mutex_lock(&group->lock);
    if (!group->woken)
        an_group_until(&group->work, &group->lock, an_clock_ns() + pause);
    group->woken = false;
    pthread_mutex_unlock(&group->lock);
}

/* Begins what is to begin and lets MPI work. Returns whether anything moved. */
static bool move(an_group *group, uint64_t now)
{
    if (group->life.over)
        return false;
    an_collective_advance(group);
    if (group->way.advance)
        group->way.advance(group, group->way.context);
    an_life_advance(group, now);
    return an_group_test(group) > 0;
}

/* Whether the training thread has closed the group, and nobody needs this rank any more. */
static bool over(an_group *group)
{
    pthread_mutex_lock(&group->lock);
    bool closing = group->closing;
    pthread_mutex_unlock(&group->lock);
    return closing && (group->life.over || an_life_leaves(group));
}

static void serve(an_group *group)
{
    uint64_t pause = PAUSE_FIRST;
    while (!over(group)) {
        uint64_t now = an_clock_ns();
        bool moved = move(group, now);
        an_fail_advance(group, now);
        if (moved) {
            pause = PAUSE_FIRST;
            continue;
        }
        rest(group, pause);
        uint64_t most = expects(group) ? PAUSE_EXPECTING : PAUSE_IDLE;
        pause = 2 * pause < most ? 2 * pause : most;
    }
}

void *an_group_run(void *context)
{
    an_group *group = context;
    int rc = begin(group);
    pthread_mutex_lock(&group->lock);
    group->opened = true;
    group->open_rc = rc;
    an_error_save(&group->open_error, rc);
    pthread_cond_broadcast(&group->done);
    pthread_mutex_unlock(&group->lock);
    if (!rc)
        serve(group);
    pthread_mutex_lock(&group->lock);
    group->leaving = true;
    pthread_cond_broadcast(&group->done);
    pthread_mutex_unlock(&group->lock);
    /* After a failure MPI would wait for ranks that are gone. */
    if (group->begun_mpi && !group->life.over)
        (void)group->mpi->end(group->mpi->context);
    pthread_mutex_lock(&group->lock);
    group->ended = true;
    pthread_cond_broadcast(&group->done);
    pthread_mutex_unlock(&group->lock);
    return NULL;
}
