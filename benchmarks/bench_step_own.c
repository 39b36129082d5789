#include <omp.h>

#include "bench_step.h"

enum { SOURCE, WEIGHTS, TARGET, SCRATCH, BIAS };

static size_t weights_floats(const an_winograd_shape *s)
{
    return (size_t)(s->kernel * s->kernel) * (size_t)s->from * (size_t)s->to;
}

static size_t transformed_bytes(const an_winograd *plan)
{
    return (size_t)plan->shape.groups * an_winograd_weights_size(plan) * plan->value_size;
}

static void size_raise(size_t *size, size_t wanted)
{
    *size = wanted > *size ? wanted : *size;
}

static bool conv_make(an_bench_own *own, const an_node *from, const an_node *node, int batch, bool bf16)
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
    if (node->stride != 1 || !an_winograd_plan(&forward, &shape, bf16, omp_get_max_threads()))
        return false;
    own->conv = forward;
    return own->pass != AN_BENCH_DATA || an_winograd_turn(&own->conv, &forward);
}

static void conv_sizes(const an_bench_own *own, size_t sizes[AN_BENCH_ARGUMENTS])
{
    const an_winograd *plan = &own->conv;
    const an_winograd_shape *s = &plan->shape;
    size_t images = (size_t)s->batch * (size_t)s->groups, groups = (size_t)s->groups;
    size_raise(&sizes[SOURCE], images * (size_t)(s->from * s->height * s->width) * plan->value_size);
    size_raise(&sizes[WEIGHTS], groups * weights_floats(s) * sizeof(float));
    size_raise(&sizes[TARGET], images * (size_t)(s->to * s->out_height * s->out_width) * plan->value_size);
    size_raise(&sizes[SCRATCH], own->pass == AN_BENCH_WEIGHTS ? an_winograd_gradient_scratch(plan)
                                                              : transformed_bytes(plan) + an_winograd_scratch(plan));
    size_raise(&sizes[BIAS], groups * (size_t)s->to * sizeof(float));
}

static bool lrn_make(an_bench_own *own, const an_node *node, int batch, bool bf16, size_t sizes[AN_BENCH_ARGUMENTS])
{
    an_lrn_shape *s = &own->lrn;
    *s = (an_lrn_shape){.images = (size_t)(batch * node->groups),
                        .blocks = (size_t)(node->channels / node->groups / 16),
                        .area = (size_t)(node->height * node->width),
                        .k = (float)node->lrn_k,
                        .scale = (float)(node->lrn_alpha / node->lrn_size),
                        .bf16 = bf16};
    for (int i = SOURCE; i <= TARGET; i++)
        size_raise(&sizes[i], s->images * s->blocks * s->area * 16 * (bf16 ? sizeof(uint16_t) : sizeof(float)));
    return an_lrn_possible(bf16);
}

bool an_bench_own_make(an_bench_own *out, const an_node *from, const an_node *node, int batch, bool bf16,
                       an_bench_pass pass, size_t sizes[AN_BENCH_ARGUMENTS])
{
    *out = (an_bench_own){.pass = pass, .kind = node->kind};
    if (node->kind == AN_OP_LRN)
        return pass != AN_BENCH_WEIGHTS && lrn_make(out, node, batch, bf16, sizes);
    if (!conv_make(out, from, node, batch, bf16))
        return false;
    conv_sizes(out, sizes);
    return true;
}

/* Both groups' parts of an array of floats. */
static void parts(float *all, size_t each, float *out[AN_WINOGRAD_GROUPS])
{
    for (size_t i = 0; i < AN_WINOGRAD_GROUPS; i++)
        out[i] = all + i * each;
}

static void conv_run(const an_winograd *plan, void *const buffers[AN_BENCH_ARGUMENTS], float *const weights[])
{
    char *transformed = buffers[SCRATCH];
    for (int i = 0; i < plan->shape.groups; i++)
        an_winograd_weights(plan, weights[i],
                            transformed + (size_t)i * an_winograd_weights_size(plan) * plan->value_size);
    an_winograd_run(plan, &(an_winograd_run_args){.source = buffers[SOURCE],
                                                  .transformed = transformed,
                                                  .target = buffers[TARGET],
                                                  .scratch = (char *)buffers[SCRATCH] + transformed_bytes(plan)});
}

static void conv_gradient(const an_winograd *plan, void *const buffers[AN_BENCH_ARGUMENTS], float *const weights[])
{
    float *bias[AN_WINOGRAD_GROUPS];
    parts(buffers[BIAS], (size_t)plan->shape.to, bias);
    an_winograd_gradient(plan, &(an_winograd_gradient_args){.source = buffers[SOURCE],
                                                            .slope = buffers[TARGET],
                                                            .weights = weights,
                                                            .bias = bias,
                                                            .scratch = buffers[SCRATCH]});
}

void an_bench_own_run(const an_bench_own *own, void *const buffers[AN_BENCH_ARGUMENTS])
{
    float *weights[AN_WINOGRAD_GROUPS];
    if (own->kind == AN_OP_LRN && own->pass == AN_BENCH_FORWARD) {
        an_lrn_forward(&own->lrn, buffers[SOURCE], buffers[TARGET]);
        return;
    }
    if (own->kind == AN_OP_LRN) {
        an_lrn_backward(&own->lrn, buffers[SOURCE], buffers[TARGET], buffers[WEIGHTS]);
        return;
    }
    parts(buffers[WEIGHTS], weights_floats(&own->conv.shape), weights);
    omp_set_num_threads(own->conv.threads);
    if (own->pass == AN_BENCH_WEIGHTS)
        conv_gradient(&own->conv, buffers, weights);
    else
        conv_run(&own->conv, buffers, weights);
}
