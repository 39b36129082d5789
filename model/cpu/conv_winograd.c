/* Convolution + bias + ReLU with our own Winograd kernels (kernels/winograd.h), where they are faster than oneDNN's
 * direct ones. oneDNN 2 has Winograd kernels too, for fp32 and without groups; oneDNN 3 has none. */
#include "base/error.h"
#include "model/cpu/expand_private.h"
#include "model/cpu/kernels/winograd.h"

typedef struct {
    an_op op;
    an_cpu_view view;
    an_expansion expansion; /* block 0: none */
    an_cpu_tensor *source;  /* with an expansion: its input... */
    void *wide;             /* ...and its output */
    bool input_gradient;
    an_primitive activation;
    an_winograd forward, backward;
    char *transformed;                    /* weights of all groups, transformed for the forward pass */
    uint64_t changes[AN_WINOGRAD_GROUPS]; /* the weights' count of changes when they were transformed */
    void *scratch; /* shared by all ops; the backward pass puts its transformed weights at the start */
} winograd_op;

/* The plans of both passes, and the expansion, if any. */
typedef struct {
    an_winograd forward, backward;
    an_expansion expansion;
} plans;

static bool plans_make(plans *p, const an_backend *cpu, const an_winograd_shape *shape, int products)
{
    if (!an_winograd_plan(&p->forward, shape, cpu->type == dnnl_bf16, cpu->threads))
        return false;
    if (!an_winograd_turn(&p->backward, &p->forward))
        return false;
    return cpu->winograd || an_winograd_pays(&p->forward, products);
}

/* Plans for a convolution of the image with a large window, expanded into one of 3x3. */
static bool plans_expanded(plans *p, const an_backend *cpu, const an_op_spec *spec)
{
    const an_node *node = spec->node;
    const an_cpu_tensor *source = an_cpu_input(spec, 0);
    an_expansion *e = &p->expansion;
    if (spec->input_gradient || !an_expansion_find(e, node, source, an_winograd_lanes(cpu->type == dnnl_bf16)))
        return false;
    an_winograd_shape shape = {.batch = source->n,
                               .groups = 1,
                               .from = e->expanded,
                               .to = node->channels,
                               .height = e->height,
                               .width = e->width,
                               .kernel = AN_EXPANSION_TAPS,
                               .out_height = node->height,
                               .out_width = node->width};
    if (plans_make(p, cpu, &shape, node->kernel * node->kernel * source->c))
        return true;
    e->block = 0;
    return false;
}

static bool plans_direct(plans *p, const an_backend *cpu, const an_op_spec *spec)
{
    const an_node *node = spec->node;
    const an_cpu_tensor *source = an_cpu_input(spec, 0);
    int groups = node->groups ? node->groups : 1;
    an_winograd_shape shape = {.batch = source->n,
                               .groups = groups,
                               .from = source->c / groups,
                               .to = node->channels / groups,
                               .height = source->h,
                               .width = source->w,
                               .kernel = node->kernel,
                               .pad = node->pad_before,
                               .out_height = node->height,
                               .out_width = node->width};
    return node->stride == 1 && plans_make(p, cpu, &shape, node->kernel * node->kernel * shape.from);
}

/* Whether our own kernels can compute this convolution and are expected to be faster. */
static bool plans_find(plans *p, const an_backend *cpu, const an_op_spec *spec)
{
    if (cpu->direct || spec->node->activation > AN_ACTIVATION_RELU || !an_winograd_lanes(cpu->type == dnnl_bf16))
        return false;
    return plans_expanded(p, cpu, spec) || plans_direct(p, cpu, spec);
}

/* Bytes of a group's transformed weights. */
static size_t group_bytes(const an_winograd *plan)
{
    return an_winograd_weights_size(plan) * plan->value_size;
}

static size_t turned_bytes(const winograd_op *conv)
{
    return (size_t)conv->op.parts * group_bytes(&conv->backward);
}

