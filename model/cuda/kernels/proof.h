/* Part of bodies.h: what a library's kernel is compared with before it is used (proof_private.h). Everything here is
 * slow and plain on purpose. A value is read as it lies in memory, multiplied without rounding and summed in fp64, so
 * the result is off by much less than any rounding of the libraries. */
#ifndef AN_MODEL_CUDA_KERNELS_PROOF_H
#define AN_MODEL_CUDA_KERNELS_PROOF_H

#include "model/cuda/kernels/values.h"

/* A mix of 32 bits whose result looks random: xor-shifts and products, each of which can be undone, so that no two
 * inputs meet. */
AN_BODY uint32_t an_mix(uint32_t x)
{
    x = (x ^ x >> 16) * 0x7FEB352DU;
    x = (x ^ x >> 15) * 0x846CA68BU;
    return x ^ x >> 16;
}

AN_BODY void an_body_fill(const an_fill_args *a, uint64_t i)
{
    uint32_t bits = an_mix((uint32_t)i ^ an_mix(a->seed + (uint32_t)(i >> 32)));
    float value = ((float)(bits >> 8) + 0.5F) / 8388608.0F - 1;
    an_store(a->at.out[0], a->stored, i, value * a->scale);
}

/* A coordinate of a place: the first, the last, or any. */
AN_BODY int an_proof_draw(uint32_t seed, uint64_t place, uint32_t coordinate, int size)
{
    uint32_t bits = an_mix(an_mix(seed ^ coordinate << 24) ^ (uint32_t)place);
    return (bits & 3) == 0 ? 0 : (bits & 3) == 1 ? size - 1 : (int)((bits >> 2) % (uint32_t)size);
}

/* A result, and the number of products that it is the sum of. */
typedef struct {
    double value;
    uint64_t products;
} an_proof_sum;

/* Reads a value without telling AN_TOUCH, which was told of its surroundings. */
AN_BODY double an_proof_load(const void *from, an_stored stored, uint64_t i)
{
    return stored == AN_STORED_F32 ? ((const float *)from)[i]
                                   : an_bits_float((uint32_t)((const uint16_t *)from)[i] << 16);
}

AN_BODY uint64_t an_proof_bytes(an_stored stored)
{
    return stored == AN_STORED_F32 ? 4 : 2;
}

/* Adds the products of count values of each of two arrays. */
AN_BODY void an_proof_dot(an_proof_sum *sum, an_stored stored, const void *a, uint64_t a_first, uint64_t a_step,
                          const void *b, uint64_t b_first, uint64_t b_step, uint64_t count)
{
    AN_TOUCH((const char *)a + a_first * an_proof_bytes(stored), ((count - 1) * a_step + 1) * an_proof_bytes(stored));
    AN_TOUCH((const char *)b + b_first * an_proof_bytes(stored), ((count - 1) * b_step + 1) * an_proof_bytes(stored));
    for (uint64_t i = 0; i < count; i++)
        sum->value += an_proof_load(a, stored, a_first + i * a_step) * an_proof_load(b, stored, b_first + i * b_step);
    sum->products += count;
}

/* The spread counts one product more, for results that no product reaches. rounded: as in kernels.h. */
AN_BODY void an_proof_store(void *to, uint64_t place, uint64_t index, const an_proof_sum *sum, float each, double value,
                            double rounded)
{
    an_proof_point *point = (an_proof_point *)to + place;
    AN_TOUCH(point, sizeof *point);
    point->index = index;
    point->value = value;
    point->spread = each * sqrt((double)(sum->products + 1));
    point->rounded = rounded;
}

/* The index in memory of the first channel of a pixel. */
AN_BODY uint64_t an_proof_pixel(uint64_t n, int y, int x, int h, int w, int row)
{
    return ((n * (uint64_t)h + (uint64_t)y) * (uint64_t)w + (uint64_t)x) * (uint64_t)row;
}

/* The index of a weight. */
AN_BODY uint64_t an_proof_weight(const an_proof_conv_args *a, int o, int ky, int kx, int channel)
{
    return an_place_index((uint64_t)o, ky, kx, channel, a->kernel, a->kernel, a->c / a->groups);
}

