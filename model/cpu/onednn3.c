/* onednn.h for version 3: a tensor's description is an opaque object, each kind of primitive is described directly.
 *
 * DESIGN: descriptions of tensors are kept in one list until the process ends; equal ones are kept once. A program sees
 * some hundred different ones, which are looked up only while networks are made. */
#include "model/cpu/onednn.h"

#include <pthread.h>
#include <stdlib.h>

typedef struct kept {
    struct kept *next;
    dnnl_memory_desc_t desc;
} kept;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static kept *all;

static an_desc keep_locked(dnnl_memory_desc_t made)
{
    for (const kept *k = all; k; k = k->next)
        if (dnnl_memory_desc_equal(k->desc, made)) {
            dnnl_memory_desc_destroy(made);
            return k->desc;
        }
    kept *k = malloc(sizeof *k);
    if (!k) {
        dnnl_memory_desc_destroy(made);
        return NULL;
    }
    *k = (kept){all, made};
    all = k;
    return made;
}

/* Takes made over. NULL without memory. */
static an_desc keep(dnnl_memory_desc_t made)
{
    pthread_mutex_lock(&lock);
    an_desc desc = keep_locked(made);
    pthread_mutex_unlock(&lock);
    return desc;
}

an_desc an_desc_make(int ndims, const dnnl_dim_t *dims, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t made;
    dnnl_dims_t own = {0};
    for (int i = 0; i < ndims; i++)
        own[i] = dims[i];
    if (dnnl_memory_desc_create_with_tag(&made, ndims, own, type, tag) != dnnl_success)
        return NULL;
    return keep(made);
}

dnnl_status_t an_desc_window(an_desc *out, const an_desc *whole, const dnnl_dim_t *dims, const dnnl_dim_t *offsets)
{
    dnnl_memory_desc_t made;
    dnnl_dims_t size = {0}, start = {0};
    for (int i = 0; i < an_desc_ndims(whole); i++) {
        size[i] = dims[i];
        start[i] = offsets[i];
    }
    dnnl_status_t status = dnnl_memory_desc_create_submemory(&made, *whole, size, start);
    if (status != dnnl_success)
        return status;
    *out = keep(made);
    return *out ? dnnl_success : dnnl_out_of_memory;
}

bool an_desc_equal(const an_desc *a, const an_desc *b)
{
    return *a == *b || (*a && *b && dnnl_memory_desc_equal(*a, *b));
}

size_t an_desc_size(const an_desc *desc)
{
    return *desc ? dnnl_memory_desc_get_size(*desc) : 0;
}

int an_desc_ndims(const an_desc *desc)
{
    int ndims = 0;
    if (*desc)
        dnnl_memory_desc_query(*desc, dnnl_query_ndims_s32, &ndims);
    return ndims;
}

const dnnl_dim_t *an_desc_dims(const an_desc *desc)
{
    static const dnnl_dims_t none;
    dnnl_dims_t *dims = NULL;
    if (*desc)
        dnnl_memory_desc_query(*desc, dnnl_query_dims, &dims);
    return dims ? *dims : none;
}

dnnl_data_type_t an_desc_type(const an_desc *desc)
{
    dnnl_data_type_t type = dnnl_data_type_undef;
    if (*desc)
        dnnl_memory_desc_query(*desc, dnnl_query_data_type, &type);
    return type;
}

/* Appends a list of numbers of a description to a hash. */
static uint64_t hash_list(uint64_t hash, const an_desc *desc, dnnl_query_t what, int count)
{
    dnnl_dims_t *list = NULL;
    if (!*desc || dnnl_memory_desc_query(*desc, what, &list) != dnnl_success || !list)
        return hash;
    return an_desc_hash_dims(hash, *list, count);
}

uint64_t an_desc_hash(const an_desc *desc)
{
    dnnl_format_kind_t kind = dnnl_format_kind_undef;
    int ndims = an_desc_ndims(desc), blocks = 0;
    uint64_t hash = an_hash_mix(an_desc_size(desc), (uint64_t)an_desc_type(desc));
    if (*desc)
        dnnl_memory_desc_query(*desc, dnnl_query_format_kind, &kind);
    hash = hash_list(an_hash_mix(hash, (uint64_t)ndims), desc, dnnl_query_dims, ndims);
    hash = an_hash_mix(hash, (uint64_t)kind);
    if (kind != dnnl_blocked)
        return hash;
    dnnl_memory_desc_query(*desc, dnnl_query_inner_nblks_s32, &blocks);
    hash = hash_list(hash, desc, dnnl_query_padded_dims, ndims);
    hash = hash_list(hash, desc, dnnl_query_strides, ndims);
    hash = hash_list(hash, desc, dnnl_query_inner_blks, blocks);
    return hash_list(hash, desc, dnnl_query_inner_idxs, blocks);
}

