/* Updates in every form that an_sgd has, learning rates by layer, frozen layers, averages: against the reference in
 * double precision, and against the formulas applied to what the devices held before. Compiled twice: for processors,
 * and for emulated GPUs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/rng.h"
#include "model/exec.h"
#include "model/graph/lower.h"
#include "model/init.h"
#include "model/snapshot.h"
#include "reference.h"
#include "small_net.h"
#include "support.h"
#include "update_rig.h"

#ifdef AN_TEST_CUDA
#include "tests/emu/emulator/emu.h"
#define ONE "cuda:0"
#define TWO "cuda:0,cuda:1"
#else
#define ONE "cpu"
#define TWO "cpu,cpu"
#endif

#define BATCH 4
#define SEED 3
#define STEPS 5
#define PARAMETERS 12 /* of the small network */

static const uint32_t labels[BATCH] = {4, 0, 2, 1};

/* Layers that do not learn at the usual rate; NULL at the end. */
typedef struct {
    const char *layer;
    double scale;
} layer_rate;

typedef struct {
    const char *name;
    an_sgd sgd;
    layer_rate rates[4];
} form;

#define USUAL .rate = 0.02, .momentum = 0.9, .decay = 0.01, .bias_rate_scale = 2, .bias_decay = 0.001
/* The rate of a layer of weights is then 1 to 10 % of them; biases keep a rate of 0.02. */
#define LARS .rate = 1, .momentum = 0.9, .decay = 0.01, .bias_rate_scale = 0.02, .bias_decay = 0.001, .trust = 0.01
static const form forms[] = {
    {"plain", {USUAL}, {{NULL, 0}}},
    {"nesterov", {USUAL, .nesterov = true}, {{NULL, 0}}},
    {"clipped", {USUAL, .clip = 0.5}, {{NULL, 0}}},
    {"hardly clipped", {USUAL, .clip = 1e6}, {{NULL, 0}}},
    {"averages", {USUAL, .average = 0.7}, {{NULL, 0}}},
    {"first layers frozen", {USUAL, .clip = 0.5}, {{"conv1", 0}, {"conv2", 0}}},
    {"a layer between frozen", {USUAL}, {{"conv3", 0}, {"fc5", 0}}},
    {"rates by layer", {USUAL}, {{"conv2", 0.5}, {"fc6", 3}}},
    {"lars", {LARS}, {{NULL, 0}}},
    {"lars with rates by layer", {LARS, .average = 0.7}, {{"conv1", 0}, {"conv2", 0.5}, {"fc6", 2}}},
    {"lars, and all else", {LARS, .nesterov = true, .clip = 0.5, .average = 0.7}, {{"conv1", 0}, {"conv3", 0.25}}},
    {"all", {USUAL, .nesterov = true, .clip = 0.5, .average = 0.7}, {{"conv1", 0}, {"conv3", 0.25}, {"fc6", 2}}},
};
#define FORMS (sizeof forms / sizeof *forms)

static bool columns;    /* an_exec_options.columns of what is made */
static int threads = 2; /* the same */

static double scale_of(const form *f, const char *layer)
{
    for (const layer_rate *r = f->rates; r->layer; r++)
        if (!strcmp(r->layer, layer))
            return r->scale;
    return 1;
}

static void scales_make(double *scales, const form *f, const an_graph *graph)
{
    for (int i = 0; i < graph->count; i++)
        scales[graph->nodes[i].layer] = scale_of(f, graph->nodes[i].name);
}

static double parameter_scale(const form *f, const an_parameter *p)
{
    char layer[32];
    snprintf(layer, sizeof layer, "%.*s", (int)strcspn(p->name, "."), p->name);
    return scale_of(f, layer);
}

static an_exec *exec_make(const form *f, const char *devices, an_precision precision, bool averages)
{
    static const float grey[3] = {128, 128, 128};
    static const an_conversion conversion = {.mean = grey, .side = 1, .scale = 1 / 128.0};
    double scales[AN_GRAPH_NODES_MAX];
    an_graph graph;
    an_exec *exec;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    scales_make(scales, f, &graph);
    an_exec_options options = {.devices = devices,
                               .batch = BATCH,
                               .threads = threads,
                               .training = true,
                               .seed = SEED,
                               .columns = columns,
                               .precision = precision,
                               .conversion = &conversion,
                               .rate_scales = scales,
                               .averages = averages};
    an_test_ok(an_exec_create(&exec, &graph, &options), devices);
    an_test_ok(an_init_parameters(exec, AN_INIT_HE, 5), "init");
    assert_int_equal(an_exec_parameter_count(exec), PARAMETERS);
    return exec;
}

