/* The gradient of the weights of Winograd's convolution.
 *
 * DESIGN: the batch is cut into chunks of tiles. All threads transform a chunk, V and dM, with two neighbouring tiles
 * in turns as products want them, then (behind OpenMP's barrier) each takes panels of dU and adds the chunk's products.
 * One thread at a time holds a panel and adds chunk by chunk, so sums have one order whatever the threads. */
#include <string.h>

#include "model/cpu/kernels/winograd_bf16_private.h"

#define LANES AN_SIMD_LANES
#define POSITIONS AN_WINOGRAD_BF16_POSITIONS
#define SPAN 16 /* pairs of tiles that a thread transforms at a time */

typedef struct {
    const an_winograd *plan;
    const an_winograd_gradient_args *args;
    size_t group;
    uint16_t *v, *m; /* of the chunk: position by position, in it by blocks of 16 channels, in it pair by pair */
    float *u;        /* panel by panel, position by position, channel by channel */
    size_t first, pairs;
} chunk;

static size_t pairs_most(const an_winograd *plan)
{
    return (size_t)plan->chunk / 2;
}

/* The windows of a span of tiles, shifted; those behind the batch see nothing. */
static void windows_make(const chunk *c, an_winograd_window *w, size_t first, size_t count, bool target, int down,
                         int right)
{
    const an_winograd *plan = c->plan;
    const an_winograd_shape *s = &plan->shape;
    size_t across = (size_t)plan->across, each = (size_t)plan->down * across;
    for (size_t i = 0; i < count; i++, w++) {
        size_t tile = first + i;
        int y = (int)(tile % each / across) * 2, x = (int)(tile % across) * 2;
        if (tile >= plan->tiles)
            an_winograd_window_set(w, 0, -4, -4, 1, 1, 4);
        else if (target)
            an_winograd_window_set(w, tile / each, y, x, s->out_height, s->out_width, 2);
        else
            an_winograd_window_set(w, tile / each, y - s->pad + plan->offset[down], x - s->pad + plan->offset[right],
                                   s->height, s->width, 4);
    }
}

/* 16 channels of two tiles, of either kind, to one place for each position; NULL: not wanted. */
AN_SIMD_INLINE void pair_transform(const uint16_t *block, size_t image, const an_winograd_window w[2], bool target,
                                   uint16_t *const to[POSITIONS], size_t offset)
{
    __m512 values[POSITIONS];
    __m256i first[POSITIONS];
    (target ? an_winograd_slope : an_winograd_source)(block + w[0].image * image, &w[0], values);
    AN_SIMD_UNROLL
    for (int p = 0; p < POSITIONS; p++)
        first[p] = an_simd_narrow(values[p]);
    (target ? an_winograd_slope : an_winograd_source)(block + w[1].image * image, &w[1], values);
    AN_SIMD_UNROLL
    for (int p = 0; p < POSITIONS; p++)
        if (to[p])
            _mm512_store_si512(to[p] + offset, an_winograd_pair(first[p], an_simd_narrow(values[p])));
}

/* A span of pairs of the chunk, from pair number first on: V of one pair of segments. */
static AN_SIMD_TARGET void source_span(const chunk *c, size_t first, size_t count, int down, int right)
{
    const an_winograd *plan = c->plan;
    const an_winograd_shape *s = &plan->shape;
    an_winograd_window w[2 * SPAN];
    size_t area = (size_t)s->height * (size_t)s->width * LANES, blocks = (size_t)s->from / LANES;
    windows_make(c, w, c->first + 2 * first, 2 * count, false, down, right);
    for (size_t block = 0; block < blocks; block++) {
        uint16_t *to[POSITIONS];
        for (int p = 0; p < POSITIONS; p++) {
            bool active = down < plan->active[p / 4] && right < plan->active[p % 4];
            size_t row = (size_t)(down * plan->active[p % 4] + right) * blocks + block;
            to[p] = active ? c->v + (plan->shallow[p] / LANES + row) * 2 * LANES * pairs_most(plan) : NULL;
        }
        for (size_t i = 0; i < count; i++)
            pair_transform((const uint16_t *)c->args->source + (c->group * blocks + block) * area,
                           (size_t)s->groups * blocks * area, w + 2 * i, false, to, (first + i) * 2 * LANES);
    }
}

