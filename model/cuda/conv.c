/* Convolutions through cuDNN: one plan for forward, with bias and activation fused into it, and one each for the
 * gradients of the input and of the weights. */
#include "base/error.h"
#include "model/cuda/cuda_private.h"

typedef struct {
    an_op op;
    an_plan_spec spec;
    an_plan *forward, *data, *weights;
    an_slope slope;
    void *apart; /* if another layer reads the same input: the gradient of the input, before it is added to the sum */
} conv_op;

static an_plan_spec spec_of(const conv_op *conv, an_plan_kind kind)
{
    an_plan_spec spec = conv->spec;
    spec.kind = kind;
    return spec;
}

static int parameters_make(conv_op *conv)
{
    an_op *op = &conv->op;
    const an_cuda_tensor *x = &op->input->output;
    const an_node *node = &op->node;
    int shape[] = {node->channels, x->c / node->groups, node->kernel, node->kernel};
    if (node->groups > 1 && x->stored_c != x->c)
        return an_error(AN_EUNSUPPORTED, "%s: groups of an input with padded channels", node->name);
    int rc = an_cuda_weights_make(&op->weights, op->cuda, shape, x->stored_c / node->groups, op->cuda->stored, NULL,
                                  node->name);
    if (rc)
        return rc;
    return an_cuda_bias_make(&op->bias, op->cuda, node, op->cuda->stored);
}

static int conv_prepare(an_op *op)
{
    conv_op *conv = (conv_op *)op;
    an_backend *cuda = op->cuda;
    const an_plan_spec forward = spec_of(conv, AN_PLAN_FORWARD), data = spec_of(conv, AN_PLAN_DATA);
    const an_plan_spec weights = spec_of(conv, AN_PLAN_WEIGHTS);
    int rc = parameters_make(conv);
    if (rc)
        return rc;
    rc = an_cuda_plan(cuda, &conv->forward, &forward);
    if (rc || !cuda->training)
        return rc;
    rc = an_cuda_plan(cuda, &conv->weights, &weights);
    if (rc)
        return rc;
    rc = an_cuda_slope(&conv->slope, op);
    if (rc)
        return rc;
    return op->input_gradient ? an_cuda_plan(cuda, &conv->data, &data) : AN_OK;
}

static int conv_bind(an_op *op)
{
    conv_op *conv = (conv_op *)op;
    const an_cuda_tensor *x = &op->input->output, *y = &op->output;
    void *workspace = op->cuda->workspace, *dx = conv->apart ? conv->apart : x->slope;
    const an_plan_spec forward = spec_of(conv, AN_PLAN_FORWARD), backward = spec_of(conv, AN_PLAN_DATA);
    int rc = an_plan_bind(conv->forward, &forward, x->data, y->data, op->weights.copy, op->bias.copy, workspace);
    if (!rc && conv->weights)
        rc = an_plan_bind(conv->weights, &backward, x->data, y->slope, op->weights.written, NULL, workspace);
    if (!rc && conv->data)
        rc = an_plan_bind(conv->data, &backward, dx, y->slope, op->weights.copy, NULL, workspace);
    return rc;
}

static int conv_forward(an_op *op, const an_run *run)
{
    (void)run;
    return an_plan_run(((conv_op *)op)->forward, op->cuda->cudnn);
}

static int gradient_add(const conv_op *conv)
{
    const an_cuda_tensor *x = &conv->op.input->output;
    an_window_args args = {.at = {.out = {x->slope}, .in = {conv->apart}, .items = an_cuda_tensor_items(x)},
                           .channels = x->stored_c,
                           .from_channels = x->stored_c,
                           .to_channels = x->stored_c,
                           .accumulate = 1,
                           .from = x->slope_stored,
                           .to = x->slope_stored};
    return an_cuda_launched(an_kernel_window(&args, conv->op.cuda->compute), &conv->op, "window");
}

static int conv_backward(an_op *op, const an_run *run)
{
    (void)run;
    conv_op *conv = (conv_op *)op;
    int rc = an_cuda_slope_run(&conv->slope, op);
    if (rc)
        return rc;
    rc = an_plan_run(conv->weights, op->cuda->cudnn);
    if (rc)
        return rc;
    rc = an_cuda_weights_restore(&op->weights, op);
    if (rc)
        return rc;
    if (!conv->data)
        return AN_OK;
    rc = an_plan_run(conv->data, op->cuda->cudnn);
    if (rc)
        return rc;
    return conv->apart ? gradient_add(conv) : AN_OK;
}

static int plan_describe(const an_plan *plan, const char *what, an_buffer *out)
{
    if (!plan)
        return AN_OK;
    int rc = an_buffer_printf(out, "%s %lld", what, (long long)plan->engine);
    if (rc)
        return rc;
    return plan->microseconds == 0 ? AN_OK : an_buffer_printf(out, " (%.0f us)", plan->microseconds);
}

static int conv_describe(const an_op *op, an_buffer *out)
{
    const conv_op *conv = (const conv_op *)op;
    int rc = plan_describe(conv->forward, "cuDNN engine", out);
    if (!rc)
        rc = plan_describe(conv->data, ", data gradient", out);
    if (rc)
        return rc;
    return plan_describe(conv->weights, ", weight gradient", out);
}

int an_cuda_conv_create(an_op **out, an_backend *cuda, const an_op_spec *spec)
{
    static const an_op_methods methods = {.prepare = conv_prepare,
                                          .forward = conv_forward,
                                          .backward = conv_backward,
                                          .bind = conv_bind,
                                          .describe = conv_describe};
    conv_op *conv;
    int rc = an_cuda_op_new(&conv, cuda, spec, &methods, sizeof *conv);
    if (rc)
        return rc;
    const an_node *node = &conv->op.node;
    const an_cuda_tensor *x = &conv->op.input->output;
    conv->spec = an_plan_spec_of(AN_PLAN_FORWARD, cuda->precision, node, cuda->batch, x->stored_c, x->h, x->w);
    *out = &conv->op;
    an_cuda_tensor_describe(&conv->op.output, cuda, node, node->channels, cuda->stored);
    size_t size = an_cuda_tensor_items(x) * an_stored_size(x->slope_stored);
    if (cuda->training && spec->accumulate && spec->input_gradient)
        rc = an_cuda_alloc(cuda, &conv->apart, size, node->name);
    return rc;
}
