#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "bench_step.h"
#include "model/cpu/onednn.h"

#define WAYS_MAX 512
#define ROUNDS_MAX 64
#define ARGUMENTS AN_BENCH_ARGUMENTS

/* One way of doing one operation. */
typedef struct {
    char operation[32]; /* ways of the same operation stand together */
    char way[64];
    int times;                  /* 2: halves, one after the other */
    dnnl_primitive_t primitive; /* NULL: own kernels */
    an_bench_own own;
    dnnl_exec_arg_t arguments[ARGUMENTS];
    int argument_count;
    double seconds[ROUNDS_MAX], cpu[ROUNDS_MAX];
} way;

struct an_bench_primitives {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    int batch, rounds;
    dnnl_data_type_t type;
    way ways[WAYS_MAX];
    int count;
    void *buffers[ARGUMENTS]; /* shared: one argument of the running primitive each */
    size_t sizes[ARGUMENTS];
};

static int argument_add(an_bench_primitives *p, way *w, int argument, const an_desc *desc)
{
    dnnl_memory_t memory;
    size_t size = an_desc_size(desc);
    int slot = w->argument_count;
    if (an_onednn_memory(&memory, desc, p->engine, DNNL_MEMORY_NONE) != dnnl_success)
        return an_error(AN_EINTERNAL, "%s: oneDNN refuses memory", w->operation);
    w->arguments[w->argument_count++] = (dnnl_exec_arg_t){argument, memory};
    p->sizes[slot] = size > p->sizes[slot] ? size : p->sizes[slot];
    return AN_OK;
}

typedef struct {
    int argument;
    dnnl_query_t query;
} argument_query;

/* Describes a pass of an operation, whatever its kind. */
typedef struct {
    dnnl_status_t (*make)(dnnl_primitive_desc_t *out, const an_onednn_pass *pass, const void *operation);
    const void *operation;
} description;

static dnnl_status_t conv_make(dnnl_primitive_desc_t *out, const an_onednn_pass *pass, const void *operation)
{
    return an_onednn_conv_make(out, pass, operation);
}

static dnnl_status_t dense_make(dnnl_primitive_desc_t *out, const an_onednn_pass *pass, const void *operation)
{
    return an_onednn_dense_make(out, pass, operation);
}

static dnnl_status_t pool_make(dnnl_primitive_desc_t *out, const an_onednn_pass *pass, const void *operation)
{
    return an_onednn_pool_make(out, pass, operation);
}

static dnnl_status_t lrn_make(dnnl_primitive_desc_t *out, const an_onednn_pass *pass, const void *operation)
{
    return an_onednn_lrn_make(out, pass, operation);
}

static dnnl_status_t relu_make(dnnl_primitive_desc_t *out, const an_onednn_pass *pass, const void *operation)
{
    return an_onednn_eltwise_make(out, pass, dnnl_eltwise_relu, operation);
}

static dnnl_status_t pass_make(dnnl_primitive_desc_t *out, const an_bench_primitives *p, const description *d,
                               dnnl_prop_kind_t pass, const_dnnl_primitive_desc_t hint)
{
    return d->make(out, &(an_onednn_pass){.engine = p->engine, .pass = pass, .hint = hint}, d->operation);
}

/* Adds a way if oneDNN has it; otherwise there is one less. */
static int way_add(an_bench_primitives *p, const char *operation, const char *label, int times, const description *d,
                   dnnl_prop_kind_t pass, const_dnnl_primitive_desc_t hint, const argument_query *queries)
{
    dnnl_primitive_desc_t desc;
    const char *implementation = "";
    if (p->count == WAYS_MAX)
        return an_error(AN_EINTERNAL, "more than %d ways", WAYS_MAX);
    if (pass_make(&desc, p, d, pass, hint) != dnnl_success)
        return AN_OK;
    way *w = &p->ways[p->count++];
    w->times = times;
    dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &implementation);
    snprintf(w->operation, sizeof w->operation, "%s", operation);
    snprintf(w->way, sizeof w->way, "%s%s", label, implementation);
    int rc = dnnl_primitive_create(&w->primitive, desc) == dnnl_success ? AN_OK : AN_EINTERNAL;
    for (; !rc && queries->argument; queries++) {
        an_desc found = an_onednn_query(desc, queries->query);
        if (an_desc_ndims(&found))
            rc = argument_add(p, w, queries->argument, &found);
    }
    dnnl_primitive_desc_destroy(desc);
    return rc;
}

