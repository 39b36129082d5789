/* The work of each kernel for one item, in the common subset of C and CUDA. Whoever includes it says what AN_BODY is,
 * and for bodies that a group of lanes shares: the lane, their number, and sum and maximum over them. */
#ifndef AN_MODEL_CUDA_KERNEL_BODIES_H
#define AN_MODEL_CUDA_KERNEL_BODIES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "model/cuda/kernels.h"

#ifdef __CUDACC__
#define AN_UNROLL _Pragma("unroll")
#define AN_ROOT(x) rsqrtf(x)
#else
#define AN_UNROLL
#define AN_ROOT(x) (1 / sqrtf(x))
#endif

/* What a thread reads and writes at once. Values beside each other go through it where their number is a multiple of
 * what it holds: addresses are then computed, and memory is asked, once for four or eight of them. Functions on groups
 * take the type and count as constants of their callers, so that arrays become registers. */
typedef struct {
    uint32_t words[4];
} __attribute__((aligned(16), may_alias)) an_sixteen;

AN_BODY float an_bits_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

AN_BODY float an_load(const void *from, an_stored stored, uint64_t i)
{
    if (stored == AN_STORED_F32)
        return ((const float *)from)[i];
    return an_bits_float((uint32_t)((const uint16_t *)from)[i] << 16);
}

/* As stored; bf16 to the nearest, ties to even; a NaN stays one. */
AN_BODY uint32_t an_stored_bits(an_stored stored, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (stored == AN_STORED_F32)
        return bits;
    if (value != value)
        bits |= 0x400000;
    else
        bits += 0x7FFF + (bits >> 16 & 1);
    return bits >> 16;
}

AN_BODY void an_store(void *to, an_stored stored, uint64_t i, float value)
{
    if (stored == AN_STORED_F32)
        ((float *)to)[i] = value;
    else
        ((uint16_t *)to)[i] = (uint16_t)an_stored_bits(stored, value);
}

AN_BODY void an_put(void *to, an_stored stored, uint64_t i, float value, int accumulate)
{
    an_store(to, stored, i, accumulate ? an_load(to, stored, i) + value : value);
}

AN_BODY const an_sixteen *an_sixteen_at(const void *from, an_stored stored, uint64_t i)
{
    return (const an_sixteen *)(const void *)((const char *)from + i * (stored == AN_STORED_F32 ? 4 : 2));
}

AN_BODY void an_group_load(const void *from, an_stored stored, uint64_t first, int count, float *out)
{
    int values = stored == AN_STORED_F32 ? 4 : 8;
    AN_UNROLL for (int g = 0; g < count; g += values)
    {
        an_sixteen v = *an_sixteen_at(from, stored, first + (uint64_t)g);
        AN_UNROLL for (int k = 0; k < values; k++)
        {
            uint32_t word = v.words[stored == AN_STORED_F32 ? k : k / 2];
            out[g + k] = an_bits_float(stored == AN_STORED_F32 ? word : k % 2 ? word & 0xFFFF0000U : word << 16);
        }
    }
}

AN_BODY void an_group_store(void *to, an_stored stored, uint64_t first, int count, const float *values)
{
    int each = stored == AN_STORED_F32 ? 4 : 8;
    AN_UNROLL for (int g = 0; g < count; g += each)
    {
        an_sixteen v;
        AN_UNROLL for (int k = 0; k < 4; k++)
        {
            v.words[k] = stored == AN_STORED_F32 ? an_stored_bits(stored, values[g + k])
                                                 : an_stored_bits(stored, values[g + 2 * k]) |
                                                       an_stored_bits(stored, values[g + 2 * k + 1]) << 16;
        }
        *(an_sixteen *)(uintptr_t)an_sixteen_at(to, stored, first + (uint64_t)g) = v;
    }
}

AN_BODY void an_group_put(void *to, an_stored stored, uint64_t first, int count, float *values, int accumulate)
{
    float before[8];
    if (accumulate) {
        an_group_load(to, stored, first, count, before);
        AN_UNROLL for (int k = 0; k < count; k++) values[k] = before[k] + values[k];
    }
    an_group_store(to, stored, first, count, values);
}

