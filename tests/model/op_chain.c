#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "op_chain.h"
#include "op_check.h"
#include "reference.h"
#include "support.h"

#define N 2
#define CHANNELS 32
/* Where values are rounded to few bits, another pixel than in the reference may hold a maximum. Single gradients are
 * then far off, but few: this much of the whole. */
#define FLIPPED 0.25

/* The image and the source only hold what the convolution reads. */
enum { IMAGE, SOURCE, CONV, LRN, POOL, COUNT };

typedef struct {
    const an_backend_api *api;
    an_backend *backend;
    an_graph graph;
    an_op *ops[COUNT];
    float *x, *weight, *bias, *dy;
    double *values[COUNT], *slopes[COUNT]; /* of the reference */
    an_reference_weights weights;
    double tolerance;
    bool exact; /* in fp32 */
} chain;

static size_t values_of(const chain *c, int number)
{
    const an_node *node = &c->graph.nodes[number];
    return (size_t)N * (size_t)node->channels * (size_t)node->height * (size_t)node->width;
}

static an_reference_shape input_of(const chain *c, int number)
{
    const an_node *node = &c->graph.nodes[number - 1];
    return (an_reference_shape){N, node->channels, node->height, node->width};
}

static size_t weights_of(const chain *c)
{
    const an_node *conv = &c->graph.nodes[CONV];
    return (size_t)conv->channels * an_graph_node_inputs(&c->graph, conv);
}

static void graph_make(chain *c, int side, int groups)
{
    an_node nodes[COUNT] = {
        {.name = "image", .kind = AN_OP_INPUT, .channels = CHANNELS, .height = side, .width = side},
        {.name = "source", .kind = AN_OP_CONV, .channels = CHANNELS, .kernel = 1, .stride = 1},
        {.name = "conv",
         .kind = AN_OP_CONV,
         .channels = CHANNELS,
         .kernel = 3,
         .stride = 1,
         .pad_before = 1,
         .pad_after = 1},
        {.name = "lrn", .kind = AN_OP_LRN, .lrn_size = 5, .lrn_alpha = 0.05, .lrn_beta = 0.75, .lrn_k = 2},
        {.name = "pool", .kind = AN_OP_POOL, .kernel = 3, .stride = 2}};
    nodes[CONV].activation = AN_ACTIVATION_RELU;
    nodes[LRN].groups = groups;
    for (int i = 0; i < COUNT; i++) {
        nodes[i].input_count = i > 0;
        nodes[i].inputs[0] = i - 1;
        assert_int_equal(an_graph_add(&c->graph, &nodes[i]), i);
    }
}

static void chain_make(chain *c, const an_test_target *t, int side, int groups)
{
    an_backend_options options = {.device = t->api->name,
                                  .batch = N,
                                  .threads = 2,
                                  .training = true,
                                  .precision = t->precision,
                                  .choices = t->choices,
                                  .direct = t->direct,
                                  .winograd = t->winograd};
    *c = (chain){.api = t->api,
                 .tolerance = fmax(t->tolerance, 1e-5),
                 .exact = t->precision == AN_PRECISION_F32 && t->tolerance == 0};
    graph_make(c, side, groups);
    an_test_ok(c->api->open(&c->backend, &options), "open");
    for (int i = 0; i < COUNT; i++) {
        an_op_spec spec = {.rate_scale = 1, .node = &c->graph.nodes[i], .input_gradient = i > SOURCE};
        spec.inputs[0] = i ? c->ops[i - 1] : NULL;
        an_test_ok(c->api->op_create(&c->ops[i], c->backend, &spec), c->graph.nodes[i].name);
    }
    an_test_ok(c->api->finish(c->backend), "finish");
    c->x = an_test_random(values_of(c, SOURCE), 1);
    c->weight = an_test_random(weights_of(c), 2);
    c->bias = an_test_random(CHANNELS, 3);
    c->dy = an_test_random(values_of(c, POOL), 4);
}

