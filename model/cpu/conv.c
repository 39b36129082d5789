/* Convolution + bias + activation. A convolution with two groups may be computed as two without groups, one on each
 * half of the channels with tensors of its own, because oneDNN's Winograd kernels do not support groups. */
#include <string.h>

#include "base/error.h"
#include "model/cpu/expand_private.h"

typedef struct {
    an_op op;
    an_cpu_view view;
    an_expansion expansion; /* count 0: none */
    an_cpu_tensor *source;  /* with an expansion: its input, and wide its output */
    an_cpu_tensor wide;
    bool input_gradient, accumulate;
    an_primitive forward[2], activation, data[2], weights[2];
    an_primitive weights_turn[2];  /* copies the weights into the order that the backward data kernel reads */
    an_primitive gradient_turn[2]; /* copies what the backward weights kernel writes into master order */
} conv_op;

/* The shape of one part, in the form that oneDNN takes. */
typedef struct {
    dnnl_memory_desc_t source, weights, bias, target, canonical;
    dnnl_dims_t strides, before, after;
    dnnl_alg_kind_t algorithm;
} geometry;

static geometry geometry_make(const an_op *op, const an_cpu_tensor *source, int parts)
{
    const an_node *node = &op->node;
    int groups = node->groups / parts, from = source->c / parts, to = node->channels / parts;
    dnnl_dims_t plain = {to, from, node->kernel, node->kernel};
    dnnl_dims_t grouped = {groups, to / groups, from / groups, node->kernel, node->kernel};
    const dnnl_dim_t *shape = groups > 1 ? grouped : plain;
    dnnl_dims_t bias = {to};
    geometry g = {
        .source = an_cpu_tensor_desc(op->cpu->type, source->n, from, source->h, source->w, dnnl_format_tag_any),
        .target = an_cpu_tensor_desc(op->cpu->type, source->n, to, node->height, node->width, dnnl_format_tag_any),
        .strides = {node->stride, node->stride},
        .before = {node->pad_before, node->pad_before},
        .after = {node->pad_after, node->pad_after},
        .algorithm = op->cpu->direct ? dnnl_convolution_direct : dnnl_convolution_auto};
    if (op->cpu->winograd && groups == 1 && node->kernel == 3 && node->stride == 1 && from % 16 == 0 && to % 16 == 0 &&
        node->activation <= AN_ACTIVATION_RELU)
        g.algorithm = dnnl_convolution_winograd;
    int rank = groups > 1 ? 5 : 4;
    dnnl_memory_desc_init_by_tag(&g.weights, rank, shape, op->cpu->type, dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&g.canonical, rank, shape, dnnl_f32, rank == 5 ? dnnl_goihw : dnnl_oihw);
    dnnl_memory_desc_init_by_tag(&g.bias, 1, bias, dnnl_f32, dnnl_x);
    return g;
}

/* The shape of the expanded convolution: 3x3, stride 1, on the output of an_expansion_forward. */
static geometry geometry_expanded(const an_op *op, const an_expansion *e)
{
    int to = op->node.channels / e->parts;
    dnnl_data_type_t type = op->cpu->type;
    geometry g = {
        .source = an_cpu_tensor_desc(type, op->cpu->batch, e->expanded, e->height, e->width, dnnl_nChw16c),
        .target = an_cpu_tensor_desc(type, op->cpu->batch, to, op->node.height, op->node.width, dnnl_format_tag_any),
        .weights = an_cpu_tensor_desc(type, to, e->expanded, AN_EXPANSION_TAPS, AN_EXPANSION_TAPS, dnnl_format_tag_any),
        .canonical = an_cpu_tensor_desc(dnnl_f32, to, e->expanded, AN_EXPANSION_TAPS, AN_EXPANSION_TAPS, dnnl_oihw),
        .strides = {1, 1},
        .algorithm = op->cpu->winograd ? dnnl_convolution_winograd : dnnl_convolution_auto};
    dnnl_dims_t bias = {to};
    dnnl_memory_desc_init_by_tag(&g.bias, 1, bias, dnnl_f32, dnnl_x);
    return g;
}

/* Whether two convolutions without groups are faster, because Winograd kernels can compute them (docs/performance.md).
 */
static bool halves_wanted(const an_op *op, const an_cpu_tensor *source)
{
    const an_node *node = &op->node;
    return !op->cpu->direct && op->cpu->type == dnnl_f32 && node->groups == 2 && node->kernel == 3 &&
           node->stride == 1 && source->c % 32 == 0 && node->channels % 32 == 0;
}

