/* Adding up gradients that all ranks see: each owner writes the sum of its pieces into all ranks' gradients.
 *
 * A bucket goes through two counts of each rank, which the others read. `queued`: the rank's gradients are there. When
 * all ranks have queued the bucket, its owners add up their pieces, which are disjoint. `summed`: the rank's pieces are
 * done. When all ranks' are, the bucket is idle, and not before that a rank writes its gradients again. So the counts
 * order all accesses: who writes values raises a count afterwards (release), who reads them has seen it (acquire).
 *
 * The threads that wait add up: they have nothing better to do, while the group's thread would take its time from
 * backward, and the values from its cache. A thread that waits for one bucket also works on others, because ranks may
 * wait for buckets in different orders. It divides the work among its OpenMP threads. */
#include "base/clock.h"
#include "train/group/reduce_private.h"

#define RANKS_MOST 256              /* of one host */
#define PAUSE_FIRST UINT64_C(20000) /* nanoseconds */
#define PAUSE_MOST UINT64_C(200000) /* a thread that waits has nothing better to do */

static bool holds_all(const an_share *share, const an_gradient_bucket *buckets, int count)
{
    bool all = true;
    for (int b = 0; b < count; b++) {
        for (int i = 0; i < buckets[b].count; i++) {
            const an_gradient *g = &buckets[b].gradients[i];
            all = all && (!g->count || an_share_holds(share, g->values, g->count * sizeof(float)));
        }
    }
    return all;
}

int an_near_open(an_reduction *r, const an_gradient_bucket *buckets, int count)
{
    void *counts;
    bool shared;
    r->counts = NULL;
    if (!an_share_possible(r->group) || r->group->place.world > RANKS_MOST)
        return AN_OK;
    int rc = an_share_alloc(&r->share, (size_t)count * sizeof *r->counts, &counts);
    if (!rc)
        rc = an_share_open(&r->share, r->group, holds_all(&r->share, buckets, count), &shared);
    if (!rc && shared)
        r->counts = counts;
    return rc;
}

typedef enum { QUEUED, SUMMED } stage;

/* Whether the bucket has come so far on all ranks. */
static bool is_everywhere(const an_reduction *r, const an_reduce_bucket *b, stage at)
{
    const an_reduce_counts *own = &r->counts[b - r->buckets];
    for (int rank = 0; rank < r->group->place.world; rank++) {
        const an_reduce_counts *counts = an_share_place(&r->share, rank, own);
        const atomic_uint_fast64_t *count = at == QUEUED ? &counts->queued : &counts->summed;
        if (atomic_load_explicit(count, memory_order_acquire) < b->round)
            return false;
    }
    return true;
}

static int own_segments(const an_reduce_bucket *b)
{
    int rank = b->reduction->group->place.rank;
    return b->first[rank + 1] - b->first[rank];
}

/* Under lock. */
static void tell_summed(an_reduction *r, const an_reduce_bucket *b)
{
    if (b->finished == own_segments(b))
        atomic_store_explicit(&r->counts[b - r->buckets].summed, b->round, memory_order_release);
}

void an_near_queue(an_reduction *r, an_reduce_bucket *b)
{
    int rank = r->group->place.rank;
    b->round++;
    b->finished = 0;
    b->next[rank] = b->first[rank];
    r->pending++;
    atomic_store_explicit(&r->counts[b - r->buckets].queued, b->round, memory_order_release);
    tell_summed(r, b); /* a small bucket has no piece for this rank */
}

static void add_up(an_reduction *r, const an_reduce_segment *segment)
{
    float *values[RANKS_MOST];
    int own = r->group->place.rank, world = r->group->place.world;
    for (int rank = 0; rank < world; rank++)
        values[rank] = rank == own ? segment->values : an_share_place(&r->share, rank, segment->values);
    an_reduce_sum_near(values, own, world, segment->count, r->bf16);
}

static void add_up_all(an_reduction *r, const an_reduce_segment *segments, int count)
{
#pragma omp parallel for schedule(static)
    for (int i = 0; i < count; i++)
        add_up(r, &segments[i]);
}

/* Under lock, which is let go meanwhile: adds up this rank's piece of the bucket, unless that is done, or some rank has
 * not queued the bucket. Returns whether it did. */
static bool work_on(an_reduction *r, an_reduce_bucket *b)
{
    int rank = r->group->place.rank, first = b->next[rank], count = b->first[rank + 1] - first;
    if (!b->state || !count || !is_everywhere(r, b, QUEUED))
        return false;
    b->next[rank] += count;
    pthread_mutex_unlock(&r->group->lock);
    add_up_all(r, &b->segments[first], count);
    pthread_mutex_lock(&r->group->lock);
    b->finished += count;
    tell_summed(r, b);
    return true;
}

/* Under lock, which is let go meanwhile. */
static bool work_on_any(an_reduction *r)
{
    for (int i = 0; r->pending && i < r->count; i++) {
        if (work_on(r, &r->buckets[i]))
            return true;
    }
    return false;
}

int an_near_wait(an_reduction *r, an_reduce_bucket *b)
{
    uint64_t pause = PAUSE_FIRST;
    int rc = AN_OK;
    atomic_fetch_add(&r->waiting, 1);
    while (b->state && !rc) {
        rc = an_group_failure(r->group);
        if (rc || work_on(r, b) || work_on_any(r))
            continue;
        if (is_everywhere(r, b, SUMMED)) {
            b->state = AN_BUCKET_IDLE;
            r->pending--;
            r->sent += b->sent;
            continue;
        }
        an_group_until(&r->group->done, &r->group->lock, an_clock_ns() + pause);
        pause = 2 * pause < PAUSE_MOST ? 2 * pause : PAUSE_MOST;
    }
    atomic_fetch_sub(&r->waiting, 1);
    return rc;
}
