/* SGD with momentum (an_sgd in model/exec.h). One launch updates all tensors of a device, each with its own rate and
 * decay: for the small biases, a launch each would take longer than the arithmetic. What can be wanted besides
 * (clipping, Nesterov's momentum, averages) has a kernel of its own, so that it costs nothing where it is not wanted.
 *
 * The norm of the gradients is taken and turned into the factor that clips them on the device. The update behind it
 * reads the factor there; the host reads the norm only if it asks for it. */
#include "base/error.h"
#include "model/cuda/cuda.h"

static bool learns(const an_op *op)
{
    return op->node.has_weights && op->rate_scale > 0;
}

/* The copy that an update writes beside the masters; NULL: there is none, or it has another form. */
static void *copy_beside(const an_cuda_weights *weights)
{
    return weights->copy != weights->master && !weights->form.side ? weights->copy : NULL;
}

static void tensor_add(an_sgd_args *args, const an_op *op, const an_sgd *sgd, bool bias)
{
    const an_cuda_weights *weights = bias ? &op->bias : &op->weights;
    float rate = (float)(op->rate_scale * (bias ? sgd->rate * sgd->bias_rate_scale : sgd->rate));
    an_stored stored;
    void *gradient = an_cuda_weights_gradient(weights, &stored);
    args->tensors[args->count++] =
        (an_sgd_tensor){.at = {.out = {weights->master, weights->velocity, copy_beside(weights),
                                       sgd->average > 0 ? weights->average : NULL},
                               .in = {gradient},
                               .items = weights->items},
                        .first = args->at.items,
                        .shrink = rate * (float)(bias ? sgd->bias_decay : sgd->decay),
                        .rate = rate,
                        .stored = weights->stored,
                        .gradient = stored};
    args->at.items += weights->items;
}

static cudaError_t launch(const an_backend *cuda, const an_sgd_args *args)
{
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
    if (!learns(op))
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
    return learns(op) ? an_cuda_weights_arrange(&op->weights, op) : AN_OK;
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

static uint64_t chunks_of(const an_cuda_weights *weights)
{
    return (weights->items + AN_NORM_CHUNK - 1) / AN_NORM_CHUNK;
}

int an_cuda_norm_make(an_backend *cuda)
{
    an_cuda_norm *norm = &cuda->norm;
    void *host;
    for (const an_op *op = cuda->ops; op; op = op->next)
        if (learns(op))
            norm->chunks += chunks_of(&op->weights) + chunks_of(&op->bias);
    if (!cuda->training)
        return AN_OK;
    int rc = an_cuda_alloc(cuda, &norm->sums, (size_t)(norm->chunks + 1) * sizeof(double), "the norm of gradients");
    if (rc)
        return rc;
    rc = an_cuda_alloc(cuda, &norm->result, sizeof(an_norm_result), "the norm of gradients");
    if (rc)
        return rc;
    rc = an_cuda_alloc_pinned(cuda, &host, sizeof *norm->host, "the norm of gradients");
    norm->host = rc ? NULL : host;
    return rc;
}

/* The sums of the collected tensors go behind those of tensors that were launched before. */
static int norm_launch(const an_backend *cuda, an_norm_args *args)
{
    if (!args->count)
        return AN_OK;
    int rc = an_cuda_check(an_kernel_norm(args, cuda->compute), "start the kernel 'norm' on cuda:%d", cuda->device);
    args->at.out[0] = (double *)args->at.out[0] + args->at.items;
    args->at.items = 0;
    args->count = 0;
    return rc;
}

static int norm_add(an_norm_args *args, const an_op *op)
{
    const an_cuda_weights *both[] = {&op->weights, &op->bias};
    if (!learns(op))
        return AN_OK;
    int rc = args->count + 2 > AN_SGD_TENSORS ? norm_launch(op->cuda, args) : AN_OK;
    for (int i = 0; i < 2; i++) {
        const an_cuda_weights *weights = both[i];
        an_stored stored;
        void *gradient = an_cuda_weights_gradient(weights, &stored);
        args->tensors[args->count++] = (an_norm_tensor){
            .at = {.in = {gradient}, .items = weights->items}, .first = args->at.items, .stored = stored};
        args->at.items += chunks_of(weights);
    }
    return rc;
}

int an_cuda_norm_take(an_backend *cuda, double clip)
{
    an_norm_args args = {.at = {.out = {cuda->norm.sums}}};
    an_norm_total_args total = {.at = {.out = {cuda->norm.result}, .in = {cuda->norm.sums}, .items = 1},
                                .sums = cuda->norm.chunks,
                                .clip = clip};
    int rc = an_cuda_use(cuda);
    for (const an_op *op = cuda->ops; op && !rc; op = op->next)
        rc = norm_add(&args, op);
    if (!rc)
        rc = norm_launch(cuda, &args);
    if (rc)
        return rc;
    return an_cuda_check(an_kernel_norm_total(&total, cuda->compute), "start the kernel 'norm_total' on cuda:%d",
                         cuda->device);
}

int an_cuda_squares(an_backend *cuda, double *out)
{
    int rc = an_cuda_fetch(cuda, cuda->norm.host, cuda->norm.result, sizeof *cuda->norm.host);
    *out = rc ? 0 : cuda->norm.host->squares;
    return rc;
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
