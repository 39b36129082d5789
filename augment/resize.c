#include "augment/resize.h"

#include <emmintrin.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define ONE_BITS 14 /* weights are sixteen-bit fractions: the sum of a window's is exactly 1 << 14 */
#define ONE (1 << ONE_BITS)

/* For each output position: the first input that counts and an even number of weights (the last may be 0). */
typedef struct {
    uint32_t *first;
    int16_t *weights;
    uint32_t taps;
} axis;

struct an_resize {
    uint32_t crop, taps_max;
    const an_pixels *pixels;
    axis across, down;
    uint8_t *tall; /* one row, reduced vertically: side x 3 */
    uint8_t *wide; /* the same as RGB0, with room for the weights that hang over */
    uint8_t *out;  /* crop x 3 */
};

static uint32_t taps_for(double scale)
{
    uint32_t taps = 2 * (uint32_t)ceil(scale > 1 ? scale : 1) + 1;
    return taps + taps % 2;
}

static int axis_alloc(axis *a, uint32_t crop, uint32_t taps)
{
    a->first = calloc(crop, sizeof *a->first);
    a->weights = calloc((size_t)crop * taps, sizeof *a->weights);
    return a->first && a->weights ? AN_OK : an_error(AN_ENOMEM, "out of memory for a resize to %u pixels", crop);
}

int an_resize_create(an_resize **out, uint32_t side, uint32_t crop, const an_pixels *pixels)
{
    an_resize *r = calloc(1, sizeof *r);
    *out = NULL;
    if (!r)
        return an_error(AN_ENOMEM, "out of memory for a resize");
    r->crop = crop;
    r->taps_max = taps_for((double)side / crop);
    r->pixels = pixels;
    r->tall = malloc((size_t)side * 3);
    r->wide = calloc((size_t)side + r->taps_max, 4);
    r->out = malloc((size_t)crop * 3 + 1); /* pixels are stored four bytes at a time */
    int rc = r->tall && r->wide && r->out ? axis_alloc(&r->across, crop, r->taps_max)
                                          : an_error(AN_ENOMEM, "out of memory for a resize to %u pixels", crop);
    if (rc == AN_OK)
        rc = axis_alloc(&r->down, crop, r->taps_max);
    if (rc != AN_OK) {
        an_resize_free(r);
        return rc;
    }
    *out = r;
    return AN_OK;
}

void an_resize_free(an_resize *resize)
{
    if (!resize)
        return;
    free(resize->across.first);
    free(resize->across.weights);
    free(resize->down.first);
    free(resize->down.weights);
    free(resize->tall);
    free(resize->wide);
    free(resize->out);
    free(resize);
}

/* Weights of one output position; what rounding leaves over goes to the largest. */
static void set_weights(axis *a, uint32_t at, double centre, double scale, uint32_t size)
{
    double support = scale > 1 ? scale : 1, sum = 0;
    int64_t low = (int64_t)floor(centre - support + 0.5), high = (int64_t)floor(centre + support + 0.5);
    int16_t *weights = a->weights + (size_t)at * a->taps;
    int total = 0, largest = 0;
    low = low < 0 ? 0 : low;
    high = high > (int64_t)size ? (int64_t)size : high;
    for (int64_t i = low; i < high; i++)
        sum += fmax(0, 1 - fabs(((double)i + 0.5 - centre) / support));
    memset(weights, 0, a->taps * sizeof *weights);
    a->first[at] = (uint32_t)low;
    for (int k = 0; k < (int)(high - low); k++) {
        double share = fmax(0, 1 - fabs(((double)(low + k) + 0.5 - centre) / support)) / sum;
        weights[k] = (int16_t)lrint(share * ONE);
        total += weights[k];
        largest = weights[k] > weights[largest] ? k : largest;
    }
    weights[largest] = (int16_t)(weights[largest] + ONE - total);
}

static void axis_set(axis *a, uint32_t crop, uint32_t size)
{
    double scale = (double)size / crop;
    a->taps = taps_for(scale);
    for (uint32_t i = 0; i < crop; i++)
        set_weights(a, i, (i + 0.5) * scale, scale, size);
}

/* One row of sums over the rows that count. */
static void reduce_rows(an_resize *r, uint32_t y, const uint8_t *rgb, uint32_t width, uint32_t height)
{
    const int16_t *weights = r->down.weights + (size_t)y * r->down.taps;
    size_t n = (size_t)width * 3;
    uint32_t first = r->down.first[y], count = height - first < r->down.taps ? height - first : r->down.taps;
    int32_t sums[96];
    for (size_t at = 0; at < n; at += 96) {
        size_t part = n - at < 96 ? n - at : 96;
        for (size_t i = 0; i < part; i++)
            sums[i] = ONE / 2;
        for (uint32_t k = 0; k < count; k++) {
            const uint8_t *src = rgb + (first + k) * n + at;
            int32_t weight = weights[k];
            for (size_t i = 0; weight && i < part; i++)
                sums[i] += weight * src[i];
        }
        for (size_t i = 0; i < part; i++)
            r->tall[at + i] = (uint8_t)(sums[i] >> ONE_BITS);
    }
}

/* Two weights at a time: bytes r0 r1 g0 g1 b0 b1 widened, times (w0, w1). */
static __m128i two_taps(const uint8_t *rgb0, const int16_t *weights)
{
    __m128i pair = _mm_loadl_epi64((const __m128i *)rgb0);
    int32_t both;
    memcpy(&both, weights, sizeof both);
    __m128i mixed = _mm_unpacklo_epi8(pair, _mm_srli_epi64(pair, 32));
    return _mm_madd_epi16(_mm_unpacklo_epi8(mixed, _mm_setzero_si128()), _mm_set1_epi32(both));
}

static void reduce_columns(an_resize *r)
{
    uint32_t taps = r->across.taps;
    for (uint32_t x = 0; x < r->crop; x++) {
        const uint8_t *src = r->wide + (size_t)r->across.first[x] * 4;
        const int16_t *weights = r->across.weights + (size_t)x * taps;
        __m128i sum = _mm_set1_epi32(ONE / 2);
        for (uint32_t k = 0; k < taps; k += 2)
            sum = _mm_add_epi32(sum, two_taps(src + k * 4, weights + k));
        sum = _mm_srli_epi32(sum, ONE_BITS);
        sum = _mm_packs_epi32(sum, sum);
        int32_t pixel = _mm_cvtsi128_si32(_mm_packus_epi16(sum, sum));
        memcpy(r->out + (size_t)x * 3, &pixel, sizeof pixel);
    }
}

void an_resize_rows(an_resize *resize, const uint8_t *rgb, uint32_t width, uint32_t height,
                    void (*row)(void *context, uint32_t y, const uint8_t *rgb), void *context)
{
    axis_set(&resize->across, resize->crop, width);
    axis_set(&resize->down, resize->crop, height);
    for (uint32_t y = 0; y < resize->crop; y++) {
        reduce_rows(resize, y, rgb, width, height);
        resize->pixels->pad(resize->wide, resize->tall, width, false);
        reduce_columns(resize);
        row(context, y, resize->out);
    }
}
