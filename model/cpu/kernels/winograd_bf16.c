/* Winograd's convolution in bf16, forward and (with turned weights) backward data.
 *
 * DESIGN: the work is cut into blocks of tiles of one group, which OpenMP's threads take. A thread transforms a block's
 * pixels into V, then for each panel of outputs multiplies all 16 positions into M and transforms M into pixels, before
 * it goes on: V (up to half a megabyte) and M stay in its L2 cache, the weights come once a block from the cache that
 * all share. Threads share nothing that is written; each pixel of the target belongs to one block. */
#include <omp.h>

#include "model/cpu/kernels/winograd_bf16_private.h"

#define LANES AN_SIMD_LANES
#define POSITIONS AN_WINOGRAD_BF16_POSITIONS

static size_t v_place(const an_winograd *plan, int position)
{
    return (size_t)plan->block * plan->shallow[position] + (size_t)position * plan->stagger;
}

typedef struct {
    const an_winograd *plan;
    const an_winograd_run_args *args;
    size_t first, count; /* tiles */
    size_t group;
    uint16_t *v;
    float *m;
} block;

typedef struct {
    size_t image;
    int y, x; /* of the tile's first output */
} tile_place;

static tile_place tile_find(const an_winograd *plan, size_t tile)
{
    size_t across = (size_t)plan->across, each = (size_t)plan->down * across;
    return (tile_place){tile / each, (int)(tile % each / across) * 2, (int)(tile % across) * 2};
}

static size_t plane_find(const an_winograd *plan, size_t image, size_t group, int channels, int height, int width)
{
    size_t blocks = (size_t)channels / LANES;
    return (image * (size_t)plan->shape.groups + group) * blocks * (size_t)height * (size_t)width * LANES;
}

/* V of all channels of a window, for the segment in row down and column right. Each position has a row of channels. */
static AN_SIMD_TARGET void window_transform(const block *b, const an_winograd_window *w, size_t tile, int down,
                                            int right)
{
    const an_winograd *plan = b->plan;
    const an_winograd_shape *s = &plan->shape;
    size_t area = (size_t)s->height * (size_t)s->width * LANES;
    const uint16_t *plane =
        (const uint16_t *)b->args->source + plane_find(plan, w->image, b->group, s->from, s->height, s->width);
    uint16_t *rows[POSITIONS];
    for (int p = 0; p < POSITIONS; p++) {
        bool active = down < plan->active[p / 4] && right < plan->active[p % 4];
        rows[p] = active ? b->v + v_place(plan, p) + tile * plan->depth[p] +
                               (size_t)((down * plan->active[p % 4] + right) * s->from)
                         : NULL;
    }
    for (int c = 0; c < s->from; c += LANES, plane += area) {
        __m512 v[POSITIONS];
        an_winograd_source(plane, w, v);
        AN_SIMD_UNROLL
        for (int p = 0; p < POSITIONS; p++)
            if (rows[p])
                _mm256_store_si256((__m256i *)(rows[p] + c), an_simd_narrow(v[p]));
    }
}

static void source_transform(const block *b)
{
    const an_winograd *plan = b->plan;
    const an_winograd_shape *s = &plan->shape;
    for (size_t i = 0; i < b->count; i++) {
        tile_place t = tile_find(plan, b->first + i);
        for (int pair = 0; pair < plan->segments * plan->segments; pair++) {
            int down = pair / plan->segments, right = pair % plan->segments;
            an_winograd_window w;
            an_winograd_window_set(&w, t.image, t.y - s->pad + plan->offset[down], t.x - s->pad + plan->offset[right],
                                   s->height, s->width, 4);
            window_transform(b, &w, i, down, right);
        }
    }
}

/* M of a panel of width vectors, the first of which is number vector. */
static void panel_multiply(const block *b, int vector, int width)
{
    const an_winograd *plan = b->plan;
    size_t columns = (size_t)width * LANES;
    const uint16_t *weights = (const uint16_t *)b->args->transformed + b->group * an_winograd_weights_size(plan) +
                              plan->depths * (size_t)vector * LANES;
    for (int p = 0; p < POSITIONS; p++)
        for (size_t row = 0; row < b->count; row += AN_WINOGRAD_ROWS) {
            an_winograd_product product = {.a = b->v + v_place(plan, p) + row * plan->depth[p],
                                           .a_row = plan->depth[p],
                                           .a_pair = 2,
                                           .b = weights + plan->shallow[p] * columns,
                                           .b_vector = 2 * LANES,
                                           .b_pair = 2 * columns,
                                           .pairs = plan->depth[p] / 2,
                                           .c = b->m + (size_t)p * an_winograd_m_stride(plan) + row * columns,
                                           .c_row = columns};
            an_winograd_multiply(&product, width);
        }
}