/* Numbered as an_activation: none, relu, tanh, sigmoid. NaN passes through the rectifier, so that it is noticed. */
AN_BODY float an_activation_value(int activation, float x)
{
    switch (activation) {
    case 1:
        return x < 0 ? 0 : x;
    case 2:
        return tanhf(x);
    case 3:
        return 1 / (1 + expf(-x));
    default:
        return x;
    }
}

/* The derivative, from the activation's result. */
AN_BODY float an_activation_slope(int activation, float y)
{
    switch (activation) {
    case 1:
        return y > 0 ? 1.0F : 0.0F;
    case 2:
        return 1 - y * y;
    case 3:
        return y * (1 - y);
    default:
        return 1;
    }
}

AN_BODY void an_body_activate(const an_activate_args *a, uint64_t i)
{
    an_store(a->at.out[0], a->stored, i, an_activation_value(a->activation, an_load(a->at.out[0], a->stored, i)));
}

AN_BODY void an_body_slope(const an_slope_args *a, uint64_t i)
{
    uint64_t channels = (uint64_t)a->channels, channel = i % channels, first = i / channels * (uint64_t)a->chunk;
    uint64_t end = first + (uint64_t)a->chunk;
    float sum = 0;
    for (uint64_t row = first; row < end && row < a->rows; row++) {
        uint64_t place = row * channels + channel;
        float slope = an_load(a->at.out[0], a->stored, place);
        if (a->activation) {
            slope *= an_activation_slope(a->activation, an_load(a->at.in[0], a->stored, place));
            an_store(a->at.out[0], a->stored, place, slope);
        }
        sum += slope;
    }
    ((float *)a->at.out[1])[i] = sum;
}

AN_BODY void an_body_bias(const an_bias_args *a, uint64_t i)
{
    float sum = 0;
    for (int chunk = AN_LANE; chunk < a->chunks; chunk += AN_LANES)
        sum += ((const float *)a->at.in[0])[(uint64_t)chunk * (uint64_t)a->channels + i];
    sum = (float)AN_LANES_SUM(sum);
    if (AN_LANE == 0)
        an_store(a->at.out[0], a->stored, i, sum);
}

/* The position of a pixel's values: sample, row, column and channel of item i. */
typedef struct {
    uint64_t n;
    int y, x, c;
} an_place;

AN_BODY an_place an_place_of(uint64_t i, int h, int w, int channels)
{
    an_place p;
    p.c = (int)(i % (uint64_t)channels);
    i /= (uint64_t)channels;
    p.x = (int)(i % (uint64_t)w);
    i /= (uint64_t)w;
    p.y = (int)(i % (uint64_t)h);
    p.n = i / (uint64_t)h;
    return p;
}

AN_BODY uint64_t an_place_index(uint64_t n, int y, int x, int c, int h, int w, int channels)
{
    return ((n * (uint64_t)h + (uint64_t)y) * (uint64_t)w + (uint64_t)x) * (uint64_t)channels + (uint64_t)c;
}

/* The mean of pixel y, x of an image: one colour, or a pixel of the mean image, mirrored with the image. */
AN_BODY const float *an_convert_mean(const an_convert_args *a, const an_image_draw *draw, int y, int x)
{
    const float *mean = (const float *)a->at.in[2];
    if (a->mean_side == 1)
        return mean;
    uint64_t row = (uint64_t)y + (draw ? draw->y : 0);
    uint64_t column = draw ? draw->x + (uint64_t)(draw->flip ? a->w - 1 - x : x) : (uint64_t)x;
    return mean + (row * (uint64_t)a->mean_side + column) * 3;
}

