/* The backend's table of functions, and those that only pass a call on to the op's own methods. */
#include <nvtx3/nvToolsExt.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "model/cuda/cuda.h"

int an_cuda_op_new(void *out, an_backend *cuda, const an_op_spec *spec, const an_op_methods *methods, size_t size)
{
    void *place;
    int rc = an_cuda_use(cuda);
    if (rc)
        return rc;
    rc = an_cuda_alloc_host(cuda, &place, size);
    if (rc)
        return rc;
    an_op *op = place;
    op->cuda = cuda;
    op->methods = methods;
    op->node = *spec->node;
    op->input = spec->inputs[0];
    op->input_gradient = spec->input_gradient && cuda->training;
    op->accumulate = spec->accumulate;
    op->rate_scale = spec->rate_scale;
    for (int i = 0; i < spec->node->input_count; i++)
        spec->inputs[i]->readers++;
    *cuda->ops_end = op;
    cuda->ops_end = &op->next;
    *(void **)out = place;
    return AN_OK;
}

static int cuda_synchronize(an_backend *cuda)
{
    int rc = an_cuda_use(cuda);
    cudaError_t images = cudaStreamSynchronize(cuda->images), copies = cudaStreamSynchronize(cuda->copy);
    cudaError_t reductions = cuda->reduce ? cudaStreamSynchronize(cuda->reduce) : cudaSuccess;
    cudaError_t kernels = cudaStreamSynchronize(cuda->compute);
    if (!rc)
        rc = an_cuda_check(images, "wait for the images of cuda:%d", cuda->device);
    if (!rc)
        rc = an_cuda_check(copies, "wait for the copies of cuda:%d", cuda->device);
    if (!rc)
        rc = an_cuda_check(reductions, "wait for the gradients of cuda:%d", cuda->device);
    if (!rc)
        rc = an_cuda_check(kernels, "wait for cuda:%d", cuda->device);
    if (rc)
        return rc;
    return an_cuda_time_end(cuda);
}

static int op_output(an_op *op)
{
    uint64_t before = op->cuda->memory;
    int rc = op->pooled ? AN_OK : an_cuda_tensor_make(&op->output, op->node.name);
    op->memory += op->cuda->memory - before;
    return rc;
}

static int op_prepare(an_op *op)
{
    uint64_t before = op->cuda->memory;
    int rc = op->methods->prepare ? op->methods->prepare(op) : AN_OK;
    op->memory += op->cuda->memory - before;
    return rc ? an_error_prefix(rc, "%s", op->node.name) : AN_OK;
}

static int op_bind(an_op *op)
{
    int rc = op->methods->bind ? op->methods->bind(op) : AN_OK;
    return rc ? an_error_prefix(rc, "%s", op->node.name) : AN_OK;
}

static int cuda_finish(an_backend *cuda)
{
    int rc = an_cuda_use(cuda);
    if (!rc)
        rc = an_cuda_parts_choose(cuda);
    an_cuda_fuse(cuda);
    an_cuda_blocks_choose(cuda);
    for (an_op *op = cuda->ops; op && !rc; op = op->next)
        rc = op_output(op);
    for (an_op *op = cuda->ops; op && !rc; op = op->next)
        rc = op_prepare(op);
    if (!rc)
        rc = an_cuda_norm_make(cuda);
    if (!rc && cuda->workspace_size)
        rc = an_cuda_alloc(cuda, &cuda->workspace, cuda->workspace_size, "workspaces");
    for (an_op *op = cuda->ops; op && !rc; op = op->next)
        rc = op_bind(op);
    if (rc)
        return rc;
    return cuda_synchronize(cuda);
}

static uint64_t cuda_memory(const an_backend *cuda)
{
    return cuda->memory;
}

static int (*const creators[AN_OP_KINDS])(an_op **out, an_backend *cuda, const an_op_spec *spec) = {
    [AN_OP_INPUT] = an_cuda_input_create,
    [AN_OP_CONV] = an_cuda_conv_create,
    [AN_OP_LRN] = an_cuda_lrn_create,
    [AN_OP_POOL] = an_cuda_pool_create,
    [AN_OP_DENSE] = an_cuda_dense_create,
    [AN_OP_DROPOUT] = an_cuda_dropout_create,
    [AN_OP_LOSS] = an_cuda_loss_create,
    [AN_OP_JOIN] = an_cuda_join_create,
    [AN_OP_ACTIVATION] = an_cuda_activation_create,
};

