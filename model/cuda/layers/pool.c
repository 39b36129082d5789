/* Pooling through own kernels. cuDNN's graphs have no engine for maximum pooling that could be tried without a driver
 * (docs/gpu.md), and its older interface is deprecated. */
#include "base/error.h"
#include "model/cuda/cuda.h"

typedef struct {
    an_op op;
    void *taken; /* for each output, the position in its window that held the maximum; NULL for averages */
} pool_op;

static an_pool_args arguments(const pool_op *pool)
{
    const an_cuda_tensor *x = &pool->op.input->output, *y = &pool->op.output;
    const an_node *node = &pool->op.node;
    int parts = x->parts > y->parts ? x->parts : y->parts;
    return (an_pool_args){.channels = y->stored_c,
                          .h = x->h,
                          .w = x->w,
                          .oh = y->h,
                          .ow = y->w,
                          .window = node->kernel,
                          .stride = node->stride,
                          .pad = node->pad_before,
                          .average = node->average,
                          .group = an_kernel_group(y->stored, y->stored_c / parts),
                          .from = an_cuda_tensor_rows(x),
                          .to = an_cuda_tensor_rows(y),
                          .stored = y->stored};
}

static int pool_forward(an_op *op, const an_run *run)
{
    (void)run;
    const pool_op *pool = (const pool_op *)op;
    if (op->peaks)
        return an_cuda_peaks_forward(op, pool->taken);
    an_pool_args args = arguments(pool);
    args.at = (an_kernel_places){.out = {op->output.data, pool->taken},
                                 .in = {op->input->output.data},
                                 .items = an_cuda_tensor_items(&op->output) / (uint64_t)args.group};
    return an_cuda_launched(an_kernel_pool(&args, op->cuda->compute), op, "pool");
}

static int pool_backward(an_op *op, const an_run *run)
{
    (void)run;
    const pool_op *pool = (const pool_op *)op;
    if (!op->input_gradient || op->input->pooled)
        return AN_OK;
    if (op->peaks)
        return an_cuda_pool_backward(op);
    an_pool_back_args args = {.pool = arguments(pool), .accumulate = op->accumulate};
    args.pool.at = (an_kernel_places){.out = {op->input->output.slope},
                                      .in = {op->output.slope, pool->taken},
                                      .items = an_cuda_tensor_items(&op->input->output) / (uint64_t)args.pool.group};
    return an_cuda_launched(an_kernel_pool_back(&args, op->cuda->compute), op, "pool_back");
}

int an_cuda_pool_backward(const an_op *op)
{
    return an_cuda_peaks_backward(op, ((const pool_op *)op)->taken);
}

int an_cuda_pool_create(an_op **out, an_backend *cuda, const an_op_spec *spec)
{
    static const an_op_methods methods = {.forward = pool_forward, .backward = pool_backward};
    pool_op *pool;
    int rc = an_cuda_op_new(&pool, cuda, spec, &methods, sizeof *pool);
    if (rc)
        return rc;
    an_op *op = &pool->op;
    *out = op;
    if (cuda->training && !op->node.average && op->node.kernel > AN_POOL_WINDOW_MAX)
        return an_error(AN_EUNSUPPORTED,
                        "%s: training a maximum over windows of %d x %d; on a GPU they are at most %d x %d",
                        op->node.name, op->node.kernel, op->node.kernel, AN_POOL_WINDOW_MAX, AN_POOL_WINDOW_MAX);
    an_cuda_tensor_describe(&op->output, cuda, &op->node, op->input->output.stored_c, op->input->output.stored);
    if (!cuda->training || op->node.average)
        return AN_OK;
    return an_cuda_alloc(cuda, &pool->taken, an_cuda_tensor_items(&op->output), op->node.name);
}
