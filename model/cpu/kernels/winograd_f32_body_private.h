/* The kernels of an fp32 Winograd convolution, the same text for every SIMD tier. Before including, define LANES
 * (floats of a vector), ROWS (of a product that are made at a time), FMA(a, b, c) and TIER (the name of the table to
 * define).
 *
 * DESIGN. run: the work is cut into blocks of tiles of one group, which OpenMP's threads take. A thread transforms a
 * block's pixels into V, then for each panel of outputs multiplies all 36 positions into M and transforms M into pixels
 * before it goes on: V and M stay in its L2 cache, the weights come once a block from the cache that all share. Threads
 * share nothing that is written; each pixel of the target belongs to one block.
 *
 * gradient: the batch is cut into chunks of tiles. All threads transform a chunk into V and dM, then (behind OpenMP's
 * barrier) each takes panels of dU and adds the chunk's products. One thread at a time holds a panel and adds chunk by
 * chunk, so sums have one order whatever the threads. */
#ifndef AN_MODEL_CPU_KERNELS_WINOGRAD_F32_BODY_PRIVATE_H
#define AN_MODEL_CPU_KERNELS_WINOGRAD_F32_BODY_PRIVATE_H

#include <omp.h>

#include "model/cpu/kernels/winograd_private.h"

#define TILE 4
#define SIDE 6 /* of the square of positions */
#define POSITIONS (SIDE * SIDE)
#define PANEL AN_WINOGRAD_PANEL
#define UNROLL _Pragma("GCC unroll 16")
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(LANES * sizeof(float)), may_alias));

INLINE vec load(const float *p)
{
    return *(const vec *)__builtin_assume_aligned(p, sizeof(vec));
}

INLINE void store(float *p, vec v)
{
    *(vec *)__builtin_assume_aligned(p, sizeof(vec)) = v;
}

