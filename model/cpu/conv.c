/* Convolution + bias + activation, by our own Winograd kernels (conv_winograd.c) where these are faster, otherwise by
 * oneDNN's direct ones. */
#include "base/error.h"
#include "model/cpu/cpu_private.h"

typedef struct {
    an_op op;
    an_cpu_view view;
    bool input_gradient;
    an_primitive forward, activation, data, weights;
    an_primitive weights_turn;  /* copies the weights to the order that the backward data primitive reads, if needed */
    an_primitive gradient_turn; /* copies what the backward weights primitive writes to the master order, if needed */
} conv_op;

/* The tensors, as oneDNN is asked for them, then as it chose them. */
typedef struct {
    an_desc source, weights, bias, target, canonical;
    an_desc weights_gradient;
    dnnl_dims_t strides, before, after;
} geometry;

static geometry geometry_make(const an_op *op, const an_cpu_tensor *source)
{
    const an_node *node = &op->node;
    int groups = node->groups, from = source->c, to = node->channels;
    const dnnl_dim_t plain[] = {to, from, node->kernel, node->kernel};
    const dnnl_dim_t grouped[] = {groups, to / groups, from / groups, node->kernel, node->kernel};
    const dnnl_dim_t *shape = groups > 1 ? grouped : plain;
    int rank = groups > 1 ? 5 : 4;
    dnnl_data_type_t type = op->cpu->type;
    return (geometry){.source = an_cpu_tensor_desc(type, source->n, from, source->h, source->w, dnnl_format_tag_any),
                      .target = an_cpu_tensor_desc(type, source->n, to, node->height, node->width, dnnl_format_tag_any),
                      .weights = an_desc_make(rank, shape, type, dnnl_format_tag_any),
                      .weights_gradient = an_desc_make(rank, shape, dnnl_f32, dnnl_format_tag_any),
                      .canonical = an_desc_make(rank, shape, dnnl_f32, groups > 1 ? dnnl_goihw : dnnl_oihw),
                      .bias = an_desc_make(1, (const dnnl_dim_t[]){to}, dnnl_f32, dnnl_x),
                      .strides = {node->stride, node->stride},
                      .before = {node->pad_before, node->pad_before},
                      .after = {node->pad_after, node->pad_after}};
}

static int describe(dnnl_primitive_desc_t *out, const conv_op *conv, const geometry *g, dnnl_prop_kind_t pass,
                    const_dnnl_primitive_desc_t hint)
{
    const an_op *op = &conv->op;
    bool forward = pass == dnnl_forward_training, weights = pass == dnnl_backward_weights;
    return an_primitive_conv(out, op->cpu,
                             &(an_primitive_pass){.pass = pass,
                                                  .activation = forward ? op->node.activation : AN_ACTIVATION_NONE,
                                                  .hint = hint,
                                                  .subject = op->node.name},
                             &(an_onednn_conv){.algorithm = dnnl_convolution_direct,
                                               .source = &g->source,
                                               .weights = weights ? &g->weights_gradient : &g->weights,
                                               .bias = &g->bias,
                                               .target = &g->target,
                                               .strides = g->strides,
                                               .before = g->before,
                                               .after = g->after});
}

static int backward_data_make(conv_op *conv, const geometry *g, const_dnnl_primitive_desc_t hint)
{
    an_op *op = &conv->op;
    an_cpu_weights *weights = &op->weights[0];
    dnnl_primitive_desc_t desc;
    int rc = describe(&desc, conv, g, dnnl_backward_data, hint);
    if (rc)
        return rc;
    an_desc order = an_onednn_query(desc, dnnl_query_weights_md);
    rc = an_primitive_make(&conv->data, op->cpu, desc, op->node.name);
    if (rc)
        return rc;
    dnnl_memory_t turned = weights->value;
    rc = an_cpu_weights_turn(&conv->weights_turn, op->cpu, weights, &order, false, &turned);
    if (rc)
        return rc;
    an_primitive_arg(&conv->data, DNNL_ARG_WEIGHTS, turned);
    an_primitive_arg(&conv->data, DNNL_ARG_DIFF_DST, op->output.gradient);
    an_primitive_arg(&conv->data, DNNL_ARG_DIFF_SRC, conv->view.tensor->gradient);
    return AN_OK;
}

static int backward_weights_make(conv_op *conv, const geometry *g, const_dnnl_primitive_desc_t hint)
{
    an_op *op = &conv->op;
    dnnl_primitive_desc_t desc;
    int rc = describe(&desc, conv, g, dnnl_backward_weights, hint);
    if (rc)
        return rc;
    an_desc order = an_onednn_query(desc, dnnl_query_diff_weights_md);
    rc = an_primitive_make(&conv->weights, op->cpu, desc, op->node.name);
    if (rc)
        return rc;
    dnnl_memory_t turned = op->weights[0].gradient;
    rc = an_cpu_weights_turn(&conv->gradient_turn, op->cpu, &op->weights[0], &order, true, &turned);
    if (rc)
        return rc;
    an_primitive_arg(&conv->weights, DNNL_ARG_SRC, conv->view.tensor->value);
    an_primitive_arg(&conv->weights, DNNL_ARG_DIFF_DST, op->output.gradient);
    an_primitive_arg(&conv->weights, DNNL_ARG_DIFF_WEIGHTS, turned);
    an_primitive_arg(&conv->weights, DNNL_ARG_DIFF_BIAS, op->biases[0].gradient);
    return AN_OK;
}

