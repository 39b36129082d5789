#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <oneapi/dnnl/dnnl.h>

#include "base/clock.h"
#include "base/error.h"
#include "bench_step.h"

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

static int argument_add(an_bench_primitives *p, way *w, int argument, const dnnl_memory_desc_t *desc)
{
    dnnl_memory_t memory;
    size_t size = dnnl_memory_desc_get_size(desc);
    int slot = w->argument_count;
    if (dnnl_memory_create(&memory, desc, p->engine, DNNL_MEMORY_NONE) != dnnl_success)
        return an_error(AN_EINTERNAL, "%s: oneDNN refuses memory", w->operation);
    w->arguments[w->argument_count++] = (dnnl_exec_arg_t){argument, memory};
    p->sizes[slot] = size > p->sizes[slot] ? size : p->sizes[slot];
    return AN_OK;
}

typedef struct {
    int argument;
    dnnl_query_t query;
} argument_query;

/* Adds a way if oneDNN has it; otherwise there is one less. */
static int way_add(an_bench_primitives *p, const char *operation, const char *label, int times, const void *description,
                   const_dnnl_primitive_desc_t hint, const argument_query *queries)
{
    dnnl_primitive_desc_t desc;
    const char *implementation = "";
    if (p->count == WAYS_MAX)
        return an_error(AN_EINTERNAL, "more than %d ways", WAYS_MAX);
    if (dnnl_primitive_desc_create(&desc, description, NULL, p->engine, hint) != dnnl_success)
        return AN_OK;
    way *w = &p->ways[p->count++];
    w->times = times;
    dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &implementation);
    snprintf(w->operation, sizeof w->operation, "%s", operation);
    snprintf(w->way, sizeof w->way, "%s%s", label, implementation);
    int rc = dnnl_primitive_create(&w->primitive, desc) == dnnl_success ? AN_OK : AN_EINTERNAL;
    for (; !rc && queries->argument; queries++) {
        const dnnl_memory_desc_t *found = dnnl_primitive_desc_query_md(desc, queries->query, 0);
        if (found && found->ndims)
            rc = argument_add(p, w, queries->argument, found);
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

static dnnl_memory_desc_t planes(const an_bench_primitives *p, const an_node *node, int parts, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t desc = {0};
    dnnl_dims_t dims = {p->batch, node->channels / parts, node->height, node->width};
    dnnl_memory_desc_init_by_tag(&desc, 4, dims, p->type, tag);
    return desc;
}

/* Forward, backward data (not for what sees the image), backward weights. */
static int directions_add(an_bench_primitives *p, const char *name, const char *label, int times, bool image,
                          const void *const descriptions[3])
{
    static const argument_query *const queries[] = {forward_queries, data_queries, weights_queries};
    static const char *const suffixes[] = {"forward", "backward data", "backward weights"};
    dnnl_primitive_desc_t hint;
    int rc = AN_OK;
    if (dnnl_primitive_desc_create(&hint, descriptions[0], NULL, p->engine, NULL) != dnnl_success)
        return AN_OK;
    for (int i = 0; i < 3 && !rc; i++) {
        char operation[32];
        snprintf(operation, sizeof operation, "%.8s %s", name, suffixes[i]);
        if (i != 1 || !image)
            rc = way_add(p, operation, label, times, descriptions[i], i ? hint : NULL, queries[i]);
    }
    dnnl_primitive_desc_destroy(hint);
    return rc;
}

static int conv_way(an_bench_primitives *p, const an_node *from, const an_node *node, int parts, bool winograd,
                    dnnl_format_tag_t tag)
{
    int groups = node->groups / parts, in = from->channels / parts, out = node->channels / parts;
    dnnl_dims_t plain = {out, in, node->kernel, node->kernel};
    dnnl_dims_t grouped = {groups, out / groups, in / groups, node->kernel, node->kernel};
    dnnl_dims_t strides = {node->stride, node->stride}, before = {node->pad_before, node->pad_before};
    dnnl_dims_t after = {node->pad_after, node->pad_after};
    dnnl_alg_kind_t algorithm = winograd ? dnnl_convolution_winograd : dnnl_convolution_direct;
    dnnl_memory_desc_t source = planes(p, from, parts, tag), target = planes(p, node, parts, tag), weights, slopes;
    dnnl_convolution_desc_t forward, data, gradient;
    char label[32];
    dnnl_memory_desc_init_by_tag(&weights, groups > 1 ? 5 : 4, groups > 1 ? grouped : plain, p->type,
                                 dnnl_format_tag_any);
    slopes = weights;
    slopes.data_type = dnnl_f32;
    snprintf(label, sizeof label, "%s%s", parts == 2 ? "halves " : "", tag == dnnl_nhwc ? "channels last " : "");
    dnnl_status_t status = dnnl_convolution_forward_desc_init(&forward, dnnl_forward_training, algorithm, &source,
                                                              &weights, NULL, &target, strides, before, after);
    if (!status)
        status = dnnl_convolution_backward_data_desc_init(&data, algorithm, &source, &weights, &target, strides, before,
                                                          after);
    if (!status)
        status = dnnl_convolution_backward_weights_desc_init(&gradient, algorithm, &source, &slopes, NULL, &target,
                                                             strides, before, after);
    if (status)
        return an_error(AN_EINTERNAL, "%s: oneDNN refuses a convolution", node->name);
    return directions_add(p, node->name, label, parts, from->kind == AN_OP_INPUT,
                          (const void *const[]){&forward, &data, &gradient});
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
    dnnl_dims_t in = {p->batch, from->channels * from->height * from->width}, out = {p->batch, node->channels};
    dnnl_dims_t matrix = {node->channels, in[1]};
    dnnl_memory_desc_t source, target, weights, slopes;
    dnnl_inner_product_desc_t forward, data, gradient;
    dnnl_memory_desc_init_by_tag(&source, 2, in, p->type, dnnl_nc);
    dnnl_memory_desc_init_by_tag(&target, 2, out, p->type, dnnl_nc);
    dnnl_memory_desc_init_by_tag(&weights, 2, matrix, p->type, dnnl_format_tag_any);
    slopes = weights;
    slopes.data_type = dnnl_f32;
    dnnl_status_t status =
        dnnl_inner_product_forward_desc_init(&forward, dnnl_forward_training, &source, &weights, NULL, &target);
    if (!status)
        status = dnnl_inner_product_backward_data_desc_init(&data, &source, &weights, &target);
    if (!status)
        status = dnnl_inner_product_backward_weights_desc_init(&gradient, &source, &slopes, NULL, &target);
    if (status)
        return an_error(AN_EINTERNAL, "%s: oneDNN refuses a fully connected layer", node->name);
    return directions_add(p, node->name, "", 1, false, (const void *const[]){&forward, &data, &gradient});
}

/* Operations without weights: forward and backward on the same order. */
static int pair_add(an_bench_primitives *p, const char *name, const char *label, const void *forward,
                    const void *backward)
{
    dnnl_primitive_desc_t hint;
    char operation[32];
    if (dnnl_primitive_desc_create(&hint, forward, NULL, p->engine, NULL) != dnnl_success)
        return AN_OK;
    snprintf(operation, sizeof operation, "%.8s forward", name);
    int rc = way_add(p, operation, label, 1, forward, NULL, forward_queries);
    snprintf(operation, sizeof operation, "%.8s backward", name);
    if (!rc)
        rc = way_add(p, operation, label, 1, backward, hint, local_queries);
    dnnl_primitive_desc_destroy(hint);
    return rc;
}

static int pool_ways(an_bench_primitives *p, const an_node *from, const an_node *node, dnnl_format_tag_t tag)
{
    dnnl_dims_t strides = {node->stride, node->stride}, window = {node->kernel, node->kernel};
    dnnl_dims_t before = {node->pad_before, node->pad_before}, after = {node->pad_after, node->pad_after};
    dnnl_memory_desc_t source = planes(p, from, 1, tag), target = planes(p, node, 1, tag);
    dnnl_pooling_desc_t forward, backward;
    if (dnnl_pooling_forward_desc_init(&forward, dnnl_forward_training, dnnl_pooling_max, &source, &target, strides,
                                       window, before, after) ||
        dnnl_pooling_backward_desc_init(&backward, dnnl_pooling_max, &source, &target, strides, window, before, after))
        return an_error(AN_EINTERNAL, "%s: oneDNN refuses pooling", node->name);
    return pair_add(p, node->name, tag == dnnl_nhwc ? "channels last " : "", &forward, &backward);
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
    dnnl_memory_desc_t order;
    dnnl_dims_t dims = {p->batch * node->groups, node->channels / node->groups, node->height, node->width};
    float alpha = (float)node->lrn_alpha, beta = (float)node->lrn_beta, k = (float)node->lrn_k;
    dnnl_lrn_desc_t forward, backward;
    dnnl_memory_desc_init_by_tag(&order, 4, dims, p->type, dnnl_nChw16c);
    if (dnnl_lrn_forward_desc_init(&forward, dnnl_forward_training, dnnl_lrn_across_channels, &order, node->lrn_size,
                                   alpha, beta, k) ||
        dnnl_lrn_backward_desc_init(&backward, dnnl_lrn_across_channels, &order, &order, node->lrn_size, alpha, beta,
                                    k))
        return an_error(AN_EINTERNAL, "%s: oneDNN refuses normalisation", node->name);
    int rc = pair_add(p, node->name, "", &forward, &backward);
    if (rc)
        return rc;
    return own_ways(p, from, node);
}

/* ReLU backward; forward it is part of the layer before it. */
static int relu_way(an_bench_primitives *p, const an_node *node)
{
    dnnl_memory_desc_t order = planes(p, node, 1, node->kind == AN_OP_CONV ? dnnl_nChw16c : dnnl_nchw);
    dnnl_eltwise_desc_t forward, backward;
    dnnl_primitive_desc_t hint;
    char operation[32];
    dnnl_status_t status =
        dnnl_eltwise_forward_desc_init(&forward, dnnl_forward_training, dnnl_eltwise_relu, &order, 0, 0);
    if (!status)
        status = dnnl_eltwise_backward_desc_init(&backward, dnnl_eltwise_relu, &order, &order, 0, 0);
    if (!status)
        status = dnnl_primitive_desc_create(&hint, &forward, NULL, p->engine, NULL);
    if (status)
        return an_error(AN_EINTERNAL, "%s: oneDNN refuses ReLU", node->name);
    snprintf(operation, sizeof operation, "%.8s relu backward", node->name);
    int rc = way_add(p, operation, "", 1, &backward, hint, local_queries);
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
