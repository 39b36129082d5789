/* The reducer of processors: an_reducer's functions. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "train/group/reduce_private.h"

#define SEGMENT_BYTES ((uint32_t)2048 << 10) /* that all others send for one segment together, unless they are many */
#define SEGMENT_LEAST ((uint32_t)64 << 10)   /* that each of them sends */

/* What all ranks must have in common. */
typedef struct {
    uint64_t layout, bytes, count;
} shape;

static int compare(an_group *group, const an_gradient_bucket *buckets, int count, uint64_t layout)
{
    shape own = {.layout = layout, .count = (uint64_t)count};
    for (int i = 0; i < count; i++)
        own.bytes = own.bytes * UINT64_C(1099511628211) + buckets[i].bytes; /* in their order */
    shape *all = calloc((size_t)group->place.world, sizeof *all);
    if (!all)
        return an_error(AN_ENOMEM, "out of memory");
    int rank = 0, rc = an_group_gather(group, &own, sizeof own, all);
    while (!rc && rank < group->place.world && !memcmp(&all[rank], &all[0], sizeof *all))
        rank++;
    free(all);
    if (rc || rank == group->place.world)
        return rc;
    (void)an_error(AN_EUNSUPPORTED,
                   "computes with other kernels than rank 0 on '%s', so its gradients lie in another "
                   "order: give all ranks the same processors and --compute-threads, or the same AN_SIMD and "
                   "DNNL_MAX_CPU_ISA",
                   group->cards[0].host);
    return an_group_accuse(group, rank, AN_EUNSUPPORTED);
}

static void release_buckets(an_reduction *r)
{
    for (int i = 0; i < r->count; i++)
        an_reduce_free(&r->buckets[i]);
    free(r->buckets);
    free(r->queue);
    r->buckets = NULL;
    r->queue = NULL;
    r->count = 0;
}

static int open_buckets(void *context, const an_gradient_bucket *buckets, int count, uint64_t layout)
{
    an_reduction *r = context;
    int64_t tag = 0;
    int rc = compare(r->group, buckets, count, layout);
    if (rc)
        return rc;
    release_buckets(r);
    r->buckets = calloc((size_t)count + 1, sizeof *r->buckets);
    r->queue = calloc((size_t)count + 1, sizeof *r->queue);
    if (!r->buckets || !r->queue)
        return an_error(AN_ENOMEM, "out of memory");
    rc = an_near_open(r, buckets, count);
    if (rc)
        return rc;
    for (int i = 0; i < count; i++) {
        r->count = i + 1;
        rc = an_reduce_cut(r, &r->buckets[i], &buckets[i], (int)tag);
        if (rc)
            return rc;
        tag += r->buckets[i].count;
        if (!r->counts && tag > r->group->place.tag_max)
            return an_error(AN_EUNSUPPORTED, "%s has too few tags for so many gradients", r->group->place.library);
    }
    return AN_OK;
}

static int queue(void *context, int bucket, void *stream)
{
    an_reduction *r = context;
    an_group *group = r->group;
    (void)stream;
    atomic_fetch_add(&group->begun, 1);
    pthread_mutex_lock(&group->lock);
    int rc = an_group_failure(group);
    if (!rc) {
        r->buckets[bucket].state = AN_BUCKET_QUEUED;
        if (r->counts) {
            an_near_queue(r, &r->buckets[bucket]);
        } else {
            r->queue[r->queued++] = bucket;
            an_group_wake(group);
        }
    }
    pthread_mutex_unlock(&group->lock);
    return rc;
}

/* Under lock. */
static int wait_idle(an_reduction *r, const an_reduce_bucket *bucket)
{
    int rc = AN_OK;
    while (!rc && bucket->state) {
        rc = an_group_failure(r->group);
        if (!rc)
            pthread_cond_wait(&r->group->done, &r->group->lock);
    }
    return rc;
}

static int wait(void *context, int bucket)
{
    an_reduction *r = context;
    an_group *group = r->group;
    pthread_mutex_lock(&group->lock);
    uint64_t since = an_clock_ns();
    int rc = r->counts ? an_near_wait(r, &r->buckets[bucket]) : wait_idle(r, &r->buckets[bucket]);
    r->waited_ns += an_clock_ns() - since;
    pthread_mutex_unlock(&group->lock);
    return rc;
}

static void advance(an_group *group, void *context)
{
    an_reduction *r = context;
    for (;;) {
        int bucket = -1;
        pthread_mutex_lock(&group->lock);
        if (r->queued) {
            bucket = r->queue[0];
            r->buckets[bucket].state = AN_BUCKET_MOVING;
            memmove(r->queue, r->queue + 1, (size_t)--r->queued * sizeof *r->queue);
        }
        pthread_mutex_unlock(&group->lock);
        if (bucket < 0)
            return;
        an_reduce_begin(group, &r->buckets[bucket]);
    }
}

static bool busy(an_group *group, void *context)
{
    const an_reduction *r = context;
    (void)group;
    return r->moving > 0 || atomic_load(&r->waiting);
}

static void reduced(void *context, double *waited, uint64_t *sent)
{
    an_reduction *r = context;
    pthread_mutex_lock(&r->group->lock);
    *waited = (double)r->waited_ns * 1e-9;
    *sent = r->sent;
    r->waited_ns = r->sent = 0;
    pthread_mutex_unlock(&r->group->lock);
}

static int describe(const void *context, an_buffer *out)
{
    const an_reduction *r = context;
    return r->counts ? an_buffer_printf(out, ", gradients in shared memory") : AN_OK;
}

static int alloc(void *context, size_t size, void **out)
{
    an_reduction *r = context;
    return an_share_alloc(&r->share, size, out);
}

static void release(void *context)
{
    an_reduction *r = context;
    release_buckets(r);
    an_share_end(&r->share);
    free(r);
}

int an_reduce_make(an_group_way *out, an_group *group, const an_group_reduce_options *options)
{
    an_reduction *r = calloc(1, sizeof *r);
    if (!r)
        return an_error(AN_ENOMEM, "out of memory");
    uint32_t bytes = SEGMENT_BYTES / (uint32_t)(group->place.world - 1);
    r->group = group;
    an_share_begin(&r->share);
    r->bf16 = options->bf16;
    r->segment = (bytes < SEGMENT_LEAST ? SEGMENT_LEAST : bytes) / sizeof(float);
    *out = (an_group_way){.reducer = {.context = r,
                                      .bucket_bytes = options->bucket_bytes,
                                      .open = open_buckets,
                                      .queue = queue,
                                      .wait = wait,
                                      .alloc = an_share_possible(group) ? alloc : NULL},
                          .context = r,
                          .advance = advance,
                          .busy = busy,
                          .reduced = reduced,
                          .describe = describe,
                          .free = release};
    return AN_OK;
}