static int scratch_make(winograd_op *conv)
{
    const an_backend *cpu = conv->op.cpu;
    size_t most = an_winograd_scratch(&conv->forward);
    if (cpu->training) {
        size_t data = turned_bytes(conv) + an_winograd_scratch(&conv->backward);
        size_t gradient = an_winograd_gradient_scratch(&conv->forward);
        most = data > most ? data : most;
        most = gradient > most ? gradient : most;
    }
    return an_scratch_want(conv->op.cpu, most, &conv->scratch);
}

static int weights_make(winograd_op *conv)
{
    an_op *op = &conv->op;
    const an_winograd_shape *s = &conv->forward.shape;
    int rc = AN_OK;
    void *place;
    an_desc order = an_cpu_tensor_desc(dnnl_f32, s->to, s->from, s->kernel, s->kernel, dnnl_hwio);
    an_desc canonical = an_cpu_tensor_desc(dnnl_f32, s->to, s->from, s->kernel, s->kernel, dnnl_oihw);
    an_desc bias = an_desc_make(1, (const dnnl_dim_t[]){s->to}, dnnl_f32, dnnl_x);
    for (int i = 0; i < op->parts && !rc; i++) {
        conv->changes[i] = UINT64_MAX;
        rc = an_cpu_weights_make(&op->weights[i], op->cpu, &order, NULL, &canonical);
        if (!rc && conv->expansion.block)
            rc = an_cpu_weights_expand(&op->weights[i], op->cpu, &conv->expansion);
        if (!rc)
            rc = an_cpu_weights_make(&op->biases[i], op->cpu, &bias, NULL, &bias);
    }
    size_t size = (size_t)op->parts * group_bytes(&conv->forward);
    if (rc)
        return rc;
    rc = an_cpu_alloc(op->cpu, &place, size);
    if (rc)
        return rc;
    conv->transformed = place;
    return AN_OK;
}

static int wide_make(winograd_op *conv)
{
    void *place;
    const an_winograd_shape *s = &conv->forward.shape;
    size_t size = (size_t)s->batch * (size_t)s->from * (size_t)s->height * (size_t)s->width;
    int rc = an_cpu_alloc(conv->op.cpu, &place, size * conv->forward.value_size);
    conv->wide = place;
    return rc;
}

static int tensors_make(winograd_op *conv, const an_op_spec *spec)
{
    an_op *op = &conv->op;
    an_cpu_tensor *source = an_cpu_input(spec, 0);
    const an_node *node = &op->node;
    dnnl_data_type_t type = op->cpu->type;
    dnnl_format_tag_t tag = conv->forward.lanes == 16 ? dnnl_nChw16c : dnnl_nChw8c;
    an_desc from = an_cpu_tensor_desc(type, source->n, source->c, source->h, source->w, tag);
    an_desc to = an_cpu_tensor_desc(type, source->n, node->channels, node->height, node->width, tag);
    int shape[] = {source->n, node->channels, node->height, node->width};
    int rc = an_cpu_tensor_make(&op->output, op->cpu, shape, &to);
    conv->source = source;
    if (rc)
        return rc;
    if (conv->expansion.block)
        return wide_make(conv);
    return an_cpu_view_make(&conv->view, op->cpu, source,
                            &(an_cpu_view_spec){&from, spec->input_gradient, spec->accumulate});
}

static int source_ready(const winograd_op *conv, const void **out)
{
    bool expanded = conv->expansion.block;
    *out = expanded ? conv->wide : conv->view.tensor->data;
    return expanded ? an_expansion_forward(&conv->expansion, conv->source, conv->wide)
                    : an_cpu_view_forward(&conv->view, conv->op.cpu);
}

