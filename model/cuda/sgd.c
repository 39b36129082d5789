/* SGD with momentum (an_sgd in model/exec.h). One launch updates all tensors of a device, each with its own rate and
 * decay: for the small biases, a launch each would take longer than the arithmetic. What can be wanted besides
 * (clipping, Nesterov's momentum, averages; LARS) has kernels of its own, so that it costs nothing where it is not
 * wanted. norm.c computes what updates read on the device: the factor that clips gradients, and LARS's factors of
 * rates. */
#include "base/error.h"
#include "model/cuda/cuda.h"

/* What the rate of a tensor is multiplied with, as far as the host knows it; *place: where the device does. */
static double trust_of(const an_op *op, const an_sgd *sgd, bool bias, const void **place)
{
    bool wanted = sgd->trust > 0 && !bias, given = op->cuda->norm.trusts_given;
    *place = wanted && !given ? op->trusted : NULL;
    return wanted && given ? op->trust : 1;
}

/* The copy that an update writes beside the masters; NULL: there is none, or it has another form. */
static void *copy_beside(const an_cuda_weights *weights)
{
    return weights->copy != weights->master && !weights->form.side ? weights->copy : NULL;
}

static void tensor_add(an_sgd_args *args, const an_op *op, const an_sgd *sgd, bool bias)
{
    const an_cuda_weights *weights = bias ? &op->bias : &op->weights;
    const void *trusted;
    double scale = op->rate_scale * trust_of(op, sgd, bias, &trusted);
    float rate = (float)(scale * (bias ? sgd->rate * sgd->bias_rate_scale : sgd->rate));
    an_stored stored;
    void *gradient = an_cuda_weights_gradient(weights, &stored);
    args->tensors[args->count++] =
        (an_sgd_tensor){.at = {.out = {weights->master, weights->velocity, copy_beside(weights),
                                       sgd->average > 0 ? weights->average : NULL},
                               .in = {gradient, trusted},
                               .items = weights->items},
                        .first = args->at.items,
                        .shrink = rate * (float)(bias ? sgd->bias_decay : sgd->decay),
                        .rate = rate,
                        .stored = weights->stored,
                        .gradient = stored};
    args->at.items += weights->items;
}

/* The first tensor of a launch is one of weights. */
static cudaError_t launch(const an_backend *cuda, const an_sgd_args *args)
{
    if (args->tensors[0].at.in[1])
        return an_kernel_sgd_trust(args, cuda->compute);
    bool plain = !args->nesterov && args->share == 0 && args->factor == 1 && !args->at.in[0];
    return plain ? an_kernel_sgd(args, cuda->compute) : an_kernel_sgd_more(args, cuda->compute);
}

/* Launches the update of the collected tensors, if any, and empties the list. */
static int tensors_launch(const an_backend *cuda, an_sgd_args *args)
{
    if (!args->count)
        return AN_OK;
    int rc = an_cuda_check(launch(cuda, args), "start the kernel 'sgd' on cuda:%d", cuda->device);
    args->count = 0;
    args->at.items = 0;
    return rc;
}

static int op_add(an_sgd_args *args, const an_op *op, const an_sgd *sgd)
{
    if (!an_cuda_learns(op))
        return AN_OK;
    int rc = args->count + 2 > AN_SGD_TENSORS ? tensors_launch(op->cuda, args) : AN_OK;
    tensor_add(args, op, sgd, false);
    tensor_add(args, op, sgd, true);
    return rc;
}

/* What all tensors of an update have in common. */
static an_sgd_args arguments(const an_backend *cuda, const an_sgd *sgd, double factor)
{
    bool own = factor == AN_FACTOR_OWN;
    return (an_sgd_args){.at = {.in = {own ? cuda->norm.result : NULL}},
                         .momentum = (float)sgd->momentum,
                         .factor = own ? 1 : (float)factor,
                         .share = sgd->average > 0 ? (float)(1 - sgd->average) : 0,
                         .nesterov = sgd->nesterov};
}

/* Writes the copies of updated weights that are in another form than the masters. */
static int copies_arrange(const an_op *op)
{
    return an_cuda_learns(op) ? an_cuda_weights_arrange(&op->weights, op) : AN_OK;
}

int an_cuda_update(an_op *op, const an_sgd *sgd, double factor)
{
    an_sgd_args args = arguments(op->cuda, sgd, factor);
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

int an_cuda_update_all(an_backend *cuda, const an_sgd *sgd, double factor)
{
    an_sgd_args args = arguments(cuda, sgd, factor);
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

int an_cuda_gather(an_op *op, bool begin)
{
    int rc = an_cuda_use(op->cuda);
    if (rc)
        return rc;
    rc = an_cuda_weights_gather(&op->weights, op, begin);
    if (rc)
        return rc;
    return an_cuda_weights_gather(&op->bias, op, begin);
}

static int weights_exchange(const an_cuda_weights *weights, const an_op *op)
{
    an_exchange_args args = {
        .at = {.out = {weights->master, weights->average, copy_beside(weights)}, .items = weights->items},
        .stored = weights->stored};
    int rc = an_cuda_launched(an_kernel_exchange(&args, op->cuda->compute), op, "exchange");
    if (rc)
        return rc;
    return an_cuda_weights_arrange(weights, op);
}

int an_cuda_exchange(an_op *op)
{
    int rc = an_cuda_use(op->cuda);
    if (rc)
        return rc;
    rc = weights_exchange(&op->weights, op);
    if (rc)
        return rc;
    return weights_exchange(&op->bias, op);
}
