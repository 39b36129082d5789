/* The CPU's own Winograd convolutions, in fp32 and bf16, beside its direct ones: rounding against the double-precision
 * reference, the same bits for any number of threads, and sums cut into blocks and chunks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "model/cpu/kernels/bf16.h"
#include "model/cpu/kernels/lrn.h"
#include "model/cpu/kernels/winograd.h"
#include "op_rig.h"
#include "reference.h"
#include "support.h"

#define CONV(to, window, before, after, group)                                                                         \
    {                                                                                                                  \
        .kind = AN_OP_CONV, .channels = (to), .kernel = (window), .stride = 1, .pad_before = (before),                 \
        .pad_after = (after), .groups = (group)                                                                        \
    }

static const an_test_case cases[] = {
    {"3x3", FROM_CONV, 2, 96, 13, CONV(64, 3, 1, 1, 1), 0, false},
    {"3x3 grouped", FROM_CONV, 2, 128, 13, CONV(128, 3, 1, 1, 2), 0, false},
    {"3x3 padded wide", FROM_CONV, 2, 32, 5, CONV(32, 3, 2, 2, 1), 0, false},
    {"4x4", FROM_CONV, 2, 48, 8, CONV(32, 4, 1, 2, 1), 0, false},
    {"5x5", FROM_CONV, 2, 64, 9, CONV(64, 5, 2, 2, 2), 0, false},
    {"6x6", FROM_CONV, 1, 32, 9, CONV(48, 6, 2, 3, 1), 0, false},
};
#define CASES (sizeof cases / sizeof *cases)

/* The kinds of kernels: bounds are root mean squares of the errors, relative to the values'. */
typedef struct {
    const char *name;
    bool bf16;
    double y, dx, dweight, dbias;
    double direct; /* times the error of direct convolution at most; 0: not compared, fp32 rounds too little */
} kind;

static const kind kinds[] = {{"fp32", false, 1e-5, 1e-5, 1e-5, 1e-6, 0}, {"bf16", true, 0.006, 0.006, 0.004, 1e-5, 2}};
static const kind *current; /* that the tests look at */

static an_test_target winograd_target(void)
{
    return (an_test_target){.api = &an_backend_cpu,
                            .precision = current->bf16 ? AN_PRECISION_BF16 : AN_PRECISION_F32,
                            .winograd = true,
                            .threads = 2};
}

static an_test_target direct_target(void)
{
    an_test_target t = winograd_target();
    t.winograd = false;
    t.direct = true;
    return t;
}

static float rounded(float value)
{
    return current->bf16 ? an_bf16_widen(an_bf16_narrow(value)) : value;
}

/* Sums of four uniform values: about normal, with more digits than bf16 has unless they are rounded. */
static float *values_make(size_t count, uint64_t stream, double scale, bool narrow)
{
    float *out = an_test_zeros(count, sizeof *out);
    an_rng rng = an_rng_make(2, AN_RNG_TEST, 0, stream);
    for (size_t i = 0; i < count; i++) {
        double sum = 0;
        for (int k = 0; k < 4; k++)
            sum += (double)an_rng_below(&rng, 1 << 16) / (1 << 15) - 1;
        out[i] = (float)(sum * scale);
        if (narrow)
            out[i] = rounded(out[i]);
    }
    return out;
}

/* Inputs and results of a convolution's passes. */
typedef struct {
    an_node node;
    float *x, *weight, *bias, *dy;
    float *y, *dx, *dweight, *dbias;
    size_t inputs, outputs, weights, channels;
} passes;