/* In the order of operations of augment/pixels.c, which nothing contracts: the same bits. */
AN_BODY void an_body_convert(const an_convert_args *a, uint64_t i)
{
    int values = a->stored == AN_STORED_F32 ? 2 : 4, words = a->channels / values;
    int first = (int)(i % (uint64_t)words) * values;
    uint64_t pixel = i / (uint64_t)words, word = 0;
    an_place p = an_place_of(pixel, a->h, a->w, 1);
    const an_image_draw *draw = a->at.in[1] ? (const an_image_draw *)a->at.in[1] + p.n : 0;
    const uint8_t *bytes = (const uint8_t *)a->at.in[0] + pixel * 3;
    const float *mean = an_convert_mean(a, draw, p.y, p.x);
    for (int k = 0; k < values && first + k < 3; k++) {
        int c = first + k;
        float value = (((float)bytes[c] - mean[c]) + (draw ? draw->shift[c] : 0.0F)) * a->scale;
        word |= (uint64_t)an_stored_bits(a->stored, value) << (k * (64 / values));
    }
    ((uint64_t *)a->at.out[0])[i] = word;
}

/* How many rows (columns) of the image the window at place out covers: a mean divides by these alone. */
AN_BODY int an_pool_covered(const an_pool_args *a, int out, int side)
{
    int first = out * a->stride - a->pad, end = first + a->window;
    return (end > side ? side : end) - (first < 0 ? 0 : first);
}

AN_BODY float an_pool_share(const an_pool_args *a, int y, int x)
{
    return 1.0F / (float)(an_pool_covered(a, y, a->h) * an_pool_covered(a, x, a->w));
}

/* Maximum: the first of equal values is taken; NaN wins, so that it is noticed. */
AN_BODY void an_body_pool(const an_pool_args *a, uint64_t i)
{
    an_place p = an_place_of(i, a->oh, a->ow, a->channels);
    float most = 0, sum = 0;
    int taken = -1;
    for (int k = 0; k < a->window * a->window; k++) {
        int y = p.y * a->stride - a->pad + k / a->window, x = p.x * a->stride - a->pad + k % a->window;
        if (y < 0 || y >= a->h || x < 0 || x >= a->w)
            continue;
        float value = an_load(a->at.in[0], a->stored, an_place_index(p.n, y, x, p.c, a->h, a->w, a->channels));
        sum += value;
        if (taken < 0 || value > most || (value != value && most == most)) {
            most = value;
            taken = k;
        }
    }
    an_store(a->at.out[0], a->stored, i, a->average ? sum * an_pool_share(a, p.y, p.x) : most);
    if (a->at.out[1])
        ((uint8_t *)a->at.out[1])[i] = (uint8_t)taken;
}

/* Gathers from every window that covers the pixel: its share of a mean, or all if it was taken. */
AN_BODY void an_body_pool_back(const an_pool_back_args *args, uint64_t i)
{
    const an_pool_args *a = &args->pool;
    const uint8_t *taken = (const uint8_t *)a->at.in[1];
    an_place p = an_place_of(i, a->h, a->w, a->channels);
    float sum = 0;
    for (int ky = 0; ky < a->window; ky++)
        for (int kx = 0; kx < a->window; kx++) {
            int y = p.y + a->pad - ky, x = p.x + a->pad - kx;
            if (y < 0 || x < 0 || y % a->stride || x % a->stride || y / a->stride >= a->oh || x / a->stride >= a->ow)
                continue;
            y /= a->stride;
            x /= a->stride;
            uint64_t from = an_place_index(p.n, y, x, p.c, a->oh, a->ow, a->channels);
            if (a->average)
                sum += an_pool_share(a, y, x) * an_load(a->at.in[0], a->stored, from);
            else if (taken[from] == ky * a->window + kx)
                sum += an_load(a->at.in[0], a->stored, from);
        }
    an_put(a->at.out[0], a->stored, i, sum, args->accumulate);
}

/* s^-beta, and s^(-beta - 1). The usual beta, 3/4, needs two roots and no logarithm, of which a device has few. */
AN_BODY float an_lrn_power(float s, float beta, float *next)
{
    float power;
    if (beta == 0.75F) {
        float root = AN_ROOT(s);
        power = root * root * AN_ROOT(root);
        *next = power * (root * root);
    } else {
        power = powf(s, -beta);
        *next = power / s;
    }
    return power;
}

