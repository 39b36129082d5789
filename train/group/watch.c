/* What is noticed beside signs of life: processes of this host that end, and whom all are waiting for. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "train/group/group_private.h"

#define LOOK_NS UINT64_C(50000000)  /* between two looks */
#define LAST_NS UINT64_C(200000000) /* after a process has ended, for what it said last to arrive */

/* A file descriptor that becomes readable when the process ends; -1 where it has ended already, or where the kernel or
 * a container forbids that. */
static int follow(int64_t pid, bool *ended)
{
    int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    *ended = fd < 0 && errno == ESRCH;
    return fd;
}

/* Whether a process number of that rank means the same here. Hosts that are network namespaces share them. */
static bool comparable(const an_group_card *own, const an_group_card *card)
{
    return *own->space && !strcmp(card->space, own->space) && card->pid != own->pid;
}

static int begin(an_group *group)
{
    an_group_watch *w = &group->watch;
    int world = group->place.world;
    w->processes = calloc((size_t)world, sizeof *w->processes);
    w->gone_ns = calloc((size_t)world, sizeof *w->gone_ns);
    if (!w->processes || !w->gone_ns)
        return an_error(AN_ENOMEM, "out of memory");
    for (int rank = 0; rank < world; rank++) {
        bool ended = false;
        const an_group_card *card = &group->cards[rank];
        w->processes[rank].events = POLLIN;
        w->processes[rank].fd = comparable(&group->cards[group->place.rank], card) ? follow(card->pid, &ended) : -1;
        w->gone_ns[rank] = ended ? an_clock_ns() : 0;
    }
    return AN_OK;
}

/* Ranks that leave may end; whoever leaves listens to rank 0 alone, which ends last. */
static bool may_end(const an_group *group, int rank, bool closing)
{
    if (!group->place.rank)
        return group->life.peers[rank - 1].left;
    return closing && rank;
}

static void look_at_processes(an_group *group, uint64_t now, bool closing)
{
    an_group_watch *w = &group->watch;
    for (int rank = 0; rank < group->place.world; rank++) {
        struct pollfd *process = &w->processes[rank]; /* one by one: poll takes no more than there may be open files */
        if (process->fd >= 0 && poll(process, 1, 0) > 0 && !w->gone_ns[rank])
            w->gone_ns[rank] = now;
        if (w->gone_ns[rank] && now - w->gone_ns[rank] >= LAST_NS && !may_end(group, rank, closing))
            an_group_lost(group, rank, "ended without a word: it was killed, or it crashed");
    }
}

/* The rank that has begun to wait for others least often. */
static int slowest(const an_group *group, uint64_t *begun)
{
    int rank = 0;
    *begun = atomic_load(&group->begun);
    for (int i = 0; i < group->life.count; i++) {
        uint64_t begun_there = atomic_load(&group->life.peers[i].begun);
        if (begun_there < *begun) {
            *begun = begun_there;
            rank = group->life.peers[i].rank;
        }
    }
    return rank;
}

static void tell(an_group *group, int rank, double seconds)
{
    static const char *const doing[] = {[AN_GROUP_STARTING] = "still starting",
                                        [AN_GROUP_LOADING] = "waiting for images",
                                        [AN_GROUP_TRAINING] = "training",
                                        [AN_GROUP_VALIDATING] = "validating",
                                        [AN_GROUP_SAVING] = "writing a checkpoint"};
    char text[AN_MPI_TEXT + 128];
    int activity = group->life.peers[rank - 1].activity;
    bool known = activity >= 0 && activity < (int)(sizeof doing / sizeof *doing);
    snprintf(text, sizeof text, "all ranks have been waiting for rank %d on '%s' for %.0f s; it is %s", rank,
             group->cards[rank].host, seconds, known ? doing[activity] : "busy");
    if (group->observer.note)
        group->observer.note(group->observer.context, text);
}

/* Rank 0: once for each wait that is long. */
static void look_at_waits(an_group *group, uint64_t now)
{
    an_group_watch *w = &group->watch;
    uint64_t begun = atomic_load(&group->begun), least;
    if (begun != w->begun || !atomic_load(&group->expecting)) {
        w->begun = begun;
        w->since_ns = now;
        w->noted = false;
        return;
    }
    if (w->noted || (double)(now - w->since_ns) < group->inside.patience * 1e9)
        return;
    int rank = slowest(group, &least);
    if (!rank || least >= begun)
        return;
    w->noted = true;
    tell(group, rank, (double)(now - w->since_ns) * 1e-9);
}

static void look(an_group *group)
{
    const an_group_way *way = atomic_load(&group->active);
    uint64_t now = an_clock_ns();
    pthread_mutex_lock(&group->lock);
    bool closing = group->closing, leaving = group->leaving, failed = group->verdict.code;
    pthread_mutex_unlock(&group->lock);
    if (!failed && !leaving)
        look_at_processes(group, now, closing);
    if (!failed && !group->place.rank)
        look_at_waits(group, now);
    if (!failed && way && way->watch)
        way->watch(group, way->context);
    an_fail_advance(group, now);
}

/* Under lock: also after the group's thread has ended, what follows a failure must be carried out, and a training
 * thread may have to be given up. */
static bool is_needed(const an_group *group)
{
    bool failed = group->verdict.code;
    bool awaited = failed && !group->came && !group->closing && !group->given_up;
    return !group->ended || awaited || (failed && !group->watch.interrupted);
}

static void *watch(void *context)
{
    an_group *group = context;
    pthread_mutex_lock(&group->lock);
    while (is_needed(group)) {
        pthread_mutex_unlock(&group->lock);
        look(group);
        pthread_mutex_lock(&group->lock);
        if (is_needed(group))
            an_group_until(&group->alarm, &group->lock, an_clock_ns() + LOOK_NS);
    }
    pthread_mutex_unlock(&group->lock);
    return NULL;
}

int an_watch_begin(an_group *group)
{
    int rc = begin(group);
    if (!rc)
        rc = an_thread_start(&group->watch.thread, "group-watch", watch, group);
    group->watch.started = !rc;
    return rc;
}

void an_watch_end(an_group *group)
{
    an_group_watch *w = &group->watch;
    if (w->started)
        pthread_join(w->thread, NULL);
    for (int rank = 0; rank < group->place.world && w->processes; rank++) {
        if (w->processes[rank].fd > 0)
            (void)close(w->processes[rank].fd); /* nothing was written */
    }
    free(w->processes);
    free(w->gone_ns);
}
