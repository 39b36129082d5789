/* Fully connected layer + bias + activation over C*H*W inputs. Planes are first copied into plain order, which is a few
 * megabytes. The weights (9216 x 4096 in AlexNet) can then be stored in the order that the fast matrix kernels of
 * forward and both backward passes share; with inputs in blocked order the weights would be reordered in every step. */
#include "base/error.h"
#include "model/cpu/cpu_private.h"

typedef struct {
    an_op op;
    an_cpu_view view;
    dnnl_memory_t source, source_gradient; /* the input as a matrix */
    dnnl_memory_t slope;                   /* the output's gradient in the backend's type */
    an_primitive forward, activation, slope_turn, data, weights, weights_turn, gradient_turn;
} dense_op;

typedef struct {
    an_desc source, weights, bias, target, canonical;
    an_desc weights_gradient, target_gradient;
} geometry;

static geometry geometry_make(const dense_op *dense)
{
    const an_cpu_tensor *source = dense->view.tensor;
    int outputs = dense->op.node.channels, inputs = source->c * source->h * source->w;
    dnnl_data_type_t type = dense->op.cpu->type;
    geometry g = {.source = an_matrix_desc(type, source->n, inputs, dnnl_nc),
                  .weights = an_matrix_desc(type, outputs, inputs, dnnl_format_tag_any),
                  .weights_gradient = an_matrix_desc(dnnl_f32, outputs, inputs, dnnl_format_tag_any),
                  .canonical = an_matrix_desc(dnnl_f32, outputs, inputs, dnnl_oi),
                  .target = dense->op.output.desc,
                  .target_gradient = an_matrix_desc(type, source->n, outputs, dnnl_nc)};
    g.bias = an_desc_make(1, (const dnnl_dim_t[]){outputs}, dnnl_f32, dnnl_x);
    return g;
}

static int weights_desc(dnnl_primitive_desc_t *out, const dense_op *dense, const geometry *g,
                        const_dnnl_primitive_desc_t hint)
{
    const an_op *op = &dense->op;
    return an_primitive_dense(out, op->cpu,
                              &(an_primitive_pass){dnnl_backward_weights, AN_ACTIVATION_NONE, hint, op->node.name},
                              &(an_onednn_dense){&g->source, &g->weights_gradient, &g->bias, &g->target_gradient});
}

