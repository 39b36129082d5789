#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/cpu/cpu_private.h"

int an_cpu_op_new(void *out, an_backend *cpu, const an_op_spec *spec, const an_op_methods *methods, size_t size)
{
    void *place;
    int rc = an_cpu_alloc(cpu, &place, size);
    if (rc)
        return rc;
    an_op *op = place;
    op->cpu = cpu;
    op->methods = methods;
    op->node = *spec->node;
    op->rate_scale = spec->rate_scale;
    if (op->node.has_weights)
        cpu->weighted[cpu->weighted_count++] = op;
    if (op->node.has_weights && cpu->training && op->rate_scale > 0)
        cpu->learning[cpu->learning_count++] = op;
    *(void **)out = place;
    return AN_OK;
}

an_cpu_tensor *an_cpu_input(const an_op_spec *spec, int i)
{
    return &spec->inputs[i]->output;
}

static bool bf16_possible(void)
{
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
}

static int cpu_open(an_backend **out, const an_backend_options *options)
{
    if (strcmp(options->device, "cpu") != 0)
        return an_error(AN_EINVAL, "no device '%s': processors are 'cpu', without a number", options->device);
    if (options->precision == AN_PRECISION_TF32)
        return an_error(AN_EUNSUPPORTED, "tf32 exists on GPUs only: use fp32 or bf16");
    if (options->precision == AN_PRECISION_BF16 && !bf16_possible())
        return an_error(AN_EUNSUPPORTED, "bf16 needs a processor with AVX-512: use f32");
    an_backend *cpu = calloc(1, sizeof *cpu);
    if (!cpu)
        return an_error(AN_ENOMEM, "out of memory");
    cpu->batch = options->batch;
    cpu->threads = options->threads;
    cpu->training = options->training;
    cpu->averages = options->averages;
    cpu->gathers = options->gathers;
    cpu->reducer = options->reducer;
    cpu->direct = options->direct;
    cpu->winograd = options->winograd;
    cpu->seed = options->seed;
    cpu->top = options->top;
    cpu->label_smoothing = options->label_smoothing;
    cpu->class_weights = options->class_weights;
    cpu->type = options->precision == AN_PRECISION_BF16 ? dnnl_bf16 : dnnl_f32;
    int rc = an_cpu_check(dnnl_engine_create(&cpu->engine, dnnl_cpu, 0), "cpu", "an engine");
    if (!rc)
        rc = an_cpu_check(dnnl_stream_create(&cpu->stream, cpu->engine, dnnl_stream_default_flags), "cpu", "a stream");
    if (rc) {
        an_backend_cpu.close(cpu);
        return rc;
    }
    *out = cpu;
    return AN_OK;
}

static void cpu_close(an_backend *cpu)
{
    if (!cpu)
        return;
    an_cpu_free_all(cpu);
    dnnl_stream_destroy(cpu->stream);
    dnnl_engine_destroy(cpu->engine);
    free(cpu);
}

static an_format cpu_input_format(const an_backend *cpu)
{
    return (an_format){cpu->type == dnnl_bf16 ? AN_DTYPE_BF16 : AN_DTYPE_F32, AN_LAYOUT_NCHW, 3};
}

static int cpu_synchronize(an_backend *cpu)
{
    return an_cpu_check(dnnl_stream_wait(cpu->stream), "cpu", "to wait");
}

static uint64_t cpu_memory(const an_backend *cpu)
{
    return cpu->memory;
}

/* Tensors are stored with their height and width (planes) or as a matrix of samples x channels. */
enum { PLANES = 1, MATRIX = 2 };

