#include "model/cpu/expand_private.h"

#include <string.h>

#include "base/error.h"

#define BLOCK 16

static bool order_is(const an_cpu_tensor *tensor, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t order =
        an_cpu_tensor_desc(tensor->desc.data_type, tensor->n, tensor->c, tensor->h, tensor->w, tag);
    return dnnl_memory_desc_equal(&order, &tensor->desc);
}

bool an_expansion_find(an_expansion *out, const an_node *node, const an_cpu_tensor *source, int parts)
{
    int channels = source->c / parts;
    *out = (an_expansion){.kernel = node->kernel,
                          .stride = node->stride,
                          .pad = node->pad_before,
                          .parts = parts,
                          .channels = channels,
                          .height = node->height + AN_EXPANSION_TAPS - 1,
                          .width = node->width + AN_EXPANSION_TAPS - 1};
    if (source->halved || node->groups != parts)
        return false;
    if (parts == 1 && node->stride == 4 && node->kernel > 4 && node->kernel <= 12 && order_is(source, dnnl_nchw)) {
        out->image = true;
        out->count = 4;
        for (int i = 0; i < out->count; i++)
            out->offsets[i] = i;
    } else if (node->stride == 1 && node->kernel > 3 && node->kernel <= 6 && channels % BLOCK == 0 &&
               order_is(source, dnnl_nChw16c)) {
        out->count = 2;
        out->offsets[1] = AN_EXPANSION_TAPS;
    } else
        return false;
    out->expanded = channels * out->count * out->count;
    return true;
}

#define TILE 4
#define GAIN 2.1 /* of Winograd over direct convolution: measured 2.3 with full tiles, less the time for the copies */

bool an_expansion_pays(const an_expansion *e)
{
    int height = e->height - AN_EXPANSION_TAPS + 1, width = e->width - AN_EXPANSION_TAPS + 1;
    int down = e->image ? height : e->height, across = e->image ? width : e->width;
    double products = AN_EXPANSION_TAPS * AN_EXPANSION_TAPS * e->count * e->count / (double)(e->kernel * e->kernel);
    double tiled = (double)((down + TILE - 1) / TILE * TILE) * ((across + TILE - 1) / TILE * TILE);
    return products * tiled / ((double)height * width) < GAIN;
}

/* Expands one channel of the image into its 16 copies, a block of channels of the result. size: bytes of a value. */
static inline __attribute__((always_inline)) void image_expand(const an_expansion *e, const char *in, int height,
                                                               int width, char *out, size_t size)
{
    size_t step = (size_t)e->count * size;
    for (int i = 0; i < e->height; i++)
        for (int j = 0; j < e->width; j++)
            for (int d = 0; d < e->count; d++, out += step) {
                int y = e->stride * i + e->offsets[d] - e->pad, x = e->stride * j - e->pad;
                ptrdiff_t from = ((ptrdiff_t)y * width + x) * (ptrdiff_t)size;
                bool inside = y >= 0 && y < height;
                if (inside && x >= 0 && x + e->count <= width) {
                    memcpy(out, in + from, AN_EXPANSION_OFFSETS * size);
                    continue;
                }
                memset(out, 0, step);
                for (int k = 0; k < e->count; k++)
                    if (inside && x + k >= 0 && x + k < width)
                        memcpy(out + (size_t)k * size, in + from + (ptrdiff_t)((size_t)k * size), size);
            }
}

static void image_plane(const an_expansion *e, const char *in, int height, int width, char *out, size_t size)
{
    if (size == sizeof(float))
        image_expand(e, in, height, width, out, sizeof(float));
    else
        image_expand(e, in, height, width, out, sizeof(uint16_t));
}

/* The columns j of the result, first to end - 1, for which j + shift is a column of the source. */
static void columns_inside(const an_expansion *e, int shift, int width, int *first, int *end)
{
    *first = shift < 0 ? -shift : 0;
    *end = width - shift < e->width ? width - shift : e->width;
    if (*first > e->width)
        *first = e->width;
    if (*end < *first)
        *end = *first;
}

/* Copies a block of 16 channels, shifted by down and right; what comes from outside is 0. */
static void shifted_plane(const an_expansion *e, int down, int right, const float *in, int height, int width,
                          float *out)
{
    int first, end;
    size_t row = (size_t)e->width * BLOCK;
    columns_inside(e, right, width, &first, &end);
    for (int i = 0; i < e->height; i++, out += row) {
        int y = i + down;
        if (y < 0 || y >= height) {
            memset(out, 0, row * sizeof *out);
            continue;
        }
        const float *from = in + ((ptrdiff_t)y * width + first + right) * BLOCK;
        memset(out, 0, (size_t)first * BLOCK * sizeof *out);
        memcpy(out + first * BLOCK, from, (size_t)(end - first) * BLOCK * sizeof *out);
        memset(out + end * BLOCK, 0, (size_t)(e->width - end) * BLOCK * sizeof *out);
    }
}

