/* Convolutions in two groups, computed as groups, as halves that lie apart or in whole tensors, and densely. A way is
 * forced by making the others dear on the devices' clocks. Whatever the way, results are the reference's, trainings
 * those of the CPU, and no copies are made between layers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/cuda/cuda.h"
#include "model/exec/exec_private.h"
#include "model/nets/alexnet.h"
#include "op_check.h"
#include "small_net.h"
#include "support.h"
#include "tests/emu/emulator/emu.h"
#include "tests/emu/runner.h"

#define DEAR 1000000

/* The shapes of this file's convolutions in two groups; no half of one has the shape of another. */
static const int shapes[][2] = {{32, 48}, {48, 80}, {16, 32}, {32, 32}};

static bool is_dense(const emu_convolution *c)
{
    bool dense = false;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        dense = dense || (c->channels == shapes[i][0] && c->maps == shapes[i][1]);
    return dense && c->groups == 1 && !c->x_view && !c->y_view;
}

static unsigned apart(const emu_convolution *c)
{
    return c->groups == 1 && !(c->x_view && c->y_view) && !is_dense(c) ? 0 : DEAR;
}

static unsigned views(const emu_convolution *c)
{
    return c->x_view && c->y_view ? 0 : DEAR;
}

static unsigned grouped(const emu_convolution *c)
{
    return c->groups == 2 ? 0 : DEAR;
}

static unsigned dense(const emu_convolution *c)
{
    return is_dense(c) ? 0 : DEAR;
}

static unsigned mixed(const emu_convolution *c)
{
    return c->pass == EMU_FORWARD ? grouped(c) : c->pass == EMU_DATA ? views(c) : dense(c);
}

static unsigned mixed_again(const emu_convolution *c)
{
    return c->pass == EMU_WEIGHTS ? views(c) : dense(c);
}

/* A way for all convolutions: how their neighbours lie, and what they say of forward and of the gradients of x and of
 * the weights. */
typedef struct {
    const char *name;
    unsigned (*price)(const emu_convolution *c);
    int parts;
    const char *says[3];
    bool differs; /* between passes, so that an inference alone is arranged otherwise */
} way;

static const way ways[] = {
    {"apart", apart, 2, {"two halves", "two halves", "two halves"}, false},
    {"views", views, 1, {"two halves", "two halves", "two halves"}, false},
    {"grouped", grouped, 1, {"grouped", "grouped", "grouped"}, false},
    {"dense", dense, 1, {"dense", "dense", "dense"}, false},
    {"mixed", mixed, 1, {"grouped", "two halves", "dense"}, true},
    {"mixed again", mixed_again, 1, {"dense", "dense", "two halves"}, true},
};
#define WAYS (sizeof ways / sizeof *ways)

/* Fails unless the description of an op names the passes' ways. */
static void says_check(const way *w, const char *text, bool training)
{
    static const char *const passes[] = {"cuDNN engine ", ", data gradient ", ", weight gradient "};
    for (int i = 0; i < (training ? 3 : 1); i++) {
        const char *at = strstr(text, passes[i]);
        at = at ? strchr(at, '(') : NULL;
        if (!at || strncmp(at + 1, w->says[i], strlen(w->says[i])) != 0)
            fail_msg("%s: '%s' does not say '%s%s'", w->name, text, passes[i], w->says[i]);
    }
}

static void op_says_check(const way *w, const an_backend_api *api, const an_op *op, bool training)
{
    an_buffer text = {0};
    an_test_ok(api->op_describe(op, &text), "describe");
    an_test_ok(an_buffer_append(&text, "", 1), "describe");
    says_check(w, (const char *)text.data, training);
    an_buffer_free(&text);
}

static const an_test_target targets[] = {
    {.api = &an_backend_cuda, .precision = AN_PRECISION_F32},
    {.api = &an_backend_cuda, .precision = AN_PRECISION_TF32, .tolerance = 2e-3},
    {.api = &an_backend_cuda, .precision = AN_PRECISION_BF16, .tolerance = 0.01},
};
#define TARGETS (sizeof targets / sizeof *targets)

#define GROUPED_CONV                                                                                                   \
    {                                                                                                                  \
        .kind = AN_OP_CONV, .channels = 80, .kernel = 3, .stride = 1, .pad_before = 1, .pad_after = 1, .groups = 2,    \
        .activation = AN_ACTIVATION_RELU                                                                               \
    }
