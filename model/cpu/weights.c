#include "base/error.h"
#include "model/cpu/cpu.h"

int an_weights_make(an_weights *weights, an_backend *cpu, const dnnl_memory_desc_t *desc,
                    const dnnl_memory_desc_t *canonical)
{
    size_t size = dnnl_memory_desc_get_size(desc);
    void *data = NULL, *velocity = NULL, *slope = NULL;
    *weights = (an_weights){.desc = *desc, .canonical = *canonical, .floats = size / sizeof(float)};
    int rc = an_cpu_alloc(cpu, &data, size);
    if (!rc)
        rc = an_cpu_memory(cpu, &weights->value, desc, data);
    if (!rc && cpu->training && !(rc = an_cpu_alloc(cpu, &velocity, size)) && !(rc = an_cpu_alloc(cpu, &slope, size)))
        rc = an_cpu_memory(cpu, &weights->gradient, desc, slope);
    weights->data = data;
    weights->velocity = velocity;
    weights->slope = slope;
    return rc;
}

size_t an_weights_count(const an_weights *weights)
{
    return dnnl_memory_desc_get_size(&weights->canonical) / sizeof(float);
}

static int place(const an_weights *weights, an_parameter_kind kind, float **out)
{
    float *const places[] = {weights->data, weights->velocity, weights->slope};
    *out = places[kind];
    return *out ? AN_OK : an_error(AN_EINVAL, "no momentum and gradient without training");
}

int an_weights_get(const an_weights *weights, an_backend *cpu, an_parameter_kind kind, float *out)
{
    float *inside;
    int rc = place(weights, kind, &inside);
    return rc ? rc : an_cpu_copy(cpu, &weights->desc, inside, &weights->canonical, out);
}

int an_weights_set(an_weights *weights, an_backend *cpu, an_parameter_kind kind, const float *values)
{
    float *inside;
    int rc = place(weights, kind, &inside);
    return rc ? rc : an_cpu_copy(cpu, &weights->canonical, (float *)(uintptr_t)values, &weights->desc, inside);
}

void an_weights_update(an_weights *weights, const an_sgd *sgd, bool bias)
{
    float rate = (float)(bias ? sgd->rate * sgd->bias_rate_scale : sgd->rate);
    float shrink = rate * (float)(bias ? sgd->bias_decay : sgd->decay);
    float momentum = (float)sgd->momentum;
    float *restrict w = weights->data, *restrict v = weights->velocity;
    const float *restrict g = weights->slope;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < weights->floats; i++) {
        v[i] = momentum * v[i] - shrink * w[i] - rate * g[i];
        w[i] += v[i];
    }
}

int an_weights_turn(an_kernel *kernel, an_backend *cpu, const an_weights *weights, const dnnl_memory_desc_t *order,
                    bool gradient, dnnl_memory_t *memory)
{
    void *place;
    if (dnnl_memory_desc_equal(order, &weights->desc))
        return AN_OK;
    int rc = an_cpu_alloc(cpu, &place, dnnl_memory_desc_get_size(order));
    if (rc || (rc = an_cpu_memory(cpu, memory, order, place)))
        return rc;
    if (gradient)
        return an_kernel_reorder(kernel, cpu, order, *memory, &weights->desc, weights->gradient, false);
    return an_kernel_reorder(kernel, cpu, &weights->desc, weights->value, order, *memory, false);
}
