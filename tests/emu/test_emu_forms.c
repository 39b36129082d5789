/* Weights in the forms that convolutions compute with: every weight lies where its formula says, all else is zero and
 * stays zero, and nothing of a form reaches masters, momentum, gradient or canonical order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/cuda/cuda.h"
#include "support.h"
#include "tests/emu/emulator/emu.h"

typedef struct {
    const char *name;
    int o, i, window, stored_i; /* in plain order */
    an_form form;
    int rows; /* of the form, and columns */
} form_case;

static const form_case cases[] = {
    {"blocks of 4 x 4", 6, 3, 11, 3, {.side = 4, .groups = 1, .channels = 48}, 3},
    {"blocks that the window fills", 2, 3, 8, 3, {.side = 4, .groups = 1, .channels = 48}, 2},
    {"blocks with spare channels", 4, 3, 3, 3, {.side = 2, .groups = 1, .channels = 16}, 2},
    {"blocks of 3 x 3, padded channels", 4, 3, 5, 4, {.side = 3, .groups = 1, .channels = 36}, 2},
    {"two groups", 6, 4, 3, 4, {.side = 1, .groups = 2, .channels = 8}, 3},
    {"four groups", 8, 5, 2, 5, {.side = 1, .groups = 4, .channels = 20}, 2},
};
#define CASES (sizeof cases / sizeof *cases)

static size_t plain_count(const form_case *c)
{
    return (size_t)(c->o * c->window * c->window * c->stored_i);
}

static size_t form_count(const form_case *c)
{
    return (size_t)(c->o * c->rows * c->rows * c->form.channels);
}

/* Where a weight lies in the form, by kernels.h. */
static size_t place_of(const form_case *c, int o, int y, int x, int channel)
{
    int side = c->form.side, group = o / (c->o / c->form.groups);
    int at = ((y % side) * side + x % side) * c->stored_i + group * c->stored_i + channel;
    return (size_t)(((o * c->rows + y / side) * c->rows + x / side) * c->form.channels + at);
}

/* For each value of the form the number of the plain value that lies there, or -1. */
static int *places_make(const form_case *c)
{
    int *places = an_test_zeros(form_count(c), sizeof *places), number = 0;
    for (size_t i = 0; i < form_count(c); i++)
        places[i] = -1;
    for (int o = 0; o < c->o; o++)
        for (int y = 0; y < c->window; y++)
            for (int x = 0; x < c->window; x++)
                for (int i = 0; i < c->stored_i; i++) {
                    int *place = &places[place_of(c, o, y, x, i)];
                    assert_int_equal(*place, -1);
                    *place = number++;
                }
    return places;
}

/* An op whose weights are replaced by those of a case, on an open device. */
typedef struct {
    const an_backend_api *api;
    an_backend *cuda;
    an_op *op;
} rig;

static void rig_make(rig *r, const form_case *c, an_precision precision, bool formed)
{
    an_backend_options options = {
        .device = "cuda:0", .batch = 1, .threads = 1, .training = true, .precision = precision};
    an_graph graph = {0};
    an_node image = {.name = "image", .kind = AN_OP_INPUT, .channels = 32, .height = 4, .width = 4};
    an_node node = {
        .name = "op", .kind = AN_OP_CONV, .channels = c->o, .kernel = 1, .stride = 1, .groups = 1, .input_count = 1};
    an_op *source;
    assert_int_equal(an_graph_add(&graph, &image), 0);
    assert_int_equal(an_graph_add(&graph, &node), 1);
    an_test_ok(an_backend_find("cuda", &r->api), "cuda");
    an_test_ok(r->api->open(&r->cuda, &options), "open");
    an_test_ok(r->api->op_create(&source, r->cuda, &(an_op_spec){.rate_scale = 1, .node = &graph.nodes[0]}), "image");
    an_test_ok(
        r->api->op_create(&r->op, r->cuda, &(an_op_spec){.rate_scale = 1, .node = &graph.nodes[1], .inputs = {source}}),
        "op");
    an_test_ok(r->api->finish(r->cuda), "finish");
    int shape[] = {c->o, c->i, c->window, c->window};
    const an_form *form = formed ? &c->form : NULL;
    an_test_ok(
        an_cuda_weights_make(&r->op->weights, r->cuda, shape, c->stored_i, r->cuda->stored, form, form, "weights"),
        "weights");
}

static void rig_free(rig *r)
{
    char text[512];
    r->api->close(r->cuda);
    if (emu_violations(text, sizeof text))
        fail_msg("the emulator complains: %s", text);
}

/* Values of device memory as floats; the caller frees them. */
static float *fetch(const rig *r, const void *from, an_stored stored, size_t count)
{
    void *values = an_test_zeros(count, sizeof(float));
    float *out = an_test_zeros(count, sizeof *out);
    an_test_ok(an_cuda_fetch(r->cuda, values, from, count * an_stored_size(stored)), "fetch");
    for (size_t i = 0; i < count; i++)
        out[i] = an_stored_get(values, stored, i);
    free(values);
    return out;
}

static void put(const rig *r, void *to, an_stored stored, size_t count, const float *given)
{
    void *values = an_test_zeros(count, sizeof(float));
    for (size_t i = 0; i < count; i++)
        an_stored_put(values, stored, i, given[i]);
    an_test_ok(an_cuda_put(r->cuda, to, values, count * an_stored_size(stored)), "put");
    free(values);
}

static float rounded(float value, an_stored stored)
{
    float memory;
    an_stored_put(&memory, stored, 0, value);
    return an_stored_get(&memory, stored, 0);
}