/* How a node's output is stored, as the ops' create functions decide it. */
typedef struct {
    bool fp32; /* although the others are bf16: logits */
    bool padded;
} storage;

static storage storage_of(const an_backend_options *options, const an_graph *graph, const an_node *node)
{
    bool bf16 = options->precision == AN_PRECISION_BF16;
    if (node->kind == AN_OP_INPUT) {
        int stored = an_plan_image_channels(node->channels, bf16 ? AN_CUDA_BF16 : AN_CUDA_F32);
        return (storage){.padded = stored != node->channels};
    }
    if (node->kind == AN_OP_CONV)
        return (storage){0};
    if (node->kind == AN_OP_DENSE)
        return (storage){.fp32 = bf16 && node->activation == AN_ACTIVATION_NONE};
    storage input = storage_of(options, graph, &graph->nodes[node->inputs[0]]);
    if (node->kind == AN_OP_DROPOUT)
        input.fp32 = false;
    return input;
}

/* Kernels that read values only in the type in which activations are stored. */
static bool reads_one_type(an_op_kind kind)
{
    return kind == AN_OP_CONV || kind == AN_OP_POOL || kind == AN_OP_LRN || kind == AN_OP_ACTIVATION;
}

static int cuda_supports(const an_backend_options *options, const an_graph *graph, int number)
{
    const an_node *node = &graph->nodes[number];
    an_op_kind kind = node->kind;
    if (!an_kind_find(kind) || !creators[kind])
        return an_error(AN_EUNSUPPORTED, "GPUs have no layer of kind '%s': take another device", an_op_name(kind));
    for (int i = 0; i < node->input_count; i++) {
        const an_node *input = &graph->nodes[node->inputs[i]];
        storage stored = storage_of(options, graph, input);
        if (reads_one_type(kind) && stored.fp32)
            return an_error(AN_EUNSUPPORTED, "in bf16 on GPUs only fully connected layers, dropout and the loss can "
                                             "follow fp32 logits: give the layer before an activation");
        bool whole = kind == AN_OP_JOIN || kind == AN_OP_LOSS || kind == AN_OP_ACTIVATION || node->groups > 1;
        if (stored.padded && whole)
            return an_error(AN_EUNSUPPORTED,
                            "on GPUs the image's %d channels are stored padded and can be neither "
                            "grouped, joined nor activated: put a convolution between",
                            input->channels);
        if (kind == AN_OP_LOSS && (input->height != 1 || input->width != 1))
            return an_error(AN_EUNSUPPORTED, "on GPUs the loss follows outputs of one pixel: put a fully connected "
                                             "layer between");
    }
    return AN_OK;
}

/* Pinned memory that every device can copy from. */
static int cuda_host_alloc(an_backend *cuda, void **out, size_t size)
{
    int rc = an_cuda_use(cuda);
    if (rc)
        return rc;
    rc = an_cuda_check(cudaHostAlloc(out, size, cudaHostAllocPortable),
                       "allocate %zu bytes of pinned memory for images; fewer or smaller batches need less", size);
    if (rc)
        return rc;
    memset(*out, 0, size);
    return AN_OK;
}

static void cuda_host_free(void *memory, size_t size)
{
    (void)size;
    if (memory)
        (void)cudaFreeHost(memory);
}

/* The same for an op that is made without asking: its kernels would read fp32 values as bf16. */
static bool reads_fp32_as_bf16(const an_backend *cuda, const an_op_spec *spec)
{
    return reads_one_type(spec->node->kind) && spec->inputs[0]->output.stored != cuda->stored;
}

static int cuda_op_create(an_op **out, an_backend *cuda, const an_op_spec *spec)
{
    if (reads_fp32_as_bf16(cuda, spec))
        return an_error(AN_EUNSUPPORTED, "only fully connected layers, dropout and the loss can follow fp32 logits");
    uint64_t before = cuda->memory;
    int rc = creators[spec->node->kind](out, cuda, spec);
    if (rc)
        return rc;
    (*out)->memory = cuda->memory - before;
    return AN_OK;
}