INLINE vec load_unaligned(const float *p)
{
    vec v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

INLINE void store_unaligned(float *p, vec v)
{
    __builtin_memcpy(p, &v, sizeof v);
}

/* A product of matrices, ROWS x width vectors. Steps are in values. */
typedef struct {
    const float *a, *b;
    size_t a_row, a_step;    /* to the next row of c, to the next term of the sum */
    size_t b_vector, b_step; /* to the next vector of a row of c, to the next term of the sum */
    size_t terms;
    float *c;
    size_t c_row;
    bool add; /* onto what is in c */
} product;

INLINE void multiply_width(const product *p, int width)
{
    const float *a = p->a, *b = p->b;
    size_t a_row = p->a_row, a_step = p->a_step, b_vector = p->b_vector, b_step = p->b_step;
    vec sum[ROWS][PANEL];
    UNROLL
    for (int r = 0; r < ROWS; r++)
        UNROLL
    for (int j = 0; j < width; j++)
        sum[r][j] = p->add ? load(p->c + (size_t)r * p->c_row + j * LANES) : (vec){0};
    for (size_t i = p->terms; i > 0; i--, a += a_step, b += b_step) {
        vec column[PANEL];
        UNROLL
        for (int j = 0; j < width; j++)
            column[j] = load(b + (size_t)j * b_vector);
        UNROLL
        for (int r = 0; r < ROWS; r++) {
            vec value = a[(size_t)r * a_row] - (vec){0};
            UNROLL
            for (int j = 0; j < width; j++)
                sum[r][j] = FMA(value, column[j], sum[r][j]);
        }
    }
    UNROLL
    for (int r = 0; r < ROWS; r++)
        UNROLL
    for (int j = 0; j < width; j++)
        store(p->c + (size_t)r * p->c_row + j * LANES, sum[r][j]);
}

static void multiply(const product *p, int width)
{
    if (width == 3)
        multiply_width(p, 3);
    else if (width == 2)
        multiply_width(p, 2);
    else
        multiply_width(p, 1);
}

/* Where the pixels of a window lie: NULL rows and columns below zero are outside and read as zero. */
typedef struct {
    size_t image;
    ptrdiff_t row[SIDE], column[SIDE]; /* in values from the block's first, or -1 */
} window;

static void window_set(window *w, size_t image, int y, int x, int height, int width, int side)
{
    w->image = image;
    for (int i = 0; i < side; i++) {
        w->row[i] = y + i >= 0 && y + i < height ? (ptrdiff_t)(y + i) * width * LANES : -1;
        w->column[i] = x + i >= 0 && x + i < width ? (ptrdiff_t)(x + i) * LANES : -1;
    }
}

static const float zeros[LANES] __attribute__((aligned(64)));

INLINE vec pixel(const float *plane, const window *w, int i, int j)
{
    return load((w->row[i] | w->column[j]) < 0 ? zeros : plane + w->row[i] + w->column[j]);
}

/* B^T d for one column or row of 6, values step apart. */
INLINE void source_axis(vec *d, int step)
{
    vec d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    vec even = d4 - 4 * d2, odd = d3 - 4 * d1, far = d4 - d2, twice = 2 * (d3 - d1);
    d[0] = 4 * d0 - 5 * d2 + d4;
    d[step] = even + odd;
    d[2 * step] = even - odd;
    d[3 * step] = far + twice;
    d[4 * step] = far - twice;
    d[5 * step] = 4 * d1 - 5 * d3 + d5;
}

/* V of a window of 6x6 pixels. */
INLINE void source_transform(const float *plane, const window *w, vec v[POSITIONS])
{
    for (int j = 0; j < SIDE; j++) {
        UNROLL
        for (int i = 0; i < SIDE; i++)
            v[i * SIDE + j] = pixel(plane, w, i, j);
        source_axis(v + j, SIDE);
    }
    for (int i = 0; i < SIDE; i++)
        source_axis(v + i * SIDE, 1);
}

/* A y for one column or row: 4 values become 6. */
INLINE void slope_axis(vec *m, int step)
{
    vec y0 = m[0], y1 = m[step], y2 = m[2 * step], y3 = m[3 * step];
    vec even = y0 + y2, odd = y1 + y3, far = y0 + 4 * y2, twice = 2 * y1 + 8 * y3;
    m[step] = even + odd;
    m[2 * step] = even - odd;
    m[3 * step] = far + twice;
    m[4 * step] = far - twice;
    m[5 * step] = y3;
}

/* dM of a window of 4x4 pixels. */
INLINE void slope_transform(const float *plane, const window *w, vec m[POSITIONS])
{
    for (int j = 0; j < TILE; j++) {
        UNROLL
        for (int i = 0; i < TILE; i++)
            m[i * SIDE + j] = pixel(plane, w, i, j);
        slope_axis(m + j, SIDE);
    }
    for (int i = 0; i < SIDE; i++)
        slope_axis(m + i * SIDE, 1);
}

/* A^T m for one column or row: 6 values become 4. */
INLINE void target_axis(vec *m, int step)
{
    vec m0 = m[0], m1 = m[step], m2 = m[2 * step], m3 = m[3 * step], m4 = m[4 * step], m5 = m[5 * step];
    vec sum = m1 + m2, difference = m1 - m2, far = m3 + m4, apart = m3 - m4;
    m[0] = m0 + sum + far;
    m[step] = difference + 2 * apart;
    m[2 * step] = sum + 4 * far;
    m[3 * step] = difference + 8 * apart + m5;
}

/* G g for one column or row: 3 values become 6. */
INLINE void weights_axis(vec *u, int step)
{
    vec g0 = u[0], g1 = u[step], g2 = u[2 * step];
    vec outer = (g0 + g2) * (-1.0F / 6), inner = g1 * (-1.0F / 6);
    vec far = g0 * (1.0F / 24) + g2 * (1.0F / 6), half = g1 * (1.0F / 12);
    u[0] = g0 * 0.25F;
    u[step] = outer + inner;
    u[2 * step] = outer - inner;
    u[3 * step] = far + half;
    u[4 * step] = far - half;
    u[5 * step] = g2;
}

/* G^T u for one column or row: 6 values become 3. */
INLINE void weights_back_axis(vec *u, int step)
{
    vec u0 = u[0], u1 = u[step], u2 = u[2 * step], u3 = u[3 * step], u4 = u[4 * step], u5 = u[5 * step];
    vec near = (u1 + u2) * (-1.0F / 6), far = u3 + u4;
    u[0] = u0 * 0.25F + near + far * (1.0F / 24);
    u[step] = (u2 - u1) * (1.0F / 6) + (u3 - u4) * (1.0F / 12);
    u[2 * step] = near + far * (1.0F / 6) + u5;
}

/* A group's first channel block of an image. */
static size_t plane_find(const an_winograd *plan, size_t image, size_t group, int channels, int height, int width)
{
    size_t blocks = (size_t)channels / LANES;
    return (image * (size_t)plan->shape.groups + group) * blocks * (size_t)height * (size_t)width * LANES;
}

/* Whether the segments down, right have a part in a position. */
INLINE bool is_active(const an_winograd *plan, int position, int down, int right)
{
    return down < plan->active[position / SIDE] && right < plan->active[position % SIDE];
}

/* The first channel of the segments down, right in a position's sums. */
INLINE size_t depth_of(const an_winograd *plan, int position, int down, int right)
{
    return (size_t)((down * plan->active[position % SIDE] + right) * plan->shape.from);
}

/* The weights ------------------------------------------------------------------------------------------------------ */

/* Channels of the convolution that is not turned. */
static size_t inputs_of(const an_winograd *plan)
{
    return (size_t)(plan->turned ? plan->shape.to : plan->shape.from);
}

static size_t outputs_of(const an_winograd *plan)
{
    return (size_t)(plan->turned ? plan->shape.from : plan->shape.to);
}

/* LANES outputs' weights of a tap of the segments down, right, or zero behind their end. */
static vec tap(const an_winograd *plan, const float *master, int down, int right, int i, int j)
{
    int kernel = plan->shape.kernel, y = plan->offset[down] + i, x = plan->offset[right] + j;
    if (i >= plan->taps[down] || j >= plan->taps[right])
        return (vec){0};
    if (plan->turned) {
        y = kernel - 1 - y;
        x = kernel - 1 - x;
    }
    return load_unaligned(master + (size_t)(y * kernel + x) * inputs_of(plan) * outputs_of(plan));
}

static void weights_transform(const an_winograd *plan, const float *master, int down, int right, vec u[POSITIONS])
{
    for (int j = 0; j < 3; j++) {
        for (int i = 0; i < 3; i++)
            u[i * SIDE + j] = tap(plan, master, down, right, i, j);
        weights_axis(u + j, SIDE);
    }
    for (int i = 0; i < SIDE; i++)
        weights_axis(u + i * SIDE, 1);
}

/* U of LANES x LANES pairs of channels: master's input by master's output. */
typedef float square[POSITIONS][LANES][LANES] __attribute__((aligned(64)));

static void square_make(const an_winograd *plan, const float *master, int down, int right, square out)
{
    for (size_t i = 0; i < LANES; i++) {
        vec u[POSITIONS];
        weights_transform(plan, master + i * outputs_of(plan), down, right, u);
        for (int p = 0; p < POSITIONS; p++)
            store(out[p][i], u[p]);
    }
}

/* A position's square to rows of the product's b, step values apart; the plan's sum runs over rows. */
static void square_store(float from[LANES][LANES], bool turned, float *to, size_t step)
{
    for (size_t row = 0; row < LANES; row++, to += step) {
        if (turned)
            for (size_t i = 0; i < LANES; i++)
                to[i] = from[i][row];
        else
            store(to, load(from[row]));
    }
}

/* Sums' channels from depth on, outputs from vector * LANES on. U lies as the products read it: panels of outputs; in
 * each the positions; in each the channels of the sum. */
static void square_place(const an_winograd *plan, square s, size_t depth, int vector, int down, int right,
                         float *transformed)
{
    int first, width;
    an_winograd_panel_find(plan->shape.to / LANES, vector, &first, &width);
    size_t columns = (size_t)width * LANES;
    float *panel = transformed + plan->depths * (size_t)first * LANES + (size_t)(vector - first) * LANES;
    for (int p = 0; p < POSITIONS; p++) {
        if (!is_active(plan, p, down, right))
            continue;
        size_t row = depth_of(plan, p, down, right) + depth;
        square_store(s[p], plan->turned, panel + (plan->shallow[p] + row) * columns, columns);
    }
}

static void weights_run(const an_winograd *plan, const float *master, void *transformed)
{
    size_t rows = inputs_of(plan) / LANES, columns = outputs_of(plan) / LANES;
    int segments = plan->segments;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < rows * columns; i++) {
        size_t row = i / columns, column = i % columns;
        const float *first = master + row * LANES * outputs_of(plan) + column * LANES;
        square s;
        for (int pair = 0; pair < segments * segments; pair++) {
            square_make(plan, first, pair / segments, pair % segments, s);
            square_place(plan, s, (plan->turned ? column : row) * LANES, (int)(plan->turned ? row : column),
                         pair / segments, pair % segments, transformed);
        }
    }
}

