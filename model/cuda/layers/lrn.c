/* Local response normalisation through own kernels. cuDNN's is documented without bf16, does not know groups of
 * channels and cannot be tried without a device. */
#include "base/error.h"
#include "model/cuda/cuda.h"

typedef struct {
    an_op op;
    void *sums; /* k + alpha / size * sum x^2, for backward */
} lrn_op;

static an_lrn_args arguments(const lrn_op *lrn)
{
    const an_node *node = &lrn->op.node;
    const an_cuda_tensor *x = &lrn->op.input->output, *y = &lrn->op.output;
    an_stored stored = y->stored;
    int width = y->stored_c / node->groups;
    return (an_lrn_args){.channels = y->stored_c,
                         .width = width,
                         .size = node->lrn_size,
                         .group = node->lrn_size > 5 ? 1 : an_kernel_group(stored, width),
                         .alpha = (float)(node->lrn_alpha / node->lrn_size),
                         .beta = (float)node->lrn_beta,
                         .k = (float)node->lrn_k,
                         .from = an_cuda_tensor_rows(x),
                         .to = an_cuda_tensor_rows(y),
                         .stored = stored};
}

static int lrn_prepare(an_op *op)
{
    int parts = op->input->output.parts > op->output.parts ? op->input->output.parts : op->output.parts;
    size_t size = an_cuda_tensor_items(&op->output) * sizeof(float);
    if (op->node.groups % parts)
        return an_error(AN_EINTERNAL, "channels in two parts that are normalised together");
    if (op->pooled || !op->cuda->training)
        return AN_OK;
    return an_cuda_alloc(op->cuda, &((lrn_op *)op)->sums, size, op->node.name);
}

static int lrn_compute(const an_op *op)
{
    const lrn_op *lrn = (const lrn_op *)op;
    an_lrn_args args = arguments(lrn);
    args.at = (an_kernel_places){.out = {op->output.data, lrn->sums},
                                 .in = {op->input->output.data},
                                 .items = an_cuda_tensor_items(&op->output) / (uint64_t)args.group};
    return an_cuda_launched(an_kernel_lrn(&args, op->cuda->compute), op, "lrn");
}

static int lrn_forward(an_op *op, const an_run *run)
{
    (void)run;
    return op->pooled ? AN_OK : lrn_compute(op);
}

int an_cuda_lrn_output(an_op *op)
{
    size_t size = an_cuda_tensor_items(&op->output) * an_stored_size(op->output.stored);
    int rc = an_cuda_use(op->cuda);
    if (!rc && !op->output.data)
        rc = an_cuda_alloc(op->cuda, &op->output.data, size, op->node.name);
    return rc ? rc : lrn_compute(op);
}

static int lrn_backward(an_op *op, const an_run *run)
{
    (void)run;
    const lrn_op *lrn = (const lrn_op *)op;
    const an_cuda_tensor *x = &op->input->output;
    if (!op->input_gradient)
        return AN_OK;
    if (op->pooled)
        return an_cuda_pool_backward(op->pooled);
    an_lrn_back_args args = {.lrn = arguments(lrn), .accumulate = op->accumulate};
    args.lrn.at = (an_kernel_places){.out = {x->slope},
                                     .in = {x->data, lrn->sums, op->output.slope},
                                     .items = an_cuda_tensor_items(x) / (uint64_t)args.lrn.group};
    return an_cuda_launched(an_kernel_lrn_back(&args, op->cuda->compute), op, "lrn_back");
}

int an_cuda_lrn_create(an_op **out, an_backend *cuda, const an_op_spec *spec)
{
    static const an_op_methods methods = {.prepare = lrn_prepare, .forward = lrn_forward, .backward = lrn_backward};
    lrn_op *lrn;
    int rc = an_cuda_op_new(&lrn, cuda, spec, &methods, sizeof *lrn);
    if (rc)
        return rc;
    an_op *op = &lrn->op;
    *out = op;
    an_cuda_tensor_describe(&op->output, cuda, &op->node, op->input->output.stored_c, op->input->output.stored);
    return AN_OK;
}
