/* Part of bodies.h: local response normalisation. */
#ifndef AN_MODEL_CUDA_KERNELS_LRN_H
#define AN_MODEL_CUDA_KERNELS_LRN_H

#include "model/cuda/kernels/values.h"

/* s^exponent on a device, by the instructions for logarithm and power of 2. s is at least about 1, so the error of
 * either is a few units of the last place. */
#ifdef __CUDA_ARCH__
AN_BODY float an_lrn_device_power(float s, float exponent)
{
    float log, power;
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(log) : "f"(s));
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(exponent * log));
    return power;
}
#endif

/* Returns s^-beta and sets next to s^(-beta - 1). The usual beta of 3/4 takes two square roots instead of powf. */
AN_BODY float an_lrn_power(float s, float beta, float *next)
{
    float power;
#ifdef __CUDA_ARCH__
    if (beta == 0.75F) {
        *next = an_lrn_device_power(s, -1.75F);
        return *next * s;
    }
#endif
    if (beta == 0.75F) {
        float root = an_root(s);
        power = root * root * an_root(root);
        *next = power * (root * root);
    } else {
        power = powf(s, -beta);
        *next = power / s;
    }
    return power;
}

/* What a channel with the sum s, the value x and the gradient dy contributes to the formula below: dy s^-beta, and
 * dy x s^(-beta - 1). */
typedef struct {
    float direct, through;
} an_lrn_terms;

AN_BODY an_lrn_terms an_lrn_terms_of(float s, float beta, float x, float dy)
{
    float next;
    (void)an_lrn_power(s, beta, &next);
    float slope = dy * next;
    an_lrn_terms terms = {slope * s, slope * x};
    return terms;
}

/* s^-3/4 alone. */
AN_BODY float an_lrn_power_usual(float s)
{
#ifdef __CUDA_ARCH__
    return an_lrn_device_power(s, -0.75F);
#else
    float next;
    return an_lrn_power(s, 0.75F, &next);
#endif
}

/* The first and the last channel whose normalisation window contains channel. */
AN_BODY void an_lrn_range(const an_lrn_args *a, int channel, int *first, int *last)
{
    int start = channel / a->width * a->width, half = a->size / 2;
    *first = channel - half < start ? start : channel - half;
    *last = channel + half >= start + a->width ? start + a->width - 1 : channel + half;
}

/* The channels of a window in the order in which they are summed: how far number step is from the middle. Of windows of
 * 5, those around an even channel and the next one begin with the same four, whose sum a thread that works on both
 * takes once (an_lrn_sums). */
AN_BODY int an_lrn_away(int channel, int half, int step)
{
    if (half == 2 && channel % 2 == 0)
        return step == 4 ? -2 : step - 1;
    return step - half;
}

AN_BODY void an_lrn_one(const an_lrn_args *a, uint64_t i)
{
    int channel = (int)(i % (uint64_t)a->channels), first, last;
    uint64_t row = i / (uint64_t)a->channels, to = an_rows_index(&a->to, row, channel);
    float sum = 0, next;
    an_lrn_range(a, channel, &first, &last);
    for (int step = 0; step < a->size; step++) {
        int c = channel + an_lrn_away(channel, a->size / 2, step);
        if (c < first || c > last)
            continue;
        float x = an_load(a->at.in[0], a->stored, an_rows_index(&a->from, row, c));
        sum += x * x;
    }
    sum = a->k + a->alpha * sum;
    float power = an_lrn_power(sum, a->beta, &next);
    an_store(a->at.out[0], a->stored, to,
             an_load(a->at.in[0], a->stored, an_rows_index(&a->from, row, channel)) * power);
    if (a->at.out[1])
        an_store(a->at.out[1], AN_STORED_F32, to, sum);
}

/* The derivative of the formula with an_lrn_args in kernels.h, where s_j is the sum of channel j:
 *   dx_i = dy_i s_i^-beta - 2 (alpha / size) beta x_i sum_j dy_j x_j s_j^(-beta - 1)
 * with j over the channels whose windows contain i. */
AN_BODY void an_lrn_back_one(const an_lrn_back_args *args, uint64_t i)
{
    const an_lrn_args *a = &args->lrn;
    int channel = (int)(i % (uint64_t)a->channels), first, last;
    const void *sums = a->at.in[1];
    uint64_t row = i / (uint64_t)a->channels;
    uint64_t x = an_rows_index(&a->from, row, channel);
    float through = 0, direct = 0;
    an_lrn_range(a, channel, &first, &last);
    for (int step = 0; step < a->size; step++) {
        int c = channel + an_lrn_away(channel, a->size / 2, step);
        if (c < first || c > last)
            continue;
        uint64_t j = an_rows_index(&a->to, row, c);
        an_lrn_terms terms = an_lrn_terms_of(an_load(sums, AN_STORED_F32, j), a->beta,
                                             an_load(a->at.in[0], a->stored, an_rows_index(&a->from, row, c)),
                                             an_load(a->at.in[2], a->stored, j));
        through += terms.through;
        if (c == channel)
            direct = terms.direct;
    }
    float slope = direct - 2 * a->alpha * a->beta * an_load(a->at.in[0], a->stored, x) * through;
    an_put(a->at.out[0], a->stored, x, slope, args->accumulate);
}