/* A^T M A, plus bias. */
static inline AN_SIMD_TARGET void target_transform(const float *m, size_t stride, __m512 bias, __m512 y[4])
{
    __m512 t[8];
    AN_SIMD_UNROLL
    for (size_t j = 0; j < 4; j++) {
        __m512 m0 = _mm512_load_ps(m + j * stride), m1 = _mm512_load_ps(m + (4 + j) * stride);
        __m512 m2 = _mm512_load_ps(m + (8 + j) * stride), m3 = _mm512_load_ps(m + (12 + j) * stride);
        t[j] = m0 + m1 + m2;
        t[4 + j] = m1 - m2 - m3;
    }
    AN_SIMD_UNROLL
    for (int i = 0; i < 2; i++) {
        y[2 * i] = t[4 * i] + t[4 * i + 1] + t[4 * i + 2] + bias;
        y[2 * i + 1] = t[4 * i + 1] - t[4 * i + 2] - t[4 * i + 3] + bias;
    }
}

/* The 2x2 pixels of a tile, as far as they exist; to: the first of them. */
static inline AN_SIMD_TARGET void tile_store(const an_winograd_shape *s, tile_place t, __m512 y[4], uint16_t *to)
{
    size_t row = (size_t)s->out_width * LANES;
    bool right = t.x + 1 < s->out_width;
    _mm256_store_si256((__m256i *)to, an_simd_narrow(y[0]));
    if (right)
        _mm256_store_si256((__m256i *)(to + LANES), an_simd_narrow(y[1]));
    if (t.y + 1 == s->out_height)
        return;
    _mm256_store_si256((__m256i *)(to + row), an_simd_narrow(y[2]));
    if (right)
        _mm256_store_si256((__m256i *)(to + row + LANES), an_simd_narrow(y[3]));
}

/* max(0, NaN) is NaN here, so that a diverged network is noticed. */
static inline AN_SIMD_TARGET void relu(__m512 y[4])
{
    AN_SIMD_UNROLL
    for (int i = 0; i < 4; i++)
        y[i] = _mm512_max_ps(_mm512_setzero_ps(), y[i]);
}

static AN_SIMD_TARGET void panel_store(const block *b, int vector, int width)
{
    const an_winograd *plan = b->plan;
    const an_winograd_shape *s = &plan->shape;
    size_t area = (size_t)s->out_height * (size_t)s->out_width * LANES;
    const float *bias = b->args->bias ? b->args->bias[b->group] + vector * LANES : NULL;
    for (size_t i = 0; i < b->count; i++) {
        tile_place t = tile_find(plan, b->first + i);
        uint16_t *to = (uint16_t *)b->args->target +
                       plane_find(plan, t.image, b->group, s->to, s->out_height, s->out_width) + (size_t)vector * area +
                       ((size_t)t.y * (size_t)s->out_width + (size_t)t.x) * LANES;
        for (int j = 0; j < width; j++, to += area) {
            __m512 y[4];
            target_transform(b->m + (i * (size_t)width + (size_t)j) * LANES, an_winograd_m_stride(plan),
                             bias ? _mm512_loadu_ps(bias + j * LANES) : _mm512_setzero_ps(), y);
            if (b->args->relu)
                relu(y);
            tile_store(s, t, y, to);
        }
    }
}

static void block_run(const block *b)
{
    int vectors = b->plan->shape.to / LANES, width;
    source_transform(b);
    for (int vector = 0; vector < vectors; vector += width) {
        width = an_winograd_panel(vectors - vector);
        panel_multiply(b, vector, width);
        panel_store(b, vector, width);
    }
}

static void convolution_run(const an_winograd *plan, const an_winograd_run_args *args)
{
    size_t each = (size_t)plan->block, groups = (size_t)plan->shape.groups;
    size_t blocks = (plan->tiles + each - 1) / each * groups;
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < blocks; i++) {
        char *scratch = (char *)args->scratch + (size_t)omp_get_thread_num() * an_winograd_scratch_each(plan);
        size_t first = i / groups * each, left = plan->tiles - first;
        block b = {.plan = plan,
                   .args = args,
                   .first = first,
                   .count = left < each ? left : each,
                   .group = i % groups,
                   .v = (uint16_t *)scratch,
                   .m = (float *)(scratch + an_winograd_v_size(plan) * sizeof(uint16_t))};
        block_run(&b);
    }
}

const an_winograd_kernels an_winograd_bf16_avx512 = {an_winograd_bf16_weights, convolution_run,
                                                     an_winograd_bf16_gradient};
