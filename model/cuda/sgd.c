/* SGD with momentum: one launch for all of a device's tensors, each with its own rate and decay. A launch per tensor
 * would cost more than the biases' arithmetic. */
#include "base/error.h"
#include "model/cuda/cuda.h"

static void tensor_add(an_sgd_args *args, const an_cuda_weights *weights, const an_sgd *sgd, bool bias)
{
    float rate = (float)(bias ? sgd->rate * sgd->bias_rate_scale : sgd->rate);
    args->tensors[args->count++] = (an_sgd_tensor){
        .at = {.out = {weights->master, weights->velocity, weights->copy == weights->master ? NULL : weights->copy},
               .in = {weights->slope},
               .items = weights->items},
        .first = args->at.items,
        .shrink = rate * (float)(bias ? sgd->bias_decay : sgd->decay),
        .rate = rate,
        .stored = weights->stored,
        .gradient = weights->slope_stored};
    args->at.items += weights->items;
}

/* And make room for more. */
static int tensors_launch(const an_backend *cuda, an_sgd_args *args)
{
    if (!args->count)
        return AN_OK;
    int rc = an_cuda_check(an_kernel_sgd(args, cuda->compute), "start the kernel 'sgd' on cuda:%d", cuda->device);
    args->count = 0;
    args->at.items = 0;
    return rc;
}

static int op_add(an_sgd_args *args, const an_op *op, const an_sgd *sgd)
{
    if (!op->node.has_weights)
        return AN_OK;
    int rc = args->count + 2 > AN_SGD_TENSORS ? tensors_launch(op->cuda, args) : AN_OK;
    tensor_add(args, &op->weights, sgd, false);
    tensor_add(args, &op->bias, sgd, true);
    return rc;
}

int an_cuda_update(an_op *op, const an_sgd *sgd)
{
    an_sgd_args args = {.momentum = (float)sgd->momentum};
    int rc = an_cuda_use(op->cuda);
    if (!rc)
        rc = op_add(&args, op, sgd);
    return rc ? rc : tensors_launch(op->cuda, &args);
}

int an_cuda_update_all(an_backend *cuda, const an_sgd *sgd)
{
    an_sgd_args args = {.momentum = (float)sgd->momentum};
    int rc = an_cuda_use(cuda);
    for (const an_op *op = cuda->ops; op && !rc; op = op->next)
        rc = op_add(&args, op, sgd);
    if (rc || (rc = tensors_launch(cuda, &args)))
        return rc;
    return an_cuda_time_end(cuda);
}
