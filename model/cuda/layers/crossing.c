/* Joins: they concatenate the outputs of several ops, their sources, along the channels. A source on another device is
 * first copied whole into the join's inbox on the join's device. Backward, the channels of the join's gradient that
 * belong to such a source are packed into the outbox and copied back to the source's device. */
#include "base/error.h"
#include "model/cuda/cuda.h"

typedef struct {
    an_op op;
    an_crossing crossings[AN_GRAPH_INPUTS_MAX];
    an_op *sources[AN_GRAPH_INPUTS_MAX];
    int count;
} join_op;

static uint64_t rows_of(const an_cuda_tensor *tensor)
{
    return (uint64_t)tensor->n * (uint64_t)tensor->h * (uint64_t)tensor->w;
}

static size_t size_of(const an_op *source, an_stored stored)
{
    return an_cuda_tensor_items(&source->output) * an_stored_size(stored);
}

/* A copy of a source's channels between two buffers whose rows have from_c and to_c channels. */
typedef struct {
    const void *from;
    void *to;
    int from_c, from_offset, to_c, to_offset;
    an_stored stored;
    bool accumulate;
} window;

static int window_copy(const an_op *on, const an_cuda_tensor *source, const window *w)
{
    uint64_t items = rows_of(source) * (uint64_t)source->stored_c;
    an_window_args args = {.at = {.out = {w->to}, .in = {w->from}, .items = items},
                           .channels = source->stored_c,
                           .from_channels = w->from_c,
                           .from_offset = w->from_offset,
                           .to_channels = w->to_c,
                           .to_offset = w->to_offset,
                           .accumulate = w->accumulate,
                           .from = w->stored,
                           .to = w->stored};
    return an_cuda_launched(an_kernel_window(&args, on->cuda->compute), on, "window");
}

static bool same_gpu(const an_backend *a, const an_backend *b)
{
    return a->device == b->device;
}

/* Copies between logical devices on the receiver's copy stream. GPUs that cannot access each other need
 * cudaMemcpyPeerAsync, which names both and lets the driver go through the host. It cannot be captured into a graph,
 * not even where both are the same GPU (cudaErrorStreamCaptureUnsupported); cudaMemcpyAsync can. */
static cudaError_t copy(const an_crossing *c, void *to, const an_backend *here, const void *from,
                        const an_backend *there, size_t size)
{
    if (same_gpu(here, there))
        return cudaMemcpyAsync(to, from, size, cudaMemcpyDeviceToDevice, here->copy);
    return c->direct ? cudaMemcpyAsync(to, from, size, cudaMemcpyDefault, here->copy)
                     : cudaMemcpyPeerAsync(to, here->device, from, there->device, size, here->copy);
}

static int peer_copy(const an_crossing *c, const an_op *source, an_stored stored, void *to, const an_backend *here,
                     const void *from, const an_backend *there)
{
    size_t size = size_of(source, stored);
    return an_cuda_check(copy(c, to, here, from, there, size), "copy %zu bytes of %s from cuda:%d to cuda:%d", size,
                         source->node.name, there->device, here->device);
}

static int value_pull(an_crossing *c, const an_op *source)
{
    an_backend *here = c->join->cuda;
    int rc = an_cuda_wait(here->copy, source->ready);
    if (rc)
        return rc;
    rc = peer_copy(c, source, source->output.stored, c->inbox, here, source->output.data, source->cuda);
    if (rc)
        return rc;
    rc = an_cuda_record(c->arrived, here->copy);
    if (rc)
        return rc;
    return an_cuda_wait(here->compute, c->arrived);
}

static int source_place(an_crossing *c, const an_op *source)
{
    const an_cuda_tensor *from = &source->output, *to = &c->join->output;
    window w = {.from = c->remote ? c->inbox : from->data,
                .to = to->data,
                .from_c = from->stored_c,
                .to_c = to->stored_c,
                .to_offset = c->offset,
                .stored = from->stored};
    int rc = c->remote ? value_pull(c, source) : AN_OK;
    if (rc)
        return rc;
    return window_copy(c->join, from, &w);
}

static int join_forward(an_op *op, const an_run *run)
{
    (void)run;
    join_op *join = (join_op *)op;
    int rc = AN_OK;
    for (int i = 0; i < join->count && !rc; i++)
        rc = source_place(&join->crossings[i], join->sources[i]);
    return rc;
}

static int join_backward(an_op *op, const an_run *run)
{
    (void)op;
    (void)run;
    return AN_OK; /* sources collect */
}

/* Packs the source's channels of the join's gradient on the join's device and copies them to the source's device. */
static int gradient_pull(an_crossing *c, an_op *source)
{
    an_backend *there = c->join->cuda, *here = source->cuda;
    const an_cuda_tensor *from = &c->join->output;
    window w = {.from = from->slope,
                .to = c->outbox,
                .from_c = from->stored_c,
                .from_offset = c->offset,
                .to_c = source->output.stored_c,
                .stored = from->slope_stored};
    int rc = an_cuda_use(there);
    if (rc)
        return rc;
    rc = window_copy(c->join, &source->output, &w);
    if (rc)
        return rc;
    rc = an_cuda_record(c->packed, there->compute);
    if (rc)
        return rc;
    rc = an_cuda_use(here);
    if (rc)
        return rc;
    rc = an_cuda_wait(here->copy, c->packed);
    if (rc)
        return rc;
    rc = peer_copy(c, source, source->output.slope_stored, c->returned, here, c->outbox, there);
    if (rc)
        return rc;
    rc = an_cuda_record(c->sent, here->copy);
    if (rc)
        return rc;
    return an_cuda_wait(here->compute, c->sent);
}