/* Forward, and backward data ----------------------------------------------------------------------------------------
 */

typedef struct {
    const an_winograd *plan;
    const an_winograd_run_args *args;
    size_t first, count; /* tiles */
    size_t group;
    float *v, *m;
} work;

typedef struct {
    size_t image;
    int y, x; /* of the tile's first output */
} tile_place;

static tile_place tile_find(const an_winograd *plan, size_t tile)
{
    size_t across = (size_t)plan->across, each = (size_t)plan->down * across;
    return (tile_place){tile / each, (int)(tile % each / across) * TILE, (int)(tile % across) * TILE};
}

static size_t v_place(const an_winograd *plan, int position)
{
    return (size_t)plan->block * plan->shallow[position] + (size_t)position * plan->stagger;
}

/* V of all channels of a window, as seen by segments down, right: behind each other in a row for each position. */
static void window_transform(const work *b, const window *w, size_t tile, int down, int right)
{
    const an_winograd *plan = b->plan;
    const an_winograd_shape *s = &plan->shape;
    size_t area = (size_t)s->height * (size_t)s->width * LANES;
    const float *plane =
        (const float *)b->args->source + plane_find(plan, w->image, b->group, s->from, s->height, s->width);
    float *rows[POSITIONS];
    for (int p = 0; p < POSITIONS; p++)
        rows[p] = is_active(plan, p, down, right)
                      ? b->v + v_place(plan, p) + tile * plan->depth[p] + depth_of(plan, p, down, right)
                      : NULL;
    for (int c = 0; c < s->from; c += LANES, plane += area) {
        vec v[POSITIONS];
        source_transform(plane, w, v);
        for (int p = 0; p < POSITIONS; p++)
            if (rows[p])
                store(rows[p] + c, v[p]);
    }
}