static double step(an_exec *exec, uint64_t number, float *floats)
{
    static float images[BATCH * SMALL_IMAGE];
    an_exec_result result;
    an_update_images(exec, number, BATCH, images, floats);
    an_test_ok(an_exec_step(exec, &(an_images){.pixels = images}, labels, BATCH, number, &result), "step");
    return result.loss;
}

static void no_violations(void)
{
#ifdef AN_TEST_CUDA
    char text[512];
    if (emu_violations(text, sizeof text))
        fail_msg("the emulator complains: %s", text);
#endif
}

/* A parameter and what belongs to it, in double precision. */
typedef struct {
    double *value, *momentum, *average;
    const double *gradient;
    uint64_t size;
} tensor_state;

static double clip_factor(const an_sgd *sgd, double squares)
{
    return sgd->clip > 0 ? fmin(1, sgd->clip / (sqrt(squares) + 1e-6)) : 1;
}

static double squares_of(const double *values, uint64_t count)
{
    double sum = 0;
    for (uint64_t i = 0; i < count; i++)
        sum += values[i] * values[i];
    return sum;
}

/* By what LARS multiplies the rate of a layer; values and gradients: squares of its weights and of their gradient. */
static double trust_of(const an_sgd *sgd, double values, double gradients, double factor)
{
    double value = sqrt(values), gradient = sqrt(gradients) * factor;
    if (sgd->trust == 0 || value == 0 || gradient == 0)
        return 1;
    return sgd->trust * value / (gradient + sgd->decay * value);
}

/* trust: of the layer, for weights. */
static void rule(const tensor_state *s, const an_sgd *sgd, double scale, bool bias, double factor, double trust)
{
    double rate = sgd->rate * scale * (bias ? sgd->bias_rate_scale : 1), decay = bias ? sgd->bias_decay : sgd->decay;
    rate *= bias ? 1 : trust;
    for (uint64_t i = 0; i < s->size && scale > 0; i++) {
        double down = rate * (factor * s->gradient[i] + decay * s->value[i]);
        s->momentum[i] = sgd->momentum * s->momentum[i] - down;
        s->value[i] += sgd->nesterov ? sgd->momentum * s->momentum[i] - down : s->momentum[i];
        if (sgd->average > 0)
            s->average[i] = sgd->average * s->average[i] + (1 - sgd->average) * s->value[i];
    }
}

/* ---- The formulas, applied to what exec holds before an update ---- */

static double *doubles(an_exec *exec, int number, an_parameter_kind kind)
{
    float *values = an_update_parameter(exec, number, kind);
    double *out = an_test_doubles(values, an_exec_parameter(exec, number)->size);
    free(values);
    return out;
}

static void compare(an_exec *exec, int number, an_parameter_kind kind, const double *expected, double tolerance)
{
    float *got = an_update_parameter(exec, number, kind);
    an_test_close(an_exec_parameter(exec, number)->name, got, expected, an_exec_parameter(exec, number)->size,
                  tolerance);
    free(got);
}