static int gradient_add(an_crossing *c, an_op *source, bool accumulate)
{
    const an_cuda_tensor *to = &source->output, *from = &c->join->output;
    window w = {.from = c->remote ? c->returned : from->slope,
                .to = to->slope,
                .from_c = c->remote ? to->stored_c : from->stored_c,
                .from_offset = c->remote ? 0 : c->offset,
                .to_c = to->stored_c,
                .stored = to->slope_stored,
                .accumulate = accumulate};
    int rc = c->remote ? gradient_pull(c, source) : AN_OK;
    if (rc)
        return rc;
    return window_copy(source, to, &w);
}

int an_cuda_collect(an_op *op)
{
    int rc = an_cuda_use(op->cuda);
    for (int i = 0; i < op->crossing_count && !rc; i++)
        rc = gradient_add(op->crossings[i], op, i > 0);
    return rc;
}

/* Lets device a access b's memory if the hardware can; clears direct if it cannot, and copies then go through the
 * host. */
static int peer_enable(const an_backend *a, const an_backend *b, bool *direct)
{
    int possible = 0;
    int rc = an_cuda_check(cudaDeviceCanAccessPeer(&possible, a->device, b->device),
                           "ask whether cuda:%d can access cuda:%d", a->device, b->device);
    *direct = *direct && possible;
    if (rc)
        return rc;
    if (!possible)
        return AN_OK;
    rc = an_cuda_use(a);
    if (rc)
        return rc;
    cudaError_t status = cudaDeviceEnablePeerAccess(b->device, 0);
    if (status == cudaErrorPeerAccessAlreadyEnabled) {
        (void)cudaGetLastError(); /* clears it */
        return AN_OK;
    }
    return an_cuda_check(status, "let cuda:%d access cuda:%d", a->device, b->device);
}

static int gpus_connect(an_crossing *c, const an_backend *here, const an_backend *there)
{
    c->direct = true;
    if (same_gpu(here, there))
        return AN_OK;
    int rc = peer_enable(here, there, &c->direct);
    return rc ? rc : peer_enable(there, here, &c->direct);
}

/* What the gradient needs on its way back. */
static int remote_make_backward(an_crossing *c, an_op *source)
{
    an_backend *here = c->join->cuda, *there = source->cuda;
    const char *name = c->join->node.name;
    size_t size = size_of(source, source->output.slope_stored);
    int rc = an_cuda_event(there, &c->sent);
    if (rc)
        return rc;
    rc = an_cuda_alloc(there, &c->returned, size, name);
    if (rc)
        return rc;
    rc = an_cuda_event(here, &c->packed);
    if (rc)
        return rc;
    return an_cuda_alloc(here, &c->outbox, size, name);
}

static int remote_make(an_crossing *c, an_op *source)
{
    an_backend *here = c->join->cuda, *there = source->cuda;
    int rc = gpus_connect(c, here, there);
    if (rc)
        return rc;
    if (!source->ready)
        rc = an_cuda_event(there, &source->ready);
    if (rc)
        return rc;
    rc = an_cuda_event(here, &c->arrived);
    if (rc)
        return rc;
    rc = an_cuda_alloc(here, &c->inbox, size_of(source, source->output.stored), c->join->node.name);
    if (rc)
        return rc;
    return here->training ? remote_make_backward(c, source) : AN_OK;
}

static int crossing_make(join_op *join, int number, an_op *source, int offset)
{
    an_crossing *c = &join->crossings[number];
    *c = (an_crossing){.join = &join->op, .offset = offset, .remote = source->cuda != join->op.cuda};
    if (source->crossing_count == AN_OP_CROSSINGS_MAX)
        return an_error(AN_EINTERNAL, "%s: more than %d joins", source->node.name, AN_OP_CROSSINGS_MAX);
    join->sources[number] = source;
    source->crossings[source->crossing_count++] = c;
    return c->remote ? remote_make(c, source) : AN_OK;
}

int an_cuda_join_create(an_op **out, an_backend *cuda, const an_op_spec *spec)
{
    static const an_op_methods methods = {.forward = join_forward, .backward = join_backward};
    join_op *join;
    int rc = an_cuda_op_new(&join, cuda, spec, &methods, sizeof *join), channels = 0;
    if (rc)
        return rc;
    an_op *op = &join->op;
    *out = op;
    join->count = spec->node->input_count;
    for (int i = 0; i < join->count && !rc; i++) {
        rc = crossing_make(join, i, spec->inputs[i], channels);
        channels += spec->inputs[i]->output.stored_c;
    }
    if (rc)
        return rc;
    rc = an_cuda_use(cuda);
    if (rc)
        return rc;
    if (channels != op->node.channels)
        return an_error(AN_EUNSUPPORTED, "inputs with padded channels side by side");
    an_cuda_tensor_describe(&op->output, cuda, &op->node, channels, spec->inputs[0]->output.stored);
    return AN_OK;
}
