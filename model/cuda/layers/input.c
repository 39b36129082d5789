/* The image batch. Its pixels are copied to the device as bytes, together with the draws (crop, flip and colour shift
 * of each image), on a stream of their own. A kernel then converts them to the network's type, in blocks (blocks.c) or
 * with as many channels as tensor cores need. Two slots on the device take turns, so that a batch can arrive while the
 * one before is read. */
#include <stdlib.h>

#include "base/error.h"
#include "model/cuda/cuda.h"

#define COLOURS 3
#define SLOTS 2
#define MEAN_SHIFTS 4 /* copies of the mean image, each of which begins one value later */

typedef struct {
    an_op op;
    void *pixels[SLOTS], *draws[SLOTS];
    bool drawn[SLOTS];                        /* the batch in the slot came with draws */
    cudaEvent_t arrived[SLOTS], taken[SLOTS]; /* copied to the slot; converted from it */
    int slot;                                 /* of the next batch */
    an_images fetched;                        /* the images that were prefetched into it; no pixels: none were */
    uint32_t fetched_count;
    size_t image_bytes;
    an_convert_args args; /* but for the slot's places */
} input_op;

an_format an_cuda_input_format(const an_backend *cuda)
{
    (void)cuda;
    return (an_format){AN_DTYPE_U8, AN_LAYOUT_NHWC, COLOURS};
}

static int convert(input_op *input)
{
    int slot = input->slot;
    an_convert_args args = input->args;
    args.at.in[0] = input->pixels[slot];
    args.at.in[1] = input->drawn[slot] ? input->draws[slot] : NULL;
    if (an_convert_suits_pairs(&args))
        return an_cuda_launched(an_kernel_convert_pairs(&args, input->op.cuda->compute), &input->op, "convert_pairs");
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

/* The mean image's copies (an_convert_args in kernels.h). */
typedef struct {
    const float *mean; /* NULL: zeros */
    int side, width;   /* side 0: one mean, for a row of width pixels */
    uint32_t plane, copies;
} mean_image;

static float mean_value(const mean_image *m, uint32_t i, bool mirrored)
{
    if (!m->mean)
        return 0;
    if (!m->side)
        return m->mean[i % COLOURS];
    uint32_t side = (uint32_t)m->side, pixel = i / COLOURS, column = pixel % side;
    uint32_t from = mirrored ? pixel - column + side - 1 - column : pixel;
    return m->mean[from * COLOURS + i % COLOURS];
}

static void mean_copies(const mean_image *m, float *out)
{
    uint32_t count = (uint32_t)(m->side ? m->side * m->side : m->width) * COLOURS;
    for (uint32_t copy = 0; copy < m->copies; copy++)
        for (uint32_t i = copy % MEAN_SHIFTS; i < count; i++)
            out[copy * m->plane + i - copy % MEAN_SHIFTS] = mean_value(m, i, copy >= MEAN_SHIFTS);
}

static int mean_make(input_op *input)
{
    an_backend *cuda = input->op.cuda;
    const an_conversion *conversion = &cuda->conversion;
    mean_image m = {.mean = conversion->mean, .width = input->op.node.width};
    void *place;
    if (m.mean && conversion->side > 1)
        m.side = conversion->side;
    m.copies = m.side ? 2 * MEAN_SHIFTS : MEAN_SHIFTS;
    m.plane = (uint32_t)(m.side ? m.side * m.side : m.width) * COLOURS + MEAN_SHIFTS - 1;
    m.plane -= m.plane % MEAN_SHIFTS;
    size_t size = (size_t)m.copies * m.plane * sizeof(float);
    int rc = an_cuda_alloc(cuda, &place, size, "the mean image");
    if (rc)
        return rc;
    float *copies = calloc(1, size);
    if (!copies)
        return an_error(AN_ENOMEM, "out of memory");
    mean_copies(&m, copies);
    rc = an_cuda_put(cuda, place, copies, size);
    free(copies);
    input->args.at.in[2] = place;
    input->args.mean_side = m.side;
    input->args.mean_plane = m.plane;
    return rc;
}

/* Once it is known how the images lie. */
static int input_prepare(an_op *op)
{
    an_convert_args *args = &((input_op *)op)->args;
    const an_cuda_tensor *y = &op->output;
    an_cuda_blocks blocks = {.side = 1, .rows = y->h, .columns = y->w};
    if (y->blocks.side)
        blocks = y->blocks;
    size_t bytes = an_stored_size(y->stored);
    int line = COLOURS * blocks.side;
    args->at.out[0] = y->data;
    args->at.items = an_cuda_tensor_items(y) * bytes / 16;
    args->h = y->h;
    args->w = y->w;
    args->row = COLOURS * y->w;
    args->image_bytes = (uint32_t)((COLOURS * y->w) * y->h);
    args->side = blocks.side;
    args->pad = blocks.pad;
    args->rows = an_divisor_of((uint32_t)blocks.rows);
    args->columns = an_divisor_of((uint32_t)blocks.columns);
    args->groups = an_divisor_of((uint32_t)((size_t)y->stored_c * bytes / 16));
    args->line = an_divisor_of((uint32_t)line);
    args->words = line % 4 == 0 && COLOURS * blocks.pad % 4 == 0 && args->row % 4 == 0;
    args->scale = (float)op->cuda->conversion.scale;
    args->stored = y->stored;
    if (an_convert_suits_pairs(args))
        args->at.items = an_cuda_tensor_items(y) / (size_t)(2 * line);
    return AN_OK;
}

int an_cuda_input_create(an_op **out, an_backend *cuda, const an_op_spec *spec)
{
    static const an_op_methods methods = {.prepare = input_prepare, .forward = input_run, .backward = input_run};
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