#define POOL(mean)                                                                                                     \
    {                                                                                                                  \
        .kind = AN_OP_POOL, .kernel = 3, .stride = 2, .average = (mean)                                                \
    }
static const an_test_case cases[] = {
    {"conv behind a whole tensor", FROM_CONV, 2, 48, 5, GROUPED_CONV, 1e-4, false},
    {"conv behind halves", FROM_HALVES, 2, 48, 5, GROUPED_CONV, 1e-4, false},
    {"lrn behind halves",
     FROM_HALVES,
     2,
     48,
     5,
     {.kind = AN_OP_LRN, .lrn_size = 5, .lrn_alpha = 0.5, .lrn_beta = 0.75, .lrn_k = 2, .groups = 2},
     1e-5,
     false},
    {"pool behind halves", FROM_HALVES, 2, 48, 6, POOL(false), 1e-6, false},
    {"mean behind halves", FROM_HALVES, 2, 48, 6, POOL(true), 1e-6, false},
};
#define CASES (sizeof cases / sizeof *cases)

/* The op says the way, and its neighbours lie as they should. */
static void way_check(const way *w, const an_test_target *t, const an_test_case *c, bool training)
{
    an_test_rig r;
    an_test_rig_make(&r, t, c, training, false);
    if (c->node.kind == AN_OP_CONV) {
        op_says_check(w, t->api, r.op, training);
        assert_int_equal(r.op->output.parts, w->parts);
    }
    assert_int_equal(r.source->output.parts, c->source == FROM_HALVES ? w->parts : 1);
    t->api->close(r.backend);
}

static void op_check(const way *w, an_test_target t, const an_test_case *c)
{
    an_choices choices = {0};
    t.choices = &choices;
    emu_price_set(w->price);
    an_test_op_check(&t, c, true, false);
    an_test_op_check(&t, c, true, true);
    way_check(w, &t, c, true);
    if (!w->differs) {
        an_test_op_check(&t, c, false, false);
        way_check(w, &t, c, false);
    }
    emu_price_set(NULL);
    an_choices_free(&choices);
    runner_no_violations();
}

static void test_every_way_matches_the_reference(void **state)
{
    (void)state;
    for (size_t t = 0; t < TARGETS; t++)
        for (size_t w = 0; w < WAYS; w++)
            for (size_t c = 0; c < CASES; c++)
                op_check(&ways[w], targets[t], &cases[c]);
}

/* The small network's outputs that can lie in two parts. conv2 reads one and is read by a convolution without groups;
 * conv4 writes one and reads such a convolution. */
static const char *const tied[] = {"pool1", "conv4"};

static const an_op *op_named(const runner *r, const char *name)
{
    for (int i = 0; i < r->exec->graph.count; i++)
        if (!strcmp(r->exec->graph.nodes[i].name, name))
            return r->exec->ops[i];
    fail_msg("no %s", name);
    return NULL;
}

static void net_check(const runner *r, const way *w)
{
    for (size_t i = 0; i < sizeof tied / sizeof *tied; i++)
        assert_int_equal(op_named(r, tied[i])->output.parts, w->parts);
    assert_int_equal(op_named(r, "conv2")->output.parts, 1);
    assert_int_equal(op_named(r, "conv3")->output.parts, 1);
    op_says_check(w, r->exec->api, op_named(r, "conv2"), true);
    op_says_check(w, r->exec->api, op_named(r, "conv4"), true);
}

static void net_make(runner *r, const an_graph *graph, an_precision precision, const way *w, an_choices *choices)
{
    emu_price_set(w->price);
    runner_make_with(r, graph, "cuda:0", precision, false, choices);
    emu_price_set(NULL);
    net_check(r, w);
}

