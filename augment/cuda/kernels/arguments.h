/* The arguments of the kernels for a batch, from what a decoder knows. Pure computation: nothing is allocated, nothing
 * can fail. */
#ifndef AN_AUGMENT_CUDA_KERNELS_ARGUMENTS_H
#define AN_AUGMENT_CUDA_KERNELS_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "augment/cuda/kernels/kernels.h"

/* The memory belongs to the decoder. */
typedef struct {
    uint32_t side, crop;
    an_format format;
    uint32_t mean_side;        /* of mean */
    float scale[3];            /* an_value_scale of each colour */
    uint8_t *planes;           /* an_decode_planes_size */
    uint64_t *fault;           /* AN_DECODE_NONE at first */
    an_decode_detail *details; /* one for each sample */
    const float *mean;         /* NULL: none */
    an_decode_report *report;  /* its fault is AN_DECODE_NONE at first */
} an_decode_state;

/* A batch's launches: rows, then pixels if plain and values if not. */
typedef struct {
    an_decode_rows_args rows;
    an_decode_pixels_args pixels;
    bool plain;
} an_decode_launches;

static inline uint32_t an_decode_stride(uint32_t span)
{
    return (8 * span + 15) / 16 * 16;
}

static inline size_t an_decode_planes_size(uint32_t batch, uint32_t crop)
{
    size_t span = an_decode_span(crop);
    return (size_t)batch * 3 * span * 8 * an_decode_stride((uint32_t)span) + (size_t)2 * AN_PLANES_MARGIN;
}

/* block: count payloads in size bytes. */
static inline an_decode_launches an_decode_launches_of(const an_decode_state *s, const void *block, size_t size,
                                                       uint32_t count, void *samples)
{
    uint32_t span = an_decode_span(s->crop), runs = (s->crop + AN_RUN - 1) / AN_RUN;
    uint32_t patches = (s->crop + AN_PATCH - 1) / AN_PATCH;
    const an_format *f = &s->format;
    an_decode_batch b = {
        size, (uint32_t)an_payload_places_offset(count), count, s->side, s->crop, span, an_decode_stride(span)};
    an_decode_launches l = {.rows = {.batch = b, .rows = 3 * span},
                            .pixels = {.batch = b, .runs = runs, .patches = patches, .format = *f}};
    for (int c = 0; c < 3; c++)
        l.pixels.scale[c] = s->scale[c];
    l.pixels.mean_side = s->mean ? s->mean_side : 0;
    l.rows.at = (an_decode_places){.out = {s->planes, s->fault, s->details}, .in = {block}};
    l.rows.at.items = (uint64_t)count * l.rows.rows;
    l.pixels.at =
        (an_decode_places){.out = {samples, s->fault, s->report}, .in = {block, s->planes, s->mean, s->details}};
    l.pixels.at.items = (uint64_t)count * patches * runs;
    l.plain = f->dtype == AN_DTYPE_U8 && f->layout == AN_LAYOUT_NHWC && f->channels == 3;
    return l;
}

#endif
