#include "model/cpu/kernels/winograd.h"

#include <string.h>

#include "base/cpu.h"
#include "model/cpu/kernels/winograd_private.h"

/* What differs between the kinds of kernels. All sizes were chosen by measuring. */
typedef struct {
    const an_winograd_kernels *kernels;
    int lanes, tile;
    size_t value_size;
    size_t block_bytes; /* of V: about what stays in a thread's L2 cache */
    size_t chunk_bytes; /* of V and dM, for the gradient of the weights: not every L3 holds 16 MB */
    double gain;        /* of products left out that the transforms take at most */
} way;

static const way *way_find(bool bf16)
{
    static const way bf16_avx512 = {&an_winograd_bf16_avx512, 16, 2, sizeof(uint16_t), 512 << 10, 4 << 20, 1.3};
    static const way f32_avx512 = {&an_winograd_f32_avx512, 16, 4, sizeof(float), 3 << 19, 12 << 20, 1.5};
    static const way f32_avx2 = {&an_winograd_f32_avx2, 8, 4, sizeof(float), 1 << 20, 12 << 20, 1.5};
    if (bf16)
        return an_cpu_bf16() ? &bf16_avx512 : NULL;
    switch (an_cpu_simd()) {
    case AN_SIMD_AVX512:
        return &f32_avx512;
    case AN_SIMD_AVX2:
        return &f32_avx2;
    default:
        return NULL;
    }
}

int an_winograd_lanes(bool bf16)
{
    const way *w = way_find(bf16);
    return w ? w->lanes : 0;
}

static bool shape_fits(const an_winograd_shape *s, const way *w)
{
    return s->groups <= AN_WINOGRAD_GROUPS && s->from % w->lanes == 0 && s->to % w->lanes == 0 && s->kernel >= 3 &&
           s->kernel <= 6;
}

static void segments_make(an_winograd *plan)
{
    int kernel = plan->shape.kernel;
    plan->segments = kernel > 3 ? 2 : 1;
    plan->taps[0] = kernel > 3 ? (kernel + 1) / 2 : kernel;
    plan->offset[1] = plan->taps[0];
    plan->taps[1] = kernel - plan->taps[0];
    for (int i = 0; i < plan->side; i++)
        for (int s = 0; s < plan->segments; s++)
            plan->active[i] += i < plan->side - 1 || plan->taps[s] == 3;
}

static int between(size_t value, size_t least, size_t most)
{
    return (int)(value < least ? least : value > most ? most : value);
}

#define BLOCK_MAX 96
#define STAGGER 192 /* bytes: the L1 cache has 8 ways, and there are 16 or 36 positions */

/* Chooses blocks large enough to be worth a pass over the weights, small enough for the cache and for all threads to
 * have some. Chunks are even: bf16 multiplies two tiles at a time. */
static void sizes_make(an_winograd *plan, const way *w)
{
    size_t threads = (size_t)plan->threads, rows = AN_WINOGRAD_ROWS;
    size_t positions = (size_t)(plan->side * plan->side);
    size_t fitting = w->block_bytes / (plan->depths * w->value_size);
    size_t fair = plan->tiles * (size_t)plan->shape.groups / (4 * threads);
    plan->block = between((fitting < fair ? fitting : fair) / rows * rows, rows, BLOCK_MAX);
    size_t each = (plan->depths + positions * (size_t)plan->shape.to) * w->value_size;
    plan->chunk = between(w->chunk_bytes / each, 2, (plan->tiles + 1) / 2 * 2) / 2 * 2;
    plan->stagger = STAGGER / w->value_size;
}

bool an_winograd_plan(an_winograd *out, const an_winograd_shape *shape, bool bf16, int threads)
{
    const way *w = way_find(bf16);
    memset(out, 0, sizeof *out);
    out->shape = *shape;
    out->threads = threads;
    if (!w || !shape_fits(shape, w))
        return false;
    out->kernels = w->kernels;
    out->value_size = w->value_size;
    out->lanes = w->lanes;
    out->tile = w->tile;
    out->side = w->tile + 2;
    segments_make(out);
    out->down = (shape->out_height + out->tile - 1) / out->tile;
    out->across = (shape->out_width + out->tile - 1) / out->tile;
    out->tiles = (size_t)shape->batch * (size_t)out->down * (size_t)out->across;
    for (int i = 0; i < out->side * out->side; i++) {
        out->depth[i] = (size_t)(shape->from * out->active[i / out->side] * out->active[i % out->side]);
        out->shallow[i] = out->depths;
        out->depths += out->depth[i];
    }
    sizes_make(out, w);
    return true;
}

bool an_winograd_turn(an_winograd *out, const an_winograd *forward)
{
    const an_winograd_shape *s = &forward->shape;
    an_winograd_shape turned = {.batch = s->batch,
                                .groups = s->groups,
                                .from = s->to,
                                .to = s->from,
                                .height = s->out_height,
                                .width = s->out_width,
                                .kernel = s->kernel,
                                .pad = s->kernel - 1 - s->pad,
                                .out_height = s->height,
                                .out_width = s->width};
    bool fits = an_winograd_plan(out, &turned, forward->value_size == sizeof(uint16_t), forward->threads);
    out->turned = true;
    return fits;
}

#define CHANNELS_LEAST 32

bool an_winograd_pays(const an_winograd *plan, int products)
{
    const an_winograd_shape *s = &plan->shape;
    const way *w = way_find(plan->value_size == sizeof(uint16_t));
    double direct = (double)(s->out_height * s->out_width) * products;
    double own = (double)(plan->down * plan->across) * (double)plan->depths;
    return s->from >= CHANNELS_LEAST && s->to >= CHANNELS_LEAST && own * w->gain < direct;
}

size_t an_winograd_weights_size(const an_winograd *plan)
{
    return plan->depths * (size_t)plan->shape.to;
}

void an_winograd_weights(const an_winograd *plan, const float *master, void *transformed)
{
    plan->kernels->weights(plan, master, transformed);
}

size_t an_winograd_scratch(const an_winograd *plan)
{
    return (size_t)plan->threads * an_winograd_scratch_each(plan);
}

void an_winograd_run(const an_winograd *plan, const an_winograd_run_args *args)
{
    plan->kernels->run(plan, args);
}

size_t an_winograd_gradient_scratch(const an_winograd *plan)
{
    size_t values = an_winograd_chunk_v(plan) + an_winograd_chunk_m(plan);
    return values * plan->value_size + an_winograd_weights_size(plan) * sizeof(float);
}

void an_winograd_gradient(const an_winograd *plan, const an_winograd_gradient_args *args)
{
    plan->kernels->gradient(plan, args);
}
