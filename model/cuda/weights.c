/* Weights and biases in device memory, the forms that convolutions compute with, and copies in canonical order
 * (O x I x H x W) for the host. */
#include <stdlib.h>

#include "base/error.h"
#include "model/cuda/cuda.h"

/* Places of a window in a form, along one side of it. */
static int places_along(int window, const an_form *form)
{
    return (window + form->side - 1) / form->side;
}

/* Values in memory. */
static uint64_t items_in(const an_cuda_weights *weights, const an_form *form)
{
    if (!form->side)
        return weights->items;
    return (uint64_t)weights->o * (uint64_t)places_along(weights->h, form) * (uint64_t)places_along(weights->w, form) *
           (uint64_t)form->channels;
}

static int gradient_make(an_cuda_weights *weights, an_backend *cuda, const char *name)
{
    size_t value = an_stored_size(weights->slope_stored);
    int rc = an_cuda_alloc(cuda, &weights->slope, weights->items * value, name);
    weights->written = weights->slope;
    if (rc || !weights->written_form.side)
        return rc;
    return an_cuda_alloc(cuda, &weights->written, items_in(weights, &weights->written_form) * value, name);
}

static int places_make(an_cuda_weights *weights, an_backend *cuda, const char *name)
{
    size_t masters = weights->items * sizeof(float);
    void *master, *velocity, *average = NULL, *sum = NULL;
    int rc = an_cuda_alloc(cuda, &master, masters, name);
    if (rc)
        return rc;
    weights->master = master;
    weights->copy = master;
    size_t copy = items_in(weights, &weights->form) * an_stored_size(weights->stored);
    if (weights->stored != AN_STORED_F32 || weights->form.side)
        rc = an_cuda_alloc(cuda, &weights->copy, copy, name);
    if (rc || !cuda->training)
        return rc;
    rc = an_cuda_alloc(cuda, &velocity, masters, name);
    if (rc)
        return rc;
    weights->velocity = velocity;
    if (cuda->averages)
        rc = an_cuda_alloc(cuda, &average, masters, name);
    if (rc)
        return rc;
    weights->average = average;
    if (cuda->gathers || (cuda->reduces && weights->slope_stored != AN_STORED_F32))
        rc = an_cuda_alloc(cuda, &sum, masters, name);
    if (rc)
        return rc;
    weights->sum = sum;
    return gradient_make(weights, cuda, name);
}

int an_cuda_weights_make(an_cuda_weights *weights, an_backend *cuda, const int shape[4], int stored_i,
                         an_stored slope_stored, const an_form *form, const an_form *written, const char *name)
{
    *weights = (an_cuda_weights){.o = shape[0], .i = shape[1], .h = shape[2], .w = shape[3], .stored_i = stored_i};
    weights->stored = cuda->stored;
    weights->slope_stored = slope_stored;
    weights->items = (uint64_t)shape[0] * (uint64_t)shape[2] * (uint64_t)shape[3] * (uint64_t)stored_i;
    if (form)
        weights->form = *form;
    if (written)
        weights->written_form = *written;
    return places_make(weights, cuda, name);
}

static an_arrange_args form_arguments(const an_cuda_weights *weights, const an_form *form)
{
    return (an_arrange_args){.form = *form,
                             .h = weights->h,
                             .w = weights->w,
                             .channels = weights->stored_i,
                             .rows = places_along(weights->h, form),
                             .columns = places_along(weights->w, form),
                             .group_outputs = weights->o / form->groups};
}

int an_cuda_weights_arrange(const an_cuda_weights *weights, const an_op *op)
{
    const an_form *form = &weights->form;
    if (!form->side)
        return AN_OK;
    an_arrange_args args = form_arguments(weights, form);
    args.at = (an_kernel_places){.out = {weights->copy}, .in = {weights->master}, .items = items_in(weights, form)};
    args.stored = weights->stored;
    return an_cuda_launched(an_kernel_arrange(&args, op->cuda->compute), op, "arrange");
}

