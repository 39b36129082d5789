/* The image batch. Its pixels are copied to the device as bytes, together with the draws (crop, flip and colour shift
 * of each image), on a stream of their own. A kernel then converts them to the network's type, with as many channels as
 * tensor cores need. Two slots on the device take turns, so that a batch can arrive while the one before is read. */
#include "base/error.h"
#include "model/cuda/cuda_private.h"

#define COLOURS 3
#define SLOTS 2

typedef struct {
    an_op op;
    void *pixels[SLOTS], *draws[SLOTS];
    bool drawn[SLOTS];                        /* the batch in the slot came with draws */
    cudaEvent_t arrived[SLOTS], taken[SLOTS]; /* copied to the slot; converted from it */
    int slot;                                 /* of the next batch */
    an_images fetched;                        /* the images that were prefetched into it; no pixels: none were */
    uint32_t fetched_count;
    size_t image_bytes;
    float *mean;
} input_op;

an_format an_cuda_input_format(const an_backend *cuda)
{
    (void)cuda;
    return (an_format){AN_DTYPE_U8, AN_LAYOUT_NHWC, COLOURS};
}

static int convert(input_op *input)
{
    const an_cuda_tensor *y = &input->op.output;
    const an_conversion *conversion = &input->op.cuda->conversion;
    int slot = input->slot;
    an_convert_args args = {
        .at = {.out = {y->data},
               .in = {input->pixels[slot], input->drawn[slot] ? input->draws[slot] : NULL, input->mean},
               .items = an_cuda_tensor_items(y) * an_stored_size(y->stored) / sizeof(uint64_t)},
        .h = y->h,
        .w = y->w,
        .channels = y->stored_c,
        .mean_side = conversion->side,
        .scale = (float)conversion->scale,
        .stored = y->stored};
    return an_cuda_launched(an_kernel_convert(&args, input->op.cuda->compute), &input->op, "convert");
}

static int copy(an_backend *cuda, void *to, const void *from, size_t size, uint32_t count, const char *what)
{
    return an_cuda_check(cudaMemcpyAsync(to, from, size, cudaMemcpyHostToDevice, cuda->images),
                         "copy %s of %u images, %zu bytes, to cuda:%d", what, count, size, cuda->device);
}

/* Copies a batch to the slot whose turn it is, once the batch before it there has been converted. */
static int images_copy(input_op *input, const an_images *images, uint32_t count)
{
    an_backend *cuda = input->op.cuda;
    int slot = input->slot;
    int rc = an_cuda_use(cuda);
    if (rc)
        return rc;
    rc = an_cuda_wait(cuda->images, input->taken[slot]);
    if (rc)
        return rc;
    rc = copy(cuda, input->pixels[slot], images->pixels, count * input->image_bytes, count, "the pixels");
    if (rc)
        return rc;
    input->drawn[slot] = images->draws;
    if (images->draws)
        rc = copy(cuda, input->draws[slot], images->draws, count * sizeof *images->draws, count, "places and colours");
    if (rc)
        return rc;
    return an_cuda_record(input->arrived[slot], cuda->images);
}

int an_cuda_prefetch(an_op *op, const an_images *images, uint32_t count)
{
    input_op *input = (input_op *)op;
    int rc = images_copy(input, images, count);
    input->fetched = rc ? (an_images){0} : *images;
    input->fetched_count = count;
    return rc;
}

static bool is_fetched(const input_op *input, const an_images *images, uint32_t count)
{
    return input->fetched.pixels == images->pixels && input->fetched.draws == images->draws &&
           input->fetched_count == count;
}

int an_cuda_feed(an_op *op, const an_images *images, uint32_t count)
{
    input_op *input = (input_op *)op;
    an_backend *cuda = op->cuda;
    int slot = input->slot;
    int rc = is_fetched(input, images, count) ? an_cuda_use(cuda) : images_copy(input, images, count);
    input->fetched = (an_images){0};
    if (rc)
        return rc;
    rc = an_cuda_time_ask(cuda);
    if (rc)
        return rc;
    rc = an_cuda_wait(cuda->compute, input->arrived[slot]);
    if (rc)
        return rc;
    rc = an_cuda_time_begin(cuda);
    if (rc)
        return rc;
    rc = convert(input);
    if (rc)
        return rc;
    rc = an_cuda_record(input->taken[slot], cuda->compute);
    if (rc)
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

static int slot_make(input_op *input, int slot)
{
    an_backend *cuda = input->op.cuda;
    size_t batch = (size_t)cuda->batch;
    const char *name = input->op.node.name;
    int rc = an_cuda_alloc(cuda, &input->pixels[slot], batch * input->image_bytes, name);
    if (rc)
        return rc;
    rc = an_cuda_alloc(cuda, &input->draws[slot], batch * sizeof(an_image_draw), name);
    if (rc)
        return rc;
    rc = an_cuda_event(cuda, &input->arrived[slot]);
    if (rc)
        return rc;
    return an_cuda_event(cuda, &input->taken[slot]);
}

static int mean_make(input_op *input)
{
    an_backend *cuda = input->op.cuda;
    const an_conversion *conversion = &cuda->conversion;
    size_t size = (size_t)conversion->side * (size_t)conversion->side * COLOURS * sizeof(float);
    void *place;
    int rc = an_cuda_alloc(cuda, &place, size, "the mean image");
    if (rc)
        return rc;
    input->mean = place;
    return conversion->mean ? an_cuda_put(cuda, place, conversion->mean, size) : AN_OK;
}

int an_cuda_input_create(an_op **out, an_backend *cuda, const an_op_spec *spec)
{
    static const an_op_methods methods = {.forward = input_run, .backward = input_run};
    input_op *input;
    int rc = an_cuda_op_new(&input, cuda, spec, &methods, sizeof *input);
    if (rc)
        return rc;
    an_op *op = &input->op;
    *out = op;
    input->image_bytes = (size_t)op->node.height * (size_t)op->node.width * COLOURS;
    int channels = an_plan_image_channels(op->node.channels, cuda->precision);
    an_cuda_tensor_describe(&op->output, cuda, &op->node, channels, cuda->stored);
    rc = mean_make(input);
    if (rc)
        return rc;
    for (int i = 0; i < SLOTS && !rc; i++)
        rc = slot_make(input, i);
    return rc;
}