/* y = activation(x * weights + bias) at one place. */
AN_BODY void an_proof_forward(const an_proof_conv_args *a, uint64_t place)
{
    int each = a->c / a->groups, maps = a->k / a->groups;
    int n = an_proof_draw(a->seed, place, 0, a->n), group = an_proof_draw(a->seed, place, 1, a->groups);
    int y = an_proof_draw(a->seed, place, 2, a->oh), x = an_proof_draw(a->seed, place, 3, a->ow);
    int o = group * maps + an_proof_draw(a->seed, place, 4, maps);
    an_proof_sum sum = {0, 0};
    for (int ky = 0; ky < a->kernel; ky++)
        for (int kx = 0; kx < a->kernel; kx++) {
            int iy = y * a->stride - a->pad + ky, ix = x * a->stride - a->pad + kx;
            if (iy < 0 || iy >= a->h || ix < 0 || ix >= a->w)
                continue;
            uint64_t from = an_proof_pixel((uint64_t)n, iy, ix, a->h, a->w, a->x_row) + (uint64_t)(group * each);
            an_proof_dot(&sum, a->stored, a->at.in[0], from, 1, a->at.in[1], an_proof_weight(a, o, ky, kx, 0), 1,
                         (uint64_t)each);
        }
    sum.value += an_load(a->at.in[3], a->stored, (uint64_t)o);
    double value = an_activation_value(a->activation, (float)sum.value);
    an_proof_store(a->at.out[0], place, an_proof_pixel((uint64_t)n, y, x, a->oh, a->ow, a->y_row) + (uint64_t)o, &sum,
                   a->each, value, fabs(value));
}

/* The output row (or column) that reads input row at through row tap of its window; -1: none. */
AN_BODY int an_proof_reader(int at, int tap, int pad, int stride, int size)
{
    int from = at + pad - tap;
    return from >= 0 && from % stride == 0 && from / stride < size ? from / stride : -1;
}

/* The gradient of x at one place. */
AN_BODY void an_proof_data(const an_proof_conv_args *a, uint64_t place)
{
    int each = a->c / a->groups, maps = a->k / a->groups;
    int n = an_proof_draw(a->seed, place, 0, a->n), group = an_proof_draw(a->seed, place, 1, a->groups);
    int y = an_proof_draw(a->seed, place, 2, a->h), x = an_proof_draw(a->seed, place, 3, a->w);
    int channel = an_proof_draw(a->seed, place, 4, each);
    uint64_t next = (uint64_t)a->kernel * (uint64_t)a->kernel * (uint64_t)each; /* map */
    an_proof_sum sum = {0, 0};
    for (int ky = 0; ky < a->kernel; ky++)
        for (int kx = 0; kx < a->kernel; kx++) {
            int oy = an_proof_reader(y, ky, a->pad, a->stride, a->oh);
            int ox = an_proof_reader(x, kx, a->pad, a->stride, a->ow);
            if (oy < 0 || ox < 0)
                continue;
            uint64_t from = an_proof_pixel((uint64_t)n, oy, ox, a->oh, a->ow, a->y_row) + (uint64_t)(group * maps);
            an_proof_dot(&sum, a->stored, a->at.in[2], from, 1, a->at.in[1],
                         an_proof_weight(a, group * maps, ky, kx, channel), next, (uint64_t)maps);
        }
    uint64_t pixel = an_proof_pixel((uint64_t)n, y, x, a->h, a->w, a->x_row);
    an_proof_store(a->at.out[0], place, pixel + (uint64_t)(group * each + channel), &sum, a->each, sum.value,
                   fabs(sum.value));
}

AN_BODY void an_body_proof_conv(const an_proof_conv_args *a, uint64_t place)
{
    if (a->data)
        an_proof_data(a, place);
    else
        an_proof_forward(a, place);
}

/* Adds what one sample's row of the gradient of y contributes to a weight: row iy of x, through column kx of the
 * window.
 */
AN_BODY void an_proof_row(an_proof_sum *sum, const an_proof_conv_args *a, uint64_t x_first, uint64_t y_first, int kx)
{
    for (int ox = 0; ox < a->ow; ox++) {
        int ix = ox * a->stride - a->pad + kx;
        if (ix < 0 || ix >= a->w)
            continue;
        sum->value += (double)an_load(a->at.in[0], a->stored, x_first + (uint64_t)ix * (uint64_t)a->x_row) *
                      an_load(a->at.in[2], a->stored, y_first + (uint64_t)ox * (uint64_t)a->y_row);
    }
}

/* How many outputs along an axis read the image, not its padding, through that tap of the window. */
AN_BODY uint64_t an_proof_readers(int outputs, int tap, int pad, int stride, int size)
{
    uint64_t count = 0;
    for (int i = 0; i < outputs; i++)
        count += i * stride - pad + tap >= 0 && i * stride - pad + tap < size;
    return count;
}

