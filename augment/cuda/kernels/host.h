/* The kernels' bodies as they run on a host: one thread does the work of all lanes, one after another. For tests and
 * for comparisons; define AN_TOUCH before including it to be told of every access. With AN_LANES_BACKWARDS defined the
 * lanes take turns from the last to the first: results must not depend on that. */
#ifndef AN_AUGMENT_CUDA_KERNELS_HOST_H
#define AN_AUGMENT_CUDA_KERNELS_HOST_H

#include <stdint.h>
#include <stdlib.h>

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

/* One payload as a batch of its own, in memory of exactly its size: a crop as RGB bytes. What is wrong with it is in
 * *report. False: out of memory. */
static inline __attribute__((unused)) bool an_decode_one_on_host(const uint8_t *payload, size_t size, uint32_t side,
                                                                 uint32_t crop, const an_image_draw *draw, uint8_t *out,
                                                                 an_decode_report *report)
{
    size_t first = an_payload_first_offset(1), whole = first + size + AN_PAYLOAD_SLACK;
    uint64_t fault = AN_DECODE_NONE;
    an_decode_detail detail;
    an_payload place = {.offset = (uint32_t)first, .size = (uint32_t)size, .kind = AN_PAYLOAD_COEF};
    an_decode_state state = {.side = side, .crop = crop, .format = {AN_DTYPE_U8, AN_LAYOUT_NHWC, 3}};
    uint8_t *block = malloc(whole), *planes = malloc(an_decode_planes_size(1, crop));
    bool room = block && planes;
    *report = (an_decode_report){.fault = AN_DECODE_NONE};
    if (room) {
        memset(block, 0, whole);
        memcpy(block, draw, sizeof *draw);
        memcpy(block + an_payload_places_offset(1), &place, sizeof place);
        memcpy(block + first, payload, size);
        state.planes = planes;
        state.fault = &fault;
        state.details = &detail;
        state.report = report;
        an_decode_launches launches = an_decode_launches_of(&state, block, whole, 1, out);
        an_decode_on_host(&launches);
    }
    free(block);
    free(planes);
    return room;
}

#endif
