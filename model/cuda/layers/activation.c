/* Activations as layers of their own. One that directly follows a convolution or a fully connected layer belongs to
 * that layer. */
#include "base/error.h"
#include "model/cuda/cuda.h"

static an_activation_args arguments(const an_op *op)
{
    const an_cuda_tensor *x = &op->input->output, *y = &op->output;
    int parts = x->parts > y->parts ? x->parts : y->parts;
    return (an_activation_args){.channels = y->stored_c,
                                .group = an_kernel_group(y->stored, y->stored_c / parts),
                                .activation = op->node.activation,
                                .from = an_cuda_tensor_rows(x),
                                .to = an_cuda_tensor_rows(y),
                                .stored = y->stored};
}

static int activation_forward(an_op *op, const an_run *run)
{
    (void)run;
    an_activation_args args = arguments(op);
    args.at = (an_kernel_places){.out = {op->output.data},
                                 .in = {op->input->output.data},
                                 .items = an_cuda_tensor_items(&op->output) / (uint64_t)args.group};
    return an_cuda_launched(an_kernel_activation(&args, op->cuda->compute), op, "activation");
}

static int activation_backward(an_op *op, const an_run *run)
{
    (void)run;
    if (!op->input_gradient)
        return AN_OK;
    an_activation_back_args args = {.forward = arguments(op), .accumulate = op->accumulate};
    args.forward.at = (an_kernel_places){.out = {op->input->output.slope},
                                         .in = {op->output.data, op->output.slope},
                                         .items = an_cuda_tensor_items(&op->output) / (uint64_t)args.forward.group};
    return an_cuda_launched(an_kernel_activation_back(&args, op->cuda->compute), op, "activation_back");
}

int an_cuda_activation_create(an_op **out, an_backend *cuda, const an_op_spec *spec)
{
    static const an_op_methods methods = {.forward = activation_forward, .backward = activation_backward};
    an_op *op;
    int rc = an_cuda_op_new(&op, cuda, spec, &methods, sizeof *op);
    if (rc)
        return rc;
    *out = op;
    an_cuda_tensor_describe(&op->output, cuda, &op->node, op->input->output.stored_c, op->input->output.stored);
    return AN_OK;
}
