#include <string.h>

#include "base/error.h"
#include "model/cpu/cpu_private.h"

/* If oneDNN refuses, the description stays zeroed, and oneDNN refuses whatever is made with it. */
dnnl_memory_desc_t an_cpu_tensor_desc(dnnl_data_type_t type, int n, int c, int h, int w, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t desc = {0};
    dnnl_dims_t dims = {n, c, h, w};
    dnnl_memory_desc_init_by_tag(&desc, 4, dims, type, tag);
    return desc;
}

dnnl_memory_desc_t an_matrix_desc(dnnl_data_type_t type, int rows, int columns, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t desc = {0};
    dnnl_dims_t dims = {rows, columns};
    dnnl_memory_desc_init_by_tag(&desc, 2, dims, type, tag);
    return desc;
}

bool an_cpu_tensor_reshape(const dnnl_memory_desc_t *desc, int n, int c, dnnl_memory_desc_t *out)
{
    static const dnnl_format_tag_t tags[] = {dnnl_nChw16c, dnnl_nChw8c, dnnl_nchw, dnnl_nhwc};
    if (desc->ndims != 4)
        return false;
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        dnnl_memory_desc_t same;
        if (dnnl_memory_desc_init_by_tag(&same, 4, desc->dims, desc->data_type, tags[i]) == dnnl_success &&
            dnnl_memory_desc_equal(&same, desc)) {
            dnnl_dims_t dims = {n, c, desc->dims[2], desc->dims[3]};
            return dnnl_memory_desc_init_by_tag(out, 4, dims, desc->data_type, tags[i]) == dnnl_success;
        }
    }
    return false;
}

static int place(an_backend *cpu, const dnnl_memory_desc_t *desc, void **data, dnnl_memory_t *memory)
{
    int rc = an_cpu_alloc(cpu, data, dnnl_memory_desc_get_size(desc));
    if (rc)
        return rc;
    return an_cpu_memory(cpu, memory, desc, *data);
}

int an_cpu_tensor_make(an_cpu_tensor *tensor, an_backend *cpu, const int shape[4], const dnnl_memory_desc_t *desc,
                       bool halved)
{
    *tensor = (an_cpu_tensor){
        .cpu = cpu, .n = shape[0], .c = shape[1], .h = shape[2], .w = shape[3], .halved = halved, .desc = *desc};
    int rc = place(cpu, desc, &tensor->data, &tensor->value);
    if (!rc && cpu->training)
        rc = place(cpu, desc, &tensor->slope, &tensor->gradient);
    return rc;
}

int an_cpu_tensor_as(an_cpu_tensor *tensor, const dnnl_memory_desc_t *desc, dnnl_memory_t *value,
                     dnnl_memory_t *gradient)
{
    tensor->pinned = true;
    int rc = an_cpu_memory(tensor->cpu, value, desc, tensor->data);
    return rc || !tensor->slope ? rc : an_cpu_memory(tensor->cpu, gradient, desc, tensor->slope);
}

/* Describes one half of the channels. It is a tensor of its own if the tensor is halved, else a window into each
 * sample. */
int an_cpu_tensor_half(const an_cpu_tensor *tensor, int half, dnnl_memory_desc_t *desc, void **data, void **slope)
{
    dnnl_status_t status = dnnl_success;
    size_t offset = 0;
    int channels = tensor->c / 2;
    if (tensor->halved) {
        offset = (size_t)half * dnnl_memory_desc_get_size(&tensor->desc) / 2;
        if (!an_cpu_tensor_reshape(&tensor->desc, tensor->n, channels, desc))
            status = dnnl_unimplemented;
    } else {
        dnnl_dims_t dims = {tensor->n, channels, tensor->h, tensor->w}, offsets = {0, half * channels};
        status = dnnl_memory_desc_init_submemory(desc, &tensor->desc, dims, offsets);
    }
    *data = (char *)tensor->data + offset;
    *slope = tensor->slope ? (char *)tensor->slope + offset : NULL;
    return an_cpu_check(status, "tensor", "a half of it");
}

/* Copies between a part of the tensor, whose first channel is offset, and the same channels of a canonical array of
 * count samples; out: from the tensor. */
static int part_copy(const an_cpu_tensor *tensor, const dnnl_memory_desc_t *part, void *data, int offset,
                     uint32_t count, float *outside, bool out)
{
    dnnl_dims_t dims, zero = {0}, offsets = {0, offset};
    dnnl_dims_t whole = {count, tensor->c, tensor->h, tensor->w};
    dnnl_memory_desc_t canonical, inside, window;
    memcpy(dims, part->dims, sizeof dims);
    dims[0] = count;
    dnnl_status_t status =
        dnnl_memory_desc_init_by_tag(&canonical, part->ndims, whole, dnnl_f32, part->ndims == 2 ? dnnl_nc : dnnl_nchw);
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_submemory(&inside, part, dims, zero);
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_submemory(&window, &canonical, dims, offsets);
    if (status != dnnl_success)
        return an_cpu_check(status, "tensor", "a copy");
    return out ? an_cpu_copy(tensor->cpu, &inside, data, &window, outside)
               : an_cpu_copy(tensor->cpu, &window, outside, &inside, data);
}

static int copy(const an_cpu_tensor *tensor, bool gradient, uint32_t count, float *outside, bool out)
{
    if (!count || count > (uint32_t)tensor->n)
        return an_error(AN_EINVAL, "tensor: %u of %d samples", count, tensor->n);
    if (gradient && !tensor->slope)
        return an_error(AN_EINVAL, "tensor: no gradient without training");
    if (!tensor->halved) {
        void *data = NULL;
        dnnl_status_t status = dnnl_memory_get_data_handle(gradient ? tensor->gradient : tensor->value, &data);
        int rc = an_cpu_check(status, "tensor", "its memory");
        if (rc)
            return rc;
        return part_copy(tensor, &tensor->desc, data, 0, count, outside, out);
    }
    for (int half = 0; half < 2; half++) {
        dnnl_memory_desc_t desc;
        void *data, *slope;
        int rc = an_cpu_tensor_half(tensor, half, &desc, &data, &slope);
        if (rc)
            return rc;
        rc = part_copy(tensor, &desc, gradient ? slope : data, half * tensor->c / 2, count, outside, out);
        if (rc)
            return rc;
    }
    return AN_OK;
}

int an_cpu_tensor_get(const an_cpu_tensor *tensor, bool gradient, uint32_t count, float *out)
{
    return copy(tensor, gradient, count, out, true);
}

int an_cpu_tensor_set(an_cpu_tensor *tensor, bool gradient, uint32_t count, const float *values)
{
    return copy(tensor, gradient, count, (float *)(uintptr_t)values,
                false); /* the cast is safe: with out false, values are only read */
}
