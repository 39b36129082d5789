/* Activations: the gradient before one that a layer computes along with its sums, and activations as ops of their own,
 * in the order in which their input is stored. */
#include "base/error.h"
#include "model/cpu/cpu_private.h"

typedef struct {
    an_op op;
    an_cpu_view view;
    an_primitive forward, backward;
} activation_op;

/* Derivatives are computed from the activation's output, so its input need not be kept. */
static int backward_make(an_primitive *kernel, an_op *op, dnnl_memory_t input_gradient)
{
    an_activation activation = op->node.activation;
    an_cpu_tensor *output = &op->output;
    dnnl_primitive_desc_t hint, desc;
    an_primitive_pass pass = {.pass = dnnl_forward_training, .subject = op->node.name};
    int rc = an_primitive_eltwise(&hint, op->cpu, &pass, an_onednn_activation(activation, false), &output->desc);
    if (rc)
        return rc;
    pass.pass = dnnl_backward_data;
    pass.hint = hint;
    rc = an_primitive_eltwise(&desc, op->cpu, &pass, an_onednn_activation(activation, true), &output->desc);
    dnnl_primitive_desc_destroy(hint);
    if (rc)
        return rc;
    rc = an_primitive_make(kernel, op->cpu, desc, op->node.name);
    if (rc)
        return rc;
    an_primitive_arg(kernel, DNNL_ARG_DST, output->value);
    an_primitive_arg(kernel, DNNL_ARG_DIFF_DST, output->gradient);
    an_primitive_arg(kernel, DNNL_ARG_DIFF_SRC, input_gradient);
    return AN_OK;
}

int an_cpu_activation_backward(an_primitive *kernel, an_op *op)
{
    return op->node.activation == AN_ACTIVATION_NONE ? AN_OK : backward_make(kernel, op, op->output.gradient);
}

static int forward_make(activation_op *own)
{
    an_op *op = &own->op;
    dnnl_primitive_desc_t desc;
    an_primitive_pass pass = {.pass = op->cpu->training ? dnnl_forward_training : dnnl_forward_inference,
                              .subject = op->node.name};
    int rc =
        an_primitive_eltwise(&desc, op->cpu, &pass, an_onednn_activation(op->node.activation, false), &op->output.desc);
    if (rc)
        return rc;
    rc = an_primitive_make(&own->forward, op->cpu, desc, op->node.name);
    if (rc)
        return rc;
    an_primitive_arg(&own->forward, DNNL_ARG_SRC, own->view.tensor->value);
    an_primitive_arg(&own->forward, DNNL_ARG_DST, op->output.value);
    return AN_OK;
}

static int activation_forward(an_op *op, const an_run *run)
{
    (void)run;
    const activation_op *own = (const activation_op *)op;
    int rc = an_cpu_view_forward(&own->view, op->cpu);
    if (rc)
        return rc;
    return an_primitive_run(&own->forward, op->cpu);
}

/* Without a gradient of the input there are no primitives, and this does nothing. */
static int activation_backward(an_op *op, const an_run *run)
{
    (void)run;
    const activation_op *own = (const activation_op *)op;
    int rc = an_primitive_run(&own->backward, op->cpu);
    if (rc)
        return rc;
    return an_cpu_view_backward(&own->view, op->cpu);
}

static int activation_describe(const an_op *op, an_buffer *out)
{
    const activation_op *own = (const activation_op *)op;
    return an_buffer_printf(out, "%s, backward %s", own->forward.implementation, own->backward.implementation);
}

int an_cpu_activation_create(an_op **out, an_backend *cpu, const an_op_spec *spec)
{
    static const an_op_methods methods = {activation_forward, activation_backward, activation_describe};
    activation_op *own;
    int rc = an_cpu_op_new(&own, cpu, spec, &methods, sizeof *own);
    if (rc)
        return rc;
    an_cpu_tensor *source = an_cpu_input(spec, 0);
    int shape[] = {source->n, source->c, source->h, source->w};
    rc = an_cpu_view_make(&own->view, cpu, source,
                          &(an_cpu_view_spec){&source->desc, spec->input_gradient, spec->accumulate});
    if (rc)
        return rc;
    rc = an_cpu_tensor_make(&own->op.output, cpu, shape, &source->desc);
    if (rc)
        return rc;
    *out = &own->op;
    rc = forward_make(own);
    if (rc || !cpu->training || !spec->input_gradient)
        return rc;
    return backward_make(&own->backward, &own->op, own->view.tensor->gradient);
}
