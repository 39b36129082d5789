/* Softmax, cross entropy and ranks. The loss and rank of each sample are copied to pinned memory at the end of the
 * forward pass. */
#include "base/error.h"
#include "model/cuda/cuda.h"
#include "model/targets.h"

typedef struct {
    an_op op;
    an_target_rule rule; /* its weights are pinned */
    double weights_sum, total;
    an_target_row *targets_host; /* pinned */
    an_row_result *rows_host;
    void *targets, *rows;
    void *weights; /* of the classes, as floats; NULL: all 1 */
    bool labelled;
    uint32_t count;    /* of labels; 0: none */
    cudaEvent_t known; /* rows_host holds the results of the last forward pass */
} loss_op;

static an_target_row row_of(const loss_op *loss, const an_targets *targets, uint32_t i)
{
    an_target t = an_target_of(&loss->rule, loss->weights_sum, targets, i);
    return (an_target_row){.label = t.label,
                           .other = t.other,
                           .own = (float)t.own,
                           .rest = (float)t.rest,
                           .smooth = (float)t.smooth,
                           .sum = (float)t.sum,
                           .scale = 1.0F / (float)targets->total};
}

int an_cuda_labels(an_op *op, const an_targets *targets, uint32_t count)
{
    loss_op *loss = (loss_op *)op;
    size_t size = count * sizeof *loss->targets_host;
    loss->labelled = targets != NULL;
    loss->count = targets ? count : 0;
    if (!targets)
        return AN_OK;
    loss->total = targets->total;
    for (uint32_t i = 0; i < count; i++)
        loss->targets_host[i] = row_of(loss, targets, i);
    int rc = an_cuda_use(op->cuda);
    if (rc)
        return rc;
    return an_cuda_check(
        cudaMemcpyAsync(loss->targets, loss->targets_host, size, cudaMemcpyHostToDevice, op->cuda->compute),
        "copy %u labels to cuda:%d", count, op->cuda->device);
}

static int loss_forward(an_op *op, const an_run *run)
{
    loss_op *loss = (loss_op *)op;
    const an_cuda_tensor *x = &op->input->output;
    an_loss_args args = {.at = {.out = {op->output.data, loss->rows},
                                .in = {x->data, loss->labelled ? loss->targets : NULL, loss->weights},
                                .items = run->count},
                         .classes = op->output.c,
                         .stored = x->stored};
    int rc = an_cuda_launched(an_kernel_loss(&args, op->cuda->compute), op, "loss");
    if (rc || !loss->labelled)
        return rc;
    rc = an_cuda_check(cudaMemcpyAsync(loss->rows_host, loss->rows, run->count * sizeof(an_row_result),
                                       cudaMemcpyDeviceToHost, op->cuda->compute),
                       "copy %u losses from cuda:%d", run->count, op->cuda->device);
    if (rc)
        return rc;
    return an_cuda_record_for_host(op->cuda, loss->known);
}

static int loss_backward(an_op *op, const an_run *run)
{
    const loss_op *loss = (const loss_op *)op;
    const an_cuda_tensor *x = &op->input->output;
    an_loss_back_args args = {.at = {.out = {x->slope},
                                     .in = {op->output.data, loss->targets, loss->weights},
                                     .items = an_cuda_tensor_items(x)},
                              .classes = op->output.c,
                              .count = run->count,
                              .accumulate = op->accumulate,
                              .stored = x->slope_stored};
    if (!op->input_gradient)
        return AN_OK;
    return an_cuda_launched(an_kernel_loss_back(&args, op->cuda->compute), op, "loss_back");
}

/* Waits for the forward pass only; the backward pass goes on meanwhile. */
int an_cuda_result(an_op *op, an_exec_result *out)
{
    const loss_op *loss = (const loss_op *)op;
    *out = (an_exec_result){0};
    int rc = an_cuda_check(cudaEventSynchronize(loss->known), "wait for the loss on cuda:%d", op->cuda->device);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < loss->count; i++) {
        out->loss += (double)loss->rows_host[i].loss / loss->total;
        out->top1 += loss->rows_host[i].rank < 1;
        out->topk += loss->rows_host[i].rank < op->cuda->top;
    }
    return AN_OK;
}

/* The rule of the backend, with class weights of its own, on the host and on the device. */
static int rule_make(loss_op *loss, an_backend *cuda, int classes)
{
    size_t count = cuda->class_weights ? (size_t)classes : 0, size = count * sizeof(float);
    void *place = NULL;
    loss->rule = (an_target_rule){.smoothing = cuda->label_smoothing, .classes = classes};
    loss->weights_sum = classes;
    if (!count)
        return AN_OK;
    int rc = an_cuda_alloc_pinned(cuda, &place, count * sizeof(double) + size, loss->op.node.name);
    if (rc)
        return rc;
    rc = an_cuda_alloc(cuda, &loss->weights, size, loss->op.node.name);
    if (rc)
        return rc;
    double *wide = place;
    float *narrow = (void *)(wide + count);
    for (size_t c = 0; c < count; c++) {
        wide[c] = cuda->class_weights[c];
        narrow[c] = (float)wide[c];
    }
    loss->rule.weights = wide;
    loss->weights_sum = an_target_weights_sum(&loss->rule);
    return an_cuda_put(cuda, loss->weights, narrow, size);
}

int an_cuda_loss_create(an_op **out, an_backend *cuda, const an_op_spec *spec)
{
    static const an_op_methods methods = {.forward = loss_forward, .backward = loss_backward};
    loss_op *loss;
    void *targets, *rows;
    int rc = an_cuda_op_new(&loss, cuda, spec, &methods, sizeof *loss);
    if (rc)
        return rc;
    an_op *op = &loss->op;
    const an_cuda_tensor *x = &op->input->output;
    size_t batch = (size_t)cuda->batch;
    *out = op;
    if (x->h != 1 || x->w != 1 || x->stored_c != x->c)
        return an_error(AN_EUNSUPPORTED, "the loss follows a fully connected layer only");
    an_cuda_tensor_describe(&op->output, cuda, &op->node, op->node.channels, AN_STORED_F32);
    rc = an_cuda_alloc(cuda, &loss->targets, batch * sizeof(an_target_row), op->node.name);
    if (rc)
        return rc;
    rc = an_cuda_alloc(cuda, &loss->rows, batch * sizeof(an_row_result), op->node.name);
    if (rc)
        return rc;
    rc = an_cuda_alloc_pinned(cuda, &targets, batch * sizeof(an_target_row), op->node.name);
    if (rc)
        return rc;
    rc = an_cuda_alloc_pinned(cuda, &rows, batch * sizeof(an_row_result), op->node.name);
    if (rc)
        return rc;
    rc = an_cuda_event(cuda, &loss->known);
    if (rc)
        return rc;
    loss->targets_host = targets;
    loss->rows_host = rows;
    return rule_make(loss, cuda, x->c);
}
