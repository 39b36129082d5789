/* An operation of a backend against the double-precision reference, forward and backward. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/error.h"
#include "op_check.h"
#include "reference.h"
#include "support.h"

/* The same case in the reference. */
typedef struct {
    an_reference_shape shape;
    an_reference_weights weights;
    double *x, *y, *dy, *dx;
    uint8_t *kept;
} expectation;

static void expect(expectation *e, const an_test_rig *r, const an_test_case *c, const float *x, const float *weight,
                   const float *bias, uint64_t step)
{
    size_t outputs = (size_t)r->node->channels;
    e->shape = (an_reference_shape){c->n, c->c, c->side, c->side};
    e->x = an_test_doubles(x, r->inputs);
    e->y = an_test_zeros(r->outputs, sizeof(double));
    e->dx = an_test_zeros(r->inputs, sizeof(double));
    e->kept = an_test_zeros(r->outputs, 1);
    e->weights.weight = an_test_doubles(weight, r->weights);
    e->weights.bias = an_test_doubles(bias, outputs);
    e->weights.weight_gradient = an_test_zeros(r->weights + 1, sizeof(double));
    e->weights.bias_gradient = an_test_zeros(outputs, sizeof(double));
    if (r->node->kind == AN_OP_DROPOUT)
        an_reference_mask(r->node, c->n, 3, step, e->kept);
    an_reference_forward(r->node, e->shape, e->x, &e->weights, e->kept, e->y);
}

static void expectation_free(expectation *e)
{
    free(e->x);
    free(e->y);
    free(e->dx);
    free(e->kept);
    free(e->weights.weight);
    free(e->weights.bias);
    free(e->weights.weight_gradient);
    free(e->weights.bias_gradient);
}

static void check_parameters(an_test_rig *r, const an_test_case *c, const expectation *e)
{
    float *got = an_test_zeros(r->weights + (size_t)r->node->channels, sizeof *got);
    if (r->weights) {
        an_test_ok(r->api->parameter_get(r->op, false, AN_PARAMETER_GRADIENT, got), c->name);
        an_test_close(c->name, got, e->weights.weight_gradient, r->weights, r->tolerance);
        an_test_ok(r->api->parameter_get(r->op, true, AN_PARAMETER_GRADIENT, got), c->name);
        an_test_close(c->name, got, e->weights.bias_gradient, (size_t)r->node->channels, r->tolerance);
    }
    free(got);
}

static void check_backward(an_test_rig *r, const an_test_case *c, expectation *e, const an_run *run, bool accumulate)
{
    float *dy = an_test_random(r->outputs, 4), *before = an_test_random(r->inputs, 5);
    float *got = an_test_zeros(r->inputs, sizeof *got);
    double *slope = an_test_doubles(dy, r->outputs);
    an_test_ok(r->api->output_set(r->op, true, (uint32_t)c->n, dy), c->name);
    an_test_ok(r->api->output_set(r->source, true, (uint32_t)c->n, before), c->name);
    an_test_ok(r->api->backward(r->op, run), c->name);
    for (size_t i = 0; i < r->inputs && accumulate; i++)
        e->dx[i] = before[i];
    an_reference_backward(r->node, e->shape, e->x, e->y, slope, &e->weights, e->kept, e->dx);
    an_test_ok(r->api->output_get(r->source, true, (uint32_t)c->n, got), c->name);
    if (!c->first)
        an_test_close(c->name, got, e->dx, r->inputs, r->tolerance);
    check_parameters(r, c, e);
    free(dy);
    free(before);
    free(got);
    free(slope);
}

int an_test_op_forward(const an_backend_api *api, an_backend *backend, an_op *op, const an_run *run)
{
    int rc = api->begin ? api->begin(backend, run) : AN_OK;
    if (rc)
        return rc;
    return api->forward(op, run);
}

void an_test_op_check(const an_test_target *t, const an_test_case *c, bool training, bool accumulate)
{
    an_test_rig r;
    expectation e;
    const an_backend_api *api = t->api;
    an_run run = {.step = 7, .count = (uint32_t)c->n, .training = true};
    an_test_rig_make(&r, t, c, training, accumulate);
    float *x = an_test_random(r.inputs, 1), *weight = an_test_random(r.weights, 2);
    float *bias = an_test_random((size_t)r.node->channels, 3), *y = an_test_zeros(r.outputs, sizeof *y);
    an_test_rig_weights(&r, weight, bias);
    an_test_ok(api->output_set(r.source, false, (uint32_t)c->n, x), c->name);
    an_test_ok(an_test_op_forward(api, r.backend, r.op, &run), c->name);
    an_test_ok(api->output_get(r.op, false, (uint32_t)c->n, y), c->name);
    expect(&e, &r, c, x, weight, bias, run.step);
    an_test_close(c->name, y, e.y, r.outputs, r.tolerance);
    for (size_t i = 0; i < r.outputs && r.node->activation == AN_ACTIVATION_RELU; i++)
        e.y[i] = y[i]; /* ReLU backward uses the computed output, whose sign rounding may have changed */
    if (training)
        check_backward(&r, c, &e, &run, accumulate);
    expectation_free(&e);
    free(x);
    free(weight);
    free(bias);
    free(y);
    api->close(r.backend);
}