int an_cuda_weights_restore(const an_cuda_weights *weights, const an_op *op)
{
    if (!weights->written_form.side)
        return AN_OK;
    an_arrange_args args = form_arguments(weights, &weights->written_form);
    args.at = (an_kernel_places){.out = {weights->slope}, .in = {weights->written}, .items = weights->items};
    args.stored = weights->slope_stored;
    return an_cuda_launched(an_kernel_restore(&args, op->cuda->compute), op, "restore");
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
    return (an_canonical_args){
        .at = {.in = {weights->master, weights->velocity, weights->average}, .items = canonical_count(weights)},
        .i = weights->i,
        .h = weights->h,
        .w = weights->w,
        .stored_i = weights->stored_i};
}

void *an_cuda_weights_gradient(const an_cuda_weights *weights, an_stored *stored)
{
    *stored = weights->sum ? AN_STORED_F32 : weights->slope_stored;
    return weights->sum ? weights->sum : weights->slope;
}

int an_cuda_weights_gather(const an_cuda_weights *weights, const an_op *op, bool begin)
{
    an_window_args args = {.at = {.out = {weights->sum}, .in = {weights->slope}, .items = weights->items},
                           .channels = weights->stored_i,
                           .from_channels = weights->stored_i,
                           .to_channels = weights->stored_i,
                           .accumulate = !begin,
                           .from = weights->slope_stored,
                           .to = AN_STORED_F32};
    return an_cuda_launched(an_kernel_window(&args, op->cuda->compute), op, "window");
}

int an_cuda_weights_widen(const an_cuda_weights *weights, const an_op *op)
{
    return weights->sum && !op->cuda->gathers ? an_cuda_weights_gather(weights, op, true) : AN_OK;
}

static int kind_place(const an_cuda_weights *weights, an_parameter_kind kind, void **out, an_stored *stored)
{
    an_stored gradient_stored;
    void *gradient = an_cuda_weights_gradient(weights, &gradient_stored);
    void *const places[] = {[AN_PARAMETER_VALUE] = weights->master,
                            [AN_PARAMETER_MOMENTUM] = weights->velocity,
                            [AN_PARAMETER_AVERAGE] = weights->average,
                            [AN_PARAMETER_GRADIENT] = gradient};
    *out = places[kind];
    *stored = kind == AN_PARAMETER_GRADIENT ? gradient_stored : AN_STORED_F32;
    if (*out)
        return AN_OK;
    return weights->slope ? an_error(AN_EINVAL, "no averages are kept")
                          : an_error(AN_EINVAL, "no momentum, averages and gradient without training");
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

/* The copy that the layer computes with follows the masters. */
static int copy_set(const an_cuda_weights *weights, const an_op *op, const float *given)
{
    void *values;
    if (weights->form.side)
        return an_cuda_weights_arrange(weights, op);
    if (weights->copy == weights->master)
        return AN_OK;
    int rc = staging(weights, &values);
    if (rc)
        return rc;
    rc = values_put(weights, op->cuda, weights->copy, weights->stored, given, values);
    free(values);
    return rc;
}

int an_cuda_weights_set(const an_cuda_weights *weights, const an_op *op, an_parameter_kind kind, const float *given)
{
    void *to, *values;
    an_stored stored;
    int rc = kind_place(weights, kind, &to, &stored);
    if (rc)
        return rc;
    rc = staging(weights, &values);
    if (rc)
        return rc;
    rc = values_put(weights, op->cuda, to, stored, given, values);
    if (!rc && kind == AN_PARAMETER_VALUE && weights->average)
        rc = values_put(weights, op->cuda, weights->average, stored, given, values);
    free(values);
    if (rc)
        return rc;
    return kind == AN_PARAMETER_VALUE ? copy_set(weights, op, given) : AN_OK;
}
