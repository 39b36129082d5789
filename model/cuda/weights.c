/* Weights and biases in device memory, and copies of them in canonical order (O x I x H x W) for the host. */
#include <stdlib.h>

#include "base/error.h"
#include "model/cuda/cuda_private.h"

static int places_make(an_cuda_weights *weights, an_backend *cuda, const char *name)
{
    size_t masters = weights->items * sizeof(float);
    void *master, *velocity;
    int rc = an_cuda_alloc(cuda, &master, masters, name);
    if (rc)
        return rc;
    weights->master = master;
    weights->copy = master;
    if (weights->stored != AN_STORED_F32)
        rc = an_cuda_alloc(cuda, &weights->copy, weights->items * an_stored_size(weights->stored), name);
    if (rc || !cuda->training)
        return rc;
    rc = an_cuda_alloc(cuda, &velocity, masters, name);
    if (rc)
        return rc;
    weights->velocity = velocity;
    return an_cuda_alloc(cuda, &weights->slope, weights->items * an_stored_size(weights->slope_stored), name);
}

int an_cuda_weights_make(an_cuda_weights *weights, an_backend *cuda, const int shape[4], int stored_i,
                         an_stored slope_stored, const char *name)
{
    *weights = (an_cuda_weights){.o = shape[0], .i = shape[1], .h = shape[2], .w = shape[3], .stored_i = stored_i};
    weights->stored = cuda->stored;
    weights->slope_stored = slope_stored;
    weights->items = (uint64_t)shape[0] * (uint64_t)shape[2] * (uint64_t)shape[3] * (uint64_t)stored_i;
    return places_make(weights, cuda, name);
}

int an_cuda_bias_make(an_cuda_weights *bias, an_backend *cuda, const an_node *node, an_stored copy)
{
    *bias = (an_cuda_weights){.o = node->channels, .i = 1, .h = 1, .w = 1, .stored_i = 1};
    bias->items = (uint64_t)node->channels;
    bias->stored = copy;
    bias->slope_stored = AN_STORED_F32;
    return places_make(bias, cuda, node->name);
}

/* The place in memory (O x H x W x I, padded) of canonical value number k. */
static size_t place_of(const an_cuda_weights *weights, size_t k)
{
    size_t w = (size_t)weights->w, h = (size_t)weights->h, i = (size_t)weights->i;
    size_t x = k % w, y = k / w % h, channel = k / (w * h) % i, o = k / (w * h * i);
    return ((o * h + y) * w + x) * (size_t)weights->stored_i + channel;
}

static size_t canonical_count(const an_cuda_weights *weights)
{
    return (size_t)weights->o * (size_t)weights->i * (size_t)weights->h * (size_t)weights->w;
}

/* The same place, as a kernel computes it, and where the values lie. */
an_canonical_args an_cuda_weights_canonical(const an_cuda_weights *weights)
{
    return (an_canonical_args){.at = {.in = {weights->master, weights->velocity}, .items = canonical_count(weights)},
                               .i = weights->i,
                               .h = weights->h,
                               .w = weights->w,
                               .stored_i = weights->stored_i};
}

static int kind_place(const an_cuda_weights *weights, an_parameter_kind kind, void **out, an_stored *stored)
{
    void *const places[] = {weights->master, weights->velocity, weights->slope};
    *out = places[kind];
    *stored = kind == AN_PARAMETER_GRADIENT ? weights->slope_stored : AN_STORED_F32;
    return *out ? AN_OK : an_error(AN_EINVAL, "no momentum and gradient without training");
}

static int staging(const an_cuda_weights *weights, void **out)
{
    *out = calloc(weights->items, sizeof(float));
    return *out ? AN_OK : an_error(AN_ENOMEM, "out of memory");
}

int an_cuda_weights_get(const an_cuda_weights *weights, an_backend *cuda, an_parameter_kind kind, float *out)
{
    void *from, *values;
    an_stored stored;
    int rc = kind_place(weights, kind, &from, &stored);
    if (rc)
        return rc;
    rc = staging(weights, &values);
    if (rc)
        return rc;
    rc = an_cuda_fetch(cuda, values, from, weights->items * an_stored_size(stored));
    for (size_t k = 0; k < canonical_count(weights) && !rc; k++)
        out[k] = an_stored_get(values, stored, place_of(weights, k));
    free(values);
    return rc;
}

static int values_put(const an_cuda_weights *weights, an_backend *cuda, void *to, an_stored stored, const float *given,
                      void *values)
{
    for (size_t k = 0; k < canonical_count(weights); k++)
        an_stored_put(values, stored, place_of(weights, k), given[k]);
    return an_cuda_put(cuda, to, values, weights->items * an_stored_size(stored));
}

int an_cuda_weights_set(const an_cuda_weights *weights, an_backend *cuda, an_parameter_kind kind, const float *given)
{
    void *to, *values;
    an_stored stored;
    int rc = kind_place(weights, kind, &to, &stored);
    if (rc)
        return rc;
    rc = staging(weights, &values);
    if (rc)
        return rc;
    rc = values_put(weights, cuda, to, stored, given, values);
    free(values);
    if (rc)
        return rc;
    if (kind != AN_PARAMETER_VALUE || weights->copy == weights->master)
        return AN_OK;
    rc = staging(weights, &values);
    if (rc)
        return rc;
    rc = values_put(weights, cuda, weights->copy, weights->stored, given, values);
    free(values);
    return rc;
}