static void passes_make(passes *p, const an_test_rig *r)
{
    *p = (passes){.node = *r->node,
                  .inputs = r->inputs,
                  .outputs = r->outputs,
                  .weights = r->weights,
                  .channels = (size_t)r->node->channels};
    p->x = values_make(p->inputs, 1, 1, true);
    p->weight = values_make(p->weights, 2, 0.05, false);
    p->bias = values_make(p->channels, 3, 0.1, false);
    p->dy = values_make(p->outputs, 4, 1, true);
    p->y = an_test_zeros(p->outputs, sizeof *p->y);
    p->dx = an_test_zeros(p->inputs, sizeof *p->dx);
    p->dweight = an_test_zeros(p->weights, sizeof *p->dweight);
    p->dbias = an_test_zeros(p->channels, sizeof *p->dbias);
}

static void passes_free(passes *p)
{
    float *all[] = {p->x, p->weight, p->bias, p->dy, p->y, p->dx, p->dweight, p->dbias};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static void passes_run(passes *p, an_test_rig *r)
{
    uint32_t n = (uint32_t)r->batch;
    an_run run = {.count = n, .training = true};
    an_test_ok(r->api->output_set(r->source, false, n, p->x), "x");
    an_test_ok(r->api->forward(r->op, &run), "forward");
    an_test_ok(r->api->output_get(r->op, false, n, p->y), "y");
    an_test_ok(r->api->output_set(r->op, true, n, p->dy), "dy");
    an_test_ok(r->api->backward(r->op, &run), "backward");
    an_test_ok(r->api->output_get(r->source, true, n, p->dx), "dx");
    an_test_ok(r->api->parameter_get(r->op, false, AN_PARAMETER_GRADIENT, p->dweight), "dw");
    an_test_ok(r->api->parameter_get(r->op, true, AN_PARAMETER_GRADIENT, p->dbias), "db");
}

/* A convolution by one target, described in text. */
static void target_run(passes *p, const an_test_target *t, const an_test_case *c, char *text, size_t size)
{
    an_test_rig r;
    an_buffer kernels = {0};
    an_test_rig_make(&r, t, c, true, false);
    passes_make(p, &r);
    an_test_rig_weights(&r, p->weight, p->bias);
    passes_run(p, &r);
    an_test_ok(r.api->op_describe(r.op, &kernels), "describe");
    snprintf(text, size, "%s", (const char *)kernels.data);
    an_buffer_free(&kernels);
    r.api->close(r.backend);
}

/* Root mean squares: of the differences, relative to that of what is expected. */
static double error_of(const float *got, const double *expected, size_t count)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        difference += (got[i] - expected[i]) * (got[i] - expected[i]);
        size += expected[i] * expected[i];
    }
    return sqrt(difference / size);
}

typedef struct {
    double y, dx, dweight, dbias;
} errors;

static errors errors_measure(const passes *p, const an_test_case *c)
{
    an_reference_shape shape = {c->n, c->c, c->side, c->side};
    double *x = an_test_doubles(p->x, p->inputs), *dy = an_test_doubles(p->dy, p->outputs);
    double *y = an_test_zeros(p->outputs, sizeof *y), *dx = an_test_zeros(p->inputs, sizeof *dx);
    an_reference_weights w = {.weight = an_test_doubles(p->weight, p->weights),
                              .bias = an_test_doubles(p->bias, p->channels),
                              .weight_gradient = an_test_zeros(p->weights, sizeof(double)),
                              .bias_gradient = an_test_zeros(p->channels, sizeof(double))};
    an_reference_forward(&p->node, shape, x, &w, NULL, y);
    an_reference_backward(&p->node, shape, x, y, dy, &w, NULL, dx);
    errors e = {error_of(p->y, y, p->outputs), error_of(p->dx, dx, p->inputs),
                error_of(p->dweight, w.weight_gradient, p->weights), error_of(p->dbias, w.bias_gradient, p->channels)};
    double *all[] = {x, dy, y, dx, w.weight, w.bias, w.weight_gradient, w.bias_gradient};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    return e;
}

