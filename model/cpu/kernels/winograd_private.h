/* What the plan of a Winograd convolution and its kernels share. */
#ifndef AN_MODEL_CPU_KERNELS_WINOGRAD_PRIVATE_H
#define AN_MODEL_CPU_KERNELS_WINOGRAD_PRIVATE_H

#include "model/cpu/kernels/winograd.h"

#define AN_WINOGRAD_ROWS 8  /* of a product that are made at a time, at most: a block's tiles are a multiple of it */
#define AN_WINOGRAD_PANEL 3 /* vectors of a product's columns that are made at a time, at most */

struct an_winograd_kernels {
    void (*weights)(const an_winograd *plan, const float *master, void *transformed);
    void (*run)(const an_winograd *plan, const an_winograd_run_args *args);
    void (*gradient)(const an_winograd *plan, const an_winograd_gradient_args *args);
};

extern const an_winograd_kernels an_winograd_bf16_avx512, an_winograd_f32_avx512, an_winograd_f32_avx2;

/* The width of the next panel if so many vectors are left: 4 are cut into 2 + 2 and not 3 + 1. */
static inline int an_winograd_panel(int vectors)
{
    return vectors == 4 || vectors == 2 ? 2 : vectors < AN_WINOGRAD_PANEL ? vectors : AN_WINOGRAD_PANEL;
}

/* The panel of which a vector is part. */
static inline void an_winograd_panel_find(int vectors, int vector, int *first, int *width)
{
    for (*first = 0; *width = an_winograd_panel(vectors - *first), vector >= *first + *width;)
        *first += *width;
}

/* Scratch memory of a thread of run: V of a block, in values... */
static inline size_t an_winograd_v_size(const an_winograd *plan)
{
    return (size_t)plan->block * plan->depths + (size_t)(plan->side * plan->side) * plan->stagger;
}

/* ...then M of a panel, in floats, so far apart for each position. */
static inline size_t an_winograd_m_stride(const an_winograd *plan)
{
    return (size_t)(plan->block * AN_WINOGRAD_PANEL * plan->lanes) + plan->stagger;
}

/* Both together, in bytes. */
static inline size_t an_winograd_scratch_each(const an_winograd *plan)
{
    size_t m = (size_t)(plan->side * plan->side) * an_winograd_m_stride(plan);
    return an_winograd_v_size(plan) * plan->value_size + m * sizeof(float);
}

/* Scratch memory of the gradient: V and dM of a chunk, in values; then dU in floats. */
static inline size_t an_winograd_chunk_v(const an_winograd *plan)
{
    return (size_t)plan->chunk * plan->depths;
}

static inline size_t an_winograd_chunk_m(const an_winograd *plan)
{
    return (size_t)(plan->chunk * plan->side * plan->side) * (size_t)plan->shape.to;
}

#endif