static void update_by_rule(an_exec *exec, const form *f)
{
    tensor_state states[PARAMETERS];
    double *gradients[PARAMETERS], squares = 0, norm;
    for (int p = 0; p < PARAMETERS; p++) {
        uint64_t size = an_exec_parameter(exec, p)->size;
        gradients[p] = doubles(exec, p, AN_PARAMETER_GRADIENT);
        states[p] = (tensor_state){doubles(exec, p, AN_PARAMETER_VALUE), doubles(exec, p, AN_PARAMETER_MOMENTUM),
                                   doubles(exec, p, AN_PARAMETER_AVERAGE), gradients[p], size};
        squares += squares_of(gradients[p], size);
    }
    an_test_ok(an_exec_gradient_norm(exec, &norm), "norm");
    assert_true(fabs(norm - sqrt(squares)) < 1e-6 * norm);
    an_test_ok(an_exec_update(exec, &f->sgd), f->name);
    double factor = clip_factor(&f->sgd, squares);
    assert_true(f->sgd.clip == 0 || (factor < 1) == (f->sgd.clip < 1));
    for (int p = 0; p < PARAMETERS; p++) {
        const an_parameter *info = an_exec_parameter(exec, p);
        double trust = trust_of(&f->sgd, squares_of(states[p].value, states[p].size),
                                squares_of(gradients[p], states[p].size), factor);
        rule(&states[p], &f->sgd, parameter_scale(f, info), info->bias, factor, trust);
        compare(exec, p, AN_PARAMETER_VALUE, states[p].value, 1e-6);
        compare(exec, p, AN_PARAMETER_MOMENTUM, states[p].momentum, 1e-6);
        compare(exec, p, AN_PARAMETER_AVERAGE, states[p].average, 1e-6);
        free(states[p].value);
        free(states[p].momentum);
        free(states[p].average);
        free(gradients[p]);
    }
}

static void check_rule(const form *f, const char *devices, an_precision precision)
{
    float floats[BATCH * SMALL_IMAGE];
    an_exec *exec = exec_make(f, devices, precision, true);
    for (uint64_t number = 0; number < STEPS; number++) {
        (void)step(exec, number, floats);
        update_by_rule(exec, f);
    }
    an_exec_free(exec);
    no_violations();
}

static void test_updates_follow_the_formulas(void **state)
{
    (void)state;
    for (size_t i = 0; i < FORMS; i++) {
        check_rule(&forms[i], ONE, AN_PRECISION_F32);
        check_rule(&forms[i], TWO, AN_PRECISION_F32);
        check_rule(&forms[i], TWO, AN_PRECISION_BF16);
    }
    check_rule(&forms[FORMS - 1], ONE, AN_PRECISION_BF16);
    columns = true; /* the halves of a layer are two ops of one device */
    for (size_t i = 0; i < FORMS; i++)
        check_rule(&forms[i], ONE, AN_PRECISION_F32);
    columns = false;
}

/* ---- Training as the reference trains ---- */

typedef struct {
    an_graph lowered;
    an_reference_net net;
    tensor_state states[2 * AN_GRAPH_NODES_MAX]; /* of a node's weights and biases */
} reference;

/* The part of a parameter that a node of the reference holds. */
typedef struct {
    uint64_t first, count;
} span;

static span span_of(const an_parameter *p, const an_node *node)
{
    uint64_t each = p->size / (uint64_t)p->shape[0];
    return (span){(uint64_t)node->channel_offset * each, (uint64_t)node->channels * each};
}

static void reference_make(reference *r, an_exec *exec)
{
    an_graph graph;
    memset(r, 0, sizeof *r);
    an_small_net(&graph, AN_ACTIVATION_RELU);
    an_test_ok(an_graph_lower(&graph, 1, &r->lowered), "lower");
    assert_int_equal(an_reference_net_create(&r->net, &r->lowered, BATCH), 0);
    for (int p = 0; p < PARAMETERS; p++) {
        const an_parameter *info = an_exec_parameter(exec, p);
        double *values = doubles(exec, p, AN_PARAMETER_VALUE);
        for (int i = 0; i < r->lowered.count; i++) {
            const an_node *node = &r->lowered.nodes[i];
            const an_reference_weights *w = &r->net.weights[i];
            if (!node->has_weights || node->layer != info->layer)
                continue;
            span s = span_of(info, node);
            tensor_state *own = &r->states[2 * i + info->bias];
            *own = (tensor_state){info->bias ? w->bias : w->weight, an_test_zeros(s.count, sizeof(double)),
                                  an_test_zeros(s.count, sizeof(double)),
                                  info->bias ? w->bias_gradient : w->weight_gradient, s.count};
            memcpy(own->value, values + s.first, s.count * sizeof *values);
            memcpy(own->average, values + s.first, s.count * sizeof *values);
        }
        free(values);
    }
}

static void reference_free(reference *r)
{
    for (int i = 0; i < 2 * AN_GRAPH_NODES_MAX; i++) {
        free(r->states[i].momentum);
        free(r->states[i].average);
    }
    an_reference_net_free(&r->net);
}

