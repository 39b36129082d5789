/* SGD with momentum (Krizhevsky et al. 2012, section 5). One launch updates all tensors of a device, each with its own
 * rate and decay: for the small biases, a launch each would take longer than the arithmetic. */
#include "base/error.h"
#include "model/cuda/cuda.h"

static void tensor_add(an_sgd_args *args, const an_cuda_weights *weights, const an_sgd *sgd, bool bias)
{
    float rate = (float)(bias ? sgd->rate * sgd->bias_rate_scale : sgd->rate);
    bool writes_copy = weights->copy != weights->master && !weights->form.side;
    args->tensors[args->count++] =
        (an_sgd_tensor){.at = {.out = {weights->master, weights->velocity, writes_copy ? weights->copy : NULL},
                               .in = {weights->slope},
                               .items = weights->items},
                        .first = args->at.items,
                        .shrink = rate * (float)(bias ? sgd->bias_decay : sgd->decay),
                        .rate = rate,
                        .stored = weights->stored,
                        .gradient = weights->slope_stored};
    args->at.items += weights->items;
}

/* Launches the update of the collected tensors, if any, and empties the list. */
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

/* Writes the copies of updated weights that are in another form than the masters. */
static int copies_arrange(const an_op *op)
{
    return op->node.has_weights ? an_cuda_weights_arrange(&op->weights, op) : AN_OK;
}

int an_cuda_update(an_op *op, const an_sgd *sgd)
{
    an_sgd_args args = {.momentum = (float)sgd->momentum};
    int rc = an_cuda_use(op->cuda);
    if (!rc)
        rc = op_add(&args, op, sgd);
    if (rc)
        return rc;
    rc = tensors_launch(op->cuda, &args);
    if (rc)
        return rc;
    return copies_arrange(op);
}

int an_cuda_update_all(an_backend *cuda, const an_sgd *sgd)
{
    an_sgd_args args = {.momentum = (float)sgd->momentum};
    int rc = an_cuda_use(cuda);
    for (const an_op *op = cuda->ops; op && !rc; op = op->next)
        rc = op_add(&args, op, sgd);
    if (rc)
        return rc;
    rc = tensors_launch(cuda, &args);
    for (const an_op *op = cuda->ops; op && !rc; op = op->next)
        rc = copies_arrange(op);
    if (rc)
        return rc;
    return an_cuda_time_end(cuda);
}
