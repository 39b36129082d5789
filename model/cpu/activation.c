#include "base/error.h"
#include "model/cpu/cpu_private.h"

/* Derivatives are computed from the activation's output, so its input need not be kept. */
int an_cpu_activation_backward(an_primitive *kernel, an_op *op)
{
    an_activation activation = op->node.activation;
    an_cpu_tensor *output = &op->output;
    dnnl_primitive_desc_t hint, desc;
    an_primitive_pass pass = {.pass = dnnl_forward_training, .subject = op->node.name};
    if (activation == AN_ACTIVATION_NONE)
        return AN_OK;
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
    an_primitive_arg(kernel, DNNL_ARG_DIFF_SRC, output->gradient);
    return AN_OK;
}
