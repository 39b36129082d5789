/* Part of bodies.h: updates of weights, the norm of their gradients, and their averages. */
#ifndef AN_MODEL_CUDA_KERNELS_SGD_H
#define AN_MODEL_CUDA_KERNELS_SGD_H

#include "model/cuda/kernels/values.h"

/* The tensor that an item belongs to: the last one whose first item is not greater. */
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
    AN_TOUCH(w, sizeof *w);
    AN_TOUCH(v, sizeof *v);
    *v = a->momentum * *v - t->shrink * *w - t->rate * an_load(t->at.in[0], t->gradient, i);
    *w += *v;
    if (t->at.out[2])
        an_store(t->at.out[2], t->stored, i, *w);
}

AN_BODY float an_sgd_factor(const an_sgd_args *a)
{
    const an_norm_result *result = (const an_norm_result *)a->at.in[0];
    if (!result)
        return a->factor;
    AN_TOUCH(&result->factor, sizeof result->factor);
    return result->factor;
}

/* trust: of the tensor; a constant 1 costs nothing. */
AN_BODY void an_sgd_step(const an_sgd_args *a, const an_sgd_tensor *t, uint64_t i, float trust)
{
    float *v = (float *)t->at.out[1] + i, w = an_load(t->at.out[0], AN_STORED_F32, i);
    float down = trust * (t->shrink * w + t->rate * an_sgd_factor(a) * an_load(t->at.in[0], t->gradient, i));
    AN_TOUCH(v, sizeof *v);
    *v = a->momentum * *v - down;
    w += a->nesterov ? a->momentum * *v - down : *v;
    an_store(t->at.out[0], AN_STORED_F32, i, w);
    if (t->at.out[2])
        an_store(t->at.out[2], t->stored, i, w);
    if (t->at.out[3]) {
        float average = an_load(t->at.out[3], AN_STORED_F32, i);
        an_store(t->at.out[3], AN_STORED_F32, i, average + a->share * (w - average));
    }
}

AN_BODY void an_body_sgd_more(const an_sgd_args *a, uint64_t item)
{
    const an_sgd_tensor *t = an_sgd_tensor_of(a, item);
    an_sgd_step(a, t, item - t->first, 1);
}

AN_BODY float an_sgd_trust_of(const an_sgd_tensor *t)
{
    const an_trust_result *result = (const an_trust_result *)t->at.in[1];
    if (!result)
        return 1;
    AN_TOUCH(&result->trust, sizeof result->trust);
    return result->trust;
}

AN_BODY void an_body_sgd_trust(const an_sgd_args *a, uint64_t item)
{
    const an_sgd_tensor *t = an_sgd_tensor_of(a, item);
    an_sgd_step(a, t, item - t->first, an_sgd_trust_of(t));
}

/* The squares of a group of values from number i on. */
AN_BODY double an_norm_squares(const an_norm_tensor *t, uint64_t i, int group)
{
    float g[8];
    double sum = 0;
    an_values_load(t->at.in[0], t->stored, i, group, g);
    AN_UNROLL for (int k = 0; k < group; k++) sum += (double)g[k] * g[k];
    return sum;
}

/* group: a constant, see an_sixteen. */
AN_BODY double an_norm_chunk(const an_norm_tensor *t, uint64_t begin, uint64_t end, int group)
{
    double sum = 0;
    for (uint64_t i = begin + (uint64_t)(AN_LANE * group); i < end; i += (uint64_t)(AN_LANES * group))
        sum += an_norm_squares(t, i, group);
    return sum;
}

AN_BODY void an_body_norm(const an_norm_args *a, uint64_t item)
{
    int number = a->count - 1;
    while (a->tensors[number].first > item)
        number--;
    const an_norm_tensor *t = &a->tensors[number];
    uint64_t begin = (item - t->first) * AN_NORM_CHUNK, end = begin + AN_NORM_CHUNK;
    end = end < t->at.items ? end : t->at.items;
    double sum = 0;
    if (t->at.items % 8)
        sum = an_norm_chunk(t, begin, end, 1);
    else if (t->stored == AN_STORED_F32)
        sum = an_norm_chunk(t, begin, end, 4);
    else
        sum = an_norm_chunk(t, begin, end, 8);
    sum = AN_LANES_SUM(sum);
    double *out = (double *)a->at.out[0] + item;
    if (AN_LANE == 0) {
        AN_TOUCH(out, sizeof *out);
        *out = sum;
    }
}

/* The sum of count sums of chunks. */
AN_BODY double an_norm_sum(const double *sums, uint64_t count)
{
    double squares = 0;
    for (uint64_t i = (uint64_t)AN_LANE; i < count; i += AN_LANES) {
        AN_TOUCH(sums + i, sizeof *sums);
        squares += sums[i];
    }
    return AN_LANES_SUM(squares);
}

AN_BODY void an_body_norm_total(const an_norm_total_args *a, uint64_t item)
{
    double squares = an_norm_sum((const double *)a->at.in[0], a->sums);
    double factor = a->clip / (sqrt(squares) + 1e-6);
    an_norm_result *result = (an_norm_result *)a->at.out[0] + item;
    if (AN_LANE == 0) {
        AN_TOUCH(result, sizeof *result);
        result->squares = squares;
        result->factor = !(squares < (double)INFINITY) ? NAN : a->clip > 0 && factor < 1 ? (float)factor : 1;
    }
}

AN_BODY double an_trust_gradient_factor(const an_trust_args *a)
{
    const an_norm_result *result = (const an_norm_result *)a->at.in[1];
    if (!result)
        return a->factor;
    AN_TOUCH(&result->factor, sizeof result->factor);
    return (double)result->factor;
}

AN_BODY void an_body_trust(const an_trust_args *a, uint64_t item)
{
    const an_trust_tensor *t = &a->tensors[item];
    const double *sums = (const double *)a->at.in[0];
    double weights = an_norm_sum(sums + t->weights, t->count), gradient = an_norm_sum(sums + t->gradient, t->count);
    double w = sqrt(weights), g = an_trust_gradient_factor(a) * sqrt(gradient);
    an_trust_result *result = (an_trust_result *)a->at.out[0] + item;
    if (AN_LANE == 0) {
        AN_TOUCH(result, sizeof *result);
        result->weights = weights;
        result->gradient = gradient;
        result->trust = w > 0 && g > 0 ? (float)(a->trust * w / (g + a->decay * w)) : 1;
    }
}

AN_BODY void an_body_exchange(const an_exchange_args *a, uint64_t i)
{
    float weight = an_load(a->at.out[0], AN_STORED_F32, i), average = an_load(a->at.out[1], AN_STORED_F32, i);
    an_store(a->at.out[0], AN_STORED_F32, i, average);
    an_store(a->at.out[1], AN_STORED_F32, i, weight);
    if (a->at.out[2])
        an_store(a->at.out[2], a->stored, i, average);
}

#endif