static int parameters_make(dense_op *dense, const geometry *g, const_dnnl_primitive_desc_t hint)
{
    an_op *op = &dense->op;
    an_desc order = an_onednn_query(hint, dnnl_query_weights_md), gradient;
    if (op->cpu->training) {
        dnnl_primitive_desc_t desc;
        int rc = weights_desc(&desc, dense, g, hint);
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

/* hint: a copy of the forward description, which the backward primitives need. The caller destroys it, also after a
 * failure; NULL if it was not made. */
static int forward_make(dense_op *dense, const geometry *g, dnnl_primitive_desc_t *hint)
{
    an_op *op = &dense->op;
    dnnl_primitive_desc_t desc;
    int rc = an_primitive_dense(&desc, op->cpu,
                                &(an_primitive_pass){dnnl_forward_training, op->node.activation, NULL, op->node.name},
                                &(an_onednn_dense){&g->source, &g->weights, &g->bias, &g->target});
    if (rc)
        return rc;
    rc = an_cpu_check(dnnl_primitive_desc_clone(hint, desc), op->node.name, "a description");
    if (rc) {
        dnnl_primitive_desc_destroy(desc);
        return rc;
    }
    rc = an_primitive_make(&dense->forward, op->cpu, desc, op->node.name);
    if (rc)
        return rc;
    rc = parameters_make(dense, g, *hint);
    if (rc)
        return rc;
    an_primitive_arg(&dense->forward, DNNL_ARG_SRC, dense->source);
    an_primitive_arg(&dense->forward, DNNL_ARG_WEIGHTS, op->weights[0].value);
    an_primitive_arg(&dense->forward, DNNL_ARG_BIAS, op->biases[0].value);
    an_primitive_arg(&dense->forward, DNNL_ARG_DST, op->output.value);
    return AN_OK;
}

static int data_make(dense_op *dense, const geometry *g, const_dnnl_primitive_desc_t hint)
{
    an_op *op = &dense->op;
    dnnl_primitive_desc_t desc;
    int rc = an_primitive_dense(&desc, op->cpu,
                                &(an_primitive_pass){dnnl_backward_data, AN_ACTIVATION_NONE, hint, op->node.name},
                                &(an_onednn_dense){&g->source, &g->weights, NULL, &g->target_gradient});
    if (rc)
        return rc;
    an_desc order = an_onednn_query(desc, dnnl_query_weights_md);
    dnnl_memory_t turned = op->weights[0].value;
    rc = an_primitive_make(&dense->data, op->cpu, desc, op->node.name);
    if (rc)
        return rc;
    rc = an_cpu_weights_turn(&dense->weights_turn, op->cpu, &op->weights[0], &order, false, &turned);
    if (rc)
        return rc;
    an_primitive_arg(&dense->data, DNNL_ARG_WEIGHTS, turned);
    an_primitive_arg(&dense->data, DNNL_ARG_DIFF_DST, dense->slope);
    an_primitive_arg(&dense->data, DNNL_ARG_DIFF_SRC, dense->source_gradient);
    return AN_OK;
}

static int weights_make(dense_op *dense, const geometry *g, const_dnnl_primitive_desc_t hint)
{
    an_op *op = &dense->op;
    dnnl_primitive_desc_t desc;
    int rc = weights_desc(&desc, dense, g, hint);
    if (rc)
        return rc;
    an_desc order = an_onednn_query(desc, dnnl_query_diff_weights_md);
    dnnl_memory_t turned = op->weights[0].gradient;
    rc = an_primitive_make(&dense->weights, op->cpu, desc, op->node.name);
    if (rc)
        return rc;
    rc = an_cpu_weights_turn(&dense->gradient_turn, op->cpu, &op->weights[0], &order, true, &turned);
    if (rc)
        return rc;
    an_primitive_arg(&dense->weights, DNNL_ARG_SRC, dense->source);
    an_primitive_arg(&dense->weights, DNNL_ARG_DIFF_DST, dense->slope);
    an_primitive_arg(&dense->weights, DNNL_ARG_DIFF_WEIGHTS, turned);
    an_primitive_arg(&dense->weights, DNNL_ARG_DIFF_BIAS, op->biases[0].gradient);
    return AN_OK;
}

/* The gradient of logits, which are always f32, is converted to the backend's type before it is used. */
static int slope_make(dense_op *dense, const geometry *g)
{
    an_op *op = &dense->op;
    void *place;
    dense->slope = op->output.gradient;
    if (an_desc_equal(&g->target, &g->target_gradient))
        return AN_OK;
    int rc = an_cpu_alloc(op->cpu, &place, an_desc_size(&g->target_gradient));
    if (rc)
        return rc;
    rc = an_cpu_memory(op->cpu, &dense->slope, &g->target_gradient, place);
    if (rc)
        return rc;
    return an_primitive_reorder(&dense->slope_turn, op->cpu, &g->target, op->output.gradient, &g->target_gradient,
                                dense->slope, false);
}

static int backward_make(dense_op *dense, const geometry *g, const_dnnl_primitive_desc_t hint, bool input_gradient)
{
    int rc = slope_make(dense, g);
    if (rc)
        return rc;
    if (dense->op.rate_scale > 0)
        rc = weights_make(dense, g, hint);
    if (rc)
        return rc;
    if (input_gradient)
        rc = data_make(dense, g, hint);
    if (rc)
        return rc;
    return an_cpu_activation_backward(&dense->activation, &dense->op);
}

static int kernels_make(dense_op *dense, bool input_gradient)
{
    geometry g = geometry_make(dense);
    dnnl_primitive_desc_t hint = NULL;
    int rc = an_cpu_tensor_as(dense->view.tensor, &g.source, &dense->source, &dense->source_gradient);
    if (rc)
        return rc;
    rc = forward_make(dense, &g, &hint);
    if (!rc && dense->op.cpu->training)
        rc = backward_make(dense, &g, hint, input_gradient);
    dnnl_primitive_desc_destroy(hint);
    return rc;
}

static int dense_forward(an_op *op, const an_run *run)
{
    (void)run;
    dense_op *dense = (dense_op *)op;
    int rc = an_cpu_view_forward(&dense->view, op->cpu);
    if (rc)
        return rc;
    return an_primitive_run(&dense->forward, op->cpu);
}

static int dense_backward(an_op *op, const an_run *run)
{
    (void)run;
    dense_op *dense = (dense_op *)op;
    const an_primitive *order[] = {&dense->activation,    &dense->slope_turn,   &dense->weights,
                                   &dense->gradient_turn, &dense->weights_turn, &dense->data};
    int rc = AN_OK;
    for (size_t i = 0; i < sizeof order / sizeof *order && !rc; i++)
        rc = an_primitive_run(order[i], op->cpu);
    if (rc)
        return rc;
    return an_cpu_view_backward(&dense->view, op->cpu);
}

static int dense_describe(const an_op *op, an_buffer *out)
{
    const dense_op *dense = (const dense_op *)op;
    const char *turned = dense->weights_turn.primitive || dense->gradient_turn.primitive ? ", weights reordered" : "";
    return an_buffer_printf(out, "%s%s, backward %s / %s%s", dense->view.forward.primitive ? "input reordered, " : "",
                            dense->forward.implementation, dense->data.implementation, dense->weights.implementation,
                            turned);
}

int an_cpu_dense_create(an_op **out, an_backend *cpu, const an_op_spec *spec)
{
    static const an_op_methods methods = {dense_forward, dense_backward, dense_describe};
    dense_op *dense;
    int rc = an_cpu_op_new(&dense, cpu, spec, &methods, sizeof *dense);
    if (rc)
        return rc;
    an_cpu_tensor *source = an_cpu_input(spec, 0);
    const an_node *node = &dense->op.node;
    dnnl_data_type_t type = node->activation == AN_ACTIVATION_NONE ? dnnl_f32 : cpu->type;
    an_desc order = an_matrix_desc(cpu->type, source->n, source->c, dnnl_nc);
    an_desc target = an_matrix_desc(type, cpu->batch, node->channels, dnnl_nc);
    int shape[] = {cpu->batch, node->channels, 1, 1};
    if (an_desc_ndims(&source->desc) == 4)
        order = an_cpu_tensor_desc(cpu->type, source->n, source->c, source->h, source->w, dnnl_nchw);
    dense->op.parts = 1;
    rc = an_cpu_view_make(&dense->view, cpu, source,
                          &(an_cpu_view_spec){&order, spec->input_gradient, spec->accumulate});
    if (rc)
        return rc;
    rc = an_cpu_tensor_make(&dense->op.output, cpu, shape, &target);
    if (rc)
        return rc;
    *out = &dense->op;
    return kernels_make(dense, spec->input_gradient);
}
