/* The image batch. Its pixels are copied to the device as bytes, together with the draws (crop, flip and colour shift
 * of each image), on a stream of their own. A kernel then converts them to the network's type, in blocks (blocks.c) or
 * with as many channels as tensor cores need. Two slots on the device take turns, so that a batch can arrive while the
 * one before is read.
 *
 * An encoded batch is copied as one block. The decoder is queued behind the copy, on the same stream, and writes the
 * slot's pixels; draws are read where they lie in the block. So a batch that was announced is decoded while the step
 * before it computes. `taken` keeps block and pixels of a slot from being overwritten before they are converted;
 * `arrived`, recorded behind the decoder, keeps the conversion from beginning too early. */
#include <stdlib.h>

#include "base/error.h"
#include "model/cuda/cuda.h"
#include "model/targets.h"

#define COLOURS 3
#define SLOTS AN_IMAGE_SLOTS
#define MEAN_SHIFTS 4 /* copies of the mean image, each of which begins one value later */

typedef struct {
    an_op op;
    void *pixels[SLOTS], *draws[SLOTS];
    void *blocks[SLOTS];                      /* for encoded batches; NULL without a decoder */
    const void *drawn[SLOTS];                 /* where the draws of the batch in the slot lie; NULL: it has none */
    bool mixed[SLOTS];                        /* images of the batch in the slot are mixed */
    bool encoded[SLOTS];                      /* the batch in the slot came encoded */
    cudaEvent_t arrived[SLOTS], taken[SLOTS]; /* its pixels are in the slot; they are converted */
    int slot;                                 /* of the next batch; the one before it is the last that was fed */
    an_images fetched;                        /* the images that were prefetched into it */
    uint32_t fetched_count;                   /* 0: none were */
    size_t image_bytes;
    uint64_t image_items;  /* that an image is to the kernel */
    uint64_t image_groups; /* the same where images are mixed */
    an_convert_args args;  /* but for the slot's places and the number of images */
} input_op;

an_format an_cuda_input_format(const an_backend *cuda)
{
    (void)cuda;
    return (an_format){AN_DTYPE_U8, AN_LAYOUT_NHWC, COLOURS};
}

/* Converts the images that there are: further places of the batch may hold nothing that could be read as a draw. */
static int convert(input_op *input, uint32_t count)
{
    int slot = input->slot;
    an_convert_args args = input->args;
    args.at.items = input->image_items * count;
    args.at.in[0] = input->pixels[slot];
    args.at.in[1] = input->drawn[slot];
    args.images = count;
    if (input->mixed[slot]) {
        args.at.items = input->image_groups * count;
        return an_cuda_launched(an_kernel_convert_mixed(&args, input->op.cuda->compute), &input->op, "convert_mixed");
    }
    if (an_convert_suits_pairs(&args))
        return an_cuda_launched(an_kernel_convert_pairs(&args, input->op.cuda->compute), &input->op, "convert_pairs");
    return an_cuda_launched(an_kernel_convert(&args, input->op.cuda->compute), &input->op, "convert");
}

static int copy(an_backend *cuda, void *to, const void *from, size_t size, uint32_t count, const char *what)
{
    return an_cuda_check(cudaMemcpyAsync(to, from, size, cudaMemcpyHostToDevice, cuda->images),
                         "copy %s of %u images, %zu bytes, to cuda:%d", what, count, size, cuda->device);
}

static int pixels_copy(input_op *input, const an_images *images, uint32_t count)
{
    an_backend *cuda = input->op.cuda;
    int slot = input->slot;
    int rc = copy(cuda, input->pixels[slot], images->pixels, count * input->image_bytes, count, "the pixels");
    if (rc)
        return rc;
    input->drawn[slot] = images->draws ? input->draws[slot] : NULL;
    if (!images->draws)
        return AN_OK;
    return copy(cuda, input->draws[slot], images->draws, count * sizeof *images->draws, count, "places and colours");
}