/* The same for dM. */
static AN_SIMD_TARGET void target_span(const chunk *c, size_t first, size_t count)
{
    const an_winograd *plan = c->plan;
    const an_winograd_shape *s = &plan->shape;
    an_winograd_window w[2 * SPAN];
    size_t area = (size_t)s->out_height * (size_t)s->out_width * LANES, blocks = (size_t)s->to / LANES;
    windows_make(c, w, c->first + 2 * first, 2 * count, true, 0, 0);
    for (size_t block = 0; block < blocks; block++) {
        uint16_t *to[POSITIONS];
        for (size_t p = 0; p < POSITIONS; p++)
            to[p] = c->m + (p * blocks + block) * 2 * LANES * pairs_most(plan);
        for (size_t i = 0; i < count; i++)
            pair_transform((const uint16_t *)c->args->slope + (c->group * blocks + block) * area,
                           (size_t)s->groups * blocks * area, w + 2 * i, true, to, (first + i) * 2 * LANES);
    }
}

static void chunk_transform(const chunk *c)
{
    int segments = c->plan->segments;
#pragma omp parallel for schedule(dynamic)
    for (size_t first = 0; first < c->pairs; first += SPAN) {
        size_t left = c->pairs - first, count = left < SPAN ? left : SPAN;
        for (int pair = 0; pair < segments * segments; pair++)
            source_span(c, first, count, pair / segments, pair % segments);
        target_span(c, first, count);
    }
}

/* A panel of dU at one position. */
static void panel_add(const chunk *c, int position, int vector, int width)
{
    const an_winograd *plan = c->plan;
    size_t most = pairs_most(plan), columns = (size_t)width * LANES, depth = plan->depth[position];
    const uint16_t *v = c->v + plan->shallow[position] * 2 * most;
    const uint16_t *m = c->m + (size_t)(position * plan->shape.to + vector * LANES) * 2 * most;
    float *u = c->u + plan->depths * (size_t)vector * LANES + plan->shallow[position] * columns;
    for (size_t row = 0; row < depth; row += AN_WINOGRAD_ROWS) {
        an_winograd_product product = {.a = v + row / LANES * 2 * LANES * most + row % LANES * 2,
                                       .a_row = 2,
                                       .a_pair = 2 * LANES,
                                       .b = m,
                                       .b_vector = 2 * LANES * most,
                                       .b_pair = 2 * LANES,
                                       .pairs = c->pairs,
                                       .c = u + row * columns,
                                       .c_row = columns,
                                       .add = c->first > 0};
        an_winograd_multiply(&product, width);
    }
}

static void chunk_add(const chunk *c)
{
    int vectors = c->plan->shape.to / LANES;
#pragma omp parallel for schedule(dynamic) collapse(2)
    for (int p = 0; p < POSITIONS; p++)
        for (int i = 0; i < vectors; i++) {
            int first, width;
            an_winograd_panel_find(vectors, i, &first, &width);
            if (first == i)
                panel_add(c, p, i, width);
        }
}

/* G^T dU G of 16 outputs; position p lies at u + place[p], or is zero without a place. */
static inline AN_SIMD_TARGET void weights_transform(const float *const u[POSITIONS], __m512 g[9])
{
    __m512 half = _mm512_set1_ps(0.5F), t[12];
    AN_SIMD_UNROLL
    for (int j = 0; j < 4; j++) {
        __m512 d[4];
        AN_SIMD_UNROLL
        for (int i = 0; i < 4; i++)
            d[i] = u[4 * i + j] ? _mm512_load_ps(u[4 * i + j]) : _mm512_setzero_ps();
        __m512 sum = (d[1] + d[2]) * half;
        t[j] = d[0] + sum;
        t[4 + j] = (d[1] - d[2]) * half;
        t[8 + j] = sum + d[3];
    }
    AN_SIMD_UNROLL
    for (int i = 0; i < 3; i++) {
        const __m512 *d = t + 4 * i;
        __m512 sum = (d[1] + d[2]) * half;
        g[3 * i] = d[0] + sum;
        g[3 * i + 1] = (d[1] - d[2]) * half;
        g[3 * i + 2] = sum + d[3];
    }
}

