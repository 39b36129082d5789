#include "base/error.h"
#include "model/cpu/cpu_private.h"

/* Derivatives are computed from the activation's output, so its input need not be kept. */
int an_cpu_activation_backward(an_primitive *kernel, an_op *op)
{
    static const dnnl_alg_kind_t kinds[] = {[AN_ACTIVATION_RELU] = dnnl_eltwise_relu_use_dst_for_bwd,
                                            [AN_ACTIVATION_TANH] = dnnl_eltwise_tanh_use_dst_for_bwd,
                                            [AN_ACTIVATION_SIGMOID] = dnnl_eltwise_logistic_use_dst_for_bwd};
    static const dnnl_alg_kind_t forward_kinds[] = {[AN_ACTIVATION_RELU] = dnnl_eltwise_relu,
                                                    [AN_ACTIVATION_TANH] = dnnl_eltwise_tanh,
                                                    [AN_ACTIVATION_SIGMOID] = dnnl_eltwise_logistic};
    an_activation activation = op->node.activation;
    an_cpu_tensor *output = &op->output;
    dnnl_eltwise_desc_t operation;
    dnnl_primitive_desc_t hint, desc;
    if (activation == AN_ACTIVATION_NONE)
        return AN_OK;
    dnnl_status_t status = dnnl_eltwise_forward_desc_init(&operation, dnnl_forward_training, forward_kinds[activation],
                                                          &output->desc, 0, 0);
    int rc = an_cpu_check(status, op->node.name, "activation");
    if (rc)
        return rc;
    rc = an_primitive_desc(&hint, op->cpu, &operation, AN_ACTIVATION_NONE, NULL, op->node.name);
    if (rc)
        return rc;
    status = dnnl_eltwise_backward_desc_init(&operation, kinds[activation], &output->desc, &output->desc, 0, 0);
    rc = an_cpu_check(status, op->node.name, "activation");
    if (!rc)
        rc = an_primitive_desc(&desc, op->cpu, &operation, AN_ACTIVATION_NONE, hint, op->node.name);
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