static void block_transform(const work *b)
{
    const an_winograd *plan = b->plan;
    const an_winograd_shape *s = &plan->shape;
    for (size_t i = 0; i < b->count; i++) {
        tile_place t = tile_find(plan, b->first + i);
        for (int pair = 0; pair < plan->segments * plan->segments; pair++) {
            int down = pair / plan->segments, right = pair % plan->segments;
            window w;
            window_set(&w, t.image, t.y - s->pad + plan->offset[down], t.x - s->pad + plan->offset[right], s->height,
                       s->width, SIDE);
            window_transform(b, &w, i, down, right);
        }
    }
}

/* M of a panel of width vectors, the first of which is number vector. */
static void panel_multiply(const work *b, int vector, int width)
{
    const an_winograd *plan = b->plan;
    size_t columns = (size_t)width * LANES;
    const float *weights = (const float *)b->args->transformed + b->group * an_winograd_weights_size(plan) +
                           plan->depths * (size_t)vector * LANES;
    for (int p = 0; p < POSITIONS; p++)
        for (size_t row = 0; row < b->count; row += ROWS) {
            product m = {.a = b->v + v_place(plan, p) + row * plan->depth[p],
                         .a_row = plan->depth[p],
                         .a_step = 1,
                         .b = weights + plan->shallow[p] * columns,
                         .b_vector = LANES,
                         .b_step = columns,
                         .terms = plan->depth[p],
                         .c = b->m + (size_t)p * an_winograd_m_stride(plan) + row * columns,
                         .c_row = columns};
            multiply(&m, width);
        }
}

/* A^T M A. */
INLINE void target_transform(const float *m, size_t stride, vec y[POSITIONS])
{
    for (int j = 0; j < SIDE; j++) {
        UNROLL
        for (int i = 0; i < SIDE; i++)
            y[i * SIDE + j] = load(m + (size_t)(i * SIDE + j) * stride);
        target_axis(y + j, SIDE);
    }
    for (int i = 0; i < TILE; i++)
        target_axis(y + i * SIDE, 1);
}

/* The 4x4 pixels of a tile, as far as they exist; to: the first of them. max(0, NaN) is NaN: what went wrong stays
 * visible. */
INLINE void tile_store(const an_winograd_shape *s, tile_place t, vec y[POSITIONS], vec bias, bool relu, float *to)
{
    int down = s->out_height - t.y < TILE ? s->out_height - t.y : TILE;
    int across = s->out_width - t.x < TILE ? s->out_width - t.x : TILE;
    for (int i = 0; i < down; i++)
        for (int j = 0; j < across; j++) {
            vec v = y[i * SIDE + j] + bias;
            if (relu)
                v = RELU(v);
            store(to + (i * s->out_width + j) * LANES, v);
        }
}

