/* Convolutions through cuDNN: a plan for forward, with bias and activation fused into it, and one each for the
 * gradients of the input and of the weights. */
#include "base/error.h"
#include "model/cuda/layers/conv_private.h"

/* Pass by pass the form of weights that a convolution computes with; NULL: plain order. */
static const an_form *form_of(const an_conv_op *conv, an_plan_kind kind, an_form *form)
{
    const an_cuda_tensor *x = &conv->op.input->output;
    *form = (an_form){.side = 1, .groups = 1, .channels = x->stored_c};
    if (x->blocks.side)
        form->side = x->blocks.side;
    else if (conv->ways[kind] == AN_WAY_DENSE)
        form->groups = conv->op.node.groups;
    return form->side > 1 || form->groups > 1 ? form : NULL;
}

static int parameters_make(an_conv_op *conv)
{
    an_op *op = &conv->op;
    const an_cuda_tensor *x = &op->input->output;
    const an_node *node = &op->node;
    an_form read_form, written_form;
    const an_form *read = form_of(conv, AN_PLAN_FORWARD, &read_form);
    const an_form *written = form_of(conv, AN_PLAN_WEIGHTS, &written_form);
    int shape[] = {node->channels, x->c / node->groups, node->kernel, node->kernel};
    if (node->groups > 1 && x->stored_c != x->c)
        return an_error(AN_EUNSUPPORTED, "%s: groups of an input with padded channels", node->name);
    int inputs = x->blocks.side > 1 ? x->c : x->stored_c / node->groups;
    int rc = an_cuda_weights_make(&op->weights, op->cuda, shape, inputs, op->cuda->stored, read, written, node->name);
    if (rc)
        return rc;
    return an_cuda_bias_make(&op->bias, op->cuda, node, op->cuda->stored);
}

static int conv_prepare(an_op *op)
{
    an_conv_op *conv = (an_conv_op *)op;
    conv->spec = an_conv_spec(&op->node, op->cuda->precision, &op->input->output);
    int rc = an_conv_ways(conv);
    if (rc)
        return rc;
    rc = an_conv_frame_make(conv);
    if (rc)
        return rc;
    rc = parameters_make(conv);
    for (an_plan_kind kind = AN_PLAN_FORWARD; kind <= AN_PLAN_WEIGHTS && !rc; kind++)
        rc = an_conv_plan(conv, kind);
    if (rc || !op->cuda->training)
        return rc;
    return an_cuda_slope(&conv->slope, op);
}

static int conv_bind(an_op *op)
{
    int rc = AN_OK;
    for (an_plan_kind kind = AN_PLAN_FORWARD; kind <= AN_PLAN_WEIGHTS && !rc; kind++)
        rc = an_conv_bind((an_conv_op *)op, kind);
    return rc;
}

static int conv_forward(an_op *op, const an_run *run)
{
    (void)run;
    const an_conv_op *conv = (const an_conv_op *)op;
    int rc = conv->frame.data ? an_conv_frame_fill(conv) : AN_OK;
    if (rc)
        return rc;
    return an_plan_run(conv->plans[AN_PLAN_FORWARD], op->cuda->cudnn);
}

/* Both lie as the input does, in one part or two. */
static int gradient_add(const an_conv_op *conv)
{
    const an_cuda_tensor *x = &conv->op.input->output;
    an_window_args args = {.at = {.out = {x->slope}, .in = {conv->summand}, .items = an_cuda_tensor_items(x)},
                           .channels = x->stored_c,
                           .from_channels = x->stored_c,
                           .to_channels = x->stored_c,
                           .accumulate = 1,
                           .from = x->slope_stored,
                           .to = x->slope_stored};
    return an_cuda_launched(an_kernel_window(&args, conv->op.cuda->compute), &conv->op, "window");
}

static int gradient_make(const an_conv_op *conv)
{
    int rc = an_plan_run(conv->plans[AN_PLAN_WEIGHTS], conv->op.cuda->cudnn);
    if (rc)
        return rc;
    rc = an_cuda_weights_restore(&conv->op.weights, &conv->op);
    if (rc)
        return rc;
    return an_cuda_weights_widen(&conv->op.weights, &conv->op);
}

static int conv_backward(an_op *op, const an_run *run)
{
    (void)run;
    an_conv_op *conv = (an_conv_op *)op;
    int rc = an_cuda_slope_run(&conv->slope, op);
    if (rc)
        return rc;
    rc = conv->plans[AN_PLAN_WEIGHTS] ? gradient_make(conv) : AN_OK;
    if (rc)
        return rc;
    if (!conv->plans[AN_PLAN_DATA])
        return AN_OK;
    rc = an_plan_run(conv->plans[AN_PLAN_DATA], op->cuda->cudnn);
    if (rc)
        return rc;
    if (conv->frame.slope)
        return an_conv_frame_take(conv);
    return conv->summand ? gradient_add(conv) : AN_OK;
}

static int plan_describe(const an_conv_op *conv, an_plan_kind kind, const char *what, an_buffer *out)
{
    static const char *const ways[] = {
        [AN_WAY_WHOLE] = "grouped", [AN_WAY_HALVES] = "two halves", [AN_WAY_DENSE] = "dense"};
    const an_plan *plan = conv->plans[kind];
    const char *way = conv->op.node.groups > 1 ? ways[conv->ways[kind]] : "";
    if (!plan)
        return AN_OK;
    double microseconds = plan->microseconds * plan->pack_count;
    int rc = an_buffer_printf(out, "%s %lld", what, (long long)plan->engine);
    if (rc)
        return rc;
    if (microseconds == 0)
        return *way ? an_buffer_printf(out, " (%s)", way) : AN_OK;
    return an_buffer_printf(out, " (%s%s%.0f us)", way, *way ? ", " : "", microseconds);
}

static int conv_describe(const an_op *op, an_buffer *out)
{
    const an_conv_op *conv = (const an_conv_op *)op;
    int rc = plan_describe(conv, AN_PLAN_FORWARD, "cuDNN engine", out);
    if (!rc)
        rc = plan_describe(conv, AN_PLAN_DATA, ", data gradient", out);
    if (rc)
        return rc;
    return plan_describe(conv, AN_PLAN_WEIGHTS, ", weight gradient", out);
}

int an_cuda_conv_create(an_op **out, an_backend *cuda, const an_op_spec *spec)
{
    static const an_op_methods methods = {.prepare = conv_prepare,
                                          .forward = conv_forward,
                                          .backward = conv_backward,
                                          .bind = conv_bind,
                                          .describe = conv_describe};
    an_conv_op *conv;
    int rc = an_cuda_op_new(&conv, cuda, spec, &methods, sizeof *conv);
    if (rc)
        return rc;
    const an_node *node = &conv->op.node;
    const an_cuda_tensor *x = &conv->op.input->output;
    conv->spec = an_conv_spec(node, cuda->precision, x);
    *out = &conv->op;
    an_cuda_tensor_describe(&conv->op.output, cuda, node, node->channels, cuda->stored);
    size_t size = an_cuda_tensor_items(x) * an_stored_size(x->slope_stored);
    if (cuda->training && spec->accumulate && spec->input_gradient && !an_conv_is_uneven(node, x))
        rc = an_cuda_alloc(cuda, &conv->summand, size, node->name);
    return rc;
}