/* Of all of a layer, which may be two nodes. */
static double reference_trust(const reference *r, const an_sgd *sgd, int layer, double factor)
{
    double values = 0, gradients = 0;
    for (int i = 0; i < r->lowered.count; i++)
        if (r->lowered.nodes[i].layer == layer) {
            values += squares_of(r->states[2 * i].value, r->states[2 * i].size);
            gradients += squares_of(r->states[2 * i].gradient, r->states[2 * i].size);
        }
    return trust_of(sgd, values, gradients, factor);
}

static double reference_step(reference *r, const form *f, const float *images, uint64_t number)
{
    double loss = an_reference_net_run(&r->net, images, labels, BATCH, true, true, SEED, number), squares = 0;
    for (int i = 0; i < 2 * r->lowered.count; i++)
        if (scale_of(f, r->lowered.nodes[i / 2].name) > 0)
            squares += squares_of(r->states[i].gradient, r->states[i].size);
    double factor = clip_factor(&f->sgd, squares), trusts[AN_GRAPH_NODES_MAX];
    for (int i = 0; i < r->lowered.count; i++)
        trusts[i] = reference_trust(r, &f->sgd, r->lowered.nodes[i].layer, factor);
    for (int i = 0; i < 2 * r->lowered.count; i++)
        rule(&r->states[i], &f->sgd, scale_of(f, r->lowered.nodes[i / 2].name), i % 2, factor, trusts[i / 2]);
    return loss;
}

static void compare_all(an_exec *exec, const reference *r, double tolerance)
{
    for (int p = 0; p < PARAMETERS; p++) {
        const an_parameter *info = an_exec_parameter(exec, p);
        float *value = an_update_parameter(exec, p, AN_PARAMETER_VALUE),
              *momentum = an_update_parameter(exec, p, AN_PARAMETER_MOMENTUM),
              *average = an_update_parameter(exec, p, AN_PARAMETER_AVERAGE);
        for (int i = 0; i < r->lowered.count; i++) {
            const an_node *node = &r->lowered.nodes[i];
            if (!node->has_weights || node->layer != info->layer)
                continue;
            span s = span_of(info, node);
            const tensor_state *own = &r->states[2 * i + info->bias];
            an_test_close(info->name, value + s.first, own->value, s.count, tolerance);
            an_test_close(info->name, momentum + s.first, own->momentum, s.count, tolerance);
            an_test_close(info->name, average + s.first, own->average, s.count, tolerance);
        }
        free(value);
        free(momentum);
        free(average);
    }
}

static void check_reference(const form *f, const char *devices)
{
    float floats[BATCH * SMALL_IMAGE];
    reference r;
    an_exec *exec = exec_make(f, devices, AN_PRECISION_F32, true);
    reference_make(&r, exec);
    for (uint64_t number = 0; number < STEPS; number++) {
        double loss = step(exec, number, floats), expected = reference_step(&r, f, floats, number);
        if (fabs(loss - expected) > 1e-5 * expected)
            fail_msg("%s on %s, step %d: loss %.8g, expected %.8g", f->name, devices, (int)number, loss, expected);
        an_test_ok(an_exec_update(exec, &f->sgd), f->name);
    }
    compare_all(exec, &r, 1e-5);
    reference_free(&r);
    an_exec_free(exec);
    no_violations();
}

static void test_training_matches_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < FORMS; i++) {
        check_reference(&forms[i], ONE);
        check_reference(&forms[i], TWO);
    }
}

/* ---- Frozen layers ---- */