static void panel_store(const work *b, int vector, int width)
{
    const an_winograd *plan = b->plan;
    const an_winograd_shape *s = &plan->shape;
    size_t area = (size_t)s->out_height * (size_t)s->out_width * LANES;
    const float *bias = b->args->bias ? b->args->bias[b->group] + vector * LANES : NULL;
    for (size_t i = 0; i < b->count; i++) {
        tile_place t = tile_find(plan, b->first + i);
        float *to = (float *)b->args->target + plane_find(plan, t.image, b->group, s->to, s->out_height, s->out_width) +
                    (size_t)vector * area + ((size_t)t.y * (size_t)s->out_width + (size_t)t.x) * LANES;
        for (int j = 0; j < width; j++, to += area) {
            vec y[POSITIONS];
            target_transform(b->m + (i * (size_t)width + (size_t)j) * LANES, an_winograd_m_stride(plan), y);
            tile_store(s, t, y, bias ? load_unaligned(bias + j * LANES) : (vec){0}, b->args->relu, to);
        }
    }
}

static void block_run(const work *b)
{
    int vectors = b->plan->shape.to / LANES, width;
    block_transform(b);
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
        float *own = (float *)((char *)args->scratch + (size_t)omp_get_thread_num() * an_winograd_scratch_each(plan));
        size_t first = i / groups * each, left = plan->tiles - first;
        work b = {.plan = plan,
                  .args = args,
                  .first = first,
                  .count = left < each ? left : each,
                  .group = i % groups,
                  .v = own,
                  .m = own + an_winograd_v_size(plan)};
        block_run(&b);
    }
}

/* The gradient of the weights -------------------------------------------------------------------------------------- */

#define SPAN 16   /* tiles that a thread transforms at a time */
#define TERMS 128 /* tiles of a product's sum */

typedef struct {
    const an_winograd *plan;
    const an_winograd_gradient_args *args;
    size_t group;
    float *v, *m;        /* of the chunk: position by position, in it by blocks of LANES channels, in it tile by tile */
    float *u;            /* panel by panel, position by position, channel by channel */
    size_t first, count; /* tiles */
} chunk;

/* A span of the chunk's tiles, from number first on: V of one pair of segments. */
static void source_span(const chunk *c, size_t first, size_t count, int down, int right)
{
    const an_winograd *plan = c->plan;
    const an_winograd_shape *s = &plan->shape;
    size_t area = (size_t)s->height * (size_t)s->width * LANES, blocks = (size_t)s->from / LANES;
    for (size_t i = first; i < first + count; i++) {
        tile_place t = tile_find(plan, c->first + i);
        window w;
        window_set(&w, t.image, t.y - s->pad + plan->offset[down], t.x - s->pad + plan->offset[right], s->height,
                   s->width, SIDE);
        const float *plane =
            (const float *)c->args->source + plane_find(plan, t.image, c->group, s->from, s->height, s->width);
        for (size_t block = 0; block < blocks; block++, plane += area) {
            vec v[POSITIONS];
            source_transform(plane, &w, v);
            for (int p = 0; p < POSITIONS; p++) {
                if (!is_active(plan, p, down, right))
                    continue;
                size_t channel = plan->shallow[p] + depth_of(plan, p, down, right) + block * LANES;
                store(c->v + channel * (size_t)plan->chunk + i * LANES, v[p]);
            }
        }
    }
}

/* The same for dM. */
static void target_span(const chunk *c, size_t first, size_t count)
{
    const an_winograd *plan = c->plan;
    const an_winograd_shape *s = &plan->shape;
    size_t area = (size_t)s->out_height * (size_t)s->out_width * LANES, blocks = (size_t)s->to / LANES;
    for (size_t i = first; i < first + count; i++) {
        tile_place t = tile_find(plan, c->first + i);
        window w;
        window_set(&w, t.image, t.y, t.x, s->out_height, s->out_width, TILE);
        const float *plane =
            (const float *)c->args->slope + plane_find(plan, t.image, c->group, s->to, s->out_height, s->out_width);
        for (size_t block = 0; block < blocks; block++, plane += area) {
            vec m[POSITIONS];
            slope_transform(plane, &w, m);
            for (size_t p = 0; p < POSITIONS; p++)
                store(c->m + ((p * blocks + block) * (size_t)plan->chunk + i) * LANES, m[p]);
        }
    }
}

static void chunk_transform(const chunk *c)
{
    int segments = c->plan->segments;
#pragma omp parallel for schedule(dynamic)
    for (size_t first = 0; first < c->count; first += SPAN) {
        size_t left = c->count - first, count = left < SPAN ? left : SPAN;
        for (int pair = 0; pair < segments * segments; pair++)
            source_span(c, first, count, pair / segments, pair % segments);
        target_span(c, first, count);
    }
}