static int forward_desc(dnnl_primitive_desc_t *out, conv_op *conv, const geometry *g)
{
    an_op *op = &conv->op;
    dnnl_convolution_desc_t operation;
    dnnl_status_t status =
        dnnl_convolution_forward_desc_init(&operation, dnnl_forward_training, g->algorithm, &g->source, &g->weights,
                                           &g->bias, &g->target, g->strides, g->before, g->after);
    int rc = an_cpu_check(status, op->node.name, "convolution");
    if (rc)
        return rc;
    return an_primitive_desc(out, op->cpu, &operation, op->node.activation, NULL, op->node.name);
}

static int backward_data_make(conv_op *conv, const geometry *g, int part, dnnl_memory_t to, dnnl_memory_t from,
                              const_dnnl_primitive_desc_t hint)
{
    an_op *op = &conv->op;
    an_cpu_weights *weights = &op->weights[part];
    dnnl_convolution_desc_t operation;
    dnnl_primitive_desc_t desc;
    dnnl_status_t status = dnnl_convolution_backward_data_desc_init(&operation, g->algorithm, &g->source, &g->weights,
                                                                    &g->target, g->strides, g->before, g->after);
    int rc = an_cpu_check(status, op->node.name, "convolution");
    if (rc)
        return rc;
    rc = an_primitive_desc(&desc, op->cpu, &operation, AN_ACTIVATION_NONE, hint, op->node.name);
    if (rc)
        return rc;
    dnnl_memory_desc_t order = an_primitive_query(desc, dnnl_query_weights_md);
    rc = an_primitive_make(&conv->data[part], op->cpu, desc, op->node.name);
    if (rc)
        return rc;
    dnnl_memory_t turned = weights->value;
    rc = an_cpu_weights_turn(&conv->weights_turn[part], op->cpu, weights, &order, false, &turned);
    if (rc)
        return rc;
    an_primitive_arg(&conv->data[part], DNNL_ARG_WEIGHTS, turned);
    an_primitive_arg(&conv->data[part], DNNL_ARG_DIFF_DST, from);
    an_primitive_arg(&conv->data[part], DNNL_ARG_DIFF_SRC, to);
    return AN_OK;
}

static int backward_weights_desc(dnnl_primitive_desc_t *out, const conv_op *conv, const geometry *g,
                                 const_dnnl_primitive_desc_t hint)
{
    const an_op *op = &conv->op;
    dnnl_convolution_desc_t operation;
    dnnl_memory_desc_t weights = g->weights;
    weights.data_type = dnnl_f32;
    dnnl_status_t status = dnnl_convolution_backward_weights_desc_init(
        &operation, g->algorithm, &g->source, &weights, &g->bias, &g->target, g->strides, g->before, g->after);
    int rc = an_cpu_check(status, op->node.name, "convolution");
    if (rc)
        return rc;
    return an_primitive_desc(out, op->cpu, &operation, AN_ACTIVATION_NONE, hint, op->node.name);
}

static int backward_weights_make(conv_op *conv, const geometry *g, int part, dnnl_memory_t source, dnnl_memory_t from,
                                 const_dnnl_primitive_desc_t hint)
{
    an_op *op = &conv->op;
    dnnl_primitive_desc_t desc;
    int rc = backward_weights_desc(&desc, conv, g, hint);
    if (rc)
        return rc;
    dnnl_memory_desc_t order = an_primitive_query(desc, dnnl_query_diff_weights_md);
    rc = an_primitive_make(&conv->weights[part], op->cpu, desc, op->node.name);
    if (rc)
        return rc;
    dnnl_memory_t turned = op->weights[part].gradient;
    rc = an_cpu_weights_turn(&conv->gradient_turn[part], op->cpu, &op->weights[part], &order, true, &turned);
    if (rc)
        return rc;
    an_primitive_arg(&conv->weights[part], DNNL_ARG_SRC, source);
    an_primitive_arg(&conv->weights[part], DNNL_ARG_DIFF_DST, from);
    an_primitive_arg(&conv->weights[part], DNNL_ARG_DIFF_WEIGHTS, turned);
    an_primitive_arg(&conv->weights[part], DNNL_ARG_DIFF_BIAS, op->biases[part].gradient);
    return AN_OK;
}

/* Memory objects for value and gradient of one part of a tensor. */
static int part_memory(an_backend *cpu, const an_cpu_tensor *tensor, int part, int parts, dnnl_memory_t *value,
                       dnnl_memory_t *gradient)
{
    dnnl_memory_desc_t desc;
    void *data, *slope;
    *value = tensor->value;
    *gradient = tensor->gradient;
    if (parts == 1)
        return AN_OK;
    int rc = an_cpu_tensor_half(tensor, part, &desc, &data, &slope);
    if (rc)
        return rc;
    rc = an_cpu_memory(cpu, value, &desc, data);
    if (rc)
        return rc;
    return slope ? an_cpu_memory(cpu, gradient, &desc, slope) : AN_OK;
}