/* Unchanged to the bit, and backward ends behind them. */
static void check_frozen(const char *devices, an_precision precision)
{
    const form *f = &forms[5];
    float floats[BATCH * SMALL_IMAGE];
    an_exec *exec = exec_make(f, devices, precision, false);
    float *before[PARAMETERS];
    for (int p = 0; p < PARAMETERS; p++)
        before[p] = an_update_parameter(exec, p, AN_PARAMETER_VALUE);
    for (uint64_t number = 0; number < 3; number++) {
        (void)step(exec, number, floats);
        an_test_ok(an_exec_update(exec, &f->sgd), f->name);
    }
    for (int p = 0; p < PARAMETERS; p++) {
        const an_parameter *info = an_exec_parameter(exec, p);
        float *after = an_update_parameter(exec, p, AN_PARAMETER_VALUE),
              *momentum = an_update_parameter(exec, p, AN_PARAMETER_MOMENTUM);
        bool frozen = parameter_scale(f, info) == 0, moved = false;
        for (uint64_t i = 0; i < info->size; i++)
            moved = moved || momentum[i] != 0;
        assert_int_equal(memcmp(after, before[p], info->size * sizeof *after) == 0, frozen);
        assert_int_equal(moved, !frozen);
        free(after);
        free(momentum);
        free(before[p]);
    }
    for (int i = 0; i < an_exec_layer_count(exec); i++) {
        an_exec_layer layer;
        an_exec_layer_get(exec, i, &layer);
        bool behind = layer.name[4] >= '3' || !strncmp(layer.name, "loss", 4) || !strncmp(layer.name, "fc", 2) ||
                      !strncmp(layer.name, "dropout", 7);
        if (!behind && strncmp(layer.name, "input", 5) != 0)
            assert_true(layer.backward == 0);
        else if (!strncmp(layer.name, "conv3", 5) && !strchr(layer.name, '+'))
            assert_true(layer.backward > 0);
    }
    an_exec_free(exec);
    no_violations();
}

static void test_frozen_layers_stay(void **state)
{
    (void)state;
    check_frozen(ONE, AN_PRECISION_F32);
    check_frozen(TWO, AN_PRECISION_F32);
    check_frozen(TWO, AN_PRECISION_BF16);
}

/* ---- LARS ---- */

static const form lars = {"lars", {LARS, .clip = 0.5}, {{NULL, 0}}};

static int parameter_named(an_exec *exec, const char *name)
{
    int p = 0;
    while (strcmp(an_exec_parameter(exec, p)->name, name) != 0)
        assert_true(++p < PARAMETERS);
    return p;
}

/* Sets all of a kind of a parameter to a value. */
static void fill(an_exec *exec, const char *name, an_parameter_kind kind, float value)
{
    int p = parameter_named(exec, name);
    float *values = an_test_zeros(an_exec_parameter(exec, p)->size, sizeof *values);
    for (uint64_t i = 0; i < an_exec_parameter(exec, p)->size; i++)
        values[i] = value;
    an_test_ok(an_exec_parameter_set(exec, p, kind, values), name);
    free(values);
}

/* Weights of 0 learn at the rate itself, so that they do not stay 0; so do those without a gradient, which decay. */
static void test_layers_without_a_norm(void **state)
{
    (void)state;
    const char *const devices[] = {ONE, TWO};
    float floats[BATCH * SMALL_IMAGE];
    for (int i = 0; i < 2; i++) {
        an_exec *exec = exec_make(&lars, devices[i], AN_PRECISION_F32, true);
        (void)step(exec, 0, floats);
        fill(exec, "fc6.weight", AN_PARAMETER_VALUE, 0);
        fill(exec, "conv2.weight", AN_PARAMETER_GRADIENT, 0);
        update_by_rule(exec, &lars);
        an_exec_free(exec);
    }
    no_violations();
}

/* The norms, and so all bits, do not depend on the number of threads. What computes the gradient may: it is given. */
static void test_norms_are_the_same_for_any_threads(void **state)
{
    (void)state;
    float floats[BATCH * SMALL_IMAGE];
    an_exec *execs[3];
    for (int i = 0; i < 3; i++) {
        threads = 1 + i;
        execs[i] = exec_make(&lars, ONE, AN_PRECISION_F32, false);
        (void)step(execs[i], 0, floats);
        for (int p = 0; p < PARAMETERS && i; p++) {
            float *gradient = an_update_parameter(execs[0], p, AN_PARAMETER_GRADIENT);
            an_test_ok(an_exec_parameter_set(execs[i], p, AN_PARAMETER_GRADIENT, gradient), "set");
            free(gradient);
        }
    }
    for (int i = 0; i < 3; i++) {
        an_test_ok(an_exec_update(execs[i], &lars.sgd), "update");
        an_update_same(execs[0], AN_PARAMETER_VALUE, execs[i], AN_PARAMETER_VALUE);
    }
    for (int i = 0; i < 3; i++)
        an_exec_free(execs[i]);
    threads = 2;
    no_violations();
}

/* ---- Averages ---- */

