/* Signs of life, between rank 0 and each other rank. They carry failures too. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "train/group/group_private.h"

#define BEAT 0.5 /* seconds between signs */
#define STEP_MAX                                                                                                       \
    0.25 /* seconds of silence that one look counts at most: a process that was stopped has not listened               \
          */
#define SIGN_HEAD offsetof(an_sign, text)

static void listen(an_group *group, an_group_peer *peer);

/* Under lock. The verdict as it came from rank 0, or a failure that goes to it. */
static an_group_verdict verdict_of(const an_sign *sign)
{
    an_group_verdict verdict = {.rank = sign->rank, .code = sign->code, .lost = sign->lost};
    memcpy(verdict.message, sign->text, sizeof verdict.message);
    verdict.message[sizeof verdict.message - 1] = '\0';
    return verdict;
}

static void heard(an_group *group, void *context, int number)
{
    an_group_peer *peer = context;
    const an_sign *sign = &peer->in;
    an_group_verdict verdict = verdict_of(sign);
    (void)number;
    peer->silent = 0;
    peer->activity = sign->activity;
    peer->begun = sign->begun;
    if (sign->kind == AN_SIGN_FAILED || sign->kind == AN_SIGN_VERDICT)
        an_group_decide(group, &verdict);
    if (sign->kind == AN_SIGN_HEARD)
        group->life.heard = true;
    peer->left = sign->kind == AN_SIGN_LEAVING;
    if (!peer->left)
        listen(group, peer);
}

static void listen(an_group *group, an_group_peer *peer)
{
    const an_mpi *mpi = group->mpi;
    uint64_t request = 0;
    int code = mpi->receive(mpi->context, AN_MPI_SIGNS, &peer->in, sizeof peer->in, peer->rank, 0, &request);
    an_group_expect(group, code, request, heard, peer, 0);
}

static void said(an_group *group, void *context, int number)
{
    an_group_peer *peer = context;
    (void)group;
    (void)number;
    peer->sending = false;
}

static void say(an_group *group, an_group_peer *peer, an_sign_kind kind, const an_group_verdict *verdict)
{
    const an_mpi *mpi = group->mpi;
    uint64_t request = 0;
    peer->out = (an_sign){
        .kind = (int32_t)kind, .activity = atomic_load(&group->activity), .begun = atomic_load(&group->begun)};
    if (verdict) {
        peer->out.rank = verdict->rank;
        peer->out.code = verdict->code;
        peer->out.lost = verdict->lost;
        memcpy(peer->out.text, verdict->message, sizeof peer->out.text);
    }
    peer->sending = true;
    size_t size = SIGN_HEAD + (verdict ? strlen(peer->out.text) + 1 : 0);
    int code = mpi->send(mpi->context, AN_MPI_SIGNS, &peer->out, size, peer->rank, 0, &request);
    an_group_expect(group, code, request, said, peer, 0);
}

/* What is most urgent for this peer. beat: a sign of life is due. */
static void say_next(an_group *group, an_group_peer *peer, bool beat)
{
    bool first = group->place.rank == 0;
    pthread_mutex_lock(&group->lock);
    an_group_verdict verdict = first ? group->verdict : group->own;
    bool failed = group->own.code || group->verdict.code, closing = group->closing;
    bool came = group->came || group->given_up || closing;
    pthread_mutex_unlock(&group->lock);
    if (verdict.code && !peer->told) {
        peer->told = true;
        say(group, peer, first ? AN_SIGN_VERDICT : AN_SIGN_FAILED, &verdict);
    } else if (first && verdict.code && came && !peer->heard) {
        peer->heard = true;
        say(group, peer, AN_SIGN_HEARD, NULL);
    } else if (!failed && closing && !peer->said_leaving && (!first || an_life_alone(group))) {
        peer->said_leaving = true;
        say(group, peer, AN_SIGN_LEAVING, NULL);
    } else if (beat && !peer->said_leaving && !failed) {
        say(group, peer, AN_SIGN_ALIVE, NULL);
    }
}

static void listen_for(an_group *group, an_group_peer *peer, double step)
{
    peer->silent += step;
    if (peer->silent < group->silence || peer->left)
        return;
    char why[128];
    snprintf(why, sizeof why,
             "has given no sign of life for %.1f s: it was killed or stopped, or the network to it is down",
             peer->silent);
    an_group_lost(group, peer->rank, why);
}

/* now was read before something that set since: then none have passed. */
static double seconds(uint64_t since, uint64_t now)
{
    return now > since ? (double)(now - since) * 1e-9 : 0;
}

void an_life_advance(an_group *group, uint64_t now)
{
    an_group_life *life = &group->life;
    double step = seconds(life->checked_ns, now);
    double between = group->silence / 5 < BEAT ? group->silence / 5 : BEAT;
    bool beat = seconds(life->sent_ns, now) >= between;
    life->checked_ns = now;
    if (beat)
        life->sent_ns = now;
    for (int i = 0; i < life->count; i++) {
        listen_for(group, &life->peers[i], step < STEP_MAX ? step : STEP_MAX);
        if (!life->peers[i].sending)
            say_next(group, &life->peers[i], beat);
    }
}

bool an_life_alone(const an_group *group)
{
    for (int i = 0; i < group->life.count; i++) {
        if (!group->life.peers[i].left)
            return false;
    }
    return true;
}

bool an_life_leaves(const an_group *group)
{
    for (int i = 0; i < group->life.count; i++) {
        const an_group_peer *peer = &group->life.peers[i];
        if (!peer->said_leaving || peer->sending)
            return false;
    }
    return an_life_alone(group);
}

bool an_life_said(const an_group *group)
{
    for (int i = 0; i < group->life.count; i++) {
        const an_group_peer *peer = &group->life.peers[i];
        bool lost = group->verdict.lost && group->verdict.rank == peer->rank; /* what it is sent need not arrive */
        if (!lost && (!peer->told || !peer->heard || peer->sending))
            return false;
    }
    return true;
}

int an_life_begin(an_group *group)
{
    an_group_life *life = &group->life;
    int rank = group->place.rank, count = rank ? 1 : group->place.world - 1;
    life->peers = calloc((size_t)count + 1, sizeof *life->peers);
    if (!life->peers)
        return an_error(AN_ENOMEM, "out of memory");
    life->count = count;
    life->checked_ns = life->sent_ns = an_clock_ns();
    for (int i = 0; i < count; i++) {
        life->peers[i].rank = rank ? 0 : i + 1;
        listen(group, &life->peers[i]);
    }
    return AN_OK;
}

void an_life_free(an_group *group)
{
    free(group->life.peers);
    group->life.peers = NULL;
}
