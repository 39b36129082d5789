/* Dropout. The mask is the CPU backend's, bit for bit, so that a network computes the same on any device. The random
 * numbers of a step follow from a counter in device memory, which an_cuda_begin sets before each step. The kernel's
 * arguments are thus the same in every step, and a recorded graph can be replayed. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/rng.h"
#include "model/cuda/cuda.h"

typedef struct {
    an_op op;
    void *kept;
} dropout_op;

int an_cuda_begin(an_backend *cuda, const an_run *run)
{
    an_rng rng = an_rng_make(cuda->seed, AN_RNG_DROPOUT, run->step, 0);
    an_numbers_args args = {.at = {.out = {cuda->numbers}, .items = 4}};
    rng.counter[0] = run->first;
    if (!cuda->numbers || !run->training)
        return AN_OK;
    memcpy(args.words, rng.counter, sizeof args.words);
    int rc = an_cuda_use(cuda);
    if (rc)
        return rc;
    return an_cuda_check(an_kernel_numbers(&args, cuda->compute), "start the kernel 'numbers' on cuda:%d",
                         cuda->device);
}

static int dropout_forward(an_op *op, const an_run *run)
{
    const an_node *node = &op->node;
    an_rng rng = an_rng_make(op->cuda->seed, AN_RNG_DROPOUT, 0, 0);
    an_dropout_args args = {.at = {.out = {op->output.data, ((dropout_op *)op)->kept},
                                   .in = {op->input->output.data, op->cuda->numbers},
                                   .items = an_cuda_tensor_items(&op->output)},
                            .layer = (uint32_t)node->layer,
                            .channels = op->output.stored_c,
                            .pixels = node->height * node->width,
                            .layer_channels = (uint64_t)node->layer_channels,
                            .channel_offset = (uint64_t)node->channel_offset,
                            .scale = 1,
                            .from = op->input->output.stored,
                            .to = op->output.stored};
    memcpy(args.key, rng.key, sizeof args.key);
    if (run->training) {
        args.threshold = (uint32_t)ceil(node->dropout * 0x1p32);
        args.scale = (float)(1 / (1 - node->dropout));
    }
    return an_cuda_launched(an_kernel_dropout(&args, op->cuda->compute), op, "dropout");
}

static int dropout_backward(an_op *op, const an_run *run)
{
    (void)run;
    an_dropout_back_args args = {.at = {.out = {op->input->output.slope},
                                        .in = {op->output.slope, ((dropout_op *)op)->kept},
                                        .items = an_cuda_tensor_items(&op->output)},
                                 .scale = (float)(1 / (1 - op->node.dropout)),
                                 .accumulate = op->accumulate,
                                 .stored = op->output.slope_stored};
    if (!op->input_gradient)
        return AN_OK;
    return an_cuda_launched(an_kernel_dropout_back(&args, op->cuda->compute), op, "dropout_back");
}

int an_cuda_dropout_create(an_op **out, an_backend *cuda, const an_op_spec *spec)
{
    static const an_op_methods methods = {.forward = dropout_forward, .backward = dropout_backward};
    dropout_op *dropout;
    int rc = an_cuda_op_new(&dropout, cuda, spec, &methods, sizeof *dropout);
    if (rc)
        return rc;
    an_op *op = &dropout->op;
    *out = op;
    an_cuda_tensor_describe(&op->output, cuda, &op->node, op->input->output.stored_c, cuda->stored);
    if (!cuda->numbers)
        rc = an_cuda_alloc(cuda, &cuda->numbers, 4 * sizeof(uint32_t), op->node.name);
    if (rc)
        return rc;
    return an_cuda_alloc(cuda, &dropout->kept, an_cuda_tensor_items(&op->output), op->node.name);
}