static void reference_run(chain *c)
{
    size_t weights = weights_of(c);
    c->weights = (an_reference_weights){.weight = an_test_doubles(c->weight, weights),
                                        .bias = an_test_doubles(c->bias, CHANNELS),
                                        .weight_gradient = an_test_zeros(weights, sizeof(double)),
                                        .bias_gradient = an_test_zeros(CHANNELS, sizeof(double))};
    c->values[SOURCE] = an_test_doubles(c->x, values_of(c, SOURCE));
    c->slopes[POOL] = an_test_doubles(c->dy, values_of(c, POOL));
    for (int i = CONV; i < COUNT; i++) {
        c->values[i] = an_test_zeros(values_of(c, i), sizeof(double));
        c->slopes[i - 1] = an_test_zeros(values_of(c, i - 1), sizeof(double));
        an_reference_forward(&c->graph.nodes[i], input_of(c, i), c->values[i - 1], &c->weights, NULL, c->values[i]);
    }
    for (int i = POOL; i >= CONV; i--)
        an_reference_backward(&c->graph.nodes[i], input_of(c, i), c->values[i - 1], c->values[i], c->slopes[i],
                              &c->weights, NULL, c->slopes[i - 1]);
}

static void backend_run(const chain *c)
{
    an_run run = {.count = N, .training = true};
    an_test_ok(c->api->parameter_set(c->ops[CONV], false, AN_PARAMETER_VALUE, c->weight), "weight");
    an_test_ok(c->api->parameter_set(c->ops[CONV], true, AN_PARAMETER_VALUE, c->bias), "bias");
    an_test_ok(c->api->output_set(c->ops[SOURCE], false, N, c->x), "x");
    for (int i = CONV; i < COUNT; i++)
        an_test_ok(an_test_op_forward(c->api, c->backend, c->ops[i], &run), "forward");
    an_test_ok(c->api->output_set(c->ops[POOL], true, N, c->dy), "dy");
    for (int i = POOL; i >= CONV; i--)
        an_test_ok(c->api->backward(c->ops[i], &run), "backward");
    an_test_ok(c->api->synchronize(c->backend), "synchronize");
}

/* The gradients together: the root of their mean squared error, relative to that of their squares. */
static void gradients_near(const chain *c, const char *what, const float *got, const double *expected, size_t count)
{
    double wrong = 0, whole = 0;
    if (c->exact) {
        an_test_close(what, got, expected, count, 1e-4);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        double off = (double)got[i] - expected[i];
        wrong += off * off;
        whole += expected[i] * expected[i];
    }
    if (!(sqrt(wrong / whole) < FLIPPED))
        fail_msg("%s: gradients are off by %g", what, sqrt(wrong / whole));
}

static void outputs_check(const chain *c, int number, bool gradient, const double *expected)
{
    size_t count = values_of(c, number);
    const char *name = c->graph.nodes[number].name;
    float *got = an_test_zeros(count, sizeof *got);
    an_test_ok(c->api->output_get(c->ops[number], gradient, N, got), name);
    if (gradient)
        gradients_near(c, name, got, expected, count);
    else
        an_test_close(name, got, expected, count, c->tolerance);
    free(got);
}

static void parameters_check(const chain *c, bool bias, const double *expected, size_t count)
{
    float *got = an_test_zeros(count, sizeof *got);
    an_test_ok(c->api->parameter_get(c->ops[CONV], bias, AN_PARAMETER_GRADIENT, got), "gradient");
    gradients_near(c, bias ? "bias" : "weight", got, expected, count);
    free(got);
}

static void chain_free(chain *c)
{
    c->api->close(c->backend);
    for (int i = 0; i < COUNT; i++) {
        free(c->values[i]);
        free(c->slopes[i]);
    }
    free(c->weights.weight);
    free(c->weights.bias);
    free(c->weights.weight_gradient);
    free(c->weights.bias_gradient);
    free(c->x);
    free(c->weight);
    free(c->bias);
    free(c->dy);
}

void an_test_chain_check(const an_test_target *t, int side, int groups)
{
    chain c;
    chain_make(&c, t, side, groups);
    reference_run(&c);
    backend_run(&c);
    for (int i = CONV; i < COUNT; i++)
        outputs_check(&c, i, false, c.values[i]);
    parameters_check(&c, false, c.weights.weight_gradient, weights_of(&c));
    parameters_check(&c, true, c.weights.bias_gradient, CHANNELS);
    outputs_check(&c, SOURCE, true, c.slopes[SOURCE]);
    chain_free(&c);
}
