/* Dropout, in plain order. The mask is a pure function of seed, step, layer and the element's place in the whole layer
 * and batch in canonical order, so neither the placement of halves nor the parts of a batch nor the number of threads
 * change it. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/rng.h"
#include "model/cpu/cpu_private.h"
#include "model/cpu/kernels/bf16.h"

typedef struct {
    an_op op;
    an_cpu_view view;
    uint8_t *kept; /* 1: kept, 0: dropped */
} dropout_op;

/* The mask of one row, a sample's values. An element is dropped if its word of the random stream is below the
 * threshold. */
static void row_draw(uint8_t *kept, size_t values, an_rng rng, uint64_t first, uint32_t threshold)
{
    uint32_t words[4];
    for (size_t i = 0; i < values;) {
        uint64_t place = first + i;
        rng.counter[0] = (uint32_t)(place / 4);
        an_rng_philox(rng.counter, rng.key, words);
        for (uint64_t word = place % 4; word < 4 && i < values; word++, i++)
            kept[i] = words[word] >= threshold;
    }
}

static void scale_f32(float *restrict out, const float *restrict in, const uint8_t *restrict kept, size_t count,
                      float scale)
{
    for (size_t i = 0; i < count; i++)
        out[i] = kept[i] ? in[i] * scale : 0;
}

static void scale_bf16(uint16_t *restrict out, const uint16_t *restrict in, const uint8_t *restrict kept, size_t count,
                       float scale)
{
    for (size_t i = 0; i < count; i++)
        out[i] = kept[i] ? an_bf16_narrow(an_bf16_widen(in[i]) * scale) : 0;
}

/* Scales the elements from to from + count - 1, or zeroes those that are dropped. */
static void scale_some(const dropout_op *dropout, void *out, const void *in, size_t from, size_t count)
{
    float scale = (float)(1 / (1 - dropout->op.node.dropout));
    const uint8_t *kept = dropout->kept + from;
    if (dropout->op.cpu->type == dnnl_bf16)
        scale_bf16((uint16_t *)out + from, (const uint16_t *)in + from, kept, count, scale);
    else
        scale_f32((float *)out + from, (const float *)in + from, kept, count, scale);
}

static int dropout_forward(an_op *op, const an_run *run)
{
    dropout_op *dropout = (dropout_op *)op;
    const an_node *node = &op->node;
    const an_cpu_tensor *source = dropout->view.tensor;
    int rc = an_cpu_view_forward(&dropout->view, op->cpu), rows = op->output.n;
    size_t plane = (size_t)node->height * (size_t)node->width, values = (size_t)node->channels * plane;
    if (rc)
        return rc;
    if (!run->training) {
        memcpy(op->output.data, source->data, an_desc_size(&op->output.desc));
        return AN_OK;
    }
    an_rng rng = an_rng_make(op->cpu->seed, AN_RNG_DROPOUT, run->step, (uint64_t)node->layer);
    uint32_t threshold = (uint32_t)ceil(node->dropout * 0x1p32);
#pragma omp parallel for schedule(static)
    for (int row = 0; row < rows; row++) {
        size_t at = (size_t)row * values;
        uint64_t first = (run->first + (uint64_t)row) * (uint64_t)node->layer_channels + (uint64_t)node->channel_offset;
        row_draw(dropout->kept + at, values, rng, first * plane, threshold);
        scale_some(dropout, op->output.data, source->data, at, values);
    }
    return AN_OK;
}

static int dropout_backward(an_op *op, const an_run *run)
{
    (void)run;
    dropout_op *dropout = (dropout_op *)op;
    an_cpu_tensor *source = dropout->view.tensor;
    size_t values = (size_t)source->c * (size_t)source->h * (size_t)source->w;
#pragma omp parallel for schedule(static)
    for (int row = 0; row < source->n; row++)
        scale_some(dropout, source->slope, op->output.slope, (size_t)row * values, values);
    return an_cpu_view_backward(&dropout->view, op->cpu);
}

int an_cpu_dropout_create(an_op **out, an_backend *cpu, const an_op_spec *spec)
{
    static const an_op_methods methods = {dropout_forward, dropout_backward, NULL};
    dropout_op *dropout;
    void *kept;
    int rc = an_cpu_op_new(&dropout, cpu, spec, &methods, sizeof *dropout);
    if (rc)
        return rc;
    an_cpu_tensor *source = an_cpu_input(spec, 0);
    int shape[] = {source->n, source->c, source->h, source->w};
    an_desc order = an_desc_ndims(&source->desc) == 2
                        ? an_matrix_desc(cpu->type, source->n, source->c, dnnl_nc)
                        : an_cpu_tensor_desc(cpu->type, source->n, source->c, source->h, source->w, dnnl_nchw);
    rc = an_cpu_view_make(&dropout->view, cpu, source,
                          &(an_cpu_view_spec){&order, spec->input_gradient, spec->accumulate});
    if (rc)
        return rc;
    rc = an_cpu_tensor_make(&dropout->op.output, cpu, shape, &order);
    if (rc)
        return rc;
    rc = an_cpu_alloc(cpu, &kept, (size_t)source->n * (size_t)source->c * (size_t)source->h * (size_t)source->w);
    if (rc)
        return rc;
    dropout->kept = kept;
    *out = &dropout->op;
    return AN_OK;
}
