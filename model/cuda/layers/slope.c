/* The gradient before an op's activation, and, unless it is frozen, the gradient of its bias, which is the sum of the
 * former over all rows.
 * The sum is taken in steps of fixed order: over chunks of rows, over slices of the chunks if these are many, and over
 * what is left. */
#include "base/error.h"
#include "model/cuda/cuda.h"

#define THREADS 512 /* of each processor of the device: the registers do not allow for more */
#define LEAST 2     /* blocks of a chunk; fewer would write as many sums as values */
#define BLOCK 4     /* rows */
#define MANY 1536   /* chunks: one warp for four channels would take longer than a second launch */
#define SLICES 64

int an_cuda_chunks(const an_backend *cuda, uint64_t groups, uint64_t blocks)
{
    uint64_t chunks = (uint64_t)cuda->processors * THREADS / groups, most = (blocks + LEAST - 1) / LEAST;
    chunks = chunks < most ? chunks : most;
    return chunks ? (int)chunks : 1;
}

static uint64_t rows_of(const an_cuda_tensor *tensor)
{
    return (uint64_t)tensor->n * (uint64_t)tensor->h * (uint64_t)tensor->w;
}

static int group_of(const an_cuda_tensor *y)
{
    return an_kernel_group(y->slope_stored, y->stored_c / y->parts);
}

int an_cuda_slope(an_slope *slope, an_op *op)
{
    void *partial, *slices;
    const an_cuda_tensor *y = &op->output;
    uint64_t blocks = op->sloped ? an_cuda_peaks_blocks(op->sloped) : (rows_of(y) + BLOCK - 1) / BLOCK;
    size_t row = (size_t)y->stored_c * sizeof(float);
    slope->chunks = an_cuda_chunks(op->cuda, (uint64_t)(y->stored_c / group_of(y)), blocks);
    op->slope = slope;
    int rc = an_cuda_alloc(op->cuda, &partial, (size_t)slope->chunks * row, op->node.name);
    if (rc)
        return rc;
    slope->partial = partial;
    if (slope->chunks <= MANY)
        return AN_OK;
    rc = an_cuda_alloc(op->cuda, &slices, SLICES * row, op->node.name);
    if (rc)
        return rc;
    slope->slices = slices;
    return AN_OK;
}

static int activation_back(const an_slope *slope, const an_op *op)
{
    const an_cuda_tensor *y = &op->output;
    an_slope_args args = {.at = {.out = {y->slope, slope->partial}, .in = {y->data}},
                          .rows = rows_of(y),
                          .channels = y->stored_c,
                          .chunks = (uint32_t)slope->chunks,
                          .group = group_of(y),
                          .y = an_cuda_tensor_rows(y),
                          .activation = op->node.activation,
                          .stored = y->slope_stored};
    args.at.items = (uint64_t)slope->chunks * (uint64_t)(y->stored_c / args.group);
    return an_cuda_launched(an_kernel_slope(&args, op->cuda->compute), op, "slope");
}

static int sum(const an_op *op, const float *from, int chunks, void *to, int slices, an_stored stored)
{
    int channels = op->output.stored_c;
    an_bias_args args = {.at = {.out = {to},
                                .in = {from},
                                .items = (uint64_t)slices * (uint64_t)(channels % 4 ? channels : channels / 4)},
                         .channels = channels,
                         .chunks = chunks,
                         .slices = slices,
                         .stored = stored};
    return an_cuda_launched(an_kernel_bias(&args, op->cuda->compute), op, "bias");
}

int an_cuda_slope_run(const an_slope *slope, const an_op *op)
{
    int rc = op->sloped ? AN_OK : activation_back(slope, op);
    if (rc || op->rate_scale == 0)
        return rc;
    if (!slope->slices)
        return sum(op, slope->partial, slope->chunks, op->bias.slope, 1, op->bias.slope_stored);
    rc = sum(op, slope->partial, slope->chunks, slope->slices, SLICES, AN_STORED_F32);
    if (rc)
        return rc;
    return sum(op, slope->slices, SLICES, op->bias.slope, 1, op->bias.slope_stored);
}