static double evaluate(an_exec *exec, float *probabilities)
{
    float images[BATCH * SMALL_IMAGE], floats[BATCH * SMALL_IMAGE];
    an_exec_result result;
    an_update_images(exec, 77, BATCH, images, floats);
    an_test_ok(an_exec_evaluate(exec, &(an_images){.pixels = images}, labels, BATCH, probabilities, &result),
               "evaluate");
    return result.loss;
}

static void copy(an_exec *from, an_parameter_kind kind, an_exec *to)
{
    for (int p = 0; p < PARAMETERS; p++) {
        float *values = an_update_parameter(from, p, kind);
        an_test_ok(an_exec_parameter_set(to, p, AN_PARAMETER_VALUE, values), "set");
        free(values);
    }
}

static void go_on(an_exec *exec, const form *f, uint64_t first)
{
    float floats[BATCH * SMALL_IMAGE];
    for (uint64_t number = first; number < first + 3; number++) {
        (void)step(exec, number, floats);
        an_test_ok(an_exec_update(exec, &f->sgd), f->name);
    }
}

/* In use they are what is evaluated; given back, nothing shows that they were in use. */
static void check_exchange(const char *devices, an_precision precision)
{
    const form *f = &forms[4];
    float probabilities[2][BATCH * SMALL_CLASSES], images[BATCH * SMALL_IMAGE];
    an_exec_result result;
    an_exec *exec = exec_make(f, devices, precision, true), *other = exec_make(f, devices, precision, true),
            *averaged = exec_make(f, devices, precision, false);
    an_update_same(exec, AN_PARAMETER_AVERAGE, other, AN_PARAMETER_VALUE); /* they begin with the values */
    go_on(exec, f, 0);
    go_on(other, f, 0);
    copy(other, AN_PARAMETER_AVERAGE, averaged);
    an_test_ok(an_exec_average_use(exec, true), "use");
    an_test_ok(an_exec_average_use(exec, true), "use again");
    an_update_same(exec, AN_PARAMETER_VALUE, averaged, AN_PARAMETER_VALUE);
    an_update_same(exec, AN_PARAMETER_AVERAGE, other, AN_PARAMETER_VALUE);
    assert_true(evaluate(exec, probabilities[0]) == evaluate(averaged, probabilities[1]));
    assert_memory_equal(probabilities[0], probabilities[1], sizeof *probabilities);
    an_update_images(exec, 0, BATCH, images, images);
    an_test_refused(an_exec_step(exec, &(an_images){.pixels = images}, labels, BATCH, 3, &result), "in use");
    an_test_refused(an_exec_update(exec, &f->sgd), "in use");
    an_test_ok(an_exec_average_use(exec, false), "give back");
    assert_true(evaluate(exec, probabilities[0]) == evaluate(other, probabilities[1]));
    go_on(exec, f, 3);
    go_on(other, f, 3);
    an_update_same(exec, AN_PARAMETER_VALUE, other, AN_PARAMETER_VALUE);
    an_update_same(exec, AN_PARAMETER_MOMENTUM, other, AN_PARAMETER_MOMENTUM);
    an_update_same(exec, AN_PARAMETER_AVERAGE, other, AN_PARAMETER_AVERAGE);
    an_test_refused(an_exec_average_use(averaged, true), "made without");
    an_test_refused(an_exec_update(averaged, &f->sgd), "made without");
    an_exec_free(exec);
    an_exec_free(other);
    an_exec_free(averaged);
    no_violations();
}

static void test_averages_in_use(void **state)
{
    (void)state;
    check_exchange(ONE, AN_PRECISION_F32);
    check_exchange(ONE, AN_PRECISION_BF16);
    check_exchange(TWO, AN_PRECISION_F32);
    check_exchange(TWO, AN_PRECISION_BF16);
}

