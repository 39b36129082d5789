#include "base/error.h"
#include "model/cpu/cpu_private.h"

an_desc an_cpu_tensor_desc(dnnl_data_type_t type, int n, int c, int h, int w, dnnl_format_tag_t tag)
{
    return an_desc_make(4, (const dnnl_dim_t[]){n, c, h, w}, type, tag);
}

an_desc an_matrix_desc(dnnl_data_type_t type, int rows, int columns, dnnl_format_tag_t tag)
{
    return an_desc_make(2, (const dnnl_dim_t[]){rows, columns}, type, tag);
}

/* The usual orders of four dimensions and the channels in a block of each; 0: they are not in blocks. */
static const struct {
    dnnl_format_tag_t tag;
    int block;
} orders[] = {{dnnl_nChw16c, 16}, {dnnl_nChw8c, 8}, {dnnl_nchw, 0}, {dnnl_nhwc, 0}};

/* The number of desc's order among those; -1 if it is another. */
static int order_find(const an_desc *desc)
{
    if (an_desc_ndims(desc) != 4)
        return -1;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        an_desc same = an_desc_make(4, an_desc_dims(desc), an_desc_type(desc), orders[i].tag);
        if (an_desc_equal(&same, desc))
            return (int)i;
    }
    return -1;
}

bool an_cpu_tensor_reshape(const an_desc *desc, int n, int c, an_desc *out)
{
    int order = order_find(desc);
    if (order < 0)
        return false;
    const dnnl_dim_t *d = an_desc_dims(desc);
    *out = an_cpu_tensor_desc(an_desc_type(desc), n, c, (int)d[2], (int)d[3], orders[order].tag);
    return an_desc_size(out) > 0;
}

int an_cpu_tensor_block(const an_desc *desc)
{
    int order = order_find(desc);
    return order < 0 ? 0 : orders[order].block;
}

static int place(an_backend *cpu, const an_desc *desc, void **data, dnnl_memory_t *memory)
{
    int rc = an_cpu_alloc(cpu, data, an_desc_size(desc));
    if (rc)
        return rc;
    return an_cpu_memory(cpu, memory, desc, *data);
}

int an_cpu_tensor_make(an_cpu_tensor *tensor, an_backend *cpu, const int shape[4], const an_desc *desc)
{
    *tensor = (an_cpu_tensor){.cpu = cpu, .n = shape[0], .c = shape[1], .h = shape[2], .w = shape[3], .desc = *desc};
    int rc = place(cpu, desc, &tensor->data, &tensor->value);
    if (!rc && cpu->training)
        rc = place(cpu, desc, &tensor->slope, &tensor->gradient);
    return rc;
}

int an_cpu_tensor_as(an_cpu_tensor *tensor, const an_desc *desc, dnnl_memory_t *value, dnnl_memory_t *gradient)
{
    tensor->pinned = true;
    int rc = an_cpu_memory(tensor->cpu, value, desc, tensor->data);
    return rc || !tensor->slope ? rc : an_cpu_memory(tensor->cpu, gradient, desc, tensor->slope);
}

/* Copies between the first count samples of the tensor and a canonical array; out: from the tensor. */
static int copy(const an_cpu_tensor *tensor, bool gradient, uint32_t count, float *outside, bool out)
{
    dnnl_dims_t dims = {0}, zero = {0};
    int ndims = an_desc_ndims(&tensor->desc);
    an_desc inside;
    void *data = NULL;
    if (!count || count > (uint32_t)tensor->n)
        return an_error(AN_EINVAL, "tensor: %u of %d samples", count, tensor->n);
    if (gradient && !tensor->slope)
        return an_error(AN_EINVAL, "tensor: no gradient without training");
    for (int i = 0; i < ndims; i++)
        dims[i] = an_desc_dims(&tensor->desc)[i];
    dims[0] = count;
    an_desc canonical = an_desc_make(ndims, dims, dnnl_f32, ndims == 2 ? dnnl_nc : dnnl_nchw);
    dnnl_status_t status = dnnl_memory_get_data_handle(gradient ? tensor->gradient : tensor->value, &data);
    if (status == dnnl_success)
        status = an_desc_window(&inside, &tensor->desc, dims, zero);
    if (status != dnnl_success)
        return an_cpu_check(status, "tensor", "a copy");
    return out ? an_cpu_copy(tensor->cpu, &inside, data, &canonical, outside)
               : an_cpu_copy(tensor->cpu, &canonical, outside, &inside, data);
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