/* The lanes share the rows, as a weight's gradient is the sum of up to some 400,000 products. */
AN_BODY void an_body_proof_weights(const an_proof_conv_args *a, uint64_t place)
{
    int each = a->c / a->groups, maps = a->k / a->groups, group = an_proof_draw(a->seed, place, 0, a->groups);
    int o = group * maps + an_proof_draw(a->seed, place, 1, maps);
    int ky = an_proof_draw(a->seed, place, 2, a->kernel), kx = an_proof_draw(a->seed, place, 3, a->kernel);
    int channel = an_proof_draw(a->seed, place, 4, each);
    an_proof_sum sum = {0, 0};
    for (uint64_t row = (uint64_t)AN_LANE; row < (uint64_t)a->n * (uint64_t)a->oh; row += AN_LANES) {
        uint64_t n = row / (uint64_t)a->oh;
        int oy = (int)(row % (uint64_t)a->oh), iy = oy * a->stride - a->pad + ky;
        if (iy < 0 || iy >= a->h)
            continue;
        an_proof_row(&sum, a, an_proof_pixel(n, iy, 0, a->h, a->w, a->x_row) + (uint64_t)(group * each + channel),
                     an_proof_pixel(n, oy, 0, a->oh, a->ow, a->y_row) + (uint64_t)o, kx);
    }
    sum.value = AN_LANES_SUM(sum.value);
    sum.products = (uint64_t)a->n * an_proof_readers(a->oh, ky, a->pad, a->stride, a->h) *
                   an_proof_readers(a->ow, kx, a->pad, a->stride, a->w);
    if (AN_LANE == 0)
        an_proof_store(a->at.out[0], place, an_proof_weight(a, o, ky, kx, channel), &sum, a->each, sum.value,
                       fabs(sum.value));
}

/* The lanes share the products. */
AN_BODY void an_body_proof_product(const an_proof_product_args *a, uint64_t place)
{
    uint64_t row = (uint64_t)an_proof_draw(a->seed, place, 0, (int)a->m), m = (uint64_t)a->m, k = (uint64_t)a->k;
    uint64_t column = (uint64_t)an_proof_draw(a->seed, place, 1, (int)a->n), n = (uint64_t)a->n;
    uint64_t lane = (uint64_t)AN_LANE, a_step = a->turn_a ? 1 : m, b_step = a->turn_b ? n : 1;
    an_proof_sum sum = {0, 0};
    if (lane < k)
        an_proof_dot(&sum, a->stored, a->at.in[0], (a->turn_a ? row * k : row) + lane * a_step, a_step * AN_LANES,
                     a->at.in[1], (a->turn_b ? column : column * k) + lane * b_step, b_step * AN_LANES,
                     (k - lane + AN_LANES - 1) / AN_LANES);
    sum.value = AN_LANES_SUM(sum.value);
    sum.products = k;
    double value = sum.value, product = fabs(sum.value);
    if (a->at.in[2])
        value += an_load(a->at.in[2], a->stored_d, row);
    if (a->at.in[3])
        value += an_load(a->at.in[3], a->stored_d, column * m + row);
    if (a->relu && value < 0)
        value = 0;
    if (AN_LANE == 0)
        an_proof_store(a->at.out[0], place, column * m + row, &sum, a->each, value,
                       fabs(value) + (a->at.in[3] ? product : 0));
}

AN_BODY void an_body_proof_compare(const an_proof_compare_args *a, uint64_t place)
{
    const an_proof_point *point = (const an_proof_point *)a->at.in[1] + place;
    AN_TOUCH(point, sizeof *point);
    double away = (double)an_load(a->at.in[0], a->stored, point->index) - point->value;
    double bound = a->rounding * point->rounded + a->growth * point->spread + a->slack;
    an_store(a->at.out[0], AN_STORED_F32, place, (float)(fabs(away) / bound));
}

AN_BODY void an_body_proof_digest(const an_proof_digest_args *a, uint64_t part)
{
    uint32_t infinite = a->stored == AN_STORED_F32 ? 0x7F800000U : 0x7F80U;
    an_proof_digest digest = {0, 0};
    for (uint64_t i = part; i < a->values; i += a->at.items) {
        AN_TOUCH((const char *)a->at.in[0] + i * an_proof_bytes(a->stored), an_proof_bytes(a->stored));
        uint32_t bits =
            a->stored == AN_STORED_F32 ? ((const uint32_t *)a->at.in[0])[i] : ((const uint16_t *)a->at.in[0])[i];
        digest.sum += bits * (i * 0x9E3779B97F4A7C15U | 1);
        digest.lost += (bits & infinite) == infinite;
    }
    an_proof_digest *out = (an_proof_digest *)a->at.out[0] + part;
    AN_TOUCH(out, sizeof *out);
    *out = digest;
}

#endif