static int winograd_forward(an_op *op, const an_run *run)
{
    (void)run;
    winograd_op *conv = (winograd_op *)op;
    const float *bias[AN_WINOGRAD_GROUPS];
    const void *source;
    int rc = source_ready(conv, &source);
    for (int i = 0; i < op->parts; i++) {
        bias[i] = op->biases[i].data;
        if (conv->changes[i] == op->weights[i].changes)
            continue;
        conv->changes[i] = op->weights[i].changes;
        an_winograd_weights(&conv->forward, op->weights[i].data,
                            conv->transformed + (size_t)i * group_bytes(&conv->forward));
    }
    an_winograd_run_args args = {.source = source,
                                 .transformed = conv->transformed,
                                 .bias = bias,
                                 .relu = op->node.activation == AN_ACTIVATION_RELU,
                                 .target = op->output.data,
                                 .scratch = conv->scratch};
    an_winograd_run(&conv->forward, &args);
    return rc;
}

static void backward_weights(winograd_op *conv)
{
    an_op *op = &conv->op;
    float *weights[AN_WINOGRAD_GROUPS], *bias[AN_WINOGRAD_GROUPS];
    for (int i = 0; i < op->parts; i++) {
        weights[i] = op->weights[i].slope;
        bias[i] = op->biases[i].slope;
    }
    an_winograd_gradient_args args = {.source = conv->expansion.block ? conv->wide : conv->view.tensor->data,
                                      .slope = op->output.slope,
                                      .weights = weights,
                                      .bias = bias,
                                      .scratch = conv->scratch};
    an_winograd_gradient(&conv->forward, &args);
}

static void backward_data(winograd_op *conv)
{
    an_op *op = &conv->op;
    char *turned = conv->scratch;
    for (int i = 0; i < op->parts; i++)
        an_winograd_weights(&conv->backward, op->weights[i].data, turned + (size_t)i * group_bytes(&conv->backward));
    an_winograd_run_args args = {.source = op->output.slope,
                                 .transformed = turned,
                                 .target = conv->view.tensor->slope,
                                 .scratch = (char *)conv->scratch + turned_bytes(conv)};
    an_winograd_run(&conv->backward, &args);
}

static int winograd_backward(an_op *op, const an_run *run)
{
    (void)run;
    winograd_op *conv = (winograd_op *)op;
    int rc = an_primitive_run(&conv->activation, op->cpu);
    if (rc)
        return rc;
    if (op->rate_scale > 0)
        backward_weights(conv);
    if (!conv->input_gradient)
        return AN_OK;
    backward_data(conv);
    return an_cpu_view_backward(&conv->view, op->cpu);
}

static int winograd_describe(const an_op *op, an_buffer *out)
{
    const winograd_op *conv = (const winograd_op *)op;
    const an_winograd *plan = &conv->forward;
    const char *tier = plan->value_size == sizeof(uint16_t) ? "avx512_bf16" : plan->lanes == 16 ? "avx512" : "avx2";
    return an_buffer_printf(out, "%s%swinograd %dx%d:%s, backward the same%s",
                            conv->expansion.block ? "expanded to 3x3, " : "",
                            conv->view.forward.primitive ? "input reordered, " : "", plan->tile, plan->tile, tier,
                            plan->segments > 1 ? ", window cut in four" : "");
}

int an_cpu_winograd_create(an_op **out, an_backend *cpu, const an_op_spec *spec)
{
    static const an_op_methods methods = {winograd_forward, winograd_backward, winograd_describe};
    winograd_op *conv;
    plans p = {0};
    *out = NULL;
    if (!plans_find(&p, cpu, spec))
        return AN_OK;
    int rc = an_cpu_op_new(&conv, cpu, spec, &methods, sizeof *conv);
    if (rc)
        return rc;
    conv->forward = p.forward;
    conv->backward = p.backward;
    conv->expansion = p.expansion;
    conv->op.parts = p.forward.shape.groups;
    conv->input_gradient = spec->input_gradient;
    rc = tensors_make(conv, spec);
    if (rc)
        return rc;
    rc = weights_make(conv);
    if (rc)
        return rc;
    rc = scratch_make(conv);
    if (rc)
        return rc;
    *out = &conv->op;
    return cpu->training ? an_cpu_activation_backward(&conv->activation, &conv->op) : AN_OK;
}
