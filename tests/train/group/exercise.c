#include "tests/train/group/exercise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/rng.h"

#define BUCKETS 5
#define STEPS 3

static int wrong(const char *what, double found, double expected)
{
    return an_error(AN_EINTERNAL, "%s: %.9g instead of %.9g", what, found, expected);
}

static int sums(an_group *group)
{
    int rank = an_group_rank(group), world = an_group_world(group);
    double values[3] = {1, rank, 1.0 / (rank + 1)}, expected = 0;
    int rc = an_group_sum(group, values, 3);
    if (rc)
        return rc;
    for (int i = 0; i < world; i++)
        expected += 1.0 / (i + 1);
    if (values[0] != world)
        return wrong("sum of ones", values[0], world);
    if (values[1] != world * (world - 1) / 2.0)
        return wrong("sum of ranks", values[1], world * (world - 1) / 2.0);
    return values[2] == expected ? 0 : wrong("sum of reciprocals", values[2], expected);
}

static int gathers(an_group *group)
{
    int world = an_group_world(group);
    char own[7], *all = calloc((size_t)world, sizeof own);
    if (!all)
        return an_error(AN_ENOMEM, "out of memory");
    memset(own, 'a' + an_group_rank(group), sizeof own);
    int rc = an_group_gather(group, own, sizeof own, all);
    for (int i = 0; i < world * (int)sizeof own && !rc; i++) {
        if (all[i] != 'a' + i / (int)sizeof own)
            rc = wrong("gathered byte", all[i], 'a' + i / (int)sizeof own);
    }
    free(all);
    return rc;
}

static int broadcasts(an_group *group, size_t size)
{
    uint8_t *data = calloc(size + 1, 1);
    if (!data)
        return an_error(AN_ENOMEM, "out of memory");
    for (size_t i = 0; i < size && !an_group_rank(group); i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
    data[size] = 99; /* behind the end */
    int rc = an_group_broadcast(group, data, size);
    for (size_t i = 0; i < size && !rc; i++) {
        if (data[i] != (uint8_t)(i * 7 + i / 251))
            rc = wrong("broadcast byte", data[i], (uint8_t)(i * 7 + i / 251));
    }
    if (!rc && data[size] != 99)
        rc = wrong("byte behind a broadcast", data[size], 99);
    free(data);
    return rc;
}

int exercise_collectives(an_group *group)
{
    static const size_t sizes[] = {0, 1, 1000, ((size_t)4 << 20) + 3};
    int rc = an_group_barrier(group);
    if (!rc)
        rc = sums(group);
    if (!rc)
        rc = gathers(group);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && !rc; i++)
        rc = broadcasts(group, sizes[i]);
    return rc ? rc : an_group_barrier(group);
}

/* Gradients of odd sizes: a bucket of one value, one smaller than the number of ranks' cache lines, one of several
 * segments. */
typedef struct {
    float *values;
    void *pages; /* if they are not the reducer's */
    uint64_t total;
    an_gradient gradients[2 * BUCKETS];
    an_gradient_bucket buckets[BUCKETS];
    int order[BUCKETS];
} work;

/* The gradients lie where the reducer wants them. */
static int make(work *w, const an_reducer *reducer)
{
    void *memory = NULL;
    static const uint64_t counts[2 * BUCKETS] = {1, 0, 700001, 17, 33, 5, 262144, 262145, 64, 100003};
    for (int i = 0; i < 2 * BUCKETS; i++)
        w->total += counts[i];
    int rc = reducer->alloc ? reducer->alloc(reducer->context, w->total * sizeof *w->values, &memory)
                            : an_pages_alloc(&w->pages, w->total * sizeof *w->values);
    if (rc)
        return rc;
    w->values = w->pages ? w->pages : memory;
    uint64_t at = 0;
    for (int i = 0; i < 2 * BUCKETS; i++) {
        w->gradients[i] = (an_gradient){.values = w->values + at, .count = counts[i], .dtype = AN_DTYPE_F32};
        at += counts[i];
    }
    for (int i = 0; i < BUCKETS; i++)
        w->buckets[i] = (an_gradient_bucket){.gradients = &w->gradients[2 * i],
                                             .count = 2,
                                             .bytes = (counts[2 * i] + counts[2 * i + 1]) * sizeof(float)};
    return 0;
}

