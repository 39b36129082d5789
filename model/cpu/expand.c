#include "model/cpu/expand_private.h"

#include <string.h>

#include "base/error.h"

#define STRIDE 4
#define COPIES (AN_EXPANSION_OFFSETS * AN_EXPANSION_OFFSETS) /* of a channel */

bool an_expansion_find(an_expansion *out, const an_node *node, const an_cpu_tensor *source, int block)
{
    an_desc plain =
        an_cpu_tensor_desc(an_desc_type(&source->desc), source->n, source->c, source->h, source->w, dnnl_nchw);
    *out = (an_expansion){0};
    if (node->groups != 1 || node->stride != STRIDE || node->kernel <= 4 || node->kernel > 12 ||
        !an_desc_equal(&plain, &source->desc))
        return false;
    *out = (an_expansion){.kernel = node->kernel,
                          .pad = node->pad_before,
                          .block = block,
                          .channels = source->c,
                          .expanded = source->c * COPIES,
                          .height = node->height + AN_EXPANSION_TAPS - 1,
                          .width = node->width + AN_EXPANSION_TAPS - 1};
    return true;
}

/* One channel of the image, to those of its copies that one block of the result holds: the copies shifted down by first
 * to first + rows - 1. size: bytes of a value. */
static inline __attribute__((always_inline)) void plane_expand(const an_expansion *e, const char *in, int height,
                                                               int width, int first, int rows, char *out, size_t size)
{
    size_t step = AN_EXPANSION_OFFSETS * size;
    for (int i = 0; i < e->height; i++)
        for (int j = 0; j < e->width; j++)
            for (int d = first; d < first + rows; d++, out += step) {
                int y = STRIDE * i + d - e->pad, x = STRIDE * j - e->pad;
                ptrdiff_t from = ((ptrdiff_t)y * width + x) * (ptrdiff_t)size;
                bool inside = y >= 0 && y < height;
                if (inside && x >= 0 && x + AN_EXPANSION_OFFSETS <= width) {
                    memcpy(out, in + from, AN_EXPANSION_OFFSETS * size);
                    continue;
                }
                memset(out, 0, step);
                for (int k = 0; k < AN_EXPANSION_OFFSETS; k++)
                    if (inside && x + k >= 0 && x + k < width)
                        memcpy(out + (size_t)k * size, in + from + (ptrdiff_t)((size_t)k * size), size);
            }
}

/* The same, so that the compiler knows rows and size where it matters. */
static void plane_make(const an_expansion *e, const char *in, int height, int width, int first, char *out, size_t size)
{
    int rows = e->block / AN_EXPANSION_OFFSETS;
    if (size == sizeof(uint16_t))
        plane_expand(e, in, height, width, first, rows, out, sizeof(uint16_t));
    else if (rows == 4)
        plane_expand(e, in, height, width, first, 4, out, sizeof(float));
    else
        plane_expand(e, in, height, width, first, rows, out, sizeof(float));
}

int an_expansion_forward(const an_expansion *e, const an_cpu_tensor *source, void *wide)
{
    void *in = NULL;
    size_t size = dnnl_data_type_size(an_desc_type(&source->desc)), blocks = COPIES / (size_t)e->block;
    size_t pixels = (size_t)source->h * (size_t)source->w * size;
    size_t area = (size_t)e->height * (size_t)e->width * (size_t)e->block * size;
    size_t planes = (size_t)(source->n * e->channels) * blocks;
    int rc = an_cpu_check(dnnl_memory_get_data_handle(source->value, &in), "tensor", "its memory");
    if (rc)
        return rc;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < planes; i++)
        plane_make(e, (const char *)in + i / blocks * pixels, source->h, source->w,
                   (int)(i % blocks) * e->block / AN_EXPANSION_OFFSETS, (char *)wide + i * area, size);
    return AN_OK;
}

/* The canonical weight that a weight of the wide convolution copies; false: it is padding. */
static bool weight_find(const an_expansion *e, size_t wide, size_t *canonical)
{
    size_t taps = (size_t)AN_EXPANSION_TAPS * AN_EXPANSION_TAPS;
    size_t kernel = (size_t)e->kernel, channels = (size_t)e->channels;
    size_t tap = wide % taps, channel = wide / taps % (size_t)e->expanded, output = wide / taps / (size_t)e->expanded;
    size_t source = channel / COPIES, pair = channel % COPIES;
    size_t y = STRIDE * (tap / AN_EXPANSION_TAPS) + pair / AN_EXPANSION_OFFSETS;
    size_t x = STRIDE * (tap % AN_EXPANSION_TAPS) + pair % AN_EXPANSION_OFFSETS;
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
