/* Local response normalisation across channels. With groups, windows stay within each group: n samples of c channels in
 * blocks are, without moving a byte, n * groups samples of c / groups channels. Own kernels do the paper's window and
 * exponent; others are oneDNN's. */
#include "model/cpu/kernels/lrn.h"
#include "base/error.h"
#include "model/cpu/cpu_private.h"

#define BLOCK 16 /* channels */

typedef struct {
    an_op op;
    an_cpu_view view;
    bool input_gradient;
    an_lrn_shape own;               /* for our own kernels; images is 0 if oneDNN's are used */
    an_primitive forward, backward; /* oneDNN's */
} lrn_op;

static int pair_desc(lrn_op *lrn, const an_desc *order, dnnl_primitive_desc_t *forward, dnnl_primitive_desc_t *backward)
{
    const an_node *node = &lrn->op.node;
    const an_onednn_lrn what = {.order = order,
                                .size = node->lrn_size,
                                .alpha = (float)node->lrn_alpha,
                                .beta = (float)node->lrn_beta,
                                .k = (float)node->lrn_k};
    an_primitive_pass pass = {.pass = lrn->op.cpu->training ? dnnl_forward_training : dnnl_forward_inference,
                              .subject = node->name};
    *backward = NULL;
    int rc = an_primitive_lrn(forward, lrn->op.cpu, &pass, &what);
    if (rc || !lrn->op.cpu->training)
        return rc;
    pass.pass = dnnl_backward_data;
    pass.hint = *forward;
    rc = an_primitive_lrn(backward, lrn->op.cpu, &pass, &what);
    if (rc)
        dnnl_primitive_desc_destroy(*forward);
    return rc;
}

static int kernels_make(lrn_op *lrn, const an_desc *order)
{
    an_backend *cpu = lrn->op.cpu;
    dnnl_memory_t source, source_gradient = NULL, target, target_gradient = NULL, workspace = NULL;
    dnnl_primitive_desc_t forward, backward;
    int rc = an_cpu_tensor_as(lrn->view.tensor, order, &source, &source_gradient);
    if (rc)
        return rc;
    rc = an_cpu_tensor_as(&lrn->op.output, order, &target, &target_gradient);
    if (rc)
        return rc;
    rc = pair_desc(lrn, order, &forward, &backward);
    if (rc)
        return rc;
    an_desc kept = an_onednn_query(forward, dnnl_query_workspace_md);
    rc = an_primitive_make(&lrn->forward, cpu, forward, lrn->op.node.name);
    if (!rc)
        rc = backward ? an_primitive_make(&lrn->backward, cpu, backward, lrn->op.node.name) : AN_OK;
    else
        dnnl_primitive_desc_destroy(backward);
    if (rc)
        return rc;
    rc = an_cpu_workspace(cpu, &kept, &workspace);
    if (rc)
        return rc;
    an_primitive_arg(&lrn->forward, DNNL_ARG_SRC, source);
    an_primitive_arg(&lrn->forward, DNNL_ARG_DST, target);
    an_primitive_arg(&lrn->backward, DNNL_ARG_SRC, source);
    an_primitive_arg(&lrn->backward, DNNL_ARG_DIFF_DST, target_gradient);
    an_primitive_arg(&lrn->backward, DNNL_ARG_DIFF_SRC, source_gradient);
    if (workspace) {
        an_primitive_arg(&lrn->forward, DNNL_ARG_WORKSPACE, workspace);
        an_primitive_arg(&lrn->backward, DNNL_ARG_WORKSPACE, workspace);
    }
    return AN_OK;
}

/* Chooses the order to compute in: that of the source if its groups can be seen as samples without copying, otherwise
 * plain order. grouped: the same memory with the groups as samples. */
static void orders_choose(const lrn_op *lrn, const an_cpu_tensor *source, an_desc *whole, an_desc *grouped)
{
    int groups = lrn->op.node.groups, n = source->n, c = source->c;
    *whole = *grouped = source->desc;
    if (groups == 1)
        return;
    int block = an_cpu_tensor_block(&source->desc);
    if (block && c / groups % block == 0 && an_cpu_tensor_reshape(&source->desc, n * groups, c / groups, grouped))
        return;
    *whole = an_cpu_tensor_desc(lrn->op.cpu->type, n, c, source->h, source->w, dnnl_nchw);
    *grouped = an_cpu_tensor_desc(lrn->op.cpu->type, n * groups, c / groups, source->h, source->w, dnnl_nchw);
}

