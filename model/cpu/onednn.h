/* oneDNN, versions 2.6 to 3.x, behind one interface: how tensors lie in memory, and descriptions of primitives.
 *
 * Version 2 describes a tensor by a struct and makes a primitive's description from an operation's; version 3 has
 * opaque objects and one function for each kind of primitive. Here an an_desc is a value in both: it can be copied and
 * dropped at will. In version 3 it points to one of a set of descriptions which is kept until the process ends, as
 * equal ones are shared there are as many as there are different tensors.
 *
 * Functions that make something return oneDNN's status; what they made is the caller's to destroy. Any thread may call
 * them. */
#ifndef AN_MODEL_CPU_ONEDNN_H
#define AN_MODEL_CPU_ONEDNN_H

#include <oneapi/dnnl/dnnl.h>
#include <stdbool.h>
#include <stddef.h>

#include "model/graph/graph.h"
#include "model/hash.h"

#if DNNL_VERSION_MAJOR >= 3
#define AN_ONEDNN_3 1
typedef const_dnnl_memory_desc_t an_desc;
#else
#define AN_ONEDNN_3 0
typedef dnnl_memory_desc_t an_desc;
#endif

/* The type, dimensions and order of a tensor: dnnl_format_tag_any leaves the order to the primitive. If oneDNN refuses,
 * the result is empty, and oneDNN refuses whatever is made with it. */
an_desc an_desc_make(int ndims, const dnnl_dim_t *dims, dnnl_data_type_t type, dnnl_format_tag_t tag);
/* A part of a tensor: dims elements from offsets on, in the whole's memory. */
dnnl_status_t an_desc_window(an_desc *out, const an_desc *whole, const dnnl_dim_t *dims, const dnnl_dim_t *offsets);
bool an_desc_equal(const an_desc *a, const an_desc *b);
size_t an_desc_size(const an_desc *desc); /* bytes; 0 if it is empty */
int an_desc_ndims(const an_desc *desc);
const dnnl_dim_t *an_desc_dims(const an_desc *desc); /* valid as long as desc */
dnnl_data_type_t an_desc_type(const an_desc *desc);
/* The same for equal descriptions on all machines. Orders that are neither plain nor in blocks are told apart by their
 * size only. */
uint64_t an_desc_hash(const an_desc *desc);
/* Appends the first count numbers to a hash. */
uint64_t an_desc_hash_dims(uint64_t hash, const dnnl_dim_t *dims, int count);

dnnl_status_t an_onednn_memory(dnnl_memory_t *out, const an_desc *desc, dnnl_engine_t engine, void *data);

/* A tensor of a primitive that has been described, for example dnnl_query_src_md; empty if it has none. */
an_desc an_onednn_query(const_dnnl_primitive_desc_t primitive, dnnl_query_t what);

/* What is common to the descriptions below. */
typedef struct {
    dnnl_engine_t engine;
    dnnl_prop_kind_t pass; /* dnnl_forward_training, dnnl_forward_inference, dnnl_backward_data or, where there are
                              weights, dnnl_backward_weights */
    const_dnnl_primitive_attr_t attr; /* may be NULL */
    const_dnnl_primitive_desc_t hint; /* of a backward pass: the forward description, else NULL */
} an_onednn_pass;

/* In every pass source, weights, bias and target describe the tensors of the forward pass or their gradients. */
typedef struct {
    dnnl_alg_kind_t algorithm;
    const an_desc *source, *weights, *bias, *target; /* bias: may be NULL */
    const dnnl_dim_t *strides, *before, *after;      /* padding before and after, each down and across */
} an_onednn_conv;
dnnl_status_t an_onednn_conv_make(dnnl_primitive_desc_t *out, const an_onednn_pass *pass, const an_onednn_conv *conv);

typedef struct {
    const an_desc *source, *weights, *bias, *target; /* bias: may be NULL */
} an_onednn_dense;
dnnl_status_t an_onednn_dense_make(dnnl_primitive_desc_t *out, const an_onednn_pass *pass,
                                   const an_onednn_dense *dense);

typedef struct {
    dnnl_alg_kind_t algorithm;
    const an_desc *source, *target;
    const dnnl_dim_t *strides, *window, *before, *after;
} an_onednn_pool;
dnnl_status_t an_onednn_pool_make(dnnl_primitive_desc_t *out, const an_onednn_pass *pass, const an_onednn_pool *pool);

/* Across channels; source, target and their gradients lie alike. */
typedef struct {
    const an_desc *order;
    int size;
    float alpha, beta, k;
} an_onednn_lrn;
dnnl_status_t an_onednn_lrn_make(dnnl_primitive_desc_t *out, const an_onednn_pass *pass, const an_onednn_lrn *lrn);

/* Of each element. */
dnnl_status_t an_onednn_eltwise_make(dnnl_primitive_desc_t *out, const an_onednn_pass *pass, dnnl_alg_kind_t algorithm,
                                     const an_desc *order);

/* Of count tensors along dimension 1; the target's order is chosen. */
dnnl_status_t an_onednn_concat_make(dnnl_primitive_desc_t *out, dnnl_engine_t engine, int count,
                                    const an_desc *sources);

dnnl_status_t an_onednn_reorder_make(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const an_desc *from,
                                     const an_desc *to, const_dnnl_primitive_attr_t attr);

/* Appends an activation, or an addition to what the target holds, behind a primitive. */
dnnl_status_t an_onednn_append_activation(dnnl_primitive_attr_t attr, an_activation activation);
dnnl_status_t an_onednn_append_sum(dnnl_primitive_attr_t attr);

/* The algorithm of an activation; by_output: of its derivative computed from the activation's output. */
dnnl_alg_kind_t an_onednn_activation(an_activation activation, bool by_output);

#endif
