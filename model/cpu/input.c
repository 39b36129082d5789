/* The image batch. Primitives read it in the caller's memory if possible. A batch that is not full is copied into
 * memory of a full batch, because primitives always read a full one. */
#include <string.h>

#include "base/error.h"
#include "model/cpu/cpu_private.h"

static int input_run(an_op *op, const an_run *run)
{
    (void)op;
    (void)run;
    return AN_OK;
}

int an_cpu_feed(an_op *op, const an_images *images, uint32_t count)
{
    const an_cpu_tensor *tensor = &op->output;
    size_t sample = an_desc_size(&tensor->desc) / (size_t)tensor->n;
    void *place = (void *)(uintptr_t)images->pixels; /* primitives only read it */
    if (tensor->pinned || count < (uint32_t)tensor->n) {
        memcpy(tensor->data, images->pixels, count * sample);
        place = tensor->data;
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