/* The shape for our own kernels; images is 0 if they cannot compute it. */
static an_lrn_shape own_shape(const lrn_op *lrn, const an_desc *order)
{
    const an_node *node = &lrn->op.node;
    const dnnl_dim_t *d = an_desc_dims(order);
    bool bf16 = an_desc_type(order) == dnnl_bf16;
    an_desc blocked = an_cpu_tensor_desc(an_desc_type(order), (int)d[0], (int)d[1], (int)d[2], (int)d[3], dnnl_nChw16c);
    if (lrn->op.cpu->direct || !an_lrn_possible(bf16) || node->lrn_size != AN_LRN_WINDOW ||
        node->lrn_beta != AN_LRN_EXPONENT || d[1] % BLOCK || d[1] / BLOCK > AN_LRN_BLOCKS_MAX ||
        !an_desc_equal(&blocked, order))
        return (an_lrn_shape){0};
    return (an_lrn_shape){.images = (size_t)d[0],
                          .blocks = (size_t)(d[1] / BLOCK),
                          .area = (size_t)(d[2] * d[3]),
                          .k = (float)node->lrn_k,
                          .scale = (float)(node->lrn_alpha / node->lrn_size),
                          .bf16 = bf16};
}

static int lrn_forward(an_op *op, const an_run *run)
{
    (void)run;
    lrn_op *lrn = (lrn_op *)op;
    int rc = an_cpu_view_forward(&lrn->view, op->cpu);
    if (rc)
        return rc;
    if (!lrn->own.images)
        return an_primitive_run(&lrn->forward, op->cpu);
    an_lrn_forward(&lrn->own, lrn->view.tensor->data, op->output.data);
    return AN_OK;
}

static int lrn_backward(an_op *op, const an_run *run)
{
    (void)run;
    lrn_op *lrn = (lrn_op *)op;
    if (!lrn->input_gradient)
        return AN_OK;
    an_cpu_tensor *source = lrn->view.tensor;
    int rc = AN_OK;
    if (lrn->own.images)
        an_lrn_backward(&lrn->own, source->data, op->output.slope, source->slope);
    else
        rc = an_primitive_run(&lrn->backward, op->cpu);
    if (rc)
        return rc;
    return an_cpu_view_backward(&lrn->view, op->cpu);
}

static int lrn_describe(const an_op *op, an_buffer *out)
{
    const lrn_op *lrn = (const lrn_op *)op;
    if (lrn->own.images)
        return an_buffer_printf(out, "%sown:avx512, backward the same",
                                lrn->view.forward.primitive ? "input reordered, " : "");
    return an_buffer_printf(out, "%s%s, backward %s", lrn->view.forward.primitive ? "input reordered, " : "",
                            lrn->forward.implementation, lrn->backward.implementation);
}

int an_cpu_lrn_create(an_op **out, an_backend *cpu, const an_op_spec *spec)
{
    static const an_op_methods methods = {lrn_forward, lrn_backward, lrn_describe};
    lrn_op *lrn;
    an_desc whole, grouped;
    int rc = an_cpu_op_new(&lrn, cpu, spec, &methods, sizeof *lrn);
    if (rc)
        return rc;
    an_cpu_tensor *source = an_cpu_input(spec, 0);
    orders_choose(lrn, source, &whole, &grouped);
    int shape[] = {source->n, source->c, source->h, source->w};
    lrn->input_gradient = spec->input_gradient;
    rc = an_cpu_view_make(&lrn->view, cpu, source, &(an_cpu_view_spec){&whole, spec->input_gradient, spec->accumulate});
    if (rc)
        return rc;
    rc = an_cpu_tensor_make(&lrn->op.output, cpu, shape, &whole);
    if (rc)
        return rc;
    *out = &lrn->op;
    lrn->own = own_shape(lrn, &grouped);
    return lrn->own.images ? AN_OK : kernels_make(lrn, &grouped);
}