/* The kinds that this backend has, and how the tensors may be stored that they read. */
static const struct {
    int (*create)(an_op **out, an_backend *cpu, const an_op_spec *spec);
    unsigned reads;
} ops[AN_OP_KINDS] = {
    [AN_OP_INPUT] = {an_cpu_input_create, 0},
    [AN_OP_CONV] = {an_cpu_conv_create, PLANES},
    [AN_OP_LRN] = {an_cpu_lrn_create, PLANES | MATRIX},
    [AN_OP_POOL] = {an_cpu_pool_create, PLANES},
    [AN_OP_DENSE] = {an_cpu_dense_create, PLANES | MATRIX},
    [AN_OP_DROPOUT] = {an_cpu_dropout_create, PLANES | MATRIX},
    [AN_OP_ACTIVATION] = {an_cpu_activation_create, PLANES | MATRIX},
    [AN_OP_LOSS] = {an_cpu_loss_create, MATRIX},
    [AN_OP_JOIN] = {an_cpu_join_create, PLANES | MATRIX},
};

static int cpu_op_create(an_op **out, an_backend *cpu, const an_op_spec *spec)
{
    omp_set_num_threads(cpu->threads); /* primitives divide their work when they are made */
    return ops[spec->node->kind].create(out, cpu, spec);
}

static unsigned stored_as(const an_graph *graph, const an_node *node)
{
    while (node->kind == AN_OP_JOIN || node->kind == AN_OP_ACTIVATION || node->kind == AN_OP_DROPOUT)
        node = &graph->nodes[node->inputs[0]];
    return node->kind == AN_OP_DENSE || node->kind == AN_OP_LOSS ? MATRIX : PLANES;
}

static int cpu_supports(const an_backend_options *options, const an_graph *graph, int number)
{
    (void)options;
    const an_node *node = &graph->nodes[number];
    const an_kind *kind = an_kind_find(node->kind);
    if (!kind || !ops[node->kind].create)
        return an_error(AN_EUNSUPPORTED, "processors have no layer of kind '%s': take another device",
                        an_op_name(node->kind));
    for (int i = 0; i < node->input_count; i++) {
        unsigned stored = stored_as(graph, &graph->nodes[node->inputs[i]]);
        bool grouped = node->kind == AN_OP_LRN && node->groups > 1; /* groups are split off planes only */
        if (!(ops[node->kind].reads & stored) || (grouped && stored == MATRIX))
            return an_error(AN_EUNSUPPORTED, "on processors a layer of kind '%s' %s", kind->name,
                            stored == MATRIX ? "cannot follow a fully connected one: put it before that"
                                             : "must follow a fully connected one: put that between");
        if (stored != stored_as(graph, &graph->nodes[node->inputs[0]]))
            return an_error(AN_EUNSUPPORTED,
                            "on processors a fully connected layer cannot be joined with another kind: "
                            "put a fully connected layer behind the other one");
    }
    return AN_OK;
}

/* In OpenMP the number of threads belongs to the calling thread, so it is set before each piece of work. */
static int cpu_forward(an_op *op, const an_run *run)
{
    omp_set_num_threads(op->cpu->threads);
    return op->methods->forward(op, run);
}

static int cpu_backward(an_op *op, const an_run *run)
{
    omp_set_num_threads(op->cpu->threads);
    return op->methods->backward(op, run);
}

static int cpu_update(an_op *op, const an_sgd *sgd, double factor)
{
    an_cpu_update update = {.sgd = sgd, .factor = factor};
    if (factor == AN_FACTOR_OWN)
        update.factor = op->cpu->factor;
    omp_set_num_threads(op->cpu->threads);
    int rc = AN_OK;
    for (int i = 0; i < 2 * op->parts && !rc && op->rate_scale > 0; i++) {
        update.bias = i % 2;
        update.scale = op->rate_scale * (update.bias || sgd->trust == 0 ? 1 : op->trust);
        rc = an_cpu_weights_update(update.bias ? &op->biases[i / 2] : &op->weights[i / 2], op->cpu, &update);
    }
    return rc;
}

static int cpu_gather(an_op *op, bool begin)
{
    omp_set_num_threads(op->cpu->threads);
    for (int i = 0; i < op->parts; i++) {
        an_cpu_weights_gather(&op->weights[i], begin);
        an_cpu_weights_gather(&op->biases[i], begin);
    }
    return AN_OK;
}