static void test_rounds_about_as_direct_convolution_does(void **state)
{
    (void)state;
    an_test_target winograd = winograd_target(), direct = direct_target();
    for (size_t i = 0; i < CASES; i++) {
        passes own, other;
        char text[200];
        target_run(&own, &winograd, &cases[i], text, sizeof text);
        assert_non_null(strstr(text, "winograd"));
        target_run(&other, &direct, &cases[i], text, sizeof text);
        assert_null(strstr(text, "winograd"));
        errors a = errors_measure(&own, &cases[i]), b = errors_measure(&other, &cases[i]);
        print_message("%s %-12s forward %.1e (direct %.1e)  data %.1e (%.1e)  weights %.1e (%.1e)  bias %.1e\n",
                      current->name, cases[i].name, a.y, b.y, a.dx, b.dx, a.dweight, b.dweight, a.dbias);
        assert_true(a.y < current->y && a.dx < current->dx);
        assert_true(a.dweight < current->dweight && a.dbias < current->dbias);
        assert_true(!current->direct || (a.y < current->direct * b.y && a.dx < current->direct * b.dx));
        passes_free(&own);
        passes_free(&other);
    }
}

static void test_bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        passes first, again;
        char text[200];
        an_test_target winograd = winograd_target();
        target_run(&first, &winograd, &cases[i], text, sizeof text);
        for (int threads = 1; threads <= 5; threads++) {
            an_test_target t = winograd_target();
            t.threads = threads;
            target_run(&again, &t, &cases[i], text, sizeof text);
            assert_memory_equal(again.y, first.y, first.outputs * sizeof *first.y);
            assert_memory_equal(again.dx, first.dx, first.inputs * sizeof *first.dx);
            assert_memory_equal(again.dweight, first.dweight, first.weights * sizeof *first.dweight);
            assert_memory_equal(again.dbias, first.dbias, first.channels * sizeof *first.dbias);
            passes_free(&again);
        }
        passes_free(&first);
    }
}

/* With `direct` only oneDNN's kernels run: comparisons with other programs rely on that. */
static void test_direct_means_no_own_kernel(void **state)
{
    (void)state;
    const an_test_case lrn = {
        "lrn", FROM_CONV, 1,
        32,    4,         {.kind = AN_OP_LRN, .lrn_size = 5, .lrn_alpha = 1, .lrn_beta = 0.75, .lrn_k = 2, .groups = 1},
        0,     false};
    an_test_target winograd = winograd_target(), direct = direct_target();
    if (!an_lrn_possible(current->bf16))
        return; /* a processor without AVX-512 */
    for (int i = 0; i < 2; i++) {
        an_test_rig r;
        an_buffer kernels = {0};
        an_test_rig_make(&r, i ? &direct : &winograd, &lrn, true, false);
        an_test_ok(r.api->op_describe(r.op, &kernels), "describe");
        assert_int_equal(strstr((const char *)kernels.data, "own:") == NULL, i);
        an_buffer_free(&kernels);
        r.api->close(r.backend);
    }
}

/* Transformed weights are kept from pass to pass, and made anew when the weights change. */
static void test_changed_weights_are_seen(void **state)
{
    (void)state;
    const an_sgd sgd = {.rate = 1, .bias_rate_scale = 0};
    an_test_rig r;
    passes p, q;
    an_test_target winograd = winograd_target();
    an_test_rig_make(&r, &winograd, &cases[0], true, false);
    passes_make(&p, &r);
    passes_make(&q, &r);
    an_test_rig_weights(&r, q.dweight, p.bias); /* zeros */
    passes_run(&p, &r);
    an_test_rig_weights(&r, p.weight, p.bias);
    passes_run(&p, &r);
    assert_memory_not_equal(p.y, q.y, p.outputs * sizeof *p.y);
    an_test_ok(r.api->parameter_set(r.op, false, AN_PARAMETER_GRADIENT, p.weight), "gradient");
    an_test_ok(r.api->update(r.op, &sgd, 1), "update"); /* to zeros again */
    passes_run(&p, &r);
    for (size_t i = 0; i < p.outputs; i++)
        q.y[i] = rounded(p.bias[i / 169 % p.channels]);
    assert_memory_equal(p.y, q.y, p.outputs * sizeof *p.y);
    passes_free(&p);
    passes_free(&q);
    r.api->close(r.backend);
}

