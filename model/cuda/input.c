/* The image batch: copied to the device on the copy stream, then widened to as many channels as tensor cores want. Two
 * places on the device take turns, so that a batch can arrive while the one before is still read. */
#include "base/error.h"
#include "model/cuda/cuda.h"

#define IMAGE_CHANNELS 4 /* as the loader stores 3 */
#define SLOTS 2

typedef struct {
    an_op op;
    void *staged[SLOTS];
    cudaEvent_t arrived[SLOTS], taken[SLOTS];
    int slot;            /* the next one */
    const void *fetched; /* images that lie, or will lie, in it; or NULL */
    uint32_t fetched_count;
    uint64_t pixels;
} input_op;

an_format an_cuda_input_format(const an_backend *cuda)
{
    return (an_format){cuda->stored == AN_STORED_BF16 ? AN_DTYPE_BF16 : AN_DTYPE_F32, AN_LAYOUT_NHWC, IMAGE_CHANNELS};
}

static int widen(input_op *input)
{
    const an_tensor *y = &input->op.output;
    an_widen_args args = {.at = {.out = {y->data}, .in = {input->staged[input->slot]}, .items = an_tensor_items(y)},
                          .channels_in = IMAGE_CHANNELS,
                          .channels_out = y->stored_c,
                          .stored = y->stored};
    return an_cuda_launched(an_kernel_widen(&args, input->op.cuda->compute), &input->op, "widen");
}

/* To the place whose turn it is. */
static int images_copy(input_op *input, const void *images, uint32_t count)
{
    an_backend *cuda = input->op.cuda;
    int slot = input->slot;
    size_t size = input->pixels / (uint64_t)cuda->batch * count * IMAGE_CHANNELS * an_stored_size(cuda->stored);
    int rc = an_cuda_use(cuda);
    if (rc || (rc = an_cuda_wait(cuda->copy, input->taken[slot])) ||
        (rc = an_cuda_check(cudaMemcpyAsync(input->staged[slot], images, size, cudaMemcpyHostToDevice, cuda->copy),
                            "copy %u images, %zu bytes, to cuda:%d", count, size, cuda->device)))
        return rc;
    return an_cuda_record(input->arrived[slot], cuda->copy);
}

int an_cuda_prefetch(an_op *op, const void *images, uint32_t count)
{
    input_op *input = (input_op *)op;
    int rc = images_copy(input, images, count);
    input->fetched = rc ? NULL : images;
    input->fetched_count = count;
    return rc;
}

int an_cuda_feed(an_op *op, const void *images, uint32_t count)
{
    input_op *input = (input_op *)op;
    an_backend *cuda = op->cuda;
    int slot = input->slot;
    bool here = input->fetched == images && input->fetched_count == count;
    int rc = here ? an_cuda_use(cuda) : images_copy(input, images, count);
    input->fetched = NULL;
    if (rc || (rc = an_cuda_wait(cuda->compute, input->arrived[slot])) || (rc = an_cuda_time_begin(cuda)) ||
        (rc = widen(input)) || (rc = an_cuda_record(input->taken[slot], cuda->compute)))
        return rc;
    input->slot = (slot + 1) % SLOTS;
    return AN_OK;
}

static int input_run(an_op *op, const an_run *run)
{
    (void)op;
    (void)run;
    return AN_OK;
}

int an_cuda_input_create(an_op **out, an_backend *cuda, const an_op_spec *spec)
{
    static const an_op_methods methods = {.forward = input_run, .backward = input_run};
    input_op *input;
    int rc = an_cuda_op_new(&input, cuda, spec, &methods, sizeof *input);
    if (rc)
        return rc;
    an_op *op = &input->op;
    int channels = an_plan_image_channels(op->node.channels, cuda->precision);
    *out = op;
    if ((rc = an_cuda_tensor(&op->output, cuda, &op->node, channels, cuda->stored)))
        return rc;
    input->pixels = (uint64_t)cuda->batch * (uint64_t)op->node.height * (uint64_t)op->node.width;
    size_t size = input->pixels * IMAGE_CHANNELS * an_stored_size(cuda->stored);
    for (int i = 0; i < SLOTS && !rc; i++)
        if (!(rc = an_cuda_alloc(cuda, &input->staged[i], size, op->node.name)) &&
            !(rc = an_cuda_event(cuda, &input->arrived[i])))
            rc = an_cuda_event(cuda, &input->taken[i]);
    return rc;
}
