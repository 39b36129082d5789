#include <omp.h>

#include "bench_step.h"

enum { SOURCE, WEIGHTS, TARGET, SCRATCH, BIAS };

static size_t weights_floats(const an_winograd_shape *s)
{
    return (size_t)(s->kernel * s->kernel) * (size_t)s->from * (size_t)s->to;
}

static size_t transformed_bytes(const an_winograd *plan)
{
    return (size_t)plan->shape.groups * an_winograd_weights_size(plan) * sizeof(uint16_t);
}

static void size_raise(size_t *size, size_t wanted)
{
    *size = wanted > *size ? wanted : *size;
}

bool an_bench_winograd_make(an_bench_winograd *out, const an_node *from, const an_node *node, int batch, int pass,
                            size_t sizes[AN_BENCH_ARGUMENTS])
{
    an_winograd forward;
    an_winograd_shape shape = {.batch = batch,
                               .groups = node->groups,
                               .from = from->channels / node->groups,
                               .to = node->channels / node->groups,
                               .height = from->height,
                               .width = from->width,
                               .kernel = node->kernel,
                               .pad = node->pad_before,
                               .out_height = node->height,
                               .out_width = node->width};
    if (!an_winograd_possible() || node->stride != 1 || !an_winograd_plan(&forward, &shape, omp_get_max_threads()))
        return false;
    out->plan = forward;
    out->gradient = pass == 2;
    if (pass == 1 && !an_winograd_turn(&out->plan, &forward))
        return false;
    const an_winograd_shape *s = &out->plan.shape;
    size_t images = (size_t)s->batch * (size_t)s->groups, groups = (size_t)s->groups;
    size_raise(&sizes[SOURCE], images * (size_t)(s->from * s->height * s->width) * sizeof(uint16_t));
    size_raise(&sizes[WEIGHTS], groups * weights_floats(s) * sizeof(float));
    size_raise(&sizes[TARGET], images * (size_t)(s->to * s->out_height * s->out_width) * sizeof(uint16_t));
    size_raise(&sizes[SCRATCH], out->gradient ? an_winograd_gradient_scratch(&out->plan)
                                              : transformed_bytes(&out->plan) + an_winograd_scratch(&out->plan));
    size_raise(&sizes[BIAS], groups * (size_t)s->to * sizeof(float));
    return true;
}

/* Both groups' parts of an array of floats. */
static void parts(float *all, size_t each, float *out[AN_WINOGRAD_GROUPS])
{
    for (size_t i = 0; i < AN_WINOGRAD_GROUPS; i++)
        out[i] = all + i * each;
}

static void run(const an_winograd *plan, void *const buffers[AN_BENCH_ARGUMENTS], float *const weights[])
{
    uint16_t *transformed = buffers[SCRATCH];
    for (int i = 0; i < plan->shape.groups; i++)
        an_winograd_weights(plan, weights[i], transformed + (size_t)i * an_winograd_weights_size(plan));
    an_winograd_run(plan, &(an_winograd_run_args){.source = buffers[SOURCE],
                                                  .transformed = transformed,
                                                  .target = buffers[TARGET],
                                                  .scratch = (char *)buffers[SCRATCH] + transformed_bytes(plan)});
}

void an_bench_winograd_run(const an_bench_winograd *w, void *const buffers[AN_BENCH_ARGUMENTS])
{
    float *weights[AN_WINOGRAD_GROUPS], *bias[AN_WINOGRAD_GROUPS];
    const an_winograd_shape *s = &w->plan.shape;
    parts(buffers[WEIGHTS], weights_floats(s), weights);
    parts(buffers[BIAS], (size_t)s->to, bias);
    omp_set_num_threads(w->plan.threads);
    if (!w->gradient) {
        run(&w->plan, buffers, weights);
        return;
    }
    an_winograd_gradient(&w->plan, &(an_winograd_gradient_args){.source = buffers[SOURCE],
                                                                .slope = buffers[TARGET],
                                                                .weights = weights,
                                                                .bias = bias,
                                                                .scratch = buffers[SCRATCH]});
}
