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
#define CAUGHT 0.3  /* inside MPI; then the others cannot be told */

#define LAST_WORDS_NS UINT64_C(200000000) /* to tell the others, before the process is ended */

/* now was read before something that set since: then none have passed. */
static double seconds(uint64_t since, uint64_t now)
{
    return now > since ? (double)(now - since) * 1e-9 : 0;
}

int an_group_failure(an_group *group)
{
    const an_group_verdict *verdict = &group->verdict;
    return verdict->code ? an_error(verdict->code, "%s", verdict->message) : AN_OK;
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
    pthread_cond_signal(&group->alarm);
}

/* Under lock: what rank 0 is to hear, unless this rank has told something before. */
static void keep(an_group *group, const an_group_verdict *own)
{
    if (group->own.code || group->verdict.code)
        return;
    group->own = *own;
    group->own_ns = an_clock_ns();
    an_group_wake(group);
    if (!group->place.rank)
        decide(group, own);
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

void an_group_decide(an_group *group, const an_group_verdict *verdict)
{
    pthread_mutex_lock(&group->lock);
    decide(group, verdict);
    pthread_mutex_unlock(&group->lock);
}

int an_group_accuse(an_group *group, int rank, int rc)
{
    char subject[AN_MPI_TEXT + 32];
    an_group_verdict verdict = {.rank = rank, .code = rc};
    pthread_mutex_lock(&group->lock);
    name(group, rank, subject, sizeof subject);
    fill(&verdict, subject, " ", an_error_message());
    decide(group, &verdict);
    rc = an_group_failure(group);
    pthread_mutex_unlock(&group->lock);
    return rc;
}

void an_group_lost(an_group *group, int rank, const char *why)
{
    char subject[AN_MPI_TEXT + 32];
    an_group_verdict lost = {.rank = rank, .code = AN_EIO, .lost = true};
    pthread_mutex_lock(&group->lock);
    name(group, rank, subject, sizeof subject);
    fill(&lost, subject, " ", why);
    keep(group, &lost);
    group->zero_lost = group->zero_lost || !rank;
    if (!rank) /* nobody else decides */
        decide(group, &group->own);
    pthread_mutex_unlock(&group->lock);
}

/* Under lock: where rank 0 does not answer, each rank decides for itself. */
static void decide_alone(an_group *group, uint64_t now)
{
    if (!group->own.code || group->verdict.code || seconds(group->own_ns, now) < ANSWER)
        return;
    group->alone = true;
    decide(group, &group->own);
}

bool an_fail_pending(an_group *group)
{
    pthread_mutex_lock(&group->lock);
    bool pending = (group->own.code || group->verdict.code) && !group->settled;
    pthread_mutex_unlock(&group->lock);
    return pending;
}

/* Under lock. */
static void settle(an_group *group)
{
    if (group->settled)
        return;
    group->settled = true;
    an_group_wake(group);
    pthread_cond_broadcast(&group->done);
}

void an_fail_settle(an_group *group)
{
    pthread_mutex_lock(&group->lock);
    const an_group_verdict *verdict = &group->verdict;
    bool nobody = group->alone || group->zero_lost; /* who will tell */
    if (verdict->code && (group->place.rank ? nobody || group->life.heard : an_life_said(group)))
        settle(group);
    pthread_mutex_unlock(&group->lock);
}

/* Makes the training thread return from whatever it waits for. */
static void interrupt(an_group *group)
{
    const an_group_observer *observer = &group->observer;
    const an_group_way *way = atomic_load(&group->active);
    if (group->watch.interrupted)
        return;
    if (way && way->interrupt)
        way->interrupt(way->context);
    if (observer->interrupt)
        observer->interrupt(observer->context);
    pthread_mutex_lock(&group->lock);
    group->watch.interrupted = true;
    pthread_cond_broadcast(&group->done);
    pthread_mutex_unlock(&group->lock);
}

/* Under lock: whether nobody calls what the caller of an_group_fail frees next, and the others know. */
static bool is_done(const an_group *group)
{
    bool told = group->settled || group->ended;
    return told && (group->watch.interrupted || !group->watch.started || !group->verdict.code);
}

/* The training thread did not come. */
static void give_up(an_group *group, uint64_t now)
{
    const an_group_observer *observer = &group->observer;
    double patience = GIVE_UP + (group->place.rank ? 1 : 0);
    pthread_mutex_lock(&group->lock);
    bool now_or_never =
        !group->came && !group->closing && !group->given_up && seconds(group->verdict_ns, now) > patience;
    group->given_up = group->given_up || now_or_never;
    uint64_t until = an_clock_ns() + LAST_WORDS_NS;
    while (now_or_never && !group->settled && an_clock_ns() < until) /* the others need not wait any longer */
        an_group_until(&group->done, &group->lock, until);
    pthread_mutex_unlock(&group->lock);
    if (now_or_never && observer->give_up)
        observer->give_up(observer->context, group->verdict.code, group->verdict.message, an_group_speaks(group));
}

void an_fail_advance(an_group *group, uint64_t now)
{
    uint64_t inside = atomic_load(&group->inside_ns);
    pthread_mutex_lock(&group->lock);
    decide_alone(group, now);
    bool failed = group->verdict.code;
    if (failed && (seconds(group->verdict_ns, now) > SETTLE || (inside && seconds(inside, now) > CAUGHT)))
        settle(group);
    pthread_mutex_unlock(&group->lock);
    if (!failed)
        return;
    interrupt(group);
    give_up(group, now);
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
    while (!is_done(group) && an_clock_ns() < until)
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

/* The first rank of this host, not counting a rank 0 that is lost. */
static bool is_first_here(const an_group *group, bool zero_lost)
{
    for (int rank = zero_lost; rank < group->place.rank && group->cards; rank++) {
        if (group->cards[rank].node == group->place.node)
            return false;
    }
    return true;
}

bool an_group_speaks(const an_group *group)
{
    if (!group)
        return true;
    an_group *locked = (an_group *)group;
    pthread_mutex_lock(&locked->lock);
    const an_group_verdict *verdict = &group->verdict;
    bool speaks = !group->place.rank;
    if (speaks && verdict->code && verdict->lost && !verdict->rank)
        speaks = false; /* the others took this rank for lost, and have said so */
    else if (group->zero_lost || group->alone)
        speaks = is_first_here(group, group->zero_lost);
    pthread_mutex_unlock(&locked->lock);
    return speaks;
}