static uint64_t cuda_op_memory(const an_op *op)
{
    return op->memory;
}

/* Begins a named range for NVIDIA's profilers. Without a profiler attached this does nothing. */
static void range_begin(const an_op *op, const char *phase)
{
    char text[48];
    snprintf(text, sizeof text, "%s %s", op->node.name, phase);
    nvtxRangePushA(text);
}

static int cuda_forward(an_op *op, const an_run *run)
{
    int rc = an_cuda_use(op->cuda);
    if (rc)
        return rc;
    range_begin(op, "forward");
    rc = op->methods->forward(op, run);
    nvtxRangePop();
    if (rc)
        return rc;
    return op->ready ? an_cuda_record(op->ready, op->cuda->compute) : AN_OK;
}

static int cuda_backward(an_op *op, const an_run *run)
{
    int rc = an_cuda_use(op->cuda);
    if (rc)
        return rc;
    range_begin(op, "backward");
    rc = op->methods->backward(op, run);
    nvtxRangePop();
    return rc;
}

static int cuda_op_describe(const an_op *op, an_buffer *out)
{
    return op->methods->describe ? op->methods->describe(op, out) : AN_OK;
}

static int cuda_output_get(an_op *op, bool gradient, uint32_t count, float *out)
{
    int rc = op->pooled && !gradient ? an_cuda_lrn_output(op) : AN_OK;
    if (rc)
        return rc;
    return an_cuda_tensor_get(&op->output, gradient, count, out);
}

static int cuda_output_set(an_op *op, bool gradient, uint32_t count, const float *values)
{
    return an_cuda_tensor_set(&op->output, gradient, count, values);
}

static int cuda_parameter_get(an_op *op, bool bias, an_parameter_kind kind, float *out)
{
    return an_cuda_weights_get(bias ? &op->bias : &op->weights, op->cuda, kind, out);
}

static int cuda_parameter_set(an_op *op, bool bias, an_parameter_kind kind, const float *values)
{
    return an_cuda_weights_set(bias ? &op->bias : &op->weights, op, kind, values);
}

const an_backend_api an_backend_cuda = {
    .name = "cuda",
    .devices = an_cuda_devices,
    .supports = cuda_supports,
    .open = an_cuda_open,
    .close = an_cuda_close,
    .input_format = an_cuda_input_format,
    .finish = cuda_finish,
    .synchronize = cuda_synchronize,
    .device_time = an_cuda_time_get,
    .device_pause = an_cuda_time_pause,
    .memory = cuda_memory,
    .host_alloc = cuda_host_alloc,
    .host_free = cuda_host_free,
    .op_create = cuda_op_create,
    .begin = an_cuda_begin,
    .forward = cuda_forward,
    .backward = cuda_backward,
    .collect = an_cuda_collect,
    .update = an_cuda_update,
    .update_all = an_cuda_update_all,
    .gather = an_cuda_gather,
    .norm = an_cuda_norm_take,
    .squares = an_cuda_squares,
    .trust = an_cuda_trust,
    .trust_squares = an_cuda_trust_squares,
    .trust_set = an_cuda_trust_set,
    .exchange = an_cuda_exchange,
    .gradients = an_cuda_gradients,
    .checksum = an_cuda_checksum,
    .reduce_begin = an_cuda_reduce_begin,
    .reduce_end = an_cuda_reduce_end,
    .op_memory = cuda_op_memory,
    .op_describe = cuda_op_describe,
    .mark = an_cuda_mark,
    .between = an_cuda_between,
    .record_begin = an_cuda_record_begin,
    .record_end = an_cuda_record_end,
    .replay = an_cuda_replay,
    .feed = an_cuda_feed,
    .prefetch = an_cuda_prefetch,
    .decoded = an_cuda_decoded,
    .labels = an_cuda_labels,
    .result = an_cuda_result,
    .output_get = cuda_output_get,
    .output_set = cuda_output_set,
    .parameter_get = cuda_parameter_get,
    .parameter_set = cuda_parameter_set,
    .snapshot_open = an_cuda_snapshot_open,
    .snapshot_close = an_cuda_snapshot_close,
    .snapshot_take = an_cuda_snapshot_take,
    .snapshot_wait = an_cuda_snapshot_wait,
};