static int cpu_norm(an_backend *cpu, double clip)
{
    omp_set_num_threads(cpu->threads);
    cpu->squares = 0;
    for (int i = 0; i < cpu->learning_count; i++) {
        an_op *op = cpu->learning[i];
        op->squares.gradient = 0;
        for (int part = 0; part < op->parts; part++) {
            double weights = an_cpu_weights_squares(&op->weights[part]);
            op->squares.gradient += weights;
            cpu->squares += weights + an_cpu_weights_squares(&op->biases[part]);
        }
    }
    cpu->factor = an_clip_factor(clip, cpu->squares);
    return AN_OK;
}

static int cpu_squares(an_backend *cpu, double *out)
{
    *out = cpu->squares;
    return AN_OK;
}

static int cpu_exchange(an_op *op)
{
    omp_set_num_threads(op->cpu->threads);
    int rc = AN_OK;
    for (int i = 0; i < op->parts && !rc; i++) {
        rc = an_cpu_weights_exchange(&op->weights[i], op->cpu);
        if (!rc)
            rc = an_cpu_weights_exchange(&op->biases[i], op->cpu);
    }
    return rc;
}

static int cpu_op_describe(const an_op *op, an_buffer *out)
{
    return op->methods->describe ? op->methods->describe(op, out) : AN_OK;
}

static int cpu_output_get(an_op *op, bool gradient, uint32_t count, float *out)
{
    return an_cpu_tensor_get(&op->output, gradient, count, out);
}

static int cpu_output_set(an_op *op, bool gradient, uint32_t count, const float *values)
{
    return an_cpu_tensor_set(&op->output, gradient, count, values);
}

static int cpu_parameter_get(an_op *op, bool bias, an_parameter_kind kind, float *out)
{
    omp_set_num_threads(op->cpu->threads);
    for (int i = 0; i < op->parts; i++) {
        const an_cpu_weights *weights = bias ? &op->biases[i] : &op->weights[i];
        int rc = an_cpu_weights_get(weights, op->cpu, kind, out);
        if (rc)
            return rc;
        out += an_cpu_weights_count(weights);
    }
    return AN_OK;
}

static int cpu_parameter_set(an_op *op, bool bias, an_parameter_kind kind, const float *values)
{
    for (int i = 0; i < op->parts; i++) {
        an_cpu_weights *weights = bias ? &op->biases[i] : &op->weights[i];
        int rc = an_cpu_weights_set(weights, op->cpu, kind, values);
        if (rc)
            return rc;
        values += an_cpu_weights_count(weights);
    }
    return AN_OK;
}

const an_backend_api an_backend_cpu = {
    .name = "cpu",
    .processors = true,
    .supports = cpu_supports,
    .open = cpu_open,
    .close = cpu_close,
    .input_format = cpu_input_format,
    .finish = an_primitive_scratch_finish,
    .synchronize = cpu_synchronize,
    .memory = cpu_memory,
    .op_create = cpu_op_create,
    .forward = cpu_forward,
    .backward = cpu_backward,
    .collect = an_cpu_collect,
    .update = cpu_update,
    .gather = cpu_gather,
    .norm = cpu_norm,
    .squares = cpu_squares,
    .trust = an_cpu_trust,
    .trust_squares = an_cpu_trust_squares,
    .trust_set = an_cpu_trust_set,
    .exchange = cpu_exchange,
    .gradients = an_cpu_gradients,
    .checksum = an_cpu_checksum,
    .op_describe = cpu_op_describe,
    .feed = an_cpu_feed,
    .labels = an_cpu_labels,
    .result = an_cpu_result,
    .output_get = cpu_output_get,
    .output_set = cpu_output_set,
    .parameter_get = cpu_parameter_get,
    .parameter_set = cpu_parameter_set,
};