static void training_check(const an_graph *graph, an_precision precision, const way *w, double tolerance)
{
    an_choices choices = {0};
    runner cpu, gpu;
    runner_make(&cpu, graph, "cpu", precision == AN_PRECISION_TF32 ? AN_PRECISION_F32 : precision, false);
    net_make(&gpu, graph, precision, w, &choices);
    for (uint64_t step = 0; step < 3; step++) {
        double expected = runner_step(&cpu, step, BATCH), got = runner_step(&gpu, step, BATCH);
        if (fabs(got - expected) > tolerance * (fabs(expected) + 0.1))
            fail_msg("%s, step %d: loss %.7g, expected %.7g", w->name, (int)step, got, expected);
    }
    if (precision != AN_PRECISION_BF16) /* as in test_emu_exec */
        runner_compare(cpu.exec, gpu.exec, 1e-3);
    runner_free(&cpu);
    runner_free(&gpu);
    an_choices_free(&choices);
    runner_no_violations();
}

static void test_training_matches_the_cpu(void **state)
{
    (void)state;
    an_graph graph;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    for (size_t w = 0; w < WAYS; w++) {
        training_check(&graph, AN_PRECISION_F32, &ways[w], 1e-4);
        training_check(&graph, AN_PRECISION_TF32, &ways[w], 1e-4);
        training_check(&graph, AN_PRECISION_BF16, &ways[w], 0.03);
    }
}

/* Parameters and momentum move between ways, and training goes on as if nothing had happened. */
static void test_training_moves_between_ways(void **state)
{
    (void)state;
    an_graph graph;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    for (size_t w = 0; w < WAYS; w++) {
        an_choices first = {0}, second = {0};
        runner one, two;
        net_make(&one, &graph, AN_PRECISION_F32, &ways[w], &first);
        net_make(&two, &graph, AN_PRECISION_F32, &ways[(w + 1) % WAYS], &second);
        runner_step(&one, 0, BATCH);
        runner_copy(one.exec, two.exec);
        double a = runner_step(&one, 1, BATCH), b = runner_step(&two, 1, BATCH);
        assert_true(fabs(a - b) < 1e-4 * a);
        runner_compare(one.exec, two.exec, 1e-4);
        runner_free(&one);
        runner_free(&two);
        an_choices_free(&first);
        an_choices_free(&second);
    }
    runner_no_violations();
}

/* The ways and the bits are those of the choices, whatever the clocks say now; nothing is measured again. */
static void test_kept_choices_keep_the_ways(void **state)
{
    (void)state;
    an_graph graph;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    for (size_t w = 0; w < WAYS; w++) {
        an_choices choices = {0};
        runner one, two;
        net_make(&one, &graph, AN_PRECISION_BF16, &ways[w], &choices);
        uint64_t timings = emu_count().timings;
        size_t count = choices.count;
        emu_price_set(ways[(w + 1) % WAYS].price);
        runner_make_with(&two, &graph, "cuda:0", AN_PRECISION_BF16, false, &choices);
        emu_price_set(NULL);
        assert_int_equal(emu_count().timings, timings);
        assert_int_equal(choices.count, count);
        net_check(&two, &ways[w]);
        for (uint64_t step = 0; step < 2; step++)
            assert_true(runner_step(&one, step, BATCH) == runner_step(&two, step, BATCH));
        runner_compare(one.exec, two.exec, 0);
        runner_free(&one);
        runner_free(&two);
        an_choices_free(&choices);
    }
    runner_no_violations();
}

/* Files of choices keep hundredths of a microsecond. Times that favour one way exactly and another when they are
 * rounded must not let a run go on another way than it began. */
static void times_set(const an_choices *choices, bool rounded)
{
    for (size_t i = 0; i < choices->count; i++) {
        const char *key = choices->items[i].key;
        bool apart_half = strstr(key, ", pixels of 8 and 32 channels");
        bool whole = strstr(key, "x 16 to 32 channels") && strstr(key, "2 groups");
        double time = apart_half ? 25.0049 : whole ? 49.006 : 1000; /* of a half and of conv2 */
        choices->items[i].microseconds = rounded ? round(time * 100) / 100 : time;
    }
}

static void test_rounded_times_keep_the_ways(void **state)
{
    (void)state;
    an_graph graph;
    an_choices choices = {0};
    runner r;
    int parts[2];
    an_small_net(&graph, AN_ACTIVATION_RELU);
    runner_make_with(&r, &graph, "cuda:0", AN_PRECISION_F32, false, &choices);
    runner_free(&r);
    for (int rounded = 0; rounded < 2; rounded++) {
        times_set(&choices, rounded);
        runner_make_with(&r, &graph, "cuda:0", AN_PRECISION_F32, false, &choices);
        parts[rounded] = op_named(&r, "pool1")->output.parts;
        runner_free(&r);
    }
    assert_int_equal(parts[0], parts[1]);
    an_choices_free(&choices);
    runner_no_violations();
}

