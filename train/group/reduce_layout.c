/* From a bucket to segments. */
#include <stdlib.h>

#include "base/buffer.h"
#include "train/group/reduce_private.h"

#define ALIGNED 16 /* values: pieces and segments begin at whole cache lines where the ranges do */

/* Where an owner's piece begins, in values from the bucket's beginning. */
static uint64_t piece(uint64_t total, int owner, int world)
{
    return owner == world ? total : total / (uint64_t)world * (uint64_t)owner / ALIGNED * ALIGNED;
}

static uint64_t values_of(const an_gradient_bucket *bucket)
{
    uint64_t total = 0;
    for (int i = 0; i < bucket->count; i++)
        total += bucket->gradients[i].count;
    return total;
}

/* Cuts what of one range belongs to one owner; with segments NULL only counts. Returns how many. */
static int cut_part(an_reduce_segment *segments, float *values, uint64_t count, uint32_t most)
{
    int made = 0;
    for (uint64_t at = 0; at < count; at += most) {
        uint64_t size = count - at < most ? count - at : most;
        if (segments)
            segments[made] = (an_reduce_segment){values + at, (uint32_t)size};
        made++;
    }
    return made;
}

/* The segments of all owners in turn. */
static int cut(const an_reduction *r, an_reduce_segment *segments, int *first, const an_gradient_bucket *bucket)
{
    int world = r->group->place.world, made = 0;
    uint64_t total = values_of(bucket);
    for (int owner = 0; owner < world; owner++) {
        uint64_t begin = piece(total, owner, world), end = piece(total, owner + 1, world), at = 0;
        first[owner] = made;
        for (int i = 0; i < bucket->count; i++) {
            const an_gradient *gradient = &bucket->gradients[i];
            uint64_t from = begin > at ? begin - at : 0, to = end > at ? end - at : 0;
            at += gradient->count;
            if (to > gradient->count)
                to = gradient->count;
            if (from < to)
                made += cut_part(segments ? segments + made : NULL, (float *)gradient->values + from, to - from,
                                 r->segment);
        }
    }
    first[world] = made;
    return made;
}

/* What each lane needs. */
static size_t lane_size(const an_reduction *r, bool own)
{
    size_t segment = r->segment * (r->bf16 ? sizeof(uint16_t) : sizeof(float));
    size_t world = (size_t)r->group->place.world;
    if (r->bf16)
        return segment * (own ? world : 1);
    return own ? segment * (world - 1) : 0;
}

static int make_lanes(const an_reduction *r, an_reduce_bucket *b)
{
    if (r->counts) /* nothing travels */
        return AN_OK;
    int world = r->group->place.world, rank = r->group->place.rank;
    size_t at = 0, own = lane_size(r, true), other = lane_size(r, false);
    void *memory;
    b->memory_size = AN_REDUCE_LANES * (own + other * ((size_t)world - 1));
    int rc = an_pages_alloc(&memory, b->memory_size);
    if (rc)
        return rc;
    b->memory = memory;
    for (int i = 0; i < world * AN_REDUCE_LANES; i++) {
        b->lanes[i].memory = b->memory + at;
        at += i / AN_REDUCE_LANES == rank ? own : other;
    }
    return AN_OK;
}

static void count_sent(const an_reduction *r, an_reduce_bucket *b)
{
    uint64_t world = (uint64_t)r->group->place.world, size = r->bf16 ? sizeof(uint16_t) : sizeof(float);
    int rank = r->group->place.rank;
    for (int i = 0; i < b->count; i++) {
        bool own = i >= b->first[rank] && i < b->first[rank + 1];
        b->sent += b->segments[i].count * size * (own ? world - 1 : 1);
    }
}

int an_reduce_cut(an_reduction *r, an_reduce_bucket *out, const an_gradient_bucket *bucket, int tag)
{
    size_t world = (size_t)r->group->place.world;
    *out = (an_reduce_bucket){.reduction = r, .tag = tag};
    for (int i = 0; i < bucket->count; i++) {
        if (bucket->gradients[i].dtype != AN_DTYPE_F32)
            return an_error(AN_EUNSUPPORTED, "processors add up gradients in fp32 only, not in %s",
                            an_dtype_name(bucket->gradients[i].dtype));
    }
    out->first = calloc(world + 1, sizeof *out->first);
    out->next = calloc(world, sizeof *out->next);
    out->lanes = calloc(world * AN_REDUCE_LANES, sizeof *out->lanes);
    if (!out->first || !out->next || !out->lanes)
        return an_error(AN_ENOMEM, "out of memory");
    out->count = cut(r, NULL, out->first, bucket);
    out->segments = calloc((size_t)out->count + 1, sizeof *out->segments);
    if (!out->segments)
        return an_error(AN_ENOMEM, "out of memory");
    (void)cut(r, out->segments, out->first, bucket); /* as many as before */
    count_sent(r, out);
    return make_lanes(r, out);
}

void an_reduce_free(an_reduce_bucket *b)
{
    free(b->segments);
    free(b->first);
    free(b->next);
    free(b->lanes);
    an_pages_free(b->memory, b->memory_size);
}