/* The group variant loads a group of channels together with the two channels before and after it, which is as far as a
 * window of up to 5 channels reaches. Neighbours outside the channels that are normalised together are replaced by a
 * value that adds nothing to the sums. */
#define AN_LRN_HALF 2
#define AN_LRN_ROOM (8 + 2 * AN_LRN_HALF)

AN_BODY void an_lrn_load(const an_lrn_args *a, const void *from, an_stored stored, uint64_t first, int channel,
                         int count, float beyond, float *out)
{
    AN_UNROLL for (int k = 0; k < AN_LRN_HALF; k++)
    {
        out[k] = channel ? an_load(from, stored, first - (uint64_t)(AN_LRN_HALF - k)) : beyond;
        out[AN_LRN_HALF + count + k] =
            channel + count < a->width ? an_load(from, stored, first + (uint64_t)(count + k)) : beyond;
    }
    an_group_load(from, stored, first, count, out + AN_LRN_HALF);
}

/* The row of group i and its first channel. */
AN_BODY uint64_t an_lrn_row(const an_lrn_args *a, uint64_t i, int count, int *channel)
{
    uint64_t groups = (uint64_t)(a->channels / count);
    *channel = (int)(i % groups) * count;
    return i / groups;
}

/* The sum over the window around value k of a group. */
AN_BODY float an_lrn_sum(const float *values, int k, int half)
{
    float sum = 0;
    AN_UNROLL for (int step = 0; step < 5; step++)
    {
        int away = an_lrn_away(k, AN_LRN_HALF, step);
        if (away >= -half && away <= half)
            sum += values[AN_LRN_HALF + k + away];
    }
    return sum;
}

AN_BODY void an_lrn_group(const an_lrn_args *a, uint64_t i, an_stored stored, int count)
{
    float x[AN_LRN_ROOM], squares[AN_LRN_ROOM], y[8], sums[8], next;
    int channel;
    uint64_t row = an_lrn_row(a, i, count, &channel), to = an_rows_index(&a->to, row, channel);
    an_lrn_load(a, a->at.in[0], stored, an_rows_index(&a->from, row, channel), channel % a->width, count, 0, x);
    AN_UNROLL for (int k = 0; k < count + 2 * AN_LRN_HALF; k++) squares[k] = x[k] * x[k];
    AN_UNROLL for (int k = 0; k < count; k++)
    {
        sums[k] = a->k + a->alpha * an_lrn_sum(squares, k, a->size / 2);
        y[k] = x[AN_LRN_HALF + k] * an_lrn_power(sums[k], a->beta, &next);
    }
    an_group_store(a->at.out[0], stored, to, count, y);
    if (a->at.out[1])
        an_group_store(a->at.out[1], AN_STORED_F32, to, count, sums);
}

AN_BODY void an_lrn_back_group(const an_lrn_back_args *args, uint64_t i, an_stored stored, int count)
{
    const an_lrn_args *a = &args->lrn;
    float x[AN_LRN_ROOM], dy[AN_LRN_ROOM], sums[AN_LRN_ROOM], through[AN_LRN_ROOM], direct[AN_LRN_ROOM], slope[8];
    int channel;
    uint64_t row = an_lrn_row(a, i, count, &channel);
    int within = channel % a->width;
    uint64_t from = an_rows_index(&a->from, row, channel), to = an_rows_index(&a->to, row, channel);
    an_lrn_load(a, a->at.in[0], stored, from, within, count, 0, x);
    an_lrn_load(a, a->at.in[2], stored, to, within, count, 0, dy);
    an_lrn_load(a, a->at.in[1], AN_STORED_F32, to, within, count, 1, sums);
    AN_UNROLL for (int k = 0; k < count + 2 * AN_LRN_HALF; k++)
    {
        an_lrn_terms terms = an_lrn_terms_of(sums[k], a->beta, x[k], dy[k]);
        direct[k] = terms.direct;
        through[k] = terms.through;
    }
    AN_UNROLL for (int k = 0; k < count; k++)
    {
        slope[k] =
            direct[AN_LRN_HALF + k] - 2 * a->alpha * a->beta * x[AN_LRN_HALF + k] * an_lrn_sum(through, k, a->size / 2);
    }
    an_group_put(a->at.out[0], stored, from, count, slope, args->accumulate);
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

#endif
