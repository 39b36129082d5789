/* Convolutions that compute something else than their node says, with the same result.
 *
 * Images in blocks. A convolution of window k and stride s over an image of 3 colours makes poor use of tensor cores.
 * It equals one of window ceil(k / s) and stride 1 over blocks of s x s pixels, which have 3 s^2 channels:
 *   - pixel (y, x) of the padded image is pixel (y mod s, x mod s) of block (y / s, x / s);
 *   - tap (i, j) of the window reads pixel (i mod s, j mod s) of block (i / s, j / s) of the blocks' window; where i or
 * j would be k or more, the weight is 0 (an_form in kernels.h);
 *   - o outputs a side read o + ceil(k / s) - 1 blocks a side. Padding lies in memory as zeros, so the library sees
 * none. AlexNet's conv1 at 224 pixels (window 11, stride 4, padding 0 before and 3 after, 55 outputs) becomes a window
 * of 3 over 57 x 57 blocks of 48 channels. Stride 1 gives blocks of one pixel, which is how unequal padding of an image
 * gets into memory. The kernel `convert` writes blocks as it would write pixels. An image lies in blocks if all that
 * read it are such convolutions, with the same blocks, and no pixel lies outside of them, for whoever asks for the
 * input's values.
 *
 * Frames. Elsewhere, unequal padding is put into memory by a copy of the input with zeros around it, from which the
 * gradient is copied back. A convolution with stride may leave its last rows of padding unread; padding counts as
 * unequal only if what is read is. */
#include <string.h>

#include "base/error.h"
#include "model/cuda/layers/conv_private.h"

#define COLOURS 3

bool an_conv_is_uneven(const an_node *node, const an_cuda_tensor *x)
{
    int even = 2 * node->pad_before - node->kernel;
    return (x->h + even) / node->stride + 1 != node->height || (x->w + even) / node->stride + 1 != node->width;
}

static int window_of(const an_node *node)
{
    return (node->kernel + node->stride - 1) / node->stride;
}

bool an_conv_blocks_of(const an_node *node, const an_cuda_tensor *image, an_cuda_blocks *out)
{
    if (node->kind != AN_OP_CONV || node->groups > 1 || image->c != COLOURS)
        return false;
    *out = (an_cuda_blocks){.side = node->stride,
                            .pad = node->pad_before,
                            .rows = node->height + window_of(node) - 1,
                            .columns = node->width + window_of(node) - 1};
    if (node->stride == 1 && !an_conv_is_uneven(node, image))
        return false;
    return out->pad + image->h <= out->rows * out->side && out->pad + image->w <= out->columns * out->side;
}

/* The blocks in which everything that reads the image can read it. */
static bool blocks_agreed(const an_backend *cuda, const an_op *image, an_cuda_blocks *agreed)
{
    int readers = 0;
    for (const an_op *op = cuda->ops; op; op = op->next) {
        an_cuda_blocks blocks;
        if (op->input != image)
            continue;
        if (op->input_gradient || !an_conv_blocks_of(&op->node, &image->output, &blocks))
            return false;
        if (readers++ && memcmp(agreed, &blocks, sizeof blocks) != 0)
            return false;
        *agreed = blocks;
    }
    return readers && readers == image->readers;
}

void an_cuda_blocks_choose(an_backend *cuda)
{
    for (an_op *op = cuda->ops; op; op = op->next) {
        an_cuda_blocks blocks;
        if (op->node.kind != AN_OP_INPUT || !blocks_agreed(cuda, op, &blocks))
            continue;
        op->output.blocks = blocks;
        op->output.stored_c = an_plan_image_channels(blocks.side * blocks.side * COLOURS, cuda->precision);
    }
}

an_plan_spec an_conv_spec(const an_node *node, an_cuda_precision precision, const an_cuda_tensor *x)
{
    an_plan_spec spec = an_plan_spec_of(AN_PLAN_FORWARD, precision, node, x->n, x->stored_c, x->h, x->w);
    if (x->blocks.side) {
        spec.h = x->blocks.rows;
        spec.w = x->blocks.columns;
        spec.kernel = window_of(node);
        spec.stride = 1;
        spec.pad = 0;
    } else if (an_conv_is_uneven(node, x)) {
        spec.h += node->pad_before + node->pad_after;
        spec.w += node->pad_before + node->pad_after;
        spec.pad = 0;
    }
    return spec;
}

int an_conv_frame_make(an_conv_op *conv)
{
    const an_op *op = &conv->op;
    const an_cuda_tensor *x = &op->input->output;
    const an_plan_spec *spec = &conv->spec;
    if (x->blocks.side || !an_conv_is_uneven(&op->node, x))
        return AN_OK;
    size_t items = (size_t)spec->n * (size_t)spec->h * (size_t)spec->w * (size_t)spec->c;
    int rc = an_cuda_alloc(op->cuda, &conv->frame.data, items * an_stored_size(x->stored), op->node.name);
    if (rc || !op->input_gradient)
        return rc;
    return an_cuda_alloc(op->cuda, &conv->frame.slope, items * an_stored_size(x->slope_stored), op->node.name);
}

static an_frame_args frame_arguments(const an_conv_op *conv)
{
    const an_cuda_tensor *x = &conv->op.input->output;
    return (an_frame_args){.h = x->h,
                           .w = x->w,
                           .pad = conv->op.node.pad_before,
                           .frame_h = conv->spec.h,
                           .frame_w = conv->spec.w,
                           .channels = x->stored_c,
                           .group = an_kernel_group(x->stored, x->stored_c),
                           .stored = x->stored};
}

int an_conv_frame_fill(const an_conv_op *conv)
{
    const an_op *op = &conv->op;
    const an_cuda_tensor *x = &op->input->output;
    an_frame_args args = frame_arguments(conv);
    args.at = (an_kernel_places){
        .out = {conv->frame.data}, .in = {x->data}, .items = an_cuda_tensor_items(x) / (uint64_t)args.group};
    return an_cuda_launched(an_kernel_frame(&args, op->cuda->compute), op, "frame");
}

int an_conv_frame_take(const an_conv_op *conv)
{
    const an_op *op = &conv->op;
    const an_cuda_tensor *x = &op->input->output;
    an_frame_args args = frame_arguments(conv);
    args.at = (an_kernel_places){
        .out = {x->slope}, .in = {conv->frame.slope}, .items = an_cuda_tensor_items(x) / (uint64_t)args.group};
    args.back = 1;
    args.accumulate = op->accumulate;
    return an_cuda_launched(an_kernel_frame(&args, op->cuda->compute), op, "frame");
}
