/* Norms of a device's gradients and of its layers' weights, and what follows from them on the device: the factor that
 * clips gradients, and by what LARS multiplies the rate of each layer's weights (an_sgd in model/exec.h). The update
 * behind it reads these there; the host reads norms only if it asks for them. All sums are in fp64, in a fixed order.
 */
#include "base/error.h"
#include "model/cuda/cuda.h"

bool an_cuda_learns(const an_op *op)
{
    return op->node.has_weights && op->rate_scale > 0;
}

static uint64_t chunks_of(const an_cuda_weights *weights)
{
    return (weights->items + AN_NORM_CHUNK - 1) / AN_NORM_CHUNK;
}

/* Behind an_cuda_norm.learning has been counted. */
static int trusts_make(an_backend *cuda)
{
    an_cuda_norm *norm = &cuda->norm;
    size_t size = (size_t)(norm->learning + 1) * sizeof(an_trust_result);
    void *host;
    int rc = an_cuda_alloc(cuda, &norm->trusts, size, "the norms of layers");
    if (rc)
        return rc;
    rc = an_cuda_alloc_pinned(cuda, &host, size, "the norms of layers");
    if (rc)
        return rc;
    norm->host_trusts = host;
    an_trust_result *next = norm->trusts;
    for (an_op *op = cuda->ops; op; op = op->next)
        op->trusted = an_cuda_learns(op) ? next++ : NULL;
    return AN_OK;
}

int an_cuda_norm_make(an_backend *cuda)
{
    an_cuda_norm *norm = &cuda->norm;
    void *host;
    for (const an_op *op = cuda->ops; op; op = op->next)
        if (an_cuda_learns(op)) {
            norm->chunks += chunks_of(&op->weights) + chunks_of(&op->bias);
            norm->behind += chunks_of(&op->weights);
            norm->learning++;
        }
    if (!cuda->training)
        return AN_OK;
    int rc = trusts_make(cuda);
    if (rc)
        return rc;
    rc = an_cuda_alloc(cuda, &norm->sums, (size_t)(norm->chunks + norm->behind + 1) * sizeof(double),
                       "the norm of gradients");
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

static void tensor_add(an_norm_args *args, const an_cuda_weights *weights, const void *values, an_stored stored)
{
    args->tensors[args->count++] =
        (an_norm_tensor){.at = {.in = {values}, .items = weights->items}, .first = args->at.items, .stored = stored};
    args->at.items += chunks_of(weights);
}

static void gradient_add(an_norm_args *args, const an_cuda_weights *weights)
{
    an_stored stored;
    const void *gradient = an_cuda_weights_gradient(weights, &stored);
    tensor_add(args, weights, gradient, stored);
}

static int norm_add(an_norm_args *args, const an_op *op)
{
    if (!an_cuda_learns(op))
        return AN_OK;
    int rc = args->count + 2 > AN_SGD_TENSORS ? norm_launch(op->cuda, args) : AN_OK;
    gradient_add(args, &op->weights);
    gradient_add(args, &op->bias);
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

/* The sums of the squares of all weights. */
static int weights_sum(const an_backend *cuda)
{
    an_norm_args args = {.at = {.out = {(double *)cuda->norm.sums + cuda->norm.chunks}}};
    int rc = AN_OK;
    for (const an_op *op = cuda->ops; op && !rc; op = op->next) {
        if (!an_cuda_learns(op))
            continue;
        rc = args.count == AN_SGD_TENSORS ? norm_launch(cuda, &args) : AN_OK;
        tensor_add(&args, &op->weights, op->weights.master, AN_STORED_F32);
    }
    return rc ? rc : norm_launch(cuda, &args);
}

static int trust_launch(const an_backend *cuda, an_trust_args *args)
{
    if (!args->at.items)
        return AN_OK;
    int rc = an_cuda_check(an_kernel_trust(args, cuda->compute), "start the kernel 'trust' on cuda:%d", cuda->device);
    args->at.out[0] = (an_trust_result *)args->at.out[0] + args->at.items;
    args->at.items = 0;
    return rc;
}

/* Of all ops, whose sums lie in the order in which norm_add and weights_sum took them. */
static int trusts_compute(const an_backend *cuda, an_trust_args *args)
{
    an_trust_tensor next = {.weights = cuda->norm.chunks};
    int rc = AN_OK;
    for (const an_op *op = cuda->ops; op && !rc; op = op->next) {
        if (!an_cuda_learns(op))
            continue;
        rc = args->at.items == AN_SGD_TENSORS ? trust_launch(cuda, args) : AN_OK;
        next.count = chunks_of(&op->weights);
        args->tensors[args->at.items++] = next;
        next.weights += next.count;
        next.gradient += next.count + chunks_of(&op->bias);
    }
    return rc ? rc : trust_launch(cuda, args);
}

int an_cuda_trust(an_backend *cuda, const an_sgd *sgd, double factor)
{
    bool own = factor == AN_FACTOR_OWN;
    an_trust_args args = {.at = {.out = {cuda->norm.trusts}, .in = {cuda->norm.sums, own ? cuda->norm.result : NULL}},
                          .factor = own ? 1 : factor,
                          .trust = sgd->trust,
                          .decay = sgd->decay};
    cuda->norm.trusts_given = false;
    int rc = an_cuda_use(cuda);
    if (!rc)
        rc = weights_sum(cuda);
    return rc ? rc : trusts_compute(cuda, &args);
}

int an_cuda_trust_squares(an_backend *cuda, an_trust_squares *layers)
{
    const an_cuda_norm *norm = &cuda->norm;
    int rc = an_cuda_fetch(cuda, norm->host_trusts, norm->trusts, (size_t)norm->learning * sizeof *norm->host_trusts);
    const an_trust_result *next = norm->host_trusts;
    for (const an_op *op = cuda->ops; op && !rc; op = op->next)
        if (an_cuda_learns(op)) {
            layers[op->node.layer].weights += next->weights;
            layers[op->node.layer].gradient += next->gradient;
            next++;
        }
    return rc;
}

int an_cuda_trust_set(an_backend *cuda, const double *layers)
{
    for (an_op *op = cuda->ops; op; op = op->next)
        if (an_cuda_learns(op))
            op->trust = layers[op->node.layer];
    cuda->norm.trusts_given = true;
    return AN_OK;
}
