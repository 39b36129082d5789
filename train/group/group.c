/* Joining the other ranks and leaving them. */
#include "train/group/group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "train/group/group_private.h"

#define PATIENCE 10.0    /* an_group_inside */
#define CLOSE_SECONDS 10 /* that MPI may take to end; then the process ends without that */

/* What makes numbers of processes comparable: the running kernel and the namespace. "" if the system does not say. */
static void find_space(char *out, size_t size)
{
    char boot[64] = "", space[48] = "";
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
    bool known = file && fgets(boot, sizeof boot, file);
    if (file)
        (void)fclose(file); /* nothing was written */
    boot[strcspn(boot, "\n")] = '\0';
    if (known && readlink("/proc/self/ns/pid", space, sizeof space - 1) > 0)
        snprintf(out, size, "%s %s", boot, space);
}

static void count_places(an_group *group)
{
    for (int rank = 0; rank < group->place.world; rank++) {
        bool here = group->cards[rank].node == group->place.node;
        group->local_world += here;
        group->local_rank += here && rank < group->place.rank;
        group->hosts += group->cards[rank].node == rank;
    }
}

/* Ranks tell each other who they are. */
static int exchange(an_group *group)
{
    an_group_card own = {.pid = getpid(), .node = group->place.node};
    an_group_card *cards = calloc((size_t)group->place.world, sizeof *cards);
    if (!cards)
        return an_error(AN_ENOMEM, "out of memory");
    memcpy(own.host, group->place.host, sizeof own.host);
    find_space(own.space, sizeof own.space);
    int rc = an_group_gather(group, &own, sizeof own, cards);
    if (rc) {
        free(cards);
        return rc;
    }
    for (int rank = 0; rank < group->place.world; rank++)
        cards[rank].host[sizeof cards[rank].host - 1] = '\0';
    pthread_mutex_lock(&group->lock);
    group->cards = cards;
    count_places(group);
    pthread_mutex_unlock(&group->lock);
    return an_watch_begin(group);
}

/* Until the group's thread has started MPI. */
static int await_opened(an_group *group)
{
    pthread_mutex_lock(&group->lock);
    while (!group->opened)
        pthread_cond_wait(&group->done, &group->lock);
    int rc = group->open_rc ? an_error_restore(&group->open_error) : AN_OK;
    pthread_mutex_unlock(&group->lock);
    return rc;
}

static void release(an_group *group)
{
    an_watch_end(group); /* it looks at the way */
    if (group->way.free)
        group->way.free(group->way.context);
    an_life_free(group);
    an_requests_free(&group->requests);
    free(group->collective.memory);
    free(group->cards);
    pthread_cond_destroy(&group->work);
    pthread_cond_destroy(&group->done);
    pthread_cond_destroy(&group->alarm);
    pthread_mutex_destroy(&group->lock);
    free(group);
}

static int make(an_group **out)
{
    pthread_condattr_t monotonic;
    an_group *group = calloc(1, sizeof *group);
    if (!group)
        return an_error(AN_ENOMEM, "out of memory");
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&group->lock, NULL);
    pthread_cond_init(&group->work, &monotonic);
    pthread_cond_init(&group->done, &monotonic);
    pthread_cond_init(&group->alarm, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *out = group;
    return AN_OK;
}

int an_group_open_with(an_group **out, const an_group_options *options, const an_group_inside *inside)
{
    an_group *group = NULL;
    int rc = make(&group);
    if (rc)
        return rc;
    group->mpi = inside->mpi;
    group->inside = *inside;
    group->silence = options->silence > 0 ? options->silence : AN_GROUP_SILENCE;
    group->observer = options->observer;
    rc = an_thread_start(&group->thread, "group", an_group_run, group);
    if (rc) {
        release(group);
        return rc;
    }
    rc = await_opened(group);
    if (!rc) {
        rc = exchange(group);
        rc = rc ? an_group_fail(group, rc) : AN_OK; /* the others would wait for this rank */
    }
    if (rc) {
        an_error_state failure;
        an_error_save(&failure, rc);
        an_group_close(group);
        return an_error_restore(&failure);
    }
    *out = group;
    return AN_OK;
}

int an_group_open(an_group **out, const an_group_options *options)
{
    an_launch launch;
    an_group_inside inside = {.patience = PATIENCE};
    *out = NULL;
    an_launch_find(&launch);
    if (launch.count == 1)
        return AN_OK;
    if (launch.unsupported)
        return an_error(AN_EUNSUPPORTED, "%s", launch.unsupported);
    int rc = an_mpi_load(&inside.mpi);
    if (rc)
        return an_error_prefix(rc, "%d processes were started together, which needs MPI", launch.count);
    inside.promised = launch.count;
    return an_group_open_with(out, options, &inside);
}

/* Whether the group's thread has ended in time. Other ranks may come as late as they like. */
static bool await_end(an_group *group)
{
    pthread_mutex_lock(&group->lock);
    group->closing = true;
    an_group_wake(group);
    pthread_cond_signal(&group->alarm);
    while (!group->leaving && !group->verdict.code)
        pthread_cond_wait(&group->done, &group->lock);
    uint64_t until = an_clock_ns() + CLOSE_SECONDS * UINT64_C(1000000000);
    while (!group->ended && an_clock_ns() < until)
        an_group_until(&group->done, &group->lock, until);
    bool ended = group->ended;
    pthread_mutex_unlock(&group->lock);
    return ended;
}

void an_group_close(an_group *group)
{
    if (!group)
        return;
    if (!await_end(group)) { /* it is caught inside MPI, which keeps using the memory */
        pthread_detach(group->thread);
        return;
    }
    pthread_join(group->thread, NULL);
    release(group);
}

int an_group_rank(const an_group *group)
{
    return group ? group->place.rank : 0;
}

int an_group_world(const an_group *group)
{
    return group ? group->place.world : 1;
}

int an_group_local_rank(const an_group *group)
{
    return group ? group->local_rank : 0;
}

int an_group_local_world(const an_group *group)
{
    return group ? group->local_world : 1;
}

const char *an_group_host(const an_group *group, int rank)
{
    return group ? group->cards[rank].host : "";
}

int an_group_describe(const an_group *group, an_buffer *out)
{
    if (!group)
        return an_buffer_printf(out, "1 process");
    int rc = an_buffer_printf(out, "%d ranks on %d host%s, %s", group->place.world, group->hosts,
                              group->hosts == 1 ? "" : "s", group->place.library);
    if (rc || !group->way.describe)
        return rc;
    return group->way.describe(group->way.context, out);
}

void an_group_doing(an_group *group, an_group_activity activity)
{
    if (group)
        atomic_store(&group->activity, (int)activity);
}

int an_group_reducer(an_group *group, const an_group_reduce_options *options, const an_reducer **out)
{
    *out = NULL;
    if (!group)
        return AN_OK;
    an_group_way way = {0};
    int rc = options->processors ? an_reduce_make(&way, group, options) : an_nccl_make(&way, group, options);
    if (rc)
        return rc;
    group->way = way;
    atomic_store(&group->active, &group->way);
    *out = &group->way.reducer;
    return AN_OK;
}

void an_group_reduced(an_group *group, double *waited, uint64_t *sent)
{
    *waited = 0;
    *sent = 0;
    if (group && group->way.reduced)
        group->way.reduced(group->way.context, waited, sent);
}
