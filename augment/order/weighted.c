#include "augment/order/weighted.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/rng.h"

__extension__ typedef unsigned __int128 wide;

/* A draw picks a cell, all alike, then the cell's own number with the probability threshold / 2^64, else its alias. */
struct an_weighted {
    uint64_t count;
    uint64_t *thresholds;
    uint32_t *aliases;
};

/* What making the table needs beside it. */
typedef struct {
    double *shares;      /* probability of each number times count: what it has, in cells */
    uint32_t *stack;     /* numbers that have less than a cell from the front, the others from the back */
    uint64_t less, more; /* where the first end, and the others begin */
    uint32_t heaviest;
} maker;

static int check(const double *weights, uint64_t count, maker *m)
{
    m->heaviest = 0;
    if (count == 0 || count > UINT32_MAX)
        return an_error(AN_EINVAL, "%llu weights: a table takes 1 to %lu", (unsigned long long)count,
                        (unsigned long)UINT32_MAX);
    for (uint64_t i = 0; i < count; i++) {
        if (!isfinite(weights[i]) || weights[i] < 0)
            return an_error(AN_EINVAL, "weight %llu is %g: give finite numbers of 0 or more", (unsigned long long)i,
                            weights[i]);
        if (weights[i] > weights[m->heaviest])
            m->heaviest = (uint32_t)i;
    }
    if (weights[m->heaviest] > 0)
        return AN_OK;
    return an_error(AN_EINVAL, "all %llu weights are 0: nothing can be drawn", (unsigned long long)count);
}

/* Relative to the largest weight, so that no sum overflows. */
static void share_out(maker *m, const double *weights, uint64_t count)
{
    double sum = 0, largest = weights[m->heaviest];
    for (uint64_t i = 0; i < count; i++)
        sum += weights[i] / largest;
    double cells = (double)count / sum;
    m->less = 0;
    m->more = count;
    for (uint64_t i = 0; i < count; i++) {
        m->shares[i] = weights[i] / largest * cells;
        if (m->shares[i] < 1)
            m->stack[m->less++] = (uint32_t)i;
        else
            m->stack[--m->more] = (uint32_t)i;
    }
}

/* share: below 1. */
static void set_cell(an_weighted *w, uint32_t cell, double share, uint32_t alias)
{
    w->thresholds[cell] = (uint64_t)(share * 0x1p64);
    w->aliases[cell] = alias;
}

/* Each number that has less than a cell gets the rest of its cell from one that has more. In the end all have a cell,
 * but for rounding, which adds up in tables of many millions: what is left over of those that have more keeps its cell,
 * and what is left over of the others is filled up by the heaviest, so that even then a weight of 0 is never drawn. */
static void fill(an_weighted *w, maker *m)
{
    while (m->less > 0 && m->more < w->count) {
        uint32_t small = m->stack[--m->less], large = m->stack[m->more];
        set_cell(w, small, m->shares[small], large);
        m->shares[large] = m->shares[large] + m->shares[small] - 1;
        if (m->shares[large] < 1) {
            m->more++;
            m->stack[m->less++] = large;
        }
    }
    while (m->more < w->count) {
        uint32_t large = m->stack[m->more++];
        set_cell(w, large, 0, large);
    }
    while (m->less > 0) {
        uint32_t small = m->stack[--m->less];
        set_cell(w, small, m->shares[small], m->heaviest);
    }
}

static int make(an_weighted *w, maker *m, const double *weights)
{
    w->thresholds = calloc(w->count, sizeof *w->thresholds);
    w->aliases = calloc(w->count, sizeof *w->aliases);
    m->shares = calloc(w->count, sizeof *m->shares);
    m->stack = calloc(w->count, sizeof *m->stack);
    if (!w->thresholds || !w->aliases || !m->shares || !m->stack)
        return an_error(AN_ENOMEM, "out of memory for %llu weights", (unsigned long long)w->count);
    share_out(m, weights, w->count);
    fill(w, m);
    return AN_OK;
}

int an_weighted_create(an_weighted **out, const double *weights, uint64_t count)
{
    maker m = {0};
    *out = NULL;
    int rc = check(weights, count, &m);
    if (rc)
        return rc;
    an_weighted *w = calloc(1, sizeof *w);
    if (!w)
        return an_error(AN_ENOMEM, "out of memory for %llu weights", (unsigned long long)count);
    w->count = count;
    rc = make(w, &m, weights);
    free(m.shares);
    free(m.stack);
    if (rc) {
        an_weighted_free(w);
        return rc;
    }
    *out = w;
    return AN_OK;
}

void an_weighted_free(an_weighted *weighted)
{
    if (!weighted)
        return;
    free(weighted->thresholds);
    free(weighted->aliases);
    free(weighted);
}

static uint64_t next_u64(an_rng *rng)
{
    uint64_t high = an_rng_u32(rng);
    return high << 32 | an_rng_u32(rng);
}

uint64_t an_weighted_at(const an_weighted *weighted, uint64_t seed, uint64_t epoch, uint64_t place)
{
    an_rng rng = an_rng_make(seed, AN_RNG_WEIGHTED, epoch, place);
    uint64_t cell = (uint64_t)((wide)next_u64(&rng) * weighted->count >> 64);
    return next_u64(&rng) < weighted->thresholds[cell] ? cell : weighted->aliases[cell];
}