static void check_snapshot(const char *devices)
{
    const form *f = &forms[4];
    an_snapshot *snapshot;
    an_exec *exec = exec_make(f, devices, AN_PRECISION_F32, true),
            *other = exec_make(f, devices, AN_PRECISION_F32, true);
    an_test_ok(an_snapshot_create(&snapshot, exec), "snapshot");
    go_on(exec, f, 0);
    go_on(other, f, 0);
    an_test_ok(an_snapshot_take(snapshot), "take");
    go_on(exec, f, 3);
    an_test_ok(an_snapshot_wait(snapshot), "wait");
    for (int p = 0; p < PARAMETERS; p++)
        for (int kind = AN_PARAMETER_VALUE; kind <= AN_PARAMETER_AVERAGE; kind++) {
            uint64_t size = an_exec_parameter(exec, p)->size;
            float *expected = an_update_parameter(other, p, (an_parameter_kind)kind),
                  *room = an_test_zeros(size, sizeof *room);
            const float *got = an_snapshot_get(snapshot, p, (an_parameter_kind)kind, room);
            assert_memory_equal(got, expected, size * sizeof *got);
            free(expected);
            free(room);
        }
    an_snapshot_free(snapshot);
    an_exec_free(exec);
    an_exec_free(other);
    no_violations();
}

static void test_snapshots_hold_averages(void **state)
{
    (void)state;
    check_snapshot(ONE);
    check_snapshot(TWO);
}

/* ---- What is refused, and what is not finite ---- */

static void test_a_gradient_that_is_not_finite(void **state)
{
    (void)state;
    const char *const devices[] = {ONE, TWO, ONE, TWO};
    for (int i = 0; i < 4; i++) {
        const form *f = i < 2 ? &forms[2] : &lars;
        float images[BATCH * SMALL_IMAGE];
        double norm;
        an_exec_result result;
        an_exec *exec = exec_make(f, devices[i], AN_PRECISION_F32, false);
        an_test_refused(an_exec_gradient_norm(exec, &norm), "before the first step");
        (void)step(exec, 0, images);
        float *gradient = an_update_parameter(exec, 9, AN_PARAMETER_GRADIENT);
        gradient[1] = INFINITY;
        an_test_ok(an_exec_parameter_set(exec, 9, AN_PARAMETER_GRADIENT, gradient), "set");
        an_test_ok(an_exec_gradient_norm(exec, &norm), "norm");
        assert_false(isfinite(norm));
        an_test_ok(an_exec_update(exec, &f->sgd), "update");
        an_update_images(exec, 1, BATCH, images, images);
        assert_int_equal(an_exec_step(exec, &(an_images){.pixels = images}, labels, BATCH, 1, &result), AN_ECORRUPT);
        if (!strstr(an_error_message(), "the first values that are not finite come from '"))
            fail_msg("%s", an_error_message());
        free(gradient);
        an_exec_free(exec);
    }
    no_violations();
}

static void test_what_is_refused(void **state)
{
    (void)state;
    const form frozen = {"frozen", {USUAL}, {{NULL, 0}}};
    an_exec *exec = exec_make(&frozen, ONE, AN_PRECISION_F32, true);
    an_test_refused(an_exec_update(exec, &(an_sgd){USUAL, .clip = -1}), "clipped at a norm of -1");
    an_test_refused(an_exec_update(exec, &(an_sgd){USUAL, .average = 1}), "decay of 1");
    an_test_refused(an_exec_update(exec, &(an_sgd){USUAL, .trust = -1}), "trusted with -1");
    an_test_refused(an_exec_update(exec, &(an_sgd){USUAL, .trust = NAN}), "0 (no LARS) or more");
    an_exec_free(exec);
    double scales[AN_GRAPH_NODES_MAX] = {0};
    an_graph graph;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    an_exec_options options = {.devices = ONE, .batch = BATCH, .threads = 1, .training = true, .rate_scales = scales};
    an_test_refused(an_exec_create(&exec, &graph, &options), "every layer is frozen");
    for (int i = 0; i < AN_GRAPH_NODES_MAX; i++)
        scales[i] = -1;
    an_test_refused(an_exec_create(&exec, &graph, &options), "conv1: a learning rate multiplied with -1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_updates_follow_the_formulas),
        cmocka_unit_test(test_training_matches_the_reference),
        cmocka_unit_test(test_frozen_layers_stay),
        cmocka_unit_test(test_layers_without_a_norm),
        cmocka_unit_test(test_norms_are_the_same_for_any_threads),
        cmocka_unit_test(test_averages_in_use),
        cmocka_unit_test(test_snapshots_hold_averages),
        cmocka_unit_test(test_a_gradient_that_is_not_finite),
        cmocka_unit_test(test_what_is_refused),
    };
#ifdef AN_TEST_CUDA
    (void)emu_violations(NULL, 0); /* from now on collected, and asked for by each test */
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
