#include <stdlib.h>

#include "base/error.h"
#include "model/cpu/expand_private.h"

/* The copy in bf16 that primitives read, and the primitive that refreshes it. */
static int narrow_make(an_cpu_weights *weights, an_backend *cpu)
{
    dnnl_memory_t wide;
    void *narrow;
    int rc = an_cpu_alloc(cpu, &narrow, an_desc_size(&weights->desc));
    if (rc)
        return rc;
    rc = an_cpu_memory(cpu, &weights->value, &weights->desc, narrow);
    if (rc)
        return rc;
    rc = an_cpu_memory(cpu, &wide, &weights->master, weights->data);
    if (rc)
        return rc;
    return an_primitive_reorder(&weights->narrow, cpu, &weights->master, wide, &weights->desc, weights->value, false);
}

int an_cpu_weights_make(an_cpu_weights *weights, an_backend *cpu, const an_desc *desc, const an_desc *gradient,
                        const an_desc *canonical)
{
    bool wide = an_desc_type(desc) == dnnl_f32;
    void *data = NULL, *velocity = NULL, *slope = NULL;
    *weights = (an_cpu_weights){.desc = *desc, .canonical = *canonical};
    weights->master = wide ? *desc : gradient ? *gradient : *canonical;
    size_t size = an_desc_size(&weights->master);
    int rc = an_cpu_alloc(cpu, &data, size);
    weights->floats = size / sizeof(float);
    weights->data = data;
    if (!rc)
        rc = wide ? an_cpu_memory(cpu, &weights->value, desc, data) : narrow_make(weights, cpu);
    if (rc || !cpu->training)
        return rc;
    rc = an_cpu_alloc(cpu, &velocity, size);
    if (rc)
        return rc;
    weights->velocity = velocity;
    rc = an_cpu_alloc(cpu, &slope, size);
    if (rc)
        return rc;
    weights->slope = slope;
    return an_cpu_memory(cpu, &weights->gradient, &weights->master, slope);
}

/* Copies between inside, in master order, and outside, in canonical order; out: from inside to outside. */
static int canonical_copy(const an_cpu_weights *weights, an_backend *cpu, float *inside, float *outside, bool out);

static size_t outputs(const an_cpu_weights *weights)
{
    return (size_t)an_desc_dims(&weights->canonical)[0];
}

size_t an_cpu_weights_count(const an_cpu_weights *weights)
{
    const an_expansion *e = weights->expansion;
    if (e)
        return outputs(weights) * (size_t)e->channels * (size_t)e->kernel * (size_t)e->kernel;
    return an_desc_size(&weights->canonical) / sizeof(float);
}

int an_cpu_weights_expand(an_cpu_weights *weights, an_backend *cpu, const an_expansion *expansion)
{
    void *existing;
    int rc = an_cpu_alloc(cpu, &existing, weights->floats * sizeof(float));
    if (rc)
        return rc;
    weights->expansion = expansion;
    weights->existing = existing;
    size_t count = an_cpu_weights_count(weights);
    float *ones = malloc(count * sizeof *ones);
    if (!ones)
        return an_error(AN_ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++)
        ones[i] = 1;
    rc = canonical_copy(weights, cpu, weights->existing, ones, false);
    free(ones);
    return rc;
}

static int place(const an_cpu_weights *weights, an_parameter_kind kind, float **out)
{
    float *const places[] = {weights->data, weights->velocity, weights->slope};
    *out = places[kind];
    return *out ? AN_OK : an_error(AN_EINVAL, "no momentum and gradient without training");
}

static int plain_copy(const an_cpu_weights *weights, an_backend *cpu, float *inside, float *plain, bool out)
{
    return out ? an_cpu_copy(cpu, &weights->master, inside, &weights->canonical, plain)
               : an_cpu_copy(cpu, &weights->canonical, plain, &weights->master, inside);
}

static int canonical_copy(const an_cpu_weights *weights, an_backend *cpu, float *inside, float *outside, bool out)
{
    if (!weights->expansion)
        return plain_copy(weights, cpu, inside, outside, out);
    float *plain = malloc(an_desc_size(&weights->canonical));
    if (!plain)
        return an_error(AN_ENOMEM, "out of memory");
    if (!out)
        an_expansion_weights(weights->expansion, outputs(weights), outside, plain);
    int rc = plain_copy(weights, cpu, inside, plain, out);
    if (out && !rc)
        an_expansion_weights_back(weights->expansion, outputs(weights), plain, outside);
    free(plain);
    return rc;
}

int an_cpu_weights_get(const an_cpu_weights *weights, an_backend *cpu, an_parameter_kind kind, float *out)
{
    float *inside;
    int rc = place(weights, kind, &inside);
    if (rc)
        return rc;
    return canonical_copy(weights, cpu, inside, out, true);
}

int an_cpu_weights_set(an_cpu_weights *weights, an_backend *cpu, an_parameter_kind kind, const float *values)
{
    float *inside;
    int rc = place(weights, kind, &inside);
    if (!rc) /* the cast is safe: with out false, values are only read */
        rc = canonical_copy(weights, cpu, inside, (float *)(uintptr_t)values, false);
    if (!rc && kind == AN_PARAMETER_VALUE) {
        weights->changes++;
        rc = an_primitive_run(&weights->narrow, cpu);
    }
    return rc;
}

/* Zeroes the gradient of padding, so that an update leaves the padding zero. */
static void gradient_mask(an_cpu_weights *weights)
{
    const float *restrict existing = weights->existing;
    float *restrict g = weights->slope;
    if (!existing)
        return;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < weights->floats; i++)
        g[i] *= existing[i];
}

int an_cpu_weights_update(an_cpu_weights *weights, an_backend *cpu, const an_sgd *sgd, bool bias)
{
    float rate = (float)(bias ? sgd->rate * sgd->bias_rate_scale : sgd->rate);
    float shrink = rate * (float)(bias ? sgd->bias_decay : sgd->decay);
    float momentum = (float)sgd->momentum;
    float *restrict w = weights->data, *restrict v = weights->velocity;
    const float *restrict g = weights->slope;
    gradient_mask(weights);
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < weights->floats; i++) {
        v[i] = momentum * v[i] - shrink * w[i] - rate * g[i];
        w[i] += v[i];
    }
    weights->changes++;
    return an_primitive_run(&weights->narrow, cpu);
}

int an_cpu_weights_turn(an_primitive *kernel, an_backend *cpu, const an_cpu_weights *weights, const an_desc *order,
                        bool gradient, dnnl_memory_t *memory)
{
    void *place;
    an_desc held = gradient ? weights->master : weights->desc;
    if (an_desc_equal(order, &held))
        return AN_OK;
    int rc = an_cpu_alloc(cpu, &place, an_desc_size(order));
    if (rc)
        return rc;
    rc = an_cpu_memory(cpu, memory, order, place);
    if (rc)
        return rc;
    if (gradient)
        return an_primitive_reorder(kernel, cpu, order, *memory, &held, weights->gradient, false);
    return an_primitive_reorder(kernel, cpu, &held, weights->value, order, *memory, false);
}