static const argument_query forward_queries[] = {{DNNL_ARG_SRC, dnnl_query_src_md},
                                                 {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
                                                 {DNNL_ARG_DST, dnnl_query_dst_md},
                                                 {DNNL_ARG_WORKSPACE, dnnl_query_workspace_md},
                                                 {0, 0}};
static const argument_query data_queries[] = {{DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md},
                                              {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
                                              {DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md},
                                              {0, 0}};
static const argument_query weights_queries[] = {{DNNL_ARG_SRC, dnnl_query_src_md},
                                                 {DNNL_ARG_DIFF_WEIGHTS, dnnl_query_diff_weights_md},
                                                 {DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md},
                                                 {0, 0}};
static const argument_query local_queries[] = {{DNNL_ARG_SRC, dnnl_query_src_md},
                                               {DNNL_ARG_DST, dnnl_query_dst_md},
                                               {DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md},
                                               {DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md},
                                               {DNNL_ARG_WORKSPACE, dnnl_query_workspace_md},
                                               {0, 0}};

static an_desc planes(const an_bench_primitives *p, const an_node *node, int parts, dnnl_format_tag_t tag)
{
    return an_desc_make(4, (const dnnl_dim_t[]){p->batch, node->channels / parts, node->height, node->width}, p->type,
                        tag);
}

/* Forward, backward data (not for what sees the image), backward weights. */
static int directions_add(an_bench_primitives *p, const char *name, const char *label, int times, bool image,
                          const description descriptions[3])
{
    static const argument_query *const queries[] = {forward_queries, data_queries, weights_queries};
    static const char *const suffixes[] = {"forward", "backward data", "backward weights"};
    static const dnnl_prop_kind_t passes[] = {dnnl_forward_training, dnnl_backward_data, dnnl_backward_weights};
    dnnl_primitive_desc_t hint;
    int rc = AN_OK;
    if (pass_make(&hint, p, &descriptions[0], dnnl_forward_training, NULL) != dnnl_success)
        return AN_OK;
    for (int i = 0; i < 3 && !rc; i++) {
        char operation[32];
        snprintf(operation, sizeof operation, "%.8s %s", name, suffixes[i]);
        if (i != 1 || !image)
            rc = way_add(p, operation, label, times, &descriptions[i], passes[i], i ? hint : NULL, queries[i]);
    }
    dnnl_primitive_desc_destroy(hint);
    return rc;
}

static int conv_way(an_bench_primitives *p, const an_node *from, const an_node *node, int parts, bool winograd,
                    dnnl_format_tag_t tag)
{
    int groups = node->groups / parts, in = from->channels / parts, out = node->channels / parts;
    const dnnl_dim_t plain[] = {out, in, node->kernel, node->kernel};
    const dnnl_dim_t grouped[] = {groups, out / groups, in / groups, node->kernel, node->kernel};
    dnnl_dims_t strides = {node->stride, node->stride}, before = {node->pad_before, node->pad_before};
    dnnl_dims_t after = {node->pad_after, node->pad_after};
    int rank = groups > 1 ? 5 : 4;
    const dnnl_dim_t *shape = groups > 1 ? grouped : plain;
    an_desc source = planes(p, from, parts, tag), target = planes(p, node, parts, tag);
    an_desc weights = an_desc_make(rank, shape, p->type, dnnl_format_tag_any);
    an_desc slopes = an_desc_make(rank, shape, dnnl_f32, dnnl_format_tag_any);
    an_onednn_conv conv = {.algorithm = winograd ? dnnl_convolution_winograd : dnnl_convolution_direct,
                           .source = &source,
                           .weights = &weights,
                           .target = &target,
                           .strides = strides,
                           .before = before,
                           .after = after};
    an_onednn_conv gradient = conv;
    gradient.weights = &slopes;
    char label[32];
    snprintf(label, sizeof label, "%s%s", parts == 2 ? "halves " : "", tag == dnnl_nhwc ? "channels last " : "");
    return directions_add(p, node->name, label, parts, from->kind == AN_OP_INPUT,
                          (const description[]){{conv_make, &conv}, {conv_make, &conv}, {conv_make, &gradient}});
}

/* The CPU backend's own kernels. */
static int own_ways(an_bench_primitives *p, const an_node *from, const an_node *node)
{
    static const char *const names[] = {"forward", "backward data", "backward weights"};
    for (int i = AN_BENCH_FORWARD; i <= AN_BENCH_WEIGHTS; i++) {
        an_bench_own own;
        if (!an_bench_own_make(&own, from, node, p->batch, p->type == dnnl_bf16, (an_bench_pass)i, p->sizes))
            continue;
        if (p->count == WAYS_MAX)
            return an_error(AN_EINTERNAL, "more than %d ways", WAYS_MAX);
        way *w = &p->ways[p->count++];
        w->times = 1;
        w->own = own;
        snprintf(w->operation, sizeof w->operation, "%.8s %s", node->name,
                 i == AN_BENCH_DATA && node->kind == AN_OP_LRN ? "backward" : names[i]);
        snprintf(w->way, sizeof w->way, "own");
    }
    return AN_OK;
}

static int conv_ways(an_bench_primitives *p, const an_node *from, const an_node *node)
{
    for (int parts = 1; parts <= node->groups; parts++)
        for (int kind = 0; kind < 3; kind++) {
            int rc = conv_way(p, from, node, parts, kind == 2, kind == 1 ? dnnl_nhwc : dnnl_format_tag_any);
            if (rc)
                return rc;
        }
    return own_ways(p, from, node);
}

static int dense_ways(an_bench_primitives *p, const an_node *from, const an_node *node)
{
    dnnl_dim_t inputs = from->channels * from->height * from->width, outputs = node->channels;
    an_desc source = an_desc_make(2, (const dnnl_dim_t[]){p->batch, inputs}, p->type, dnnl_nc);
    an_desc target = an_desc_make(2, (const dnnl_dim_t[]){p->batch, outputs}, p->type, dnnl_nc);
    an_desc weights = an_desc_make(2, (const dnnl_dim_t[]){outputs, inputs}, p->type, dnnl_format_tag_any);
    an_desc slopes = an_desc_make(2, (const dnnl_dim_t[]){outputs, inputs}, dnnl_f32, dnnl_format_tag_any);
    const an_onednn_dense dense = {&source, &weights, NULL, &target}, gradient = {&source, &slopes, NULL, &target};
    return directions_add(p, node->name, "", 1, false,
                          (const description[]){{dense_make, &dense}, {dense_make, &dense}, {dense_make, &gradient}});
}

/* Operations without weights: forward and backward on the same order. */
static int pair_add(an_bench_primitives *p, const char *name, const char *label, const description *d)
{
    dnnl_primitive_desc_t hint;
    char operation[32];
    if (pass_make(&hint, p, d, dnnl_forward_training, NULL) != dnnl_success)
        return AN_OK;
    snprintf(operation, sizeof operation, "%.8s forward", name);
    int rc = way_add(p, operation, label, 1, d, dnnl_forward_training, NULL, forward_queries);
    snprintf(operation, sizeof operation, "%.8s backward", name);
    if (!rc)
        rc = way_add(p, operation, label, 1, d, dnnl_backward_data, hint, local_queries);
    dnnl_primitive_desc_destroy(hint);
    return rc;
}

static int pool_ways(an_bench_primitives *p, const an_node *from, const an_node *node, dnnl_format_tag_t tag)
{
    dnnl_dims_t strides = {node->stride, node->stride}, window = {node->kernel, node->kernel};
    dnnl_dims_t before = {node->pad_before, node->pad_before}, after = {node->pad_after, node->pad_after};
    an_desc source = planes(p, from, 1, tag), target = planes(p, node, 1, tag);
    const an_onednn_pool pool = {.algorithm = dnnl_pooling_max,
                                 .source = &source,
                                 .target = &target,
                                 .strides = strides,
                                 .window = window,
                                 .before = before,
                                 .after = after};
    return pair_add(p, node->name, tag == dnnl_nhwc ? "channels last " : "", &(description){pool_make, &pool});
}

static int pool_both_orders(an_bench_primitives *p, const an_node *from, const an_node *node)
{
    int rc = pool_ways(p, from, node, dnnl_nChw16c);
    if (rc)
        return rc;
    return pool_ways(p, from, node, dnnl_nhwc);
}

static int lrn_ways(an_bench_primitives *p, const an_node *from, const an_node *node)
{
    const dnnl_dim_t dims[] = {p->batch * node->groups, node->channels / node->groups, node->height, node->width};
    an_desc order = an_desc_make(4, dims, p->type, dnnl_nChw16c);
    const an_onednn_lrn lrn = {.order = &order,
                               .size = node->lrn_size,
                               .alpha = (float)node->lrn_alpha,
                               .beta = (float)node->lrn_beta,
                               .k = (float)node->lrn_k};
    int rc = pair_add(p, node->name, "", &(description){lrn_make, &lrn});
    if (rc)
        return rc;
    return own_ways(p, from, node);
}

/* ReLU backward; forward it is part of the layer before it. */
static int relu_way(an_bench_primitives *p, const an_node *node)
{
    an_desc order = planes(p, node, 1, node->kind == AN_OP_CONV ? dnnl_nChw16c : dnnl_nchw);
    const description relu = {relu_make, &order};
    dnnl_primitive_desc_t hint;
    char operation[32];
    if (pass_make(&hint, p, &relu, dnnl_forward_training, NULL) != dnnl_success)
        return an_error(AN_EINTERNAL, "%s: oneDNN refuses ReLU", node->name);
    snprintf(operation, sizeof operation, "%.8s relu backward", node->name);
    int rc = way_add(p, operation, "", 1, &relu, dnnl_backward_data, hint, local_queries);
    dnnl_primitive_desc_destroy(hint);
    return rc;
}

/* Ways of the same operation side by side. */
static int by_operation(const void *a, const void *b)
{
    return strcmp(((const way *)a)->operation, ((const way *)b)->operation);
}

static int node_ways(an_bench_primitives *p, const an_graph *graph, const an_node *node)
{
    const an_node *from = &graph->nodes[node->inputs[0]];
    int rc = AN_OK;
    if (node->kind == AN_OP_CONV)
        rc = conv_ways(p, from, node);
    else if (node->kind == AN_OP_DENSE)
        rc = dense_ways(p, from, node);
    else if (node->kind == AN_OP_LRN)
        rc = lrn_ways(p, from, node);
    else if (node->kind == AN_OP_POOL)
        rc = pool_both_orders(p, from, node);
    if (!rc && node->activation == AN_ACTIVATION_RELU)
        rc = relu_way(p, node);
    return rc;
}

/* Shared buffers hold small numbers that are ordinary in f32 and in bf16. */
static int buffers_make(an_bench_primitives *p)
{
    for (int i = 0; i < ARGUMENTS; i++) {
        int rc = an_pages_alloc(&p->buffers[i], p->sizes[i]);
        if (rc)
            return rc;
        uint16_t *words = p->buffers[i];
        for (size_t k = 0; k < p->sizes[i] / sizeof *words; k++)
            words[k] = (uint16_t)(0x3c00 + k % 61);
    }
    for (int i = 0; i < p->count; i++)
        for (int k = 0; k < p->ways[i].argument_count; k++)
            if (dnnl_memory_set_data_handle(p->ways[i].arguments[k].memory, p->buffers[k]) != dnnl_success)
                return an_error(AN_EINTERNAL, "oneDNN refuses a buffer");
    return AN_OK;
}

int an_bench_primitives_create(an_bench_primitives **out, const an_graph *fused, int batch, bool bf16)
{
    an_bench_primitives *p = calloc(1, sizeof *p);
    int rc = AN_OK;
    if (!p)
        return an_error(AN_ENOMEM, "out of memory");
    p->batch = batch;
    p->type = bf16 ? dnnl_bf16 : dnnl_f32;
    if (dnnl_engine_create(&p->engine, dnnl_cpu, 0) || dnnl_stream_create(&p->stream, p->engine, 0))
        rc = an_error(AN_EINTERNAL, "oneDNN has no engine");
    for (int i = 0; i < fused->count && !rc; i++)
        rc = node_ways(p, fused, &fused->nodes[i]);
    qsort(p->ways, (size_t)p->count, sizeof *p->ways, by_operation);
    if (!rc)
        rc = buffers_make(p);
    if (rc) {
        an_bench_primitives_free(p);
        return rc;
    }
    *out = p;
    return AN_OK;
}

void an_bench_primitives_free(an_bench_primitives *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->count; i++) {
        for (int k = 0; k < p->ways[i].argument_count; k++)
            dnnl_memory_destroy(p->ways[i].arguments[k].memory);
        if (p->ways[i].primitive)
            dnnl_primitive_destroy(p->ways[i].primitive);
    }
    for (int i = 0; i < ARGUMENTS; i++)
        an_pages_free(p->buffers[i], p->sizes[i]);
    dnnl_stream_destroy(p->stream);
    dnnl_engine_destroy(p->engine);
    free(p);
}

int an_bench_primitives_round(an_bench_primitives *p)
{
    if (p->rounds == ROUNDS_MAX)
        return an_error(AN_EINVAL, "more than %d rounds", ROUNDS_MAX);
    for (int i = 0; i < p->count; i++) {
        way *w = &p->ways[i];
        uint64_t start = an_clock_ns();
        double cpu = an_bench_cpu_seconds();
        if (!w->primitive)
            an_bench_own_run(&w->own, p->buffers);
        for (int k = 0; k < w->times && w->primitive; k++)
            if (dnnl_primitive_execute(w->primitive, p->stream, w->argument_count, w->arguments) != dnnl_success)
                return an_error(AN_EINTERNAL, "%s: %s failed", w->operation, w->way);
        w->seconds[p->rounds] = an_clock_seconds_since(start);
        w->cpu[p->rounds] = an_bench_cpu_seconds() - cpu;
    }
    p->rounds++;
    return AN_OK;
}

void an_bench_primitives_restart(an_bench_primitives *p)
{
    p->rounds = 0;
}

int an_bench_primitives_sum(an_bench_primitives *p, double *seconds, double *cpu_seconds, an_buffer *out)
{
    *seconds = *cpu_seconds = 0;
    for (int first = 0, next; first < p->count; first = next) {
        int best = first, rc;
        double fastest = 0;
        for (next = first; next < p->count && !strcmp(p->ways[next].operation, p->ways[first].operation); next++) {
            double median = an_bench_median(p->ways[next].seconds, p->rounds);
            if (next == first || median < fastest) {
                best = next;
                fastest = median;
            }
        }
        double cpu = an_bench_median(p->ways[best].cpu, p->rounds);
        *seconds += fastest;
        *cpu_seconds += cpu;
        rc = an_buffer_printf(out, "%-24s %9.2f ms (%.2f ms of processor time)  %s\n", p->ways[best].operation,
                              fastest * 1e3, cpu * 1e3, p->ways[best].way);
        if (rc)
            return rc;
    }
    return AN_OK;
}