/* What is not finite must come out as that, ReLU or not: the guard against divergence looks for it. */
static void test_nan_stays_visible(void **state)
{
    (void)state;
    an_test_case c = cases[0];
    an_test_rig r;
    passes p;
    size_t bad = 0;
    c.node.activation = AN_ACTIVATION_RELU;
    an_test_target winograd = winograd_target();
    an_test_rig_make(&r, &winograd, &c, true, false);
    passes_make(&p, &r);
    an_test_rig_weights(&r, p.weight, p.bias);
    p.x[169 * 5 + 6 * 13 + 6] = NAN;
    passes_run(&p, &r);
    for (size_t i = 0; i < p.outputs; i++)
        bad += isnan(p.y[i]) != 0;
    assert_in_range(bad, 9 * p.channels, 64 * p.channels); /* all tiles that see it */
    passes_free(&p);
    r.api->close(r.backend);
}

typedef struct {
    an_winograd plan;
    void *x, *dy, *u, *y; /* values of the plan's type */
    float *dweight, *dbias;
    void *scratch;
    size_t outputs, weights;
} bare;

static void *values_of_plan(const an_winograd *plan, size_t count, uint64_t stream)
{
    float *wide = values_make(count, stream, 1, false);
    void *out = aligned_alloc(64, (count * plan->value_size + 63) / 64 * 64);
    assert_non_null(out);
    if (!current->bf16)
        memcpy(out, wide, count * sizeof *wide);
    for (size_t i = 0; i < count && current->bf16; i++)
        ((uint16_t *)out)[i] = an_bf16_narrow(wide[i]);
    free(wide);
    return out;
}

static void bare_make(bare *b, const an_winograd_shape *s)
{
    assert_true(an_winograd_plan(&b->plan, s, current->bf16, 3));
    size_t area = (size_t)s->batch * (size_t)s->groups;
    size_t inputs = area * (size_t)(s->from * s->height * s->width);
    b->outputs = area * (size_t)(s->to * s->out_height * s->out_width);
    b->weights = (size_t)(s->from * s->to * s->kernel * s->kernel);
    b->x = values_of_plan(&b->plan, inputs, 1);
    b->dy = values_of_plan(&b->plan, b->outputs, 2);
    b->u = values_of_plan(&b->plan, (size_t)s->groups * an_winograd_weights_size(&b->plan), 3);
    b->y = values_of_plan(&b->plan, b->outputs, 4);
    b->dweight = an_test_zeros((size_t)s->groups * b->weights, sizeof(float));
    b->dbias = an_test_zeros((size_t)(s->groups * s->to), sizeof(float));
    size_t run = an_winograd_scratch(&b->plan), gradient = an_winograd_gradient_scratch(&b->plan);
    b->scratch = aligned_alloc(64, ((run > gradient ? run : gradient) + 63) / 64 * 64);
    assert_non_null(b->scratch);
    memset(b->scratch, 0xff, run > gradient ? run : gradient); /* NaN: what is read must have been written */
}

static void bare_run(const bare *b)
{
    const an_winograd_shape *s = &b->plan.shape;
    float *weights[AN_WINOGRAD_GROUPS], *bias[AN_WINOGRAD_GROUPS];
    for (int i = 0; i < s->groups; i++) {
        weights[i] = b->dweight + (size_t)i * b->weights;
        bias[i] = b->dbias + i * s->to;
    }
    an_winograd_run(
        &b->plan, &(an_winograd_run_args){.source = b->x, .transformed = b->u, .target = b->y, .scratch = b->scratch});
    an_winograd_gradient(&b->plan,
                         &(an_winograd_gradient_args){
                             .source = b->x, .slope = b->dy, .weights = weights, .bias = bias, .scratch = b->scratch});
}

