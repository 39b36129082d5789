/* Fully connected layers through cuBLASLt. In memory a sample is a row of H x W x C values, and so are the weights of
 * one output. cuBLAS counts column-major, so it sees these rows as columns. */
#include "base/error.h"
#include "model/cuda/matmul.h"

typedef struct {
    an_op op;
    an_matmul forward, data, weights;
    an_slope slope;
    void *rounded; /* if the input is fp32 logits and the network computes in bf16: the input in bf16; else NULL */
} dense_op;

static int input_round(const an_op *op)
{
    const an_cuda_tensor *x = &op->input->output;
    an_window_args args = {
        .at = {.out = {((const dense_op *)op)->rounded}, .in = {x->data}, .items = an_cuda_tensor_items(x)},
        .channels = x->stored_c,
        .from_channels = x->stored_c,
        .to_channels = x->stored_c,
        .from = x->stored,
        .to = op->cuda->stored};
    return args.at.out[0] ? an_cuda_launched(an_kernel_window(&args, op->cuda->compute), op, "window") : AN_OK;
}

static int dense_forward(an_op *op, const an_run *run)
{
    (void)run;
    const an_cuda_tensor *y = &op->output;
    int rc = input_round(op);
    if (!rc)
        rc = an_matmul_run(&((dense_op *)op)->forward, op->cuda);
    if (rc || op->node.activation == AN_ACTIVATION_NONE || op->node.activation == AN_ACTIVATION_RELU)
        return rc;
    an_activate_args args = {.at = {.out = {y->data}, .items = an_cuda_tensor_items(y)},
                             .activation = op->node.activation,
                             .stored = y->stored};
    return an_cuda_launched(an_kernel_activate(&args, op->cuda->compute), op, "activate");
}

static int dense_backward(an_op *op, const an_run *run)
{
    (void)run;
    const dense_op *dense = (const dense_op *)op;
    int rc = an_cuda_slope_run(&dense->slope, op);
    if (rc)
        return rc;
    rc = op->rate_scale > 0 ? an_matmul_run(&dense->weights, op->cuda) : AN_OK;
    if (rc)
        return rc;
    if (!op->input_gradient)
        return AN_OK;
    return an_matmul_run(&dense->data, op->cuda);
}

static int dense_describe(const an_op *op, an_buffer *out)
{
    const dense_op *dense = (const dense_op *)op;
    double forward = dense->forward.microseconds, data = dense->data.microseconds,
           weights = dense->weights.microseconds;
    return forward == 0 ? an_buffer_printf(out, "cuBLASLt")
                        : an_buffer_printf(out, "cuBLASLt (%.0f us, backward %.0f us)", forward, data + weights);
}

static void dense_release(an_op *op)
{
    dense_op *dense = (dense_op *)op;
    an_matmul_free(&dense->forward);
    an_matmul_free(&dense->data);
    an_matmul_free(&dense->weights);
}

static int dense_prepare(an_op *op)
{
    dense_op *dense = (dense_op *)op;
    an_backend *cuda = op->cuda;
    const an_cuda_tensor *x = &op->input->output, *y = &op->output;
    const void *values = dense->rounded ? dense->rounded : x->data;
    int64_t inputs = (int64_t)x->h * x->w * x->stored_c, outputs = y->c, n = x->n;
    const an_matmul_spec forward = {.m = outputs,
                                    .n = n,
                                    .k = inputs,
                                    .turn_a = true,
                                    .a = op->weights.copy,
                                    .b = values,
                                    .stored_d = y->stored,
                                    .d = y->data,
                                    .bias = op->bias.copy,
                                    .relu = op->node.activation == AN_ACTIVATION_RELU};
    const an_matmul_spec data = {.m = inputs,
                                 .n = n,
                                 .k = outputs,
                                 .a = op->weights.copy,
                                 .b = y->slope,
                                 .d = x->slope,
                                 .stored_d = x->slope_stored,
                                 .accumulate = op->accumulate};
    const an_matmul_spec weights = {.m = inputs,
                                    .n = outputs,
                                    .k = n,
                                    .turn_b = true,
                                    .a = values,
                                    .stored_d = AN_STORED_F32,
                                    .b = y->slope,
                                    .d = op->weights.slope};
    int rc = an_matmul_make(&dense->forward, cuda, &forward, op->node.name);
    if (rc || !cuda->training)
        return rc;
    rc = op->rate_scale > 0 ? an_matmul_make(&dense->weights, cuda, &weights, op->node.name) : AN_OK;
    if (rc)
        return rc;
    rc = an_cuda_slope(&dense->slope, op);
    if (rc)
        return rc;
    return op->input_gradient ? an_matmul_make(&dense->data, cuda, &data, op->node.name) : AN_OK;
}

int an_cuda_dense_create(an_op **out, an_backend *cuda, const an_op_spec *spec)
{
    static const an_op_methods methods = {.prepare = dense_prepare,
                                          .forward = dense_forward,
                                          .backward = dense_backward,
                                          .describe = dense_describe,
                                          .release = dense_release};
    dense_op *dense;
    int rc = an_cuda_op_new(&dense, cuda, spec, &methods, sizeof *dense);
    if (rc)
        return rc;
    an_op *op = &dense->op;
    const an_cuda_tensor *x = &op->input->output;
    int shape[] = {op->node.channels, x->c, x->h, x->w};
    an_stored stored = op->node.activation == AN_ACTIVATION_NONE ? AN_STORED_F32 : cuda->stored; /* logits: fp32 */
    *out = op;
    rc = an_cuda_weights_make(&op->weights, cuda, shape, x->stored_c, AN_STORED_F32, NULL, NULL, op->node.name);
    if (rc)
        return rc;
    rc = an_cuda_bias_make(&op->bias, cuda, &op->node, stored);
    if (rc)
        return rc;
    an_cuda_tensor_describe(&op->output, cuda, &op->node, op->node.channels, stored);
    if (x->stored != cuda->stored)
        rc =
            an_cuda_alloc(cuda, &dense->rounded, an_cuda_tensor_items(x) * an_stored_size(cuda->stored), op->node.name);
    return rc;
}
