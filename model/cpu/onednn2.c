/* onednn.h for version 2: a tensor's description is a struct, a primitive is described by way of its operation. */
#include "model/cpu/onednn.h"

an_desc an_desc_make(int ndims, const dnnl_dim_t *dims, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    an_desc desc = {0};
    dnnl_memory_desc_init_by_tag(&desc, ndims, dims, type, tag);
    return desc;
}

dnnl_status_t an_desc_window(an_desc *out, const an_desc *whole, const dnnl_dim_t *dims, const dnnl_dim_t *offsets)
{
    return dnnl_memory_desc_init_submemory(out, whole, dims, offsets);
}

bool an_desc_equal(const an_desc *a, const an_desc *b)
{
    return dnnl_memory_desc_equal(a, b) != 0;
}

size_t an_desc_size(const an_desc *desc)
{
    return dnnl_memory_desc_get_size(desc);
}

int an_desc_ndims(const an_desc *desc)
{
    return desc->ndims;
}

const dnnl_dim_t *an_desc_dims(const an_desc *desc)
{
    return desc->dims;
}

dnnl_data_type_t an_desc_type(const an_desc *desc)
{
    return desc->data_type;
}

uint64_t an_desc_hash(const an_desc *desc)
{
    const dnnl_blocking_desc_t *blocking = &desc->format_desc.blocking;
    uint64_t hash = an_hash_mix(an_desc_size(desc), (uint64_t)desc->data_type);
    hash = an_desc_hash_dims(an_hash_mix(hash, (uint64_t)desc->ndims), desc->dims, desc->ndims);
    hash = an_hash_mix(hash, (uint64_t)desc->format_kind);
    if (desc->format_kind != dnnl_blocked)
        return hash;
    hash = an_desc_hash_dims(hash, desc->padded_dims, desc->ndims);
    hash = an_desc_hash_dims(hash, blocking->strides, desc->ndims);
    hash = an_desc_hash_dims(hash, blocking->inner_blks, blocking->inner_nblks);
    return an_desc_hash_dims(hash, blocking->inner_idxs, blocking->inner_nblks);
}

dnnl_status_t an_onednn_memory(dnnl_memory_t *out, const an_desc *desc, dnnl_engine_t engine, void *data)
{
    return dnnl_memory_create(out, desc, engine, data);
}

an_desc an_onednn_query(const_dnnl_primitive_desc_t primitive, dnnl_query_t what)
{
    const dnnl_memory_desc_t *found = dnnl_primitive_desc_query_md(primitive, what, 0);
    return found ? *found : (an_desc){0};
}

static dnnl_status_t describe(dnnl_primitive_desc_t *out, const an_onednn_pass *pass, const void *operation)
{
    return dnnl_primitive_desc_create(out, operation, pass->attr, pass->engine, pass->hint);
}

dnnl_status_t an_onednn_conv_make(dnnl_primitive_desc_t *out, const an_onednn_pass *pass, const an_onednn_conv *c)
{
    dnnl_convolution_desc_t operation;
    dnnl_status_t status;
    if (pass->pass == dnnl_backward_data)
        status = dnnl_convolution_backward_data_desc_init(&operation, c->algorithm, c->source, c->weights, c->target,
                                                          c->strides, c->before, c->after);
    else if (pass->pass == dnnl_backward_weights)
        status = dnnl_convolution_backward_weights_desc_init(&operation, c->algorithm, c->source, c->weights, c->bias,
                                                             c->target, c->strides, c->before, c->after);
    else
        status = dnnl_convolution_forward_desc_init(&operation, pass->pass, c->algorithm, c->source, c->weights,
                                                    c->bias, c->target, c->strides, c->before, c->after);
    return status == dnnl_success ? describe(out, pass, &operation) : status;
}

dnnl_status_t an_onednn_dense_make(dnnl_primitive_desc_t *out, const an_onednn_pass *pass, const an_onednn_dense *d)
{
    dnnl_inner_product_desc_t operation;
    dnnl_status_t status;
    if (pass->pass == dnnl_backward_data)
        status = dnnl_inner_product_backward_data_desc_init(&operation, d->source, d->weights, d->target);
    else if (pass->pass == dnnl_backward_weights)
        status = dnnl_inner_product_backward_weights_desc_init(&operation, d->source, d->weights, d->bias, d->target);
    else
        status =
            dnnl_inner_product_forward_desc_init(&operation, pass->pass, d->source, d->weights, d->bias, d->target);
    return status == dnnl_success ? describe(out, pass, &operation) : status;
}

dnnl_status_t an_onednn_pool_make(dnnl_primitive_desc_t *out, const an_onednn_pass *pass, const an_onednn_pool *p)
{
    dnnl_pooling_desc_t operation;
    dnnl_status_t status = pass->pass == dnnl_backward_data
                               ? dnnl_pooling_backward_desc_init(&operation, p->algorithm, p->source, p->target,
                                                                 p->strides, p->window, p->before, p->after)
                               : dnnl_pooling_forward_desc_init(&operation, pass->pass, p->algorithm, p->source,
                                                                p->target, p->strides, p->window, p->before, p->after);
    return status == dnnl_success ? describe(out, pass, &operation) : status;
}

dnnl_status_t an_onednn_lrn_make(dnnl_primitive_desc_t *out, const an_onednn_pass *pass, const an_onednn_lrn *l)
{
    dnnl_lrn_desc_t operation;
    dnnl_status_t status = pass->pass == dnnl_backward_data
                               ? dnnl_lrn_backward_desc_init(&operation, dnnl_lrn_across_channels, l->order, l->order,
                                                             l->size, l->alpha, l->beta, l->k)
                               : dnnl_lrn_forward_desc_init(&operation, pass->pass, dnnl_lrn_across_channels, l->order,
                                                            l->size, l->alpha, l->beta, l->k);
    return status == dnnl_success ? describe(out, pass, &operation) : status;
}

dnnl_status_t an_onednn_eltwise_make(dnnl_primitive_desc_t *out, const an_onednn_pass *pass, dnnl_alg_kind_t algorithm,
                                     const an_desc *order)
{
    dnnl_eltwise_desc_t operation;
    dnnl_status_t status = pass->pass == dnnl_backward_data
                               ? dnnl_eltwise_backward_desc_init(&operation, algorithm, order, order, 0, 0)
                               : dnnl_eltwise_forward_desc_init(&operation, pass->pass, algorithm, order, 0, 0);
    return status == dnnl_success ? describe(out, pass, &operation) : status;
}

dnnl_status_t an_onednn_concat_make(dnnl_primitive_desc_t *out, dnnl_engine_t engine, int count, const an_desc *sources)
{
    return dnnl_concat_primitive_desc_create(out, NULL, count, 1, sources, NULL, engine);
}

dnnl_status_t an_onednn_reorder_make(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const an_desc *from,
                                     const an_desc *to, const_dnnl_primitive_attr_t attr)
{
    return dnnl_reorder_primitive_desc_create(out, from, engine, to, engine, attr);
}