/* What rank contributes at place i of a step. */
static float value_of(int rank, int step, uint64_t i)
{
    uint64_t x = (i + 1) * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)rank * 7919 + (uint64_t)step * 104729;
    x ^= x >> 29;
    return (float)((double)(x % 2000003) / 1000001.5 - 1);
}

static int check(const work *w, int world, int step, bool bf16)
{
    for (uint64_t i = 0; i < w->total; i++) {
        float sum = value_of(0, step, i);
        double exact = sum, size = fabs(exact);
        for (int rank = 1; rank < world; rank++) {
            sum += value_of(rank, step, i);
            exact += value_of(rank, step, i);
            size += fabs(value_of(rank, step, i));
        }
        if (bf16 ? fabs(w->values[i] - exact) > size / 128 : w->values[i] != sum)
            return wrong("reduced value", w->values[i], exact);
    }
    return 0;
}

static void hash_values(const work *w, uint64_t *hash)
{
    const uint8_t *bytes = (const uint8_t *)w->values;
    for (uint64_t i = 0; i < w->total * sizeof(float); i++)
        *hash = (*hash ^ bytes[i]) * UINT64_C(1099511628211);
}

/* Each rank in an order of its own. */
static int step_of(const work *w, const an_reducer *reducer, int rank, int step)
{
    int rc = 0;
    for (int i = 0; i < BUCKETS && !rc; i++)
        rc = reducer->queue(reducer->context, (i * (rank % 4 + 1) + step) % BUCKETS, NULL);
    for (int i = BUCKETS - 1; i >= 0 && !rc; i--)
        rc = reducer->wait(reducer->context, i);
    (void)w;
    return rc;
}

static int steps(an_group *group, work *w, bool bf16, uint64_t *hash)
{
    const an_reducer *reducer;
    an_group_reduce_options options = {.processors = true, .bf16 = bf16, .bucket_bytes = 1000};
    int rank = an_group_rank(group), rc = an_group_reducer(group, &options, &reducer);
    if (rc)
        return rc;
    if (reducer->bucket_bytes != options.bucket_bytes)
        return wrong("size of buckets", (double)reducer->bucket_bytes, (double)options.bucket_bytes);
    rc = make(w, reducer);
    if (!rc)
        rc = reducer->open(reducer->context, w->buckets, BUCKETS, 42);
    for (int step = 0; step < STEPS && !rc; step++) {
        for (uint64_t i = 0; i < w->total; i++)
            w->values[i] = value_of(rank, step, i);
        rc = step_of(w, reducer, rank, step);
        if (!rc)
            rc = check(w, an_group_world(group), step, bf16);
        hash_values(w, hash);
    }
    return rc;
}

/* Whether all ranks have the same bits. */
static int same(an_group *group, uint64_t hash)
{
    uint64_t *all = calloc((size_t)an_group_world(group), sizeof *all);
    if (!all)
        return an_error(AN_ENOMEM, "out of memory");
    int rc = an_group_gather(group, &hash, sizeof hash, all);
    for (int i = 0; i < an_group_world(group) && !rc; i++) {
        if (all[i] != hash)
            rc = an_error(AN_EINTERNAL, "the sums of rank %d differ in their bits", i);
    }
    free(all);
    return rc;
}

int exercise_reducer(an_group *group, bool bf16, uint64_t *hash)
{
    work w = {0};
    *hash = UINT64_C(14695981039346656037);
    int rc = steps(group, &w, bf16, hash);
    if (!rc)
        rc = same(group, *hash);
    an_pages_free(w.pages, w.pages ? w.total * sizeof *w.values : 0);
    return rc;
}
