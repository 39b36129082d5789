/* When one rank fails, all end. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "train/group/group_private.h"

/* Seconds after this rank's failure or the run's. Rank 0 has printed its message before the others end, because a
 * launcher that sees the first of them end may kill the rest. */
#define ANSWER 1.5  /* that rank 0 has to answer to a failure */
#define GIVE_UP 2.5 /* that the training thread of rank 0 has to come; of the others, a second more */
#define SETTLE 3.0  /* that an_group_fail takes at most */

static double seconds(uint64_t since, uint64_t now)
{
    return (double)(now - since) * 1e-9;
}

int an_group_failure(an_group *group)
{
    const an_group_verdict *verdict = &group->verdict;
    return verdict->code ? an_error(verdict->code, "%s", verdict->message) : AN_OK;
}

/* Under lock: what rank 0 is to hear, unless this rank has told something before. */
static void keep(an_group *group, const an_group_verdict *own)
{
    if (group->own.code || group->verdict.code)
        return;
    group->own = *own;
    group->own_ns = an_clock_ns();
    an_group_wake(group);
}

/* "rank 2 on 'host-b'"; before the ranks know each other's hosts, without. */
static void name(const an_group *group, int rank, char *out, size_t size)
{
    if (group->cards)
        snprintf(out, size, "rank %d on '%s'", rank, group->cards[rank].host);
    else
        snprintf(out, size, "rank %d", rank);
}

static void fill(an_group_verdict *out, const char *subject, const char *separator, const char *text)
{
    snprintf(out->message, sizeof out->message, "%s%s%.*s", subject, separator,
             (int)(sizeof out->message - AN_MPI_TEXT - 64), text);
}

void an_group_report(an_group *group, int rc)
{
    char subject[AN_MPI_TEXT + 32];
    an_group_verdict own = {.rank = group->place.rank, .code = rc};
    pthread_mutex_lock(&group->lock);
    name(group, own.rank, subject, sizeof subject);
    fill(&own, subject, ": ", an_error_message());
    keep(group, &own);
    pthread_mutex_unlock(&group->lock);
}

/* Under lock. */
static void decide(an_group *group, const an_group_verdict *verdict)
{
    if (group->verdict.code)
        return;
    group->verdict = *verdict;
    group->verdict_ns = an_clock_ns();
    an_group_wake(group);
    pthread_cond_broadcast(&group->done);
}

void an_group_decide(an_group *group, const an_group_verdict *verdict)
{
    pthread_mutex_lock(&group->lock);
    decide(group, verdict);
    pthread_mutex_unlock(&group->lock);
}

void an_group_lost(an_group *group, int rank, const char *why)
{
    char subject[AN_MPI_TEXT + 32];
    an_group_verdict lost = {.rank = rank, .code = AN_EIO, .lost = true};
    pthread_mutex_lock(&group->lock);
    name(group, rank, subject, sizeof subject);
    fill(&lost, subject, " ", why);
    keep(group, &lost);
    if (!rank) /* nobody else decides */
        decide(group, &lost);
    pthread_mutex_unlock(&group->lock);
}

/* Under lock: the first failure counts. Rank 0 decides at once; where it does not answer, each rank for itself. */
static void decide_own(an_group *group, uint64_t now)
{
    bool unanswered = seconds(group->own_ns, now) > ANSWER;
    if (!group->own.code || group->verdict.code)
        return;
    if (group->place.rank && !unanswered)
        return;
    group->alone = group->place.rank != 0;
    decide(group, &group->own);
}

/* Makes the training thread return from whatever it waits for. */
static void interrupt(an_group *group)
{
    const an_group_observer *observer = &group->observer;
    if (group->life.interrupted)
        return;
    group->life.interrupted = true;
    if (group->way.interrupt)
        group->way.interrupt(group->way.context);
    if (observer->interrupt)
        observer->interrupt(observer->context);
}

/* Whether nobody needs this rank's messages any more. */
static bool is_settled(an_group *group, uint64_t now)
{
    if (group->life.over || seconds(group->verdict_ns, now) > SETTLE)
        return true;
    if (!group->place.rank)
        return an_life_said(group);
    return group->life.heard || group->alone || (group->verdict.lost && !group->verdict.rank);
}

static void give_up(an_group *group)
{
    const an_group_observer *observer = &group->observer;
    if (group->life.given_up)
        return;
    group->life.given_up = true;
    if (!group->life.over)
        an_life_advance(group, an_clock_ns()); /* the others need not wait for what this rank prints */
    if (observer->give_up)
        observer->give_up(observer->context, group->verdict.code, group->verdict.message, an_group_speaks(group));
}

bool an_fail_pending(an_group *group)
{
    pthread_mutex_lock(&group->lock);
    bool pending = (group->own.code || group->verdict.code) && !group->settled;
    pthread_mutex_unlock(&group->lock);
    return pending;
}

void an_fail_advance(an_group *group, uint64_t now)
{
    pthread_mutex_lock(&group->lock);
    decide_own(group, now);
    bool failed = group->verdict.code, came = group->came || group->closing;
    uint64_t since = group->verdict_ns;
    pthread_mutex_unlock(&group->lock);
    if (!failed)
        return;
    interrupt(group);
    if (!group->life.over && is_settled(group, now)) {
        group->life.over = true;
        pthread_mutex_lock(&group->lock);
        group->settled = true;
        pthread_cond_broadcast(&group->done);
        pthread_mutex_unlock(&group->lock);
    }
    if (!came && seconds(since, now) > GIVE_UP + (group->place.rank ? 1 : 0))
        give_up(group);
}

int an_group_fail(an_group *group, int rc)
{
    if (!group)
        return rc;
    an_group_report(group, rc);
    uint64_t until = an_clock_ns() + (uint64_t)((SETTLE + ANSWER) * 1e9);
    pthread_mutex_lock(&group->lock);
    group->came = true;
    an_group_wake(group);
    while (!group->settled && !group->ended && an_clock_ns() < until)
        an_group_until(&group->done, &group->lock, until);
    decide(group, &group->own); /* unless the group's thread has: it may be caught inside MPI */
    rc = an_group_failure(group);
    pthread_mutex_unlock(&group->lock);
    return rc;
}

int an_group_check(an_group *group)
{
    if (!group)
        return AN_OK;
    pthread_mutex_lock(&group->lock);
    int rc = an_group_failure(group);
    pthread_mutex_unlock(&group->lock);
    return rc;
}

/* The first rank of this host that is not the lost one. */
static bool is_first_here(const an_group *group, int lost)
{
    for (int rank = 0; rank < group->place.rank && group->cards; rank++) {
        if (rank != lost && group->cards[rank].node == group->place.node)
            return false;
    }
    return true;
}

bool an_group_speaks(const an_group *group)
{
    if (!group || !group->place.rank)
        return true;
    an_group *locked = (an_group *)group;
    pthread_mutex_lock(&locked->lock);
    bool speaks = group->alone || (group->verdict.code && group->verdict.lost && !group->verdict.rank);
    if (speaks)
        speaks = is_first_here(group, 0);
    pthread_mutex_unlock(&locked->lock);
    return speaks;
}