/* One input channel, 16 outputs, the taps of one pair of segments. */
static AN_SIMD_TARGET void taps_store(const chunk *c, int channel, int vector, int down, int right)
{
    const an_winograd *plan = c->plan;
    const an_winograd_shape *s = &plan->shape;
    const float *places[POSITIONS];
    __m512 g[9];
    int first, width;
    an_winograd_panel_find(s->to / LANES, vector, &first, &width);
    size_t columns = (size_t)width * LANES;
    const float *panel = c->u + plan->depths * (size_t)first * LANES + (size_t)(vector - first) * LANES;
    for (int p = 0; p < POSITIONS; p++) {
        bool active = down < plan->active[p / 4] && right < plan->active[p % 4];
        size_t row = (size_t)((down * plan->active[p % 4] + right) * s->from + channel);
        places[p] = active ? panel + (plan->shallow[p] + row) * columns : NULL;
    }
    weights_transform(places, g);
    for (int i = 0; i < plan->taps[down]; i++)
        for (int j = 0; j < plan->taps[right]; j++) {
            int tap = (plan->offset[down] + i) * s->kernel + plan->offset[right] + j;
            float *to = c->args->weights[c->group] + (size_t)(tap * s->from + channel) * (size_t)s->to;
            _mm512_storeu_ps(to + vector * LANES, g[3 * i + j]);
        }
}

static void weights_store(const chunk *c)
{
    const an_winograd *plan = c->plan;
    int segments = plan->segments;
#pragma omp parallel for schedule(static)
    for (int channel = 0; channel < plan->shape.from; channel++)
        for (int vector = 0; vector < plan->shape.to / LANES; vector++)
            for (int pair = 0; pair < segments * segments; pair++)
                taps_store(c, channel, vector, pair / segments, pair % segments);
}

/* Sums of the slopes of 16 channels: of each image's by itself, so that rounding does not grow with the batch. */
static AN_SIMD_TARGET void bias_sum(const chunk *c, size_t block)
{
    const an_winograd_shape *s = &c->plan->shape;
    size_t area = (size_t)s->out_height * (size_t)s->out_width, blocks = (size_t)(s->groups * s->to) / LANES;
    __m512 sum = _mm512_setzero_ps();
    for (size_t image = 0; image < (size_t)s->batch; image++) {
        const uint16_t *plane = (const uint16_t *)c->args->slope + (image * blocks + block) * area * LANES;
        __m512 own = _mm512_setzero_ps();
        for (size_t i = 0; i < area; i++)
            own += an_simd_widen(_mm256_load_si256((const __m256i *)(plane + i * LANES)));
        sum += own;
    }
    size_t each = (size_t)s->to / LANES;
    _mm512_storeu_ps(c->args->bias[block / each] + block % each * LANES, sum);
}

static void biases_sum(const chunk *c)
{
    const an_winograd_shape *s = &c->plan->shape;
#pragma omp parallel for schedule(dynamic)
    for (size_t block = 0; block < (size_t)(s->groups * s->to) / LANES; block++)
        bias_sum(c, block);
}

void an_winograd_bf16_gradient(const an_winograd *plan, const an_winograd_gradient_args *args)
{
    chunk c = {.plan = plan, .args = args, .v = args->scratch};
    c.m = c.v + an_winograd_chunk_v(plan);
    c.u = (float *)(void *)(c.m + an_winograd_chunk_m(plan));
    biases_sum(&c);
    for (c.group = 0; c.group < (size_t)plan->shape.groups; c.group++) {
        for (c.first = 0; c.first < plan->tiles; c.first += (size_t)plan->chunk) {
            size_t left = plan->tiles - c.first, most = pairs_most(plan);
            c.pairs = (left + 1) / 2 < most ? (left + 1) / 2 : most;
            chunk_transform(&c);
            chunk_add(&c);
        }
        weights_store(&c);
    }
}