/* The decoder may have a CUDA runtime of its own, and leave another device the thread's current one. */
static int block_decode(input_op *input, const an_images *images, uint32_t count)
{
    an_backend *cuda = input->op.cuda;
    int slot = input->slot;
    int rc = copy(cuda, input->blocks[slot], images->block, images->block_size, count, "the records");
    if (rc)
        return rc;
    input->drawn[slot] = input->blocks[slot];
    rc = cuda->decoder.queue(cuda->decoder.context, &(an_image_decoding){.device = cuda->number,
                                                                         .slot = slot,
                                                                         .block = input->blocks[slot],
                                                                         .size = images->block_size,
                                                                         .count = count,
                                                                         .pixels = input->pixels[slot],
                                                                         .stream = cuda->images});
    return rc ? rc : an_cuda_use(cuda);
}

static int ask(const input_op *input, int slot, uint32_t *sample)
{
    const an_image_decoder *decoder = &input->op.cuda->decoder;
    return input->encoded[slot] ? decoder->result(decoder->context, input->op.cuda->number, slot, sample) : AN_OK;
}

/* An announced batch gives way to another one. Whatever was wrong with it belongs to nobody. */
static int fetched_drop(input_op *input)
{
    uint32_t sample;
    int slot = input->slot;
    if (!input->fetched_count || !input->encoded[slot])
        return AN_OK;
    int rc = an_cuda_check(cudaEventSynchronize(input->arrived[slot]), "wait for a batch that is not used");
    if (rc)
        return rc;
    (void)ask(input, slot, &sample);
    return AN_OK;
}

/* Brings a batch to the slot whose turn it is, once the batch before it there has been converted. */
static int images_bring(input_op *input, const an_images *images, uint32_t count)
{
    an_backend *cuda = input->op.cuda;
    int slot = input->slot;
    int rc = an_cuda_use(cuda);
    if (rc)
        return rc;
    rc = fetched_drop(input);
    if (rc)
        return rc;
    rc = an_cuda_wait(cuda->images, input->taken[slot]);
    if (rc)
        return rc;
    input->encoded[slot] = images->block;
    input->mixed[slot] = an_images_mix(images->block ? images->block : images->draws, count);
    rc = images->block ? block_decode(input, images, count) : pixels_copy(input, images, count);
    if (rc)
        return rc;
    return an_cuda_record(input->arrived[slot], cuda->images);
}

int an_cuda_prefetch(an_op *op, const an_images *images, uint32_t count)
{
    input_op *input = (input_op *)op;
    int rc = images_bring(input, images, count);
    input->fetched = *images;
    input->fetched_count = rc ? 0 : count;
    return rc;
}

static bool is_fetched(const input_op *input, const an_images *images, uint32_t count)
{
    const an_images *fetched = &input->fetched;
    if (input->fetched_count != count || fetched->block != images->block)
        return false;
    return images->block ? fetched->block_size == images->block_size
                         : fetched->pixels == images->pixels && fetched->draws == images->draws;
}

int an_cuda_feed(an_op *op, const an_images *images, uint32_t count)
{
    input_op *input = (input_op *)op;
    an_backend *cuda = op->cuda;
    int slot = input->slot;
    int rc = is_fetched(input, images, count) ? an_cuda_use(cuda) : images_bring(input, images, count);
    input->fetched_count = 0;
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
    rc = convert(input, count);
    if (rc)
        return rc;
    rc = an_cuda_record(input->taken[slot], cuda->compute);
    if (rc)
        return rc;
    input->slot = (slot + 1) % SLOTS;
    return AN_OK;
}

int an_cuda_decoded(an_op *op, uint32_t *sample)
{
    const input_op *input = (const input_op *)op;
    return ask(input, (input->slot + SLOTS - 1) % SLOTS, sample);
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
    if (cuda->decoder.size)
        rc = an_cuda_alloc(cuda, &input->blocks[slot], cuda->decoder.size, name);
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
    input_op *input = (input_op *)op;
    an_convert_args *args = &input->args;
    const an_cuda_tensor *y = &op->output;
    an_cuda_blocks blocks = {.side = 1, .rows = y->h, .columns = y->w};
    if (y->blocks.side)
        blocks = y->blocks;
    size_t bytes = an_stored_size(y->stored);
    int line = COLOURS * blocks.side;
    args->at.out[0] = y->data;
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
    uint64_t values = an_cuda_tensor_items(y) / (uint64_t)y->n;
    input->image_groups = values * bytes / 16;
    input->image_items = an_convert_suits_pairs(args) ? values / (uint64_t)(2 * line) : input->image_groups;
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