/* The channels whose windows of normalisation hold channel: first to last. */
AN_BODY void an_lrn_range(const an_lrn_args *a, int channel, int *first, int *last)
{
    int start = channel / a->width * a->width, half = a->size / 2;
    *first = channel - half < start ? start : channel - half;
    *last = channel + half >= start + a->width ? start + a->width - 1 : channel + half;
}

AN_BODY void an_lrn_one(const an_lrn_args *a, uint64_t i)
{
    int channel = (int)(i % (uint64_t)a->channels), first, last;
    uint64_t row = i - (uint64_t)channel;
    float sum = 0, next;
    an_lrn_range(a, channel, &first, &last);
    for (int c = first; c <= last; c++) {
        float x = an_load(a->at.in[0], a->stored, row + (uint64_t)c);
        sum += x * x;
    }
    sum = a->k + a->alpha * sum;
    float power = an_lrn_power(sum, a->beta, &next);
    an_store(a->at.out[0], a->stored, i, an_load(a->at.in[0], a->stored, i) * power);
    if (a->at.out[1])
        ((float *)a->at.out[1])[i] = sum;
}

/* dx_i = dy_i s_i^-beta - 2 alpha / size beta x_i sum_j dy_j x_j s_j^(-beta - 1), over the windows j that hold i. */
AN_BODY void an_lrn_back_one(const an_lrn_back_args *args, uint64_t i)
{
    const an_lrn_args *a = &args->lrn;
    const float *sums = (const float *)a->at.in[1];
    int channel = (int)(i % (uint64_t)a->channels), first, last;
    uint64_t row = i - (uint64_t)channel;
    float through = 0, next;
    an_lrn_range(a, channel, &first, &last);
    for (int c = first; c <= last; c++) {
        uint64_t j = row + (uint64_t)c;
        (void)an_lrn_power(sums[j], a->beta, &next);
        through += an_load(a->at.in[2], a->stored, j) * an_load(a->at.in[0], a->stored, j) * next;
    }
    float direct = an_load(a->at.in[2], a->stored, i) * an_lrn_power(sums[i], a->beta, &next);
    float slope = direct - 2 * a->alpha * a->beta * an_load(a->at.in[0], a->stored, i) * through;
    an_put(a->at.out[0], a->stored, i, slope, args->accumulate);
}

/* A group of channels with its neighbours, of which windows of up to 5 hold two before and two behind; beyond the width
 * normalised together lie values that add nothing. */
#define AN_LRN_HALF 2
#define AN_LRN_ROOM (8 + 2 * AN_LRN_HALF)

AN_BODY void an_lrn_load(const an_lrn_args *a, const void *from, an_stored stored, uint64_t first, int count,
                         float beyond, float *out)
{
    int channel = (int)(first % (uint64_t)a->width);
    AN_UNROLL for (int k = 0; k < AN_LRN_HALF; k++)
    {
        out[k] = channel ? an_load(from, stored, first - (uint64_t)(AN_LRN_HALF - k)) : beyond;
        out[AN_LRN_HALF + count + k] =
            channel + count < a->width ? an_load(from, stored, first + (uint64_t)(count + k)) : beyond;
    }
    an_group_load(from, stored, first, count, out + AN_LRN_HALF);
}

/* The sum over the window of value k of a group. */
AN_BODY float an_lrn_sum(const float *values, int k, int half)
{
    float sum = 0;
    AN_UNROLL for (int away = -AN_LRN_HALF; away <= AN_LRN_HALF; away++)
    {
        if (away >= -half && away <= half)
            sum += values[AN_LRN_HALF + k + away];
    }
    return sum;
}