dnnl_status_t an_onednn_memory(dnnl_memory_t *out, const an_desc *desc, dnnl_engine_t engine, void *data)
{
    return dnnl_memory_create(out, *desc, engine, data);
}

an_desc an_onednn_query(const_dnnl_primitive_desc_t primitive, dnnl_query_t what)
{
    dnnl_memory_desc_t copy;
    const_dnnl_memory_desc_t found = dnnl_primitive_desc_query_md(primitive, what, 0);
    if (!found || dnnl_memory_desc_clone(&copy, found) != dnnl_success)
        return NULL;
    return keep(copy);
}

static an_desc optional(const an_desc *desc)
{
    return desc ? *desc : NULL;
}

static const dnnl_dims_t no_dilation;

dnnl_status_t an_onednn_conv_make(dnnl_primitive_desc_t *out, const an_onednn_pass *p, const an_onednn_conv *c)
{
    if (p->pass == dnnl_backward_data)
        return dnnl_convolution_backward_data_primitive_desc_create(out, p->engine, c->algorithm, *c->source,
                                                                    *c->weights, *c->target, c->strides, no_dilation,
                                                                    c->before, c->after, p->hint, p->attr);
    if (p->pass == dnnl_backward_weights)
        return dnnl_convolution_backward_weights_primitive_desc_create(
            out, p->engine, c->algorithm, *c->source, *c->weights, optional(c->bias), *c->target, c->strides,
            no_dilation, c->before, c->after, p->hint, p->attr);
    return dnnl_convolution_forward_primitive_desc_create(out, p->engine, p->pass, c->algorithm, *c->source,
                                                          *c->weights, optional(c->bias), *c->target, c->strides,
                                                          no_dilation, c->before, c->after, p->attr);
}

dnnl_status_t an_onednn_dense_make(dnnl_primitive_desc_t *out, const an_onednn_pass *p, const an_onednn_dense *d)
{
    if (p->pass == dnnl_backward_data)
        return dnnl_inner_product_backward_data_primitive_desc_create(out, p->engine, *d->source, *d->weights,
                                                                      *d->target, p->hint, p->attr);
    if (p->pass == dnnl_backward_weights)
        return dnnl_inner_product_backward_weights_primitive_desc_create(
            out, p->engine, *d->source, *d->weights, optional(d->bias), *d->target, p->hint, p->attr);
    return dnnl_inner_product_forward_primitive_desc_create(out, p->engine, p->pass, *d->source, *d->weights,
                                                            optional(d->bias), *d->target, p->attr);
}

dnnl_status_t an_onednn_pool_make(dnnl_primitive_desc_t *out, const an_onednn_pass *p, const an_onednn_pool *pool)
{
    if (p->pass == dnnl_backward_data)
        return dnnl_pooling_backward_primitive_desc_create(out, p->engine, pool->algorithm, *pool->source,
                                                           *pool->target, pool->strides, pool->window, no_dilation,
                                                           pool->before, pool->after, p->hint, p->attr);
    return dnnl_pooling_forward_primitive_desc_create(out, p->engine, p->pass, pool->algorithm, *pool->source,
                                                      *pool->target, pool->strides, pool->window, no_dilation,
                                                      pool->before, pool->after, p->attr);
}

dnnl_status_t an_onednn_lrn_make(dnnl_primitive_desc_t *out, const an_onednn_pass *p, const an_onednn_lrn *l)
{
    an_desc order = *l->order;
    if (p->pass == dnnl_backward_data)
        return dnnl_lrn_backward_primitive_desc_create(out, p->engine, dnnl_lrn_across_channels, order, order, order,
                                                       l->size, l->alpha, l->beta, l->k, p->hint, p->attr);
    return dnnl_lrn_forward_primitive_desc_create(out, p->engine, p->pass, dnnl_lrn_across_channels, order, order,
                                                  l->size, l->alpha, l->beta, l->k, p->attr);
}

dnnl_status_t an_onednn_eltwise_make(dnnl_primitive_desc_t *out, const an_onednn_pass *p, dnnl_alg_kind_t algorithm,
                                     const an_desc *order)
{
    if (p->pass == dnnl_backward_data)
        return dnnl_eltwise_backward_primitive_desc_create(out, p->engine, algorithm, *order, *order, *order, 0, 0,
                                                           p->hint, p->attr);
    return dnnl_eltwise_forward_primitive_desc_create(out, p->engine, p->pass, algorithm, *order, *order, 0, 0,
                                                      p->attr);
}

dnnl_status_t an_onednn_concat_make(dnnl_primitive_desc_t *out, dnnl_engine_t engine, int count, const an_desc *sources)
{
    return dnnl_concat_primitive_desc_create(out, engine, NULL, count, 1, sources, NULL);
}

dnnl_status_t an_onednn_reorder_make(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const an_desc *from,
                                     const an_desc *to, const_dnnl_primitive_attr_t attr)
{
    return dnnl_reorder_primitive_desc_create(out, *from, engine, *to, engine, attr);
}