static int weights_make(conv_op *conv, const geometry *g, int part, const_dnnl_primitive_desc_t hint)
{
    an_op *op = &conv->op;
    dnnl_memory_desc_t order = an_primitive_query(hint, dnnl_query_weights_md), gradient = order;
    if (op->cpu->training) {
        dnnl_primitive_desc_t desc;
        int rc = backward_weights_desc(&desc, conv, g, hint);
        if (rc)
            return rc;
        gradient = an_primitive_query(desc, dnnl_query_diff_weights_md);
        dnnl_primitive_desc_destroy(desc);
    }
    int rc = an_cpu_weights_make(&op->weights[part], op->cpu, &order, &gradient, &g->canonical);
    if (rc)
        return rc;
    rc = an_cpu_weights_make(&op->biases[part], op->cpu, &g->bias, NULL, &g->bias);
    if (rc)
        return rc;
    return conv->expansion.count ? an_cpu_weights_expand(&op->weights[part], op->cpu, &conv->expansion) : AN_OK;
}

static int part_make(conv_op *conv, const geometry *g, int part, const_dnnl_primitive_desc_t hint)
{
    an_op *op = &conv->op;
    dnnl_memory_t source, source_gradient, target, target_gradient;
    int rc = part_memory(op->cpu, conv->view.tensor, part, op->parts, &source, &source_gradient);
    if (rc)
        return rc;
    rc = part_memory(op->cpu, &op->output, part, op->parts, &target, &target_gradient);
    if (rc)
        return rc;
    dnnl_primitive_desc_t desc;
    rc = weights_make(conv, g, part, hint);
    if (rc)
        return rc;
    rc = forward_desc(&desc, conv, g);
    if (rc)
        return rc;
    rc = an_primitive_make(&conv->forward[part], op->cpu, desc, op->node.name);
    if (rc)
        return rc;
    an_primitive_arg(&conv->forward[part], DNNL_ARG_SRC, source);
    an_primitive_arg(&conv->forward[part], DNNL_ARG_WEIGHTS, op->weights[part].value);
    an_primitive_arg(&conv->forward[part], DNNL_ARG_BIAS, op->biases[part].value);
    an_primitive_arg(&conv->forward[part], DNNL_ARG_DST, target);
    if (!op->cpu->training)
        return AN_OK;
    if (conv->input_gradient)
        rc = backward_data_make(conv, g, part, source_gradient, target_gradient, hint);
    if (rc)
        return rc;
    return backward_weights_make(conv, g, part, source, target_gradient, hint);
}

/* The description of a tensor that holds all parts, from that of one part. */
static int whole_desc(const conv_op *conv, const dnnl_memory_desc_t *part, dnnl_memory_desc_t *out)
{
    *out = *part;
    if (conv->op.parts == 2 && !an_cpu_tensor_reshape(part, 2 * (int)part->dims[0], (int)part->dims[1], out))
        return an_error(AN_EUNSUPPORTED, "%s: halves in an order that cannot be joined", conv->op.node.name);
    return AN_OK;
}

static int tensors_make(conv_op *conv, const an_op_spec *spec, geometry *g, const_dnnl_primitive_desc_t desc)
{
    an_op *op = &conv->op;
    dnnl_memory_desc_t source, target;
    int shape[] = {op->cpu->batch, op->node.channels, op->node.height, op->node.width};
    g->source = an_primitive_query(desc, dnnl_query_src_md);
    g->target = an_primitive_query(desc, dnnl_query_dst_md);
    int rc = whole_desc(conv, &g->source, &source);
    if (rc)
        return rc;
    rc = whole_desc(conv, &g->target, &target);
    if (rc)
        return rc;
    if (conv->expansion.count) {
        int wide[] = {op->cpu->batch, conv->expansion.expanded * op->parts, conv->expansion.height,
                      conv->expansion.width};
        conv->view.tensor = &conv->wide;
        rc = an_cpu_tensor_make(&conv->wide, op->cpu, wide, &source, op->parts == 2);
        if (rc)
            return rc;
        return an_cpu_tensor_make(&op->output, op->cpu, shape, &target, op->parts == 2);
    }
    rc = an_cpu_view_make(&conv->view, op->cpu, an_cpu_input(spec, 0),
                          &(an_cpu_view_spec){&source, op->parts == 2, spec->input_gradient, spec->accumulate});
    if (rc)
        return rc;
    return an_cpu_tensor_make(&op->output, op->cpu, shape, &target, op->parts == 2);
}

