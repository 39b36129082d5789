/* The image batch. Primitives read it in the caller's memory if possible. A batch that is not full is copied into
 * memory of a full batch, because primitives always read a full one; so is one in which images are mixed
 * (an_image_draw). */
#include <string.h>

#include "base/error.h"
#include "model/cpu/cpu_private.h"
#include "model/cpu/kernels/bf16.h"
#include "model/targets.h"

static int input_run(an_op *op, const an_run *run)
{
    (void)op;
    (void)run;
    return AN_OK;
}

/* A batch on its way in: images of channels x side x side values. */
typedef struct {
    const char *from;
    char *to;
    size_t image, value; /* bytes of an image, and of a value */
    int channels, side;
} batch;

static void mix_f32(float *restrict out, const float *restrict own, const float *restrict partner, size_t count,
                    float share)
{
    float rest = 1 - share;
    for (size_t i = 0; i < count; i++)
        out[i] = share * own[i] + rest * partner[i];
}

static void mix_bf16(uint16_t *restrict out, const uint16_t *restrict own, const uint16_t *restrict partner,
                     size_t count, float share)
{
    float rest = 1 - share;
    for (size_t i = 0; i < count; i++)
        out[i] = an_bf16_narrow(share * an_bf16_widen(own[i]) + rest * an_bf16_widen(partner[i]));
}

/* Rows of pixels of the box, in each plane. */
static void box_copy(const batch *b, char *out, const char *partner, const uint16_t box[4])
{
    size_t side = (size_t)b->side, width = (size_t)(box[2] - box[0]) * b->value;
    for (size_t c = 0; c < (size_t)b->channels; c++)
        for (size_t y = box[1]; y < box[3]; y++) {
            size_t at = ((c * side + y) * side + box[0]) * b->value;
            memcpy(out + at, partner + at, width);
        }
}

static void image_bring(const batch *b, const an_image_draw *draw, uint32_t i, uint32_t count)
{
    const char *own = b->from + i * b->image, *partner = b->from + (i ^ 1) * b->image;
    char *out = b->to + i * b->image;
    size_t values = b->image / b->value;
    bool mixed = an_image_mixes(draw, i, count), boxed = mixed && draw->box[2] > draw->box[0];
    if (!mixed || boxed)
        memcpy(out, own, b->image);
    if (boxed)
        box_copy(b, out, partner, draw->box);
    else if (mixed && b->value == sizeof(float))
        mix_f32((float *)(void *)out, (const void *)own, (const void *)partner, values, draw->share);
    else if (mixed)
        mix_bf16((uint16_t *)(void *)out, (const void *)own, (const void *)partner, values, draw->share);
}

int an_cpu_feed(an_op *op, const an_images *images, uint32_t count)
{
    const an_cpu_tensor *tensor = &op->output;
    const an_image_draw *draws = images->draws;
    bool mixed = an_images_mix(draws, count);
    void *place = (void *)(uintptr_t)images->pixels; /* primitives only read it */
    if (tensor->pinned || count < (uint32_t)tensor->n || mixed) {
        size_t image = an_desc_size(&tensor->desc) / (size_t)tensor->n;
        batch b = {.from = images->pixels,
                   .to = tensor->data,
                   .image = image,
                   .value = image / ((size_t)tensor->c * (size_t)tensor->h * (size_t)tensor->w),
                   .channels = tensor->c,
                   .side = tensor->w};
        place = tensor->data;
        if (!mixed)
            memcpy(place, images->pixels, count * image);
#pragma omp parallel for schedule(static) if (mixed)
        for (uint32_t i = 0; i < (mixed ? count : 0); i++)
            image_bring(&b, &draws[i], i, count);
    }
    return an_cpu_check(dnnl_memory_set_data_handle(tensor->value, place), op->node.name, "its memory");
}

int an_cpu_input_create(an_op **out, an_backend *cpu, const an_op_spec *spec)
{
    static const an_op_methods methods = {input_run, input_run, NULL};
    an_op *op;
    int rc = an_cpu_op_new(&op, cpu, spec, &methods, sizeof *op);
    if (rc)
        return rc;
    int shape[] = {cpu->batch, op->node.channels, op->node.height, op->node.width};
    an_desc order = an_cpu_tensor_desc(cpu->type, shape[0], shape[1], shape[2], shape[3], dnnl_nchw);
    *out = op;
    return an_cpu_tensor_make(&op->output, cpu, shape, &order);
}