AN_BODY void an_lrn_group(const an_lrn_args *a, uint64_t i, an_stored stored, int count)
{
    float x[AN_LRN_ROOM], squares[AN_LRN_ROOM], y[8], sums[8], next;
    uint64_t first = i * (uint64_t)count;
    an_lrn_load(a, a->at.in[0], stored, first, count, 0, x);
    AN_UNROLL for (int k = 0; k < count + 2 * AN_LRN_HALF; k++) squares[k] = x[k] * x[k];
    AN_UNROLL for (int k = 0; k < count; k++)
    {
        sums[k] = a->k + a->alpha * an_lrn_sum(squares, k, a->size / 2);
        y[k] = x[AN_LRN_HALF + k] * an_lrn_power(sums[k], a->beta, &next);
    }
    an_group_store(a->at.out[0], stored, first, count, y);
    if (a->at.out[1])
        an_group_store(a->at.out[1], AN_STORED_F32, first, count, sums);
}

AN_BODY void an_lrn_back_group(const an_lrn_back_args *args, uint64_t i, an_stored stored, int count)
{
    const an_lrn_args *a = &args->lrn;
    float x[AN_LRN_ROOM], dy[AN_LRN_ROOM], sums[AN_LRN_ROOM], through[AN_LRN_ROOM], powers[AN_LRN_ROOM], slope[8];
    uint64_t first = i * (uint64_t)count;
    an_lrn_load(a, a->at.in[0], stored, first, count, 0, x);
    an_lrn_load(a, a->at.in[2], stored, first, count, 0, dy);
    an_lrn_load(a, a->at.in[1], AN_STORED_F32, first, count, 1, sums);
    AN_UNROLL for (int k = 0; k < count + 2 * AN_LRN_HALF; k++)
    {
        float next;
        powers[k] = an_lrn_power(sums[k], a->beta, &next);
        through[k] = dy[k] * x[k] * next;
    }
    AN_UNROLL for (int k = 0; k < count; k++)
    {
        float direct = dy[AN_LRN_HALF + k] * powers[AN_LRN_HALF + k];
        slope[k] = direct - 2 * a->alpha * a->beta * x[AN_LRN_HALF + k] * an_lrn_sum(through, k, a->size / 2);
    }
    an_group_put(a->at.out[0], stored, first, count, slope, args->accumulate);
}

AN_BODY void an_body_lrn(const an_lrn_args *a, uint64_t i)
{
    if (a->group == 4)
        an_lrn_group(a, i, AN_STORED_F32, 4);
    else if (a->group == 8)
        an_lrn_group(a, i, AN_STORED_BF16, 8);
    else
        an_lrn_one(a, i);
}

AN_BODY void an_body_lrn_back(const an_lrn_back_args *a, uint64_t i)
{
    if (a->lrn.group == 4)
        an_lrn_back_group(a, i, AN_STORED_F32, 4);
    else if (a->lrn.group == 8)
        an_lrn_back_group(a, i, AN_STORED_BF16, 8);
    else
        an_lrn_back_one(a, i);
}

AN_BODY void an_body_numbers(const an_numbers_args *a, uint64_t i)
{
    ((uint32_t *)a->at.out[0])[i] = a->words[i];
}

/* Word number word of a layer's block of Philox4x32-10, as base/rng.c computes it. */
AN_BODY uint32_t an_philox_word(const uint32_t *counter, uint32_t layer, const uint32_t key[2], uint32_t block,
                                unsigned word)
{
    uint32_t c0 = block, c1 = counter[1], c2 = layer, c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53 * c0, p1 = (uint64_t)0xCD9E8D57 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    return word == 0 ? c0 : word == 1 ? c1 : word == 2 ? c2 : c3;
}

AN_BODY void an_body_dropout(const an_dropout_args *a, uint64_t i)
{
    uint64_t row = i / (uint64_t)a->channels;
    uint64_t place = row * a->layer_channels + a->channel_offset + i % (uint64_t)a->channels;
    uint32_t word = a->threshold ? an_philox_word((const uint32_t *)a->at.in[1], a->layer, a->key,
                                                  (uint32_t)(place / 4), (unsigned)(place % 4))
                                 : 0;
    int kept = word >= a->threshold;
    an_store(a->at.out[0], a->to, i, kept ? an_load(a->at.in[0], a->from, i) * a->scale : 0);
    ((uint8_t *)a->at.out[1])[i] = (uint8_t)kept;
}

