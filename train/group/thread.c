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
    if (place->world == group->inside.promised)
        return AN_OK;
    return an_error(AN_EUNSUPPORTED,
                    "the launcher started %d processes, but %s sees %d: the launcher is another MPI's; start them with "
                    "the mpirun of %s, or with srun --mpi=pmix",
                    group->inside.promised, place->library, place->world, place->library);
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
    const an_group_way *way = atomic_load(&group->active);
    bool expecting = an_collective_busy(group) || (way && way->busy && way->busy(group, way->context));
    atomic_store(&group->expecting, expecting);
    return expecting || an_fail_pending(group);
}

static void rest(an_group *group, uint64_t pause)
{
    pthread_mutex_lock(&group->lock);
    if (!group->woken)
        an_group_until(&group->work, &group->lock, an_clock_ns() + pause);
    group->woken = false;
    pthread_mutex_unlock(&group->lock);
}

static bool is_over(an_group *group)
{
    pthread_mutex_lock(&group->lock);
    bool closing = group->closing, settled = group->settled;
    pthread_mutex_unlock(&group->lock);
    return settled || (closing && an_life_leaves(group));
}

/* Begins what is to begin and lets MPI work. Returns whether anything moved. */
static bool move(an_group *group)
{
    const an_group_way *way = atomic_load(&group->active);
    atomic_store(&group->inside_ns, an_clock_ns());
    an_collective_advance(group);
    if (way && way->advance)
        way->advance(group, way->context);
    an_life_advance(group, an_clock_ns());
    int moved = an_group_test(group);
    atomic_store(&group->inside_ns, 0);
    return moved > 0;
}

/* Until all ranks close their groups, or nobody needs this one's messages any more after a failure. */
static void serve(an_group *group)
{
    uint64_t pause = PAUSE_FIRST;
    while (!is_over(group)) {
        if (move(group)) {
            pause = PAUSE_FIRST;
            continue;
        }
        an_fail_settle(group);
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
    bool failed = group->verdict.code;
    pthread_cond_broadcast(&group->done);
    pthread_mutex_unlock(&group->lock);
    if (group->begun_mpi && !failed) /* else MPI would wait for ranks that are gone */
        (void)group->mpi->end(group->mpi->context);
    pthread_mutex_lock(&group->lock);
    group->ended = true;
    pthread_cond_broadcast(&group->done);
    pthread_cond_signal(&group->alarm);
    pthread_mutex_unlock(&group->lock);
    return NULL;
}