/* A gain that may be noise changes nothing. */
static unsigned nearly(const emu_convolution *c)
{
    return c->groups == 2 ? DEAR * 99 / 100 : apart(c) ? 2 * DEAR : DEAR / 2;
}

static unsigned clearly(const emu_convolution *c)
{
    return c->groups == 2 ? DEAR * 97 / 100 : nearly(c);
}

static void test_a_small_gain_is_noise(void **state)
{
    (void)state;
    an_graph graph;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    for (int i = 0; i < 2; i++) {
        an_choices choices = {0};
        runner r;
        emu_price_set(i ? clearly : nearly);
        runner_make_with(&r, &graph, "cuda:0", AN_PRECISION_F32, false, &choices);
        emu_price_set(NULL);
        assert_int_equal(op_named(&r, "pool1")->output.parts, i ? 1 : 2);
        runner_free(&r);
        an_choices_free(&choices);
    }
    runner_no_violations();
}

static unsigned no_views(const emu_convolution *c)
{
    return c->x_view || c->y_view ? EMU_REFUSED : 0;
}

/* Without choices halves lie apart; what the library cannot do is not asked of it. */
static void test_without_choices(void **state)
{
    (void)state;
    an_graph graph;
    runner r;
    an_choices choices = {0};
    an_small_net(&graph, AN_ACTIVATION_RELU);
    runner_make(&r, &graph, "cuda:0", AN_PRECISION_BF16, false);
    net_check(&r, &ways[0]);
    runner_free(&r);
    emu_price_set(no_views);
    runner_make(&r, &graph, "cuda:0", AN_PRECISION_BF16, false);
    net_check(&r, &ways[2]);
    runner_free(&r);
    runner_make_with(&r, &graph, "cuda:0", AN_PRECISION_BF16, false, &choices);
    assert_int_equal(op_named(&r, "pool1")->output.parts, 1);
    runner_free(&r);
    emu_price_set(NULL);
    an_choices_free(&choices);
    runner_no_violations();
}

/* What one step of AlexNet queues. */
static emu_counters step_count(const an_graph *graph, const way *w)
{
    an_choices choices = {0};
    runner r;
    emu_price_set(w->price);
    runner_make_with(&r, graph, "cuda:0", AN_PRECISION_BF16, false, &choices);
    emu_price_set(NULL);
    an_exec_replay_set(r.exec, false);
    runner_step(&r, 0, BATCH);
    emu_counters before = emu_count();
    runner_step(&r, 1, BATCH);
    emu_counters after = emu_count();
    runner_free(&r);
    an_choices_free(&choices);
    return (emu_counters){.operations = after.operations - before.operations,
                          .launches = after.launches - before.launches,
                          .to_device = after.to_device - before.to_device};
}

/* Halves that lie apart cost AlexNet no kernel of ours: conv2, conv4 and conv5 run twice, and nothing else is added. */
static void test_no_copies(void **state)
{
    (void)state;
    an_graph graph;
    an_alexnet_options options = an_alexnet_defaults();
    options.input = 64;
    options.classes = 10;
    assert_int_equal(an_alexnet_build(&options, &graph), AN_OK);
    runner_narrow(&graph);
    emu_counters whole = step_count(&graph, &ways[2]), halves = step_count(&graph, &ways[0]);
    assert_int_equal(halves.launches, whole.launches);
    assert_int_equal(halves.operations, whole.operations + 3 * 3);
    assert_int_equal(halves.to_device, whole.to_device);
    runner_no_violations();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_way_matches_the_reference),
        cmocka_unit_test(test_training_matches_the_cpu),
        cmocka_unit_test(test_training_moves_between_ways),
        cmocka_unit_test(test_kept_choices_keep_the_ways),
        cmocka_unit_test(test_rounded_times_keep_the_ways),
        cmocka_unit_test(test_a_small_gain_is_noise),
        cmocka_unit_test(test_without_choices),
        cmocka_unit_test(test_no_copies),
    };
    (void)emu_violations(NULL, 0); /* from now on collected, and asked for by each test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