AN_BODY void an_body_dropout_back(const an_dropout_back_args *a, uint64_t i)
{
    int kept = ((const uint8_t *)a->at.in[1])[i];
    float slope = kept ? an_load(a->at.in[0], a->stored, i) * a->scale : 0;
    an_put(a->at.out[0], a->stored, i, slope, a->accumulate);
}

/* Softmax and cross entropy of one row, in double precision as the CPU does it. */
AN_BODY void an_body_loss(const an_loss_args *a, uint64_t row)
{
    uint64_t start = row * (uint64_t)a->classes;
    float *probability = (float *)a->at.out[0] + start, most = an_load(a->at.in[0], a->stored, start);
    double sum = 0;
    for (int i = AN_LANE; i < a->classes; i += AN_LANES) {
        float value = an_load(a->at.in[0], a->stored, start + (uint64_t)i);
        most = value > most ? value : most;
    }
    most = AN_LANES_MAX(most);
    for (int i = AN_LANE; i < a->classes; i += AN_LANES) {
        double power = exp((double)an_load(a->at.in[0], a->stored, start + (uint64_t)i) - most);
        sum += power;
        probability[i] = (float)power;
    }
    sum = AN_LANES_SUM(sum);
    for (int i = AN_LANE; i < a->classes; i += AN_LANES)
        probability[i] *= (float)(1 / sum);
    if (!a->at.in[1])
        return;
    uint32_t label = ((const uint32_t *)a->at.in[1])[row];
    float truth = an_load(a->at.in[0], a->stored, start + label);
    double rank = 0;
    for (int i = AN_LANE; i < a->classes; i += AN_LANES)
        rank += i != (int)label && an_load(a->at.in[0], a->stored, start + (uint64_t)i) >= truth;
    rank = AN_LANES_SUM(rank);
    an_row_result *result = (an_row_result *)a->at.out[1] + row;
    if (AN_LANE == 0) {
        result->loss = (float)(most + log(sum) - truth);
        result->rank = (uint32_t)rank;
    }
}

AN_BODY void an_body_loss_back(const an_loss_back_args *a, uint64_t i)
{
    uint64_t row = i / (uint64_t)a->classes;
    float slope = 0, share = 1.0F / (float)a->count;
    if (row < a->count) {
        int truth = ((const uint32_t *)a->at.in[1])[row] == i % (uint64_t)a->classes;
        slope = (((const float *)a->at.in[0])[i] - (truth ? 1.0F : 0.0F)) * share;
    }
    an_put(a->at.out[0], a->stored, i, slope, a->accumulate);
}

AN_BODY void an_body_window(const an_window_args *a, uint64_t i)
{
    uint64_t row = i / (uint64_t)a->channels, channel = i % (uint64_t)a->channels;
    uint64_t from = row * (uint64_t)a->from_channels + (uint64_t)a->from_offset + channel;
    uint64_t to = row * (uint64_t)a->to_channels + (uint64_t)a->to_offset + channel;
    an_put(a->at.out[0], a->to, to, an_load(a->at.in[0], a->from, from), a->accumulate);
}

/* The tensor of an item: the last one that does not begin behind it. */
AN_BODY const an_sgd_tensor *an_sgd_tensor_of(const an_sgd_args *a, uint64_t i)
{
    int low = 0, high = a->count;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (a->tensors[middle].first <= i)
            low = middle;
        else
            high = middle;
    }
    return &a->tensors[low];
}

AN_BODY void an_body_sgd(const an_sgd_args *a, uint64_t item)
{
    const an_sgd_tensor *t = an_sgd_tensor_of(a, item);
    uint64_t i = item - t->first;
    float *w = (float *)t->at.out[0] + i, *v = (float *)t->at.out[1] + i;
    *v = a->momentum * *v - t->shrink * *w - t->rate * an_load(t->at.in[0], t->gradient, i);
    *w += *v;
    if (t->at.out[2])
        an_store(t->at.out[2], t->stored, i, *w);
}

#endif