static void bare_free(bare *b)
{
    void *all[] = {b->x, b->dy, b->u, b->y, b->dweight, b->dbias, b->scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

/* Blocks and chunks as large batches have them: forward to the same bits, sums of gradients to fp32's rounding. */
static void test_cuts_do_not_show(void **state)
{
    (void)state;
    const an_winograd_shape shape = {.batch = 3,
                                     .groups = 2,
                                     .from = 32,
                                     .to = 48,
                                     .height = 9,
                                     .width = 7,
                                     .kernel = 5,
                                     .pad = 2,
                                     .out_height = 9,
                                     .out_width = 7};
    bare whole, cut;
    bare_make(&whole, &shape);
    bare_make(&cut, &shape);
    assert_true(whole.plan.block >= 8 && (size_t)whole.plan.chunk >= whole.plan.tiles);
    cut.plan.block = 8;
    cut.plan.chunk = 14;
    bare_run(&whole);
    bare_run(&cut);
    assert_memory_equal(cut.y, whole.y, whole.outputs * whole.plan.value_size);
    size_t count = 2 * whole.weights;
    double *expected = an_test_doubles(whole.dweight, count);
    an_test_close("weights", cut.dweight, expected, count, 1e-5);
    free(expected);
    bare_free(&whole);
    bare_free(&cut);
}

static void test_shapes_that_do_not_fit(void **state)
{
    (void)state;
    const an_winograd_shape good = {.batch = 1,
                                    .groups = 1,
                                    .from = 16,
                                    .to = 16,
                                    .height = 4,
                                    .width = 4,
                                    .kernel = 3,
                                    .pad = 1,
                                    .out_height = 4,
                                    .out_width = 4};
    an_winograd plan;
    an_winograd_shape s = good;
    assert_true(an_winograd_plan(&plan, &s, current->bf16, 1));
    assert_false(an_winograd_pays(&plan, 9 * s.from)); /* 16 channels are transformed longer than multiplied */
    s.from = 20;
    assert_false(an_winograd_plan(&plan, &s, current->bf16, 1));
    s = good;
    s.to = 12;
    assert_false(an_winograd_plan(&plan, &s, current->bf16, 1));
    s = good;
    s.groups = 3;
    assert_false(an_winograd_plan(&plan, &s, current->bf16, 1));
    s = good;
    s.kernel = 2;
    assert_false(an_winograd_plan(&plan, &s, current->bf16, 1));
    s.kernel = 7;
    assert_false(an_winograd_plan(&plan, &s, current->bf16, 1));
    s = good;
    s.from = s.to = 128;
    assert_true(an_winograd_plan(&plan, &s, current->bf16, 1));
    assert_true(an_winograd_pays(&plan, 9 * s.from));
    s.out_height = s.out_width = 1; /* three quarters of the only tile are empty */
    assert_true(an_winograd_plan(&plan, &s, current->bf16, 1));
    assert_false(an_winograd_pays(&plan, 9 * s.from));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds_about_as_direct_convolution_does),
        cmocka_unit_test(test_bits_do_not_depend_on_threads),
        cmocka_unit_test(test_direct_means_no_own_kernel),
        cmocka_unit_test(test_changed_weights_are_seen),
        cmocka_unit_test(test_nan_stays_visible),
        cmocka_unit_test(test_cuts_do_not_show),
        cmocka_unit_test(test_shapes_that_do_not_fit),
    };
    int failed = 0, tried = 0;
    for (current = kinds; current < kinds + sizeof kinds / sizeof *kinds; current++)
        if (an_winograd_lanes(current->bf16)) {
            failed += cmocka_run_group_tests_name(current->name, tests, NULL, NULL);
            tried++;
        }
    return tried ? failed : 77;
}
