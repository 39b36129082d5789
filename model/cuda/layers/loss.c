/* Softmax, cross entropy and ranks. The loss and rank of each sample are copied to pinned memory at the end of the
 * forward pass. */
#include <string.h>

#include "base/error.h"
#include "model/cuda/cuda.h"

typedef struct {
    an_op op;
    uint32_t *labels_host; /* pinned */
    an_row_result *rows_host;
    void *labels, *rows;
    bool labelled;
    uint32_t count;    /* of labels; 0: none */
    double total;      /* of an_targets; the same in all steps that a recording stands for */
    cudaEvent_t known; /* rows_host holds the results of the last forward pass */
} loss_op;

int an_cuda_labels(an_op *op, const an_targets *targets, uint32_t count)
{
    loss_op *loss = (loss_op *)op;
    size_t size = count * sizeof *targets->labels;
    loss->labelled = targets != NULL;
    loss->count = targets ? count : 0;
    if (!targets)
        return AN_OK;
    loss->total = targets->total;
    memcpy(loss->labels_host, targets->labels, size);
    int rc = an_cuda_use(op->cuda);
    if (rc)
        return rc;
    return an_cuda_check(
        cudaMemcpyAsync(loss->labels, loss->labels_host, size, cudaMemcpyHostToDevice, op->cuda->compute),
        "copy %u labels to cuda:%d", count, op->cuda->device);
}

static int loss_forward(an_op *op, const an_run *run)
{
    loss_op *loss = (loss_op *)op;
    const an_cuda_tensor *x = &op->input->output;
    an_loss_args args = {.at = {.out = {op->output.data, loss->rows},
                                .in = {x->data, loss->labelled ? loss->labels : NULL},
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
    const an_cuda_tensor *x = &op->input->output;
    an_loss_back_args args = {
        .at = {.out = {x->slope}, .in = {op->output.data, ((loss_op *)op)->labels}, .items = an_cuda_tensor_items(x)},
        .classes = op->output.c,
        .count = run->count,
        .share = 1.0F / (float)((loss_op *)op)->total,
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
        out->top5 += loss->rows_host[i].rank < 5;
    }
    return AN_OK;
}

int an_cuda_loss_create(an_op **out, an_backend *cuda, const an_op_spec *spec)
{
    static const an_op_methods methods = {.forward = loss_forward, .backward = loss_backward};
    loss_op *loss;
    void *labels, *rows;
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
    rc = an_cuda_alloc(cuda, &loss->labels, batch * sizeof(uint32_t), op->node.name);
    if (rc)
        return rc;
    rc = an_cuda_alloc(cuda, &loss->rows, batch * sizeof(an_row_result), op->node.name);
    if (rc)
        return rc;
    rc = an_cuda_alloc_pinned(cuda, &labels, batch * sizeof(uint32_t), op->node.name);
    if (rc)
        return rc;
    rc = an_cuda_alloc_pinned(cuda, &rows, batch * sizeof(an_row_result), op->node.name);
    if (rc)
        return rc;
    rc = an_cuda_event(cuda, &loss->known);
    if (rc)
        return rc;
    loss->labels_host = labels;
    loss->rows_host = rows;
    return AN_OK;
}
