/* Part of bodies.h: pooling. */
#ifndef AN_MODEL_CUDA_KERNELS_POOL_H
#define AN_MODEL_CUDA_KERNELS_POOL_H

#include "model/cuda/kernels/values.h"

/* How many rows (or columns) of the image window number out covers. Padding is not counted: a mean divides by the
 * number of pixels alone. */
AN_BODY int an_pool_covered(const an_pool_args *a, int out, int side)
{
    int first = out * a->stride - a->pad, end = first + a->window;
    return (end > side ? side : end) - (first < 0 ? 0 : first);
}

AN_BODY float an_pool_share(const an_pool_args *a, int y, int x)
{
    return 1.0F / (float)(an_pool_covered(a, y, a->h) * an_pool_covered(a, x, a->w));
}

/* For each value of a group, the position within its window that held the maximum: one byte each. */
AN_BODY void an_taken_load(const void *from, uint64_t first, int count, int *taken)
{
    const uint8_t *bytes = (const uint8_t *)from + first;
    AN_TOUCH(bytes, (size_t)count);
    if (count == 1)
        taken[0] = bytes[0];
    AN_UNROLL for (int k = 0; k + 4 <= count; k += 4)
    {
        uint32_t word = *(const an_word *)(const void *)(bytes + k);
        AN_UNROLL for (int b = 0; b < 4; b++) taken[k + b] = (int)(word >> 8 * b & 0xFF);
    }
}

AN_BODY void an_taken_store(void *to, uint64_t first, int count, const int *taken)
{
    uint8_t *bytes = (uint8_t *)to + first;
    AN_TOUCH(bytes, (size_t)count);
    if (count == 1)
        bytes[0] = (uint8_t)taken[0];
    AN_UNROLL for (int k = 0; k + 4 <= count; k += 4)
    {
        uint32_t word = 0;
        AN_UNROLL for (int b = 0; b < 4; b++) word |= (uint32_t)(taken[k + b] & 0xFF) << 8 * b;
        *(an_word *)(void *)(bytes + k) = word;
    }
}

/* Adds one pixel of the window to the result, for each channel of a group. For a maximum, the first of equal values
 * wins, and NaN wins over everything, so that a diverged network is noticed. */
AN_BODY void an_pool_take(int average, int place, int count, const float *values, float *result, int *taken)
{
    AN_UNROLL for (int c = 0; c < count; c++)
    {
        float value = values[c], most = result[c];
        if (average)
            result[c] += value;
        else if (taken[c] < 0 || value > most || (value != value && most == most)) {
            result[c] = value;
            taken[c] = place;
        }
    }
}

AN_BODY void an_pool_group(const an_pool_args *a, uint64_t i, an_stored stored, int count)
{
    an_place p = an_place_of(i, a->oh, a->ow, a->channels / count);
    float values[8], result[8];
    int taken[8], top = p.y * a->stride - a->pad, left = p.x * a->stride - a->pad;
    AN_UNROLL for (int c = 0; c < count; c++)
    {
        result[c] = 0;
        taken[c] = -1;
    }
    for (int y = top < 0 ? 0 : top; y < top + a->window && y < a->h; y++)
        for (int x = left < 0 ? 0 : left; x < left + a->window && x < a->w; x++) {
            uint64_t first = an_pixel_index(&a->from, p.n, y, x, p.c * count, a->h, a->w);
            an_values_load(a->at.in[0], stored, first, count, values);
            an_pool_take(a->average, (y - top) * a->window + x - left, count, values, result, taken);
        }
    float share = a->average ? an_pool_share(a, p.y, p.x) : 1;
    AN_UNROLL for (int c = 0; c < count; c++) result[c] *= share;
    uint64_t to = an_pixel_index(&a->to, p.n, p.y, p.x, p.c * count, a->oh, a->ow);
    an_values_store(a->at.out[0], stored, to, count, result);
    if (a->at.out[1])
        an_taken_store(a->at.out[1], to, count, taken);
}

/* The first and the last window along one axis that cover a place on it. */
AN_BODY void an_pool_range(const an_pool_args *a, int place, int windows, int *first, int *last)
{
    unsigned end = (unsigned)(place + a->pad), stride = (unsigned)a->stride, window = (unsigned)a->window;
    *last = (int)(end / stride);
    *first = end < window ? 0 : (int)((end - window) / stride) + 1;
    if (*last >= windows)
        *last = windows - 1;
}

/* Sums the gradients of all windows that cover a pixel: for a mean the pixel's share of each, for a maximum the whole
 * gradient of those in which the pixel held the maximum. */
AN_BODY void an_pool_back_group(const an_pool_back_args *args, uint64_t i, an_stored stored, int count)
{
    const an_pool_args *a = &args->pool;
    an_place p = an_place_of(i, a->h, a->w, a->channels / count);
    float slopes[8], sum[8];
    int taken[8], top, bottom, left, right;
    an_pool_range(a, p.y, a->oh, &top, &bottom);
    an_pool_range(a, p.x, a->ow, &left, &right);
    AN_UNROLL for (int c = 0; c < count; c++) sum[c] = 0;
    for (int y = bottom; y >= top; y--)
        for (int x = right; x >= left; x--) {
            uint64_t from = an_pixel_index(&a->to, p.n, y, x, p.c * count, a->oh, a->ow);
            int place = (p.y + a->pad - y * a->stride) * a->window + p.x + a->pad - x * a->stride;
            float share = a->average ? an_pool_share(a, y, x) : 1;
            an_values_load(a->at.in[0], stored, from, count, slopes);
            if (!a->average)
                an_taken_load(a->at.in[1], from, count, taken);
            AN_UNROLL for (int c = 0; c < count; c++)
            {
                if (a->average || taken[c] == place)
                    sum[c] += share * slopes[c];
            }
        }
    uint64_t to = an_pixel_index(&a->from, p.n, p.y, p.x, p.c * count, a->h, a->w);
    if (count == 1)
        an_put(a->at.out[0], a->stored, to, sum[0], args->accumulate);
    else
        an_group_put(a->at.out[0], stored, to, count, sum, args->accumulate);
}

AN_BODY void an_body_pool(const an_pool_args *a, uint64_t i)
{
    if (a->group == 4)
        an_pool_group(a, i, AN_STORED_F32, 4);
    else if (a->group == 8)
        an_pool_group(a, i, AN_STORED_BF16, 8);
    else
        an_pool_group(a, i, a->stored, 1);
}

AN_BODY void an_body_pool_back(const an_pool_back_args *a, uint64_t i)
{
    if (a->pool.group == 4)
        an_pool_back_group(a, i, AN_STORED_F32, 4);
    else if (a->pool.group == 8)
        an_pool_back_group(a, i, AN_STORED_BF16, 8);
    else
        an_pool_back_group(a, i, a->pool.stored, 1);
}

#endif
