#include <stdlib.h>
#include <string.h>

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
    void *data = NULL, *velocity = NULL, *slope = NULL, *average = NULL, *sum = NULL;
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
    rc = cpu->gathers ? an_cpu_alloc(cpu, &slope, size) : an_cpu_gradient_alloc(cpu, &slope, size);
    if (rc)
        return rc;
    weights->slope = slope;
    if (cpu->averages)
        rc = an_cpu_alloc(cpu, &average, size);
    if (rc)
        return rc;
    weights->average = average;
    if (cpu->gathers)
        rc = an_cpu_gradient_alloc(cpu, &sum, size);
    if (rc)
        return rc;
    weights->sum = sum;
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

float *an_cpu_weights_gradient(const an_cpu_weights *weights)
{
    return weights->sum ? weights->sum : weights->slope;
}

static int place(const an_cpu_weights *weights, an_parameter_kind kind, float **out)
{
    float *const places[] = {[AN_PARAMETER_VALUE] = weights->data,
                             [AN_PARAMETER_MOMENTUM] = weights->velocity,
                             [AN_PARAMETER_AVERAGE] = weights->average,
                             [AN_PARAMETER_GRADIENT] = an_cpu_weights_gradient(weights)};
    *out = places[kind];
    if (*out)
        return AN_OK;
    return weights->slope ? an_error(AN_EINVAL, "no averages are kept")
                          : an_error(AN_EINVAL, "no momentum, averages and gradient without training");
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

/* The copies that primitives and kernels read follow the values. */
static int changed(an_cpu_weights *weights, an_backend *cpu)
{
    weights->changes++;
    return an_primitive_run(&weights->narrow, cpu);
}

int an_cpu_weights_set(an_cpu_weights *weights, an_backend *cpu, an_parameter_kind kind, const float *values)
{
    float *inside;
    int rc = place(weights, kind, &inside);
    if (!rc) /* the cast is safe: with out false, values are only read */
        rc = canonical_copy(weights, cpu, inside, (float *)(uintptr_t)values, false);
    if (rc || kind != AN_PARAMETER_VALUE)
        return rc;
    if (weights->average)
        memcpy(weights->average, weights->data, weights->floats * sizeof *weights->data);
    return changed(weights, cpu);
}

/* Zeroes the gradient of padding, so that an update leaves the padding zero. */
static void gradient_mask(an_cpu_weights *weights)
{
    const float *restrict existing = weights->existing;
    float *restrict g = an_cpu_weights_gradient(weights);
    if (!existing)
        return;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < weights->floats; i++)
        g[i] *= existing[i];
}

/* The rates of one tensor (an_sgd): shrink is that of decay, slope that of the gradient. */
typedef struct {
    float momentum, shrink, slope;
} rates;

static void plain_step(an_cpu_weights *weights, rates r)
{
    float momentum = r.momentum, shrink = r.shrink, slope = r.slope;
    float *restrict w = weights->data, *restrict v = weights->velocity;
    const float *restrict g = an_cpu_weights_gradient(weights);
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < weights->floats; i++) {
        v[i] = momentum * v[i] - shrink * w[i] - slope * g[i];
        w[i] += v[i];
    }
}

static void nesterov_step(an_cpu_weights *weights, rates r)
{
    float momentum = r.momentum, shrink = r.shrink, slope = r.slope;
    float *restrict w = weights->data, *restrict v = weights->velocity;
    const float *restrict g = an_cpu_weights_gradient(weights);
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < weights->floats; i++) {
        float down = shrink * w[i] + slope * g[i];
        v[i] = momentum * v[i] - down;
        w[i] += momentum * v[i] - down;
    }
}

static void average_step(an_cpu_weights *weights, float share)
{
    const float *restrict w = weights->data;
    float *restrict a = weights->average;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < weights->floats; i++)
        a[i] += share * (w[i] - a[i]);
}

int an_cpu_weights_update(an_cpu_weights *weights, an_backend *cpu, const an_cpu_update *update)
{
    const an_sgd *sgd = update->sgd;
    float rate = (float)(update->scale * (update->bias ? sgd->rate * sgd->bias_rate_scale : sgd->rate));
    rates r = {.momentum = (float)sgd->momentum,
               .shrink = rate * (float)(update->bias ? sgd->bias_decay : sgd->decay),
               .slope = rate * (float)update->factor};
    gradient_mask(weights);
    if (sgd->nesterov)
        nesterov_step(weights, r);
    else
        plain_step(weights, r);
    if (sgd->average > 0)
        average_step(weights, (float)(1 - sgd->average));
    return changed(weights, cpu);
}

void an_cpu_weights_gather(const an_cpu_weights *weights, bool begin)
{
    float *restrict sum = weights->sum;
    const float *restrict slope = weights->slope;
    float keep = begin ? 0 : 1;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < weights->floats; i++)
        sum[i] = keep != 0 ? sum[i] + slope[i] : slope[i];
}

static double squares_of(const float *restrict g, size_t count)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < count; i++)
        sum += (double)g[i] * g[i];
    return sum;
}

/* In pieces that are added in order, so that threads do not change the bits. */
static double squares_sum(const float *values, size_t count)
{
    enum { PIECES = 256 };
    double sums[PIECES], sum = 0;
    size_t each = (count + PIECES - 1) / PIECES;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < PIECES; i++) {
        size_t first = (size_t)i * each, left = first < count ? count - first : 0;
        sums[i] = squares_of(values + (left ? first : 0), left < each ? left : each);
    }
    for (int i = 0; i < PIECES; i++)
        sum += sums[i];
    return sum;
}

double an_cpu_weights_squares(an_cpu_weights *weights)
{
    gradient_mask(weights);
    return squares_sum(an_cpu_weights_gradient(weights), weights->floats);
}

double an_cpu_weights_value_squares(const an_cpu_weights *weights)
{
    return squares_sum(weights->data, weights->floats);
}

int an_cpu_weights_exchange(an_cpu_weights *weights, an_backend *cpu)
{
    float *restrict w = weights->data, *restrict a = weights->average;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < weights->floats; i++) {
        float value = w[i];
        w[i] = a[i];
        a[i] = value;
    }
    return changed(weights, cpu);
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