/* A panel of dU at one position. The sum is cut so that its part of dM stays in the L1 cache while rows pass. */
static void panel_add(const chunk *c, int position, int vector, int width)
{
    const an_winograd *plan = c->plan;
    size_t most = (size_t)plan->chunk, columns = (size_t)width * LANES;
    const float *v = c->v + plan->shallow[position] * most;
    const float *m = c->m + (size_t)(position * plan->shape.to + vector * LANES) * most;
    float *u = c->u + plan->depths * (size_t)vector * LANES + plan->shallow[position] * columns;
    for (size_t tile = 0; tile < c->count; tile += TERMS) {
        size_t left = c->count - tile;
        for (size_t row = 0; row < plan->depth[position]; row += ROWS) {
            product sum = {.a = v + row / LANES * LANES * most + row % LANES + tile * LANES,
                           .a_row = 1,
                           .a_step = LANES,
                           .b = m + tile * LANES,
                           .b_vector = LANES * most,
                           .b_step = LANES,
                           .terms = left < TERMS ? left : TERMS,
                           .c = u + row * columns,
                           .c_row = columns,
                           .add = c->first + tile > 0};
            multiply(&sum, width);
        }
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

/* One input channel, LANES outputs, the taps of one pair of segments: G^T dU G. */
static void taps_store(const chunk *c, int channel, int vector, int down, int right)
{
    const an_winograd *plan = c->plan;
    const an_winograd_shape *s = &plan->shape;
    vec u[POSITIONS];
    int first, width;
    an_winograd_panel_find(s->to / LANES, vector, &first, &width);
    size_t columns = (size_t)width * LANES;
    const float *panel = c->u + plan->depths * (size_t)first * LANES + (size_t)(vector - first) * LANES;
    for (int p = 0; p < POSITIONS; p++) {
        size_t row = plan->shallow[p] + depth_of(plan, p, down, right) + (size_t)channel;
        u[p] = is_active(plan, p, down, right) ? load(panel + row * columns) : (vec){0};
    }
    for (int j = 0; j < SIDE; j++)
        weights_back_axis(u + j, SIDE);
    for (int i = 0; i < 3; i++)
        weights_back_axis(u + i * SIDE, 1);
    for (int i = 0; i < plan->taps[down]; i++)
        for (int j = 0; j < plan->taps[right]; j++) {
            int place = (plan->offset[down] + i) * s->kernel + plan->offset[right] + j;
            float *to = c->args->weights[c->group] + (size_t)(place * s->from + channel) * (size_t)s->to;
            store_unaligned(to + vector * LANES, u[i * SIDE + j]);
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

/* Sums of the slopes of a block of channels: each image's by itself first, so that rounding does not grow with the
 * batch. */
static void bias_sum(const chunk *c, size_t block)
{
    const an_winograd_shape *s = &c->plan->shape;
    size_t area = (size_t)s->out_height * (size_t)s->out_width, blocks = (size_t)(s->groups * s->to) / LANES;
    vec sum = {0};
    for (size_t image = 0; image < (size_t)s->batch; image++) {
        const float *plane = (const float *)c->args->slope + (image * blocks + block) * area * LANES;
        vec own = {0};
        for (size_t i = 0; i < area; i++)
            own += load(plane + i * LANES);
        sum += own;
    }
    size_t each = (size_t)s->to / LANES;
    store_unaligned(c->args->bias[block / each] + block % each * LANES, sum);
}

static void gradient_run(const an_winograd *plan, const an_winograd_gradient_args *args)
{
    chunk c = {.plan = plan, .args = args, .v = args->scratch};
    c.m = c.v + an_winograd_chunk_v(plan);
    c.u = c.m + an_winograd_chunk_m(plan);
#pragma omp parallel for schedule(dynamic)
    for (size_t block = 0; block < (size_t)(plan->shape.groups * plan->shape.to) / LANES; block++)
        bias_sum(&c, block);
    for (c.group = 0; c.group < (size_t)plan->shape.groups; c.group++) {
        for (c.first = 0; c.first < plan->tiles; c.first += (size_t)plan->chunk) {
            size_t left = plan->tiles - c.first, most = (size_t)plan->chunk;
            c.count = left < most ? left : most;
            chunk_transform(&c);
            chunk_add(&c);
        }
        weights_store(&c);
    }
}

const an_winograd_kernels TIER = {weights_run, convolution_run, gradient_run};

#endif