/* The copy holds the masters at their places and zeros elsewhere. */
static void check_copy(const rig *r, const form_case *c)
{
    const an_cuda_weights *w = &r->op->weights;
    float *masters = fetch(r, w->master, AN_STORED_F32, plain_count(c));
    float *copy = fetch(r, w->copy, w->stored, form_count(c));
    int *places = places_make(c);
    for (size_t i = 0; i < form_count(c); i++)
        if (copy[i] != (places[i] < 0 ? 0 : rounded(masters[places[i]], w->stored)))
            fail_msg("%s: value %zu of the form is %g", c->name, i, (double)copy[i]);
    free(masters);
    free(copy);
    free(places);
}

static void check_arranged(const form_case *c, an_precision precision)
{
    rig r;
    rig_make(&r, c, precision, true);
    size_t count = (size_t)(c->o * c->i * c->window * c->window);
    float *given = an_test_random(count, 1), *got = an_test_zeros(count, sizeof *got);
    float *rubbish = an_test_random(form_count(c), 2);
    put(&r, r.op->weights.copy, r.op->weights.stored, form_count(c), rubbish);
    an_test_ok(r.api->parameter_set(r.op, false, AN_PARAMETER_VALUE, given), "set");
    an_test_ok(r.api->parameter_get(r.op, false, AN_PARAMETER_VALUE, got), "get");
    assert_memory_equal(got, given, count * sizeof *got);
    check_copy(&r, c);
    free(given);
    free(got);
    free(rubbish);
    rig_free(&r);
}

static void test_weights_lie_where_the_form_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        check_arranged(&cases[i], AN_PRECISION_F32);
        check_arranged(&cases[i], AN_PRECISION_BF16);
    }
}

/* A gradient as a library writes it: also where no weight lies. */
static void gradient_give(const rig *r, const form_case *c, uint64_t stream, bool formed)
{
    const an_cuda_weights *w = &r->op->weights;
    float *written = an_test_random(form_count(c), stream);
    int *places = places_make(c);
    float *plain = an_test_zeros(plain_count(c), sizeof *plain);
    for (size_t i = 0; i < form_count(c); i++)
        if (places[i] >= 0)
            plain[places[i]] = written[i];
    put(r, w->written, w->slope_stored, formed ? form_count(c) : plain_count(c), formed ? written : plain);
    an_test_ok(an_cuda_weights_restore(w, r->op), "restore");
    free(written);
    free(places);
    free(plain);
}

static void check_same(const rig *a, const rig *b, const form_case *c)
{
    const an_cuda_weights *one = &a->op->weights, *two = &b->op->weights;
    const void *const pairs[][2] = {
        {one->master, two->master}, {one->velocity, two->velocity}, {one->slope, two->slope}};
    for (size_t i = 0; i < 3; i++) {
        an_stored stored = i == 2 ? one->slope_stored : AN_STORED_F32;
        float *x = fetch(a, pairs[i][0], stored, plain_count(c)), *y = fetch(b, pairs[i][1], stored, plain_count(c));
        assert_memory_equal(x, y, plain_count(c) * sizeof *x);
        free(x);
        free(y);
    }
}

/* Many updates with momentum and decay give the bits of weights in plain order. */
static void check_updates(const form_case *c, an_precision precision)
{
    const an_sgd sgd = {.rate = 0.1, .momentum = 0.9, .decay = 0.05, .bias_rate_scale = 2};
    rig formed, plain;
    rig_make(&formed, c, precision, true);
    rig_make(&plain, c, precision, false);
    float *given = an_test_random((size_t)(c->o * c->i * c->window * c->window), 1);
    an_test_ok(formed.api->parameter_set(formed.op, false, AN_PARAMETER_VALUE, given), "set");
    an_test_ok(plain.api->parameter_set(plain.op, false, AN_PARAMETER_VALUE, given), "set");
    for (uint64_t step = 0; step < 20; step++) {
        gradient_give(&formed, c, 100 + step, true);
        gradient_give(&plain, c, 100 + step, false);
        if (step % 2)
            an_test_ok(formed.api->update(formed.op, &sgd, 1), "update");
        else
            an_test_ok(formed.api->update_all(formed.cuda, &sgd, 1), "update");
        an_test_ok(plain.api->update(plain.op, &sgd, 1), "update");
        check_copy(&formed, c);
    }
    check_same(&formed, &plain, c);
    free(given);
    rig_free(&formed);
    rig_free(&plain);
}

static void test_what_a_form_adds_stays_zero(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        check_updates(&cases[i], AN_PRECISION_F32);
        check_updates(&cases[i], AN_PRECISION_BF16);
    }
}

/* Weights in plain order need no work of their own. */
static void test_plain_order_launches_nothing(void **state)
{
    (void)state;
    rig r;
    rig_make(&r, &cases[0], AN_PRECISION_BF16, false);
    assert_ptr_equal(r.op->weights.written, r.op->weights.slope);
    uint64_t before = emu_count().launches;
    an_test_ok(an_cuda_weights_arrange(&r.op->weights, r.op), "arrange");
    an_test_ok(an_cuda_weights_restore(&r.op->weights, r.op), "restore");
    assert_int_equal(emu_count().launches, before);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights_lie_where_the_form_says),
        cmocka_unit_test(test_what_a_form_adds_stays_zero),
        cmocka_unit_test(test_plain_order_launches_nothing),
    };
    (void)emu_violations(NULL, 0); /* from now on collected, and asked for by each test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
