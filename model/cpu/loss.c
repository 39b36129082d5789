/* Softmax and cross entropy in double precision (model/targets.h has the formula). Each row is a sample; the op's
 * output is the probabilities. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "model/cpu/cpu_private.h"
#include "model/targets.h"

typedef struct {
    double loss;
    uint32_t rank; /* of the true class, by the rule of exec.h */
} row_result;

typedef struct {
    an_op op;
    an_cpu_view view;
    an_target_rule rule;
    double weights_sum;
    an_target *targets;
    row_result *rows;
    double total;
    uint32_t count; /* samples of the last forward */
    bool labelled;
} loss_op;

/* Returns the logarithm of the sum of the exponentials. */
static double row_softmax(const float *logits, float *out, size_t classes)
{
    float most = logits[0];
    double sum = 0;
    for (size_t i = 1; i < classes; i++)
        most = logits[i] > most ? logits[i] : most;
    for (size_t i = 0; i < classes; i++) {
        double power = exp((double)logits[i] - most);
        sum += power;
        out[i] = (float)power;
    }
    float scale = (float)(1 / sum);
    for (size_t i = 0; i < classes; i++)
        out[i] *= scale;
    return most + log(sum);
}

static uint32_t row_rank(const float *probabilities, size_t classes, uint32_t label)
{
    uint32_t rank = 0;
    float own = probabilities[label];
    for (size_t i = 0; i < label; i++)
        rank += probabilities[i] >= own;
    for (size_t i = label; i < classes; i++)
        rank += probabilities[i] > own;
    return rank;
}

/* Times total. */
static double row_loss(const loss_op *loss, const an_target *target, const float *logits, double log_sum)
{
    double sum = target->own * (log_sum - logits[target->label]);
    if (target->rest > 0)
        sum += target->rest * (log_sum - logits[target->other]);
    for (uint32_t c = 0; target->smooth > 0 && c < (uint32_t)loss->rule.classes; c++)
        sum += target->smooth * an_target_weight(&loss->rule, c) * (log_sum - logits[c]);
    return sum;
}

static int loss_forward(an_op *op, const an_run *run)
{
    loss_op *loss = (loss_op *)op;
    size_t classes = (size_t)op->output.c;
    const float *logits = loss->view.tensor->data;
    float *probabilities = op->output.data;
    int rc = an_cpu_view_forward(&loss->view, op->cpu), count = (int)run->count;
    if (rc)
        return rc;
    loss->count = run->count;
#pragma omp parallel for schedule(static)
    for (int row = 0; row < count; row++) {
        const float *in = logits + (size_t)row * classes;
        float *out = probabilities + (size_t)row * classes;
        double log_sum = row_softmax(in, out, classes);
        if (!loss->labelled)
            continue;
        const an_target *target = &loss->targets[row];
        loss->rows[row] =
            (row_result){.loss = row_loss(loss, target, in, log_sum), .rank = row_rank(out, classes, target->label)};
    }
    return AN_OK;
}

static void row_slope(const loss_op *loss, const an_target *target, const float *probabilities, float *slope)
{
    float share = 1.0F / (float)loss->total, all = (float)target->sum * share;
    size_t classes = (size_t)loss->rule.classes;
    for (size_t c = 0; c < classes; c++)
        slope[c] = probabilities[c] * all;
    for (size_t c = 0; target->smooth > 0 && c < classes; c++)
        slope[c] -= (float)(target->smooth * an_target_weight(&loss->rule, (uint32_t)c)) * share;
    slope[target->label] -= (float)target->own * share;
    slope[target->other] -= (float)target->rest * share;
}

/* Rows from count on get 0. */
static int loss_backward(an_op *op, const an_run *run)
{
    loss_op *loss = (loss_op *)op;
    size_t classes = (size_t)op->output.c, used = run->count * classes, all = (size_t)op->output.n * classes;
    const float *probabilities = op->output.data;
    float *slope = loss->view.tensor->slope;
    for (size_t row = 0; row < run->count; row++)
        row_slope(loss, &loss->targets[row], probabilities + row * classes, slope + row * classes);
    memset(slope + used, 0, (all - used) * sizeof *slope);
    return an_cpu_view_backward(&loss->view, op->cpu);
}

int an_cpu_labels(an_op *op, const an_targets *targets, uint32_t count)
{
    loss_op *loss = (loss_op *)op;
    loss->labelled = targets != NULL;
    if (!targets)
        return AN_OK;
    loss->total = targets->total;
    for (uint32_t i = 0; i < count; i++)
        loss->targets[i] = an_target_of(&loss->rule, loss->weights_sum, targets, i);
    return AN_OK;
}

int an_cpu_result(an_op *op, an_exec_result *out)
{
    const loss_op *loss = (const loss_op *)op;
    *out = (an_exec_result){0};
    for (uint32_t i = 0; i < loss->count; i++) {
        out->loss += loss->rows[i].loss / loss->total;
        out->top1 += loss->rows[i].rank < 1;
        out->topk += loss->rows[i].rank < op->cpu->top;
    }
    return AN_OK;
}

static int rule_make(loss_op *loss, an_backend *cpu, int classes)
{
    size_t size = (size_t)classes * sizeof(double);
    loss->rule = (an_target_rule){.smoothing = cpu->label_smoothing, .classes = classes};
    if (cpu->class_weights) {
        void *weights;
        int rc = an_cpu_alloc(cpu, &weights, size);
        if (rc)
            return rc;
        memcpy(weights, cpu->class_weights, size);
        loss->rule.weights = weights;
    }
    loss->weights_sum = an_target_weights_sum(&loss->rule);
    return AN_OK;
}

int an_cpu_loss_create(an_op **out, an_backend *cpu, const an_op_spec *spec)
{
    static const an_op_methods methods = {loss_forward, loss_backward, NULL};
    loss_op *loss;
    void *targets, *rows;
    int rc = an_cpu_op_new(&loss, cpu, spec, &methods, sizeof *loss);
    if (rc)
        return rc;
    an_cpu_tensor *source = an_cpu_input(spec, 0);
    an_desc order = an_matrix_desc(dnnl_f32, source->n, source->c, dnnl_nc);
    int shape[] = {source->n, source->c, 1, 1};
    size_t batch = (size_t)source->n;
    rc =
        an_cpu_view_make(&loss->view, cpu, source, &(an_cpu_view_spec){&order, spec->input_gradient, spec->accumulate});
    if (rc)
        return rc;
    rc = an_cpu_tensor_make(&loss->op.output, cpu, shape, &order);
    if (rc)
        return rc;
    rc = an_cpu_alloc(cpu, &targets, batch * sizeof *loss->targets);
    if (rc)
        return rc;
    rc = an_cpu_alloc(cpu, &rows, batch * sizeof *loss->rows);
    if (rc)
        return rc;
    loss->targets = targets;
    loss->rows = rows;
    *out = &loss->op;
    return rule_make(loss, cpu, source->c);
}