static int weights_make(conv_op *conv, const geometry *g, const_dnnl_primitive_desc_t hint)
{
    an_op *op = &conv->op;
    an_desc order = an_onednn_query(hint, dnnl_query_weights_md), gradient;
    if (op->cpu->training) {
        dnnl_primitive_desc_t desc;
        int rc = describe(&desc, conv, g, dnnl_backward_weights, hint);
        if (rc)
            return rc;
        gradient = an_onednn_query(desc, dnnl_query_diff_weights_md);
        dnnl_primitive_desc_destroy(desc);
    }
    int rc = an_cpu_weights_make(&op->weights[0], op->cpu, &order, op->cpu->training ? &gradient : NULL, &g->canonical);
    if (rc)
        return rc;
    return an_cpu_weights_make(&op->biases[0], op->cpu, &g->bias, NULL, &g->bias);
}

/* From a copy of hint: asked again, now that the tensors' orders are given, oneDNN might choose other weights. */
static int forward_make(conv_op *conv, const_dnnl_primitive_desc_t hint)
{
    an_op *op = &conv->op;
    dnnl_primitive_desc_t desc;
    int rc = an_cpu_check(dnnl_primitive_desc_clone(&desc, hint), op->node.name, "a description");
    if (rc)
        return rc;
    rc = an_primitive_make(&conv->forward, op->cpu, desc, op->node.name);
    if (rc)
        return rc;
    an_primitive_arg(&conv->forward, DNNL_ARG_SRC, conv->view.tensor->value);
    an_primitive_arg(&conv->forward, DNNL_ARG_WEIGHTS, op->weights[0].value);
    an_primitive_arg(&conv->forward, DNNL_ARG_BIAS, op->biases[0].value);
    an_primitive_arg(&conv->forward, DNNL_ARG_DST, op->output.value);
    return AN_OK;
}

/* hint: the forward description, in which oneDNN has chosen the orders. */
static int kernels_make(conv_op *conv, const an_op_spec *spec, geometry *g, const_dnnl_primitive_desc_t hint)
{
    an_op *op = &conv->op;
    int shape[] = {op->cpu->batch, op->node.channels, op->node.height, op->node.width};
    g->source = an_onednn_query(hint, dnnl_query_src_md);
    g->target = an_onednn_query(hint, dnnl_query_dst_md);
    int rc = an_cpu_view_make(&conv->view, op->cpu, an_cpu_input(spec, 0),
                              &(an_cpu_view_spec){&g->source, spec->input_gradient, spec->accumulate});
    if (rc)
        return rc;
    rc = an_cpu_tensor_make(&op->output, op->cpu, shape, &g->target);
    if (rc)
        return rc;
    rc = weights_make(conv, g, hint);
    if (rc)
        return rc;
    rc = forward_make(conv, hint);
    if (rc || !op->cpu->training)
        return rc;
    if (conv->input_gradient)
        rc = backward_data_make(conv, g, hint);
    if (rc)
        return rc;
    if (op->rate_scale > 0)
        rc = backward_weights_make(conv, g, hint);
    if (rc)
        return rc;
    return an_cpu_activation_backward(&conv->activation, op);
}

static int conv_forward(an_op *op, const an_run *run)
{
    (void)run;
    conv_op *conv = (conv_op *)op;
    int rc = an_cpu_view_forward(&conv->view, op->cpu);
    if (rc)
        return rc;
    return an_primitive_run(&conv->forward, op->cpu);
}

static int conv_backward(an_op *op, const an_run *run)
{
    (void)run;
    conv_op *conv = (conv_op *)op;
    const an_primitive *order[] = {&conv->activation, &conv->weights, &conv->gradient_turn, &conv->weights_turn,
                                   &conv->data};
    int rc = AN_OK;
    for (size_t i = 0; i < sizeof order / sizeof *order && !rc; i++)
        rc = an_primitive_run(order[i], op->cpu);
    if (rc)
        return rc;
    return an_cpu_view_backward(&conv->view, op->cpu);
}

static int conv_describe(const an_op *op, an_buffer *out)
{
    const conv_op *conv = (const conv_op *)op;
    const char *turned = conv->weights_turn.primitive || conv->gradient_turn.primitive ? ", weights reordered" : "";
    return an_buffer_printf(out, "%s%s, backward %s / %s%s", conv->view.forward.primitive ? "input reordered, " : "",
                            conv->forward.implementation, conv->data.implementation, conv->weights.implementation,
                            turned);
}

int an_cpu_conv_create(an_op **out, an_backend *cpu, const an_op_spec *spec)
{
    static const an_op_methods methods = {conv_forward, conv_backward, conv_describe};
    conv_op *conv;
    dnnl_primitive_desc_t hint;
    int rc = an_cpu_winograd_create(out, cpu, spec);
    if (rc || *out)
        return rc;
    rc = an_cpu_op_new(&conv, cpu, spec, &methods, sizeof *conv);
    if (rc)
        return rc;
    conv->op.parts = 1;
    conv->input_gradient = spec->input_gradient;
    geometry g = geometry_make(&conv->op, an_cpu_input(spec, 0));
    rc = describe(&hint, conv, &g, dnnl_forward_training, NULL);
    if (rc)
        return rc;
    rc = kernels_make(conv, spec, &g, hint);
    dnnl_primitive_desc_destroy(hint);
    *out = &conv->op;
    return rc;
}
