/* The kernels' bodies as they run on a host: one thread does the work of all lanes, one after another. For tests and
 * for comparisons; define AN_TOUCH before including it to be told of every access. With AN_LANES_BACKWARDS defined the
 * lanes take turns from the last to the first: results must not depend on that. */
#ifndef AN_AUGMENT_CUDA_KERNELS_HOST_H
#define AN_AUGMENT_CUDA_KERNELS_HOST_H

#include <stdint.h>

#define AN_BODY static inline __attribute__((unused))
#define AN_CONSTANT const
#define AN_WIDTH 32
#ifdef AN_LANES_BACKWARDS
#define AN_EACH(w) for (int w = 31; w >= 0; w--)
#else
#define AN_EACH(w) for (int w = 0; w < 32; w++)
#endif
#define AN_LANE(w) ((uint32_t)(w))
#define AN_SYNC() ((void)0)
#define AN_FENCE() ((void)0)
#define AN_LEAST(at, value) (*(at) = *(at) < (value) ? *(at) : (value))

static inline __attribute__((unused)) uint32_t an_lanes_before(const uint32_t v[32], uint32_t before[32])
{
    uint32_t sum = 0;
    for (int w = 0; w < 32; w++) {
        before[w] = sum;
        sum += v[w];
    }
    return sum;
}

static inline __attribute__((unused)) uint32_t an_lanes_sum(const uint32_t v[32])
{
    uint32_t before[32];
    return an_lanes_before(v, before);
}

static inline __attribute__((unused)) int an_lanes_any(const uint32_t v[32])
{
    int any = 0;
    for (int w = 0; w < 32; w++)
        any |= v[w] != 0;
    return any;
}

#include "augment/cuda/kernels/arguments.h"
#include "augment/cuda/kernels/bodies.h"

/* All items of a batch's launches. */
static inline __attribute__((unused)) void an_decode_on_host(const an_decode_launches *l)
{
    an_decode_room room;
    for (uint64_t i = 0; i < l->rows.at.items; i++) {
        memset(&room, 0xA5, sizeof room);
        an_body_rows(&l->rows, i, &room);
    }
    for (uint64_t i = 0; i < l->pixels.at.items; i++)
        if (l->plain)
            an_body_pixels(&l->pixels, i);
        else
            an_body_values(&l->pixels, i);
}

#endif
