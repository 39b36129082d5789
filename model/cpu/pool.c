/* Pooling, computed in the order in which the input is stored. */
#include "base/error.h"
#include "model/cpu/cpu_private.h"

typedef struct {
    an_op op;
    an_cpu_view view;
    bool input_gradient;
    an_primitive forward, backward;
} pool_op;

static int pair_desc(pool_op *pool, const an_desc *source, dnnl_primitive_desc_t *forward,
                     dnnl_primitive_desc_t *backward)
{
    const an_node *node = &pool->op.node;
    const dnnl_dim_t *d = an_desc_dims(source);
    dnnl_dims_t strides = {node->stride, node->stride}, window = {node->kernel, node->kernel};
    dnnl_dims_t before = {node->pad_before, node->pad_before}, after = {node->pad_after, node->pad_after};
    an_desc target =
        an_cpu_tensor_desc(an_desc_type(source), (int)d[0], (int)d[1], node->height, node->width, dnnl_format_tag_any);
    const an_onednn_pool what = {.algorithm = node->average ? dnnl_pooling_avg_exclude_padding : dnnl_pooling_max,
                                 .source = source,
                                 .target = &target,
                                 .strides = strides,
                                 .window = window,
                                 .before = before,
                                 .after = after};
    an_primitive_pass pass = {.pass = pool->op.cpu->training ? dnnl_forward_training : dnnl_forward_inference,
                              .subject = node->name};
    *backward = NULL;
    int rc = an_primitive_pool(forward, pool->op.cpu, &pass, &what);
    if (rc || !pool->op.cpu->training)
        return rc;
    target = an_onednn_query(*forward, dnnl_query_dst_md);
    pass.pass = dnnl_backward_data;
    pass.hint = *forward;
    rc = an_primitive_pool(backward, pool->op.cpu, &pass, &what);
    if (rc)
        dnnl_primitive_desc_destroy(*forward);
    return rc;
}

static int kernels_make(pool_op *pool, dnnl_primitive_desc_t forward, dnnl_primitive_desc_t backward)
{
    an_backend *cpu = pool->op.cpu;
    an_cpu_tensor *source = pool->view.tensor, *target = &pool->op.output;
    an_desc kept = an_onednn_query(forward, dnnl_query_workspace_md);
    dnnl_memory_t workspace = NULL;
    int rc = an_primitive_make(&pool->forward, cpu, forward, pool->op.node.name);
    if (!rc)
        rc = backward ? an_primitive_make(&pool->backward, cpu, backward, pool->op.node.name) : AN_OK;
    else
        dnnl_primitive_desc_destroy(backward);
    if (rc)
        return rc;
    rc = an_cpu_workspace(cpu, &kept, &workspace);
    if (rc)
        return rc;
    an_primitive_arg(&pool->forward, DNNL_ARG_SRC, source->value);
    an_primitive_arg(&pool->forward, DNNL_ARG_DST, target->value);
    an_primitive_arg(&pool->backward, DNNL_ARG_DIFF_DST, target->gradient);
    an_primitive_arg(&pool->backward, DNNL_ARG_DIFF_SRC, source->gradient);
    if (workspace) {
        an_primitive_arg(&pool->forward, DNNL_ARG_WORKSPACE, workspace);
        an_primitive_arg(&pool->backward, DNNL_ARG_WORKSPACE, workspace);
    }
    return AN_OK;
}

static int pool_forward(an_op *op, const an_run *run)
{
    (void)run;
    pool_op *pool = (pool_op *)op;
    int rc = an_cpu_view_forward(&pool->view, op->cpu);
    if (rc)
        return rc;
    return an_primitive_run(&pool->forward, op->cpu);
}

static int pool_backward(an_op *op, const an_run *run)
{
    (void)run;
    pool_op *pool = (pool_op *)op;
    if (!pool->input_gradient)
        return AN_OK;
    int rc = an_primitive_run(&pool->backward, op->cpu);
    if (rc)
        return rc;
    return an_cpu_view_backward(&pool->view, op->cpu);
}

static int pool_describe(const an_op *op, an_buffer *out)
{
    const pool_op *pool = (const pool_op *)op;
    return an_buffer_printf(out, "%s, backward %s", pool->forward.implementation, pool->backward.implementation);
}

int an_cpu_pool_create(an_op **out, an_backend *cpu, const an_op_spec *spec)
{
    static const an_op_methods methods = {pool_forward, pool_backward, pool_describe};
    pool_op *pool;
    dnnl_primitive_desc_t forward, backward;
    int rc = an_cpu_op_new(&pool, cpu, spec, &methods, sizeof *pool);
    if (rc)
        return rc;
    an_cpu_tensor *source = an_cpu_input(spec, 0);
    int shape[] = {source->n, source->c, pool->op.node.height, pool->op.node.width};
    pool->input_gradient = spec->input_gradient;
    rc = an_cpu_view_make(&pool->view, cpu, source,
                          &(an_cpu_view_spec){&source->desc, spec->input_gradient, spec->accumulate});
    if (rc)
        return rc;
    rc = pair_desc(pool, &source->desc, &forward, &backward);
    if (rc)
        return rc;
    an_desc target = an_onednn_query(forward, dnnl_query_dst_md);
    rc = an_cpu_tensor_make(&pool->op.output, cpu, shape, &target);
    if (rc) {
        dnnl_primitive_desc_destroy(forward);
        dnnl_primitive_desc_destroy(backward);
        return rc;
    }
    *out = &pool->op;
    return kernels_make(pool, forward, backward);
}