static void shifted_plane_back(const an_expansion *e, int down, int right, const float *in, int height, int width,
                               float *out)
{
    int first, end;
    columns_inside(e, right, width, &first, &end);
    for (int i = 0; i < e->height; i++) {
        int y = i + down;
        if (y < 0 || y >= height)
            continue;
        const float *from = in + ((size_t)i * (size_t)e->width + (size_t)first) * BLOCK;
        float *to = out + ((ptrdiff_t)y * width + first + right) * BLOCK;
        for (int k = 0; k < (end - first) * BLOCK; k++)
            to[k] += from[k];
    }
}

/* From where in the source a plane of the result is copied. Planes of 16 channels are numbered by part, sample, block.
 */
typedef struct {
    size_t source; /* plane of 16 channels */
    int down, right;
} plane_place;

static plane_place plane_find(const an_expansion *e, size_t n, size_t plane)
{
    size_t blocks = (size_t)e->channels / BLOCK, each = (size_t)e->expanded / BLOCK;
    size_t part = plane / (n * each), sample = plane / each % n, own = plane % each;
    int pair = (int)(own / blocks);
    return (plane_place){.source = (sample * (size_t)e->parts + part) * blocks + own % blocks,
                         .down = e->offsets[pair / e->count] - e->pad,
                         .right = e->offsets[pair % e->count] - e->pad};
}

int an_expansion_forward(const an_expansion *e, const an_cpu_tensor *source, void *wide)
{
    void *in = NULL;
    size_t pixels = (size_t)source->h * (size_t)source->w, area = (size_t)e->height * (size_t)e->width * BLOCK;
    size_t planes = (size_t)(source->n * e->parts) * (size_t)(e->expanded / BLOCK), n = (size_t)source->n;
    size_t size = dnnl_data_type_size(source->desc.data_type);
    int rc = an_cpu_check(dnnl_memory_get_data_handle(source->value, &in), "tensor", "its memory");
    if (rc)
        return rc;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < planes; i++) {
        if (e->image) {
            image_plane(e, (const char *)in + i * pixels * size, source->h, source->w, (char *)wide + i * area * size,
                        size);
            continue;
        }
        plane_place p = plane_find(e, n, i);
        shifted_plane(e, p.down, p.right, (const float *)in + p.source * pixels * BLOCK, source->h, source->w,
                      (float *)wide + i * area);
    }
    return AN_OK;
}

void an_expansion_backward(const an_expansion *e, an_cpu_tensor *source, const an_cpu_tensor *wide, bool accumulate)
{
    size_t pixels = (size_t)source->h * (size_t)source->w * BLOCK, area = (size_t)e->height * (size_t)e->width * BLOCK;
    size_t blocks = (size_t)e->channels / BLOCK, each = (size_t)e->expanded / BLOCK, n = (size_t)source->n;
    size_t count = n * (size_t)e->parts * blocks;
    const float *in = wide->slope;
    float *out = source->slope;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i++) { /* each block of the source sums the gradients of its copies */
        size_t first = (i / blocks) * each + i % blocks;
        if (!accumulate)
            memset(out + plane_find(e, n, first).source * pixels, 0, pixels * sizeof *out);
        for (size_t plane = first; plane < first - i % blocks + each; plane += blocks) {
            plane_place p = plane_find(e, n, plane);
            shifted_plane_back(e, p.down, p.right, in + plane * area, source->h, source->w, out + p.source * pixels);
        }
    }
}

/* The canonical weight that a weight of the wide convolution copies; false: it is padding. */
static bool weight_find(const an_expansion *e, size_t wide, size_t *canonical)
{
    size_t taps = (size_t)AN_EXPANSION_TAPS * AN_EXPANSION_TAPS, pairs = (size_t)(e->count * e->count);
    size_t kernel = (size_t)e->kernel, channels = (size_t)e->channels;
    size_t tap = wide % taps, channel = wide / taps % (size_t)e->expanded, output = wide / taps / (size_t)e->expanded;
    size_t source = e->image ? channel / pairs : channel % channels;
    size_t pair = e->image ? channel % pairs : channel / channels;
    size_t y = (size_t)e->stride * (tap / AN_EXPANSION_TAPS) + (size_t)e->offsets[pair / (size_t)e->count];
    size_t x = (size_t)e->stride * (tap % AN_EXPANSION_TAPS) + (size_t)e->offsets[pair % (size_t)e->count];
    *canonical = ((output * channels + source) * kernel + y) * kernel + x;
    return y < kernel && x < kernel;
}

void an_expansion_weights(const an_expansion *e, size_t outputs, const float *canonical, float *wide)
{
    size_t count = outputs * (size_t)e->expanded * AN_EXPANSION_TAPS * AN_EXPANSION_TAPS, from;
    for (size_t i = 0; i < count; i++)
        wide[i] = weight_find(e, i, &from) ? canonical[from] : 0;
}

void an_expansion_weights_back(const an_expansion *e, size_t outputs, const float *wide, float *canonical)
{
    size_t count = outputs * (size_t)e->expanded * AN_EXPANSION_TAPS * AN_EXPANSION_TAPS, to;
    for (size_t i = 0; i < count; i++)
        if (weight_find(e, i, &to))
            canonical[to] = wide[i];
}
