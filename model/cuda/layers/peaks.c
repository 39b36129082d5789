/* Which poolings compute more than themselves, and how their kernels are called. */
#include <stdint.h>

#include "model/cuda/cuda.h"

#define THREADS 512 /* that the registers of a processor of the device have room for, when pooling forward */

/* The normalisation that a pooling computes, or NULL. */
static const an_op *normalisation_of(const an_op *pool)
{
    return pool->input->pooled ? pool->input : NULL;
}

/* The op whose output a pooling's kernels read. */
static an_op *source_of(const an_op *pool)
{
    return pool->input->pooled ? pool->input->input : pool->input;
}

static int group_of(const an_op *pool)
{
    const an_op *lrn = normalisation_of(pool);
    const an_cuda_tensor *x = &source_of(pool)->output, *y = &pool->output;
    int parts = x->parts > y->parts ? x->parts : y->parts;
    return an_kernel_group(y->stored, y->stored_c / (lrn && lrn->node.groups > parts ? lrn->node.groups : parts));
}

/* An item of k columns of y walks over 2 k + 1 of x, so fewer and longer items do less work; but each that does not
 * find room at once waits for a whole one to end. Of all widths the one that ends first. */
static int across_of(const an_op *pool, const an_peaks_args *args)
{
    uint64_t whole = (uint64_t)args->n * (uint64_t)((args->oh + 1) / 2) * (uint64_t)(args->channels / args->group);
    uint64_t room = (uint64_t)pool->cuda->processors * THREADS, least = UINT64_MAX;
    int best = args->ow;
    for (int across = args->ow; across > 0; across--) {
        uint64_t items = whole * (uint64_t)((args->ow + across - 1) / across);
        uint64_t steps = (items + room - 1) / room * (uint64_t)(2 * across + 1);
        if (steps < least) {
            least = steps;
            best = across;
        }
    }
    return best;
}

static an_peaks_args arguments(const an_op *pool)
{
    const an_cuda_tensor *x = &source_of(pool)->output, *y = &pool->output;
    const an_op *lrn = normalisation_of(pool);
    an_peaks_args args = {.n = x->n,
                          .channels = y->stored_c,
                          .h = x->h,
                          .w = x->w,
                          .oh = y->h,
                          .ow = y->w,
                          .pad = pool->node.pad_before,
                          .width = y->stored_c,
                          .from = an_cuda_tensor_rows(x),
                          .to = an_cuda_tensor_rows(y),
                          .group = group_of(pool)};
    if (lrn) {
        args.width = y->stored_c / lrn->node.groups;
        args.alpha = (float)(lrn->node.lrn_alpha / lrn->node.lrn_size);
        args.k = (float)lrn->node.lrn_k;
    }
    args.across = across_of(pool, &args);
    return args;
}

int an_cuda_peaks_forward(const an_op *pool, void *taken)
{
    an_peaks_args args = arguments(pool);
    uint64_t parts = (uint64_t)((args.ow + args.across - 1) / args.across);
    args.at = (an_kernel_places){.out = {pool->output.data, taken},
                                 .in = {source_of(pool)->output.data},
                                 .items = (uint64_t)args.n * (uint64_t)((args.oh + 1) / 2) * parts *
                                          (uint64_t)(args.channels / args.group)};
    if (normalisation_of(pool))
        return an_cuda_launched(an_kernel_lrn_peaks(&args, pool->cuda->compute), pool, "lrn_peaks");
    return an_cuda_launched(an_kernel_peaks(&args, pool->cuda->compute), pool, "peaks");
}

uint64_t an_cuda_peaks_blocks(const an_op *pool)
{
    const an_peaks_args args = arguments(pool);
    return an_peaks_blocks(&args);
}

int an_cuda_peaks_backward(const an_op *pool, const void *taken)
{
    const an_op *lrn = normalisation_of(pool), *source = source_of(pool);
    const an_slope *slope = source->sloped ? source->slope : NULL;
    an_peaks_back_args args = {.peaks = arguments(pool),
                               .activation = slope ? (int)source->node.activation : AN_ACTIVATION_NONE,
                               .accumulate = lrn ? lrn->accumulate : pool->accumulate};
    uint64_t groups = (uint64_t)(args.peaks.channels / args.peaks.group);
    args.chunks = (uint32_t)(slope ? slope->chunks : an_cuda_chunks(pool->cuda, groups, an_peaks_blocks(&args.peaks)));
    args.peaks.at = (an_kernel_places){.out = {source->output.slope, slope ? slope->partial : NULL},
                                       .in = {source->output.data, pool->output.slope, taken},
                                       .items = args.chunks * groups};
    if (lrn)
        return an_cuda_launched(an_kernel_lrn_peaks_back(&args, pool->cuda->compute), pool, "lrn_peaks_back");
    return an_cuda_launched(an_kernel_peaks_back(&args, pool->cuda->compute), pool, "peaks_back");
}

static bool pooling_suits(const an_op *op)
{
    const an_node *node = &op->node;
    return node->kind == AN_OP_POOL && !node->average && node->kernel == 3 && node->stride == 2 &&
           node->pad_before <= 2 && group_of(op) > 1;
}

/* A normalisation that its only reader, a pooling, can compute. Channels that are normalised together must lie in one
 * part of what is read and of what is written. */
static bool normalisation_suits(const an_op *op, const an_op *pool)
{
    const an_node *node = &op->node;
    if (node->kind != AN_OP_LRN || op->readers != 1 || node->lrn_size != 5 || node->lrn_beta != 0.75)
        return false;
    return node->groups % op->input->output.parts == 0 && node->groups % pool->output.parts == 0 &&
           an_kernel_group(op->output.stored, op->output.stored_c / node->groups) > 1;
}

/* A convolution whose gradient before the activation its only reader can compute. */
static bool convolution_suits(const an_op *op)
{
    an_activation activation = op->node.activation;
    return op->node.kind == AN_OP_CONV && op->readers == 1 &&
           (activation == AN_ACTIVATION_NONE || activation == AN_ACTIVATION_RELU);
}

void an_cuda_fuse(an_backend *cuda)
{
    for (an_op *op = cuda->ops; op; op = op->next) {
        op->peaks = pooling_suits(op);
        if (!op->peaks)
            continue;
        if (normalisation_suits(op->input, op))
            op->input->pooled = op;
        if (cuda->training && convolution_suits(source_of(op)))
            source_of(op)->sloped = op;
    }
}
