/* U of Winograd's convolutions: G g G^T of each pair of channels, rounded once, from the masters. It lies as the
 * products read it: panels of outputs; in each the positions; in each pairs of channels, for every output both in
 * turns.
 */
#include "model/cpu/kernels/winograd_bf16_private.h"

#define LANES AN_SIMD_LANES
#define POSITIONS AN_WINOGRAD_BF16_POSITIONS

/* U of 16 x 16 pairs of channels: master's input by master's output. */
typedef uint16_t square[POSITIONS][LANES][LANES];

/* Master channels: those of the convolution that is not turned. */
static size_t inputs(const an_winograd *plan)
{
    return (size_t)(plan->turned ? plan->shape.to : plan->shape.from);
}

static size_t outputs(const an_winograd *plan)
{
    return (size_t)(plan->turned ? plan->shape.from : plan->shape.to);
}

/* 16 outputs' weights of a tap of the segments down, right, or zero behind their end. */
static inline AN_SIMD_TARGET __m512 tap(const an_winograd *plan, const float *master, int down, int right, int i, int j)
{
    int kernel = plan->shape.kernel, y = plan->offset[down] + i, x = plan->offset[right] + j;
    if (i >= plan->taps[down] || j >= plan->taps[right])
        return _mm512_setzero_ps();
    if (plan->turned) {
        y = kernel - 1 - y;
        x = kernel - 1 - x;
    }
    return _mm512_loadu_ps(master + (size_t)(y * kernel + x) * inputs(plan) * outputs(plan));
}

static inline AN_SIMD_TARGET void weights_transform(const an_winograd *plan, const float *master, int down, int right,
                                                    __m512 u[POSITIONS])
{
    __m512 half = _mm512_set1_ps(0.5F), t[12];
    AN_SIMD_UNROLL
    for (int j = 0; j < 3; j++) {
        __m512 g0 = tap(plan, master, down, right, 0, j), g1 = tap(plan, master, down, right, 1, j);
        __m512 g2 = tap(plan, master, down, right, 2, j), outer = g0 + g2;
        t[j] = g0;
        t[3 + j] = (outer + g1) * half;
        t[6 + j] = (outer - g1) * half;
        t[9 + j] = g2;
    }
    AN_SIMD_UNROLL
    for (int i = 0; i < 4; i++) {
        __m512 g0 = t[3 * i], g1 = t[3 * i + 1], g2 = t[3 * i + 2], outer = g0 + g2;
        u[4 * i] = g0;
        u[4 * i + 1] = (outer + g1) * half;
        u[4 * i + 2] = (outer - g1) * half;
        u[4 * i + 3] = g2;
    }
}

static AN_SIMD_TARGET void square_make(const an_winograd *plan, const float *master, int down, int right, square out)
{
    for (size_t i = 0; i < LANES; i++) {
        __m512 u[POSITIONS];
        weights_transform(plan, master + i * outputs(plan), down, right, u);
        for (int p = 0; p < POSITIONS; p++)
            _mm256_storeu_si256((__m256i *)out[p][i], an_simd_narrow(u[p]));
    }
}

/* A square of a position into its panel: to points at the square's first pair of channels and first output, rows of
 * pairs are step values apart. */
static AN_SIMD_TARGET void square_store(uint16_t from[LANES][LANES], bool turned, uint16_t *to, size_t step)
{
    for (size_t pair = 0; pair < LANES / 2; pair++, to += step) {
        if (!turned) {
            __m256i first = _mm256_loadu_si256((const __m256i *)from[2 * pair]);
            _mm512_store_si512(to, an_winograd_pair(first, _mm256_loadu_si256((const __m256i *)from[2 * pair + 1])));
            continue;
        }
        for (size_t i = 0; i < LANES; i++) {
            to[2 * i] = from[i][2 * pair];
            to[2 * i + 1] = from[i][2 * pair + 1];
        }
    }
}

/* Channels depth on, outputs vector * 16 on, of the plan's convolution. */
static void square_place(const an_winograd *plan, square s, size_t depth, int vector, int down, int right,
                         uint16_t *transformed)
{
    int first, width;
    an_winograd_panel_find(plan->shape.to / LANES, vector, &first, &width);
    size_t columns = (size_t)width * LANES;
    uint16_t *panel = transformed + plan->depths * (size_t)first * LANES + (size_t)(vector - first) * 2 * LANES;
    for (int p = 0; p < POSITIONS; p++) {
        if (down >= plan->active[p / 4] || right >= plan->active[p % 4])
            continue;
        size_t row = (size_t)((down * plan->active[p % 4] + right) * plan->shape.from) + depth;
        square_store(s[p], plan->turned, panel + (plan->shallow[p] + row) * columns, 2 * columns);
    }
}

void an_winograd_bf16_weights(const an_winograd *plan, const float *master, void *transformed)
{
    size_t rows = inputs(plan) / LANES, columns = outputs(plan) / LANES;
    int segments = plan->segments;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < rows * columns; i++) {
        size_t row = i / columns, column = i % columns;
        const float *first = master + row * LANES * outputs(plan) + column * LANES;
        square s;
        for (int pair = 0; pair < segments * segments; pair++) {
            square_make(plan, first, pair / segments, pair % segments, s);
            square_place(plan, s, (plan->turned ? column : row) * LANES, (int)(plan->turned ? row : column),
                         pair / segments, pair % segments, transformed);
        }
    }
}
