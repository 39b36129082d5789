/* The gradient before an op's activation, and the gradient of its bias, which is the sum of the former over all rows.
 * The sum is taken in two steps of fixed order: over chunks of rows, then over the chunks. */
#include "model/cuda/cuda_private.h"

#define CHUNK 128 /* rows that one thread sums: small enough to occupy a device, large enough to leave few sums */

static uint64_t rows_of(const an_cuda_tensor *tensor)
{
    return (uint64_t)tensor->n * (uint64_t)tensor->h * (uint64_t)tensor->w;
}

int an_cuda_slope(an_slope *slope, an_op *op)
{
    void *partial;
    slope->chunks = (int)((rows_of(&op->output) + CHUNK - 1) / CHUNK);
    size_t size = (size_t)slope->chunks * (size_t)op->output.stored_c * sizeof(float);
    int rc = an_cuda_alloc(op->cuda, &partial, size, op->node.name);
    slope->partial = partial;
    return rc;
}

int an_cuda_slope_run(const an_slope *slope, const an_op *op)
{
    const an_cuda_tensor *y = &op->output;
    an_slope_args args = {.at = {.out = {y->slope, slope->partial},
                                 .in = {y->data},
                                 .items = (uint64_t)slope->chunks * (uint64_t)y->stored_c},
                          .rows = rows_of(y),
                          .channels = y->stored_c,
                          .chunk = CHUNK,
                          .y = an_cuda_tensor_rows(y),
                          .activation = op->node.activation,
                          .stored = y->slope_stored};
    an_bias_args bias = {.at = {.out = {op->bias.slope}, .in = {slope->partial}, .items = (uint64_t)y->stored_c},
                         .channels = y->stored_c,
                         .chunks = slope->chunks,
                         .stored = op->bias.slope_stored};
    int rc = an_cuda_launched(an_kernel_slope(&args, op->cuda->compute), op, "slope");
    if (rc)
        return rc;
    return an_cuda_launched(an_kernel_bias(&bias, op->cuda->compute), op, "bias");
}