static int conv_forward(an_op *op, const an_run *run)
{
    (void)run;
    conv_op *conv = (conv_op *)op;
    int rc = conv->expansion.count ? an_expansion_forward(&conv->expansion, conv->source, conv->wide.data)
                                   : an_cpu_view_forward(&conv->view, op->cpu);
    for (int i = 0; i < op->parts && !rc; i++)
        rc = an_primitive_run(&conv->forward[i], op->cpu);
    return rc;
}

static int part_backward(const conv_op *conv, int part)
{
    an_backend *cpu = conv->op.cpu;
    int rc = an_primitive_run(&conv->weights[part], cpu);
    if (rc)
        return rc;
    rc = an_primitive_run(&conv->gradient_turn[part], cpu);
    if (rc)
        return rc;
    rc = an_primitive_run(&conv->weights_turn[part], cpu);
    if (rc)
        return rc;
    return an_primitive_run(&conv->data[part], cpu);
}

static int conv_backward(an_op *op, const an_run *run)
{
    (void)run;
    conv_op *conv = (conv_op *)op;
    int rc = an_primitive_run(&conv->activation, op->cpu);
    for (int i = 0; i < op->parts && !rc; i++)
        rc = part_backward(conv, i);
    if (!rc && conv->expansion.count && conv->input_gradient)
        an_expansion_backward(&conv->expansion, conv->source, &conv->wide, conv->accumulate);
    if (rc)
        return rc;
    return an_cpu_view_backward(&conv->view, op->cpu);
}

static int conv_describe(const an_op *op, an_buffer *out)
{
    const conv_op *conv = (const conv_op *)op;
    const char *turned =
        conv->weights_turn[0].primitive || conv->gradient_turn[0].primitive ? ", weights reordered" : "";
    return an_buffer_printf(out, "%s%s%s%s, backward %s / %s%s", op->parts == 2 ? "halves, " : "",
                            conv->expansion.count ? "expanded to 3x3, " : "",
                            conv->view.forward[0].primitive ? "input reordered, " : "", conv->forward[0].implementation,
                            conv->data[0].implementation, conv->weights[0].implementation, turned);
}

/* Chooses the expanded convolution if it is expected to be faster and oneDNN computes it with Winograd kernels. Then
 * fills g and *desc (which the caller destroys) and returns true. */
static bool expansion_choose(conv_op *conv, const an_cpu_tensor *source, geometry *g, dnnl_primitive_desc_t *desc)
{
    an_op *op = &conv->op;
    const char *implementation = "";
    if (!op->cpu->direct && op->cpu->type == dnnl_f32 &&
        an_expansion_find(&conv->expansion, &op->node, source, op->node.groups) &&
        !(conv->expansion.image && conv->input_gradient) &&
        (op->cpu->winograd || an_expansion_pays(&conv->expansion))) {
        *g = geometry_expanded(op, &conv->expansion);
        op->parts = op->node.groups;
        if (!forward_desc(desc, conv, g)) {
            dnnl_primitive_desc_query(*desc, dnnl_query_impl_info_str, 0, &implementation);
            if (strstr(implementation, "wino"))
                return true;
            dnnl_primitive_desc_destroy(*desc);
        }
    }
    conv->expansion.count = 0;
    return false;
}

int an_cpu_conv_create(an_op **out, an_backend *cpu, const an_op_spec *spec)
{
    static const an_op_methods methods = {conv_forward, conv_backward, conv_describe};
    conv_op *conv;
    dnnl_primitive_desc_t desc;
    int rc = an_cpu_winograd_create(out, cpu, spec);
    if (rc || *out)
        return rc;
    rc = an_cpu_op_new(&conv, cpu, spec, &methods, sizeof *conv);
    if (rc)
        return rc;
    conv->input_gradient = spec->input_gradient;
    an_cpu_tensor *source = an_cpu_input(spec, 0);
    geometry g;
    conv->source = source;
    conv->accumulate = spec->accumulate;
    if (!expansion_choose(conv, source, &g, &desc)) {
        conv->op.parts = halves_wanted(&conv->op, source) ? 2 : 1;
        source->pinned = source->pinned || conv->op.parts == 2;
        g = geometry_make(&conv->op, source, conv->op.parts);
        rc = forward_desc(&desc, conv, &g);
        if (rc)
            return rc;
    }
    rc = tensors_make(conv, spec, &g, desc);
    for (int i = 0; i < conv->op.parts && !rc; i++)
        rc = part_make(conv, &g, i, desc);
    dnnl_primitive_desc_destroy(desc);
    if (!rc && cpu->training)
        rc = an_cpu_activation_backward(&conv->activation, &conv->op);
    *out = &conv->op;
    return rc;
}
