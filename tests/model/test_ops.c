/* Every operation of every backend against the double-precision reference, forward and backward, behind sources whose
 * outputs lie in memory in different orders. */
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
#include "op_chain.h"
#include "op_check.h"
#include "op_rig.h"
#include "reference.h"
#include "support.h"

/* Every kind of device in every precision that it has here. */
/* A row without a table of functions is for GPUs; main adds it. */
static an_test_target backends[] = {
#ifdef AN_TEST_CUDA /* this file is compiled a second time, with emulated devices */
    {.precision = AN_PRECISION_F32},
    {.precision = AN_PRECISION_TF32, .tolerance = 2e-3},
    {.precision = AN_PRECISION_BF16, .tolerance = 0.01},
#else
    {.api = &an_backend_cpu, .precision = AN_PRECISION_F32},
    {.api = &an_backend_cpu, .precision = AN_PRECISION_F32, .direct = true},
    {.api = &an_backend_cpu, .precision = AN_PRECISION_F32, .winograd = true, .tolerance = 1e-4},
    {.api = &an_backend_cpu, .precision = AN_PRECISION_BF16, .tolerance = 0.01},
    {.api = &an_backend_cpu, .precision = AN_PRECISION_BF16, .direct = true, .tolerance = 0.01},
    {.api = &an_backend_cpu, .precision = AN_PRECISION_BF16, .winograd = true, .tolerance = 0.01},
#endif
};
#define BACKENDS (sizeof backends / sizeof *backends)

#define CONV(to, window, step, before, after, group, act)                                                              \
    {                                                                                                                  \
        .kind = AN_OP_CONV, .channels = (to), .kernel = (window), .stride = (step), .pad_before = (before),            \
        .pad_after = (after), .groups = (group), .activation = (act)                                                   \
    }
#define LRN_WITH(size, beta, group)                                                                                    \
    {                                                                                                                  \
        .kind = AN_OP_LRN, .lrn_size = (size), .lrn_alpha = 0.5, .lrn_beta = (beta), .lrn_k = 2, .groups = (group)     \
    }
#define LRN(group) LRN_WITH(5, 0.75, group)
#define POOL(window, step, before, after)                                                                              \
    {                                                                                                                  \
        .kind = AN_OP_POOL, .kernel = (window), .stride = (step), .pad_before = (before), .pad_after = (after)         \
    }
#define MEAN(window, step, before, after)                                                                              \
    {                                                                                                                  \
        .kind = AN_OP_POOL, .kernel = (window), .stride = (step), .pad_before = (before), .pad_after = (after),        \
        .average = true                                                                                                \
    }
#define DENSE(to, act)                                                                                                 \
    {                                                                                                                  \
        .kind = AN_OP_DENSE, .channels = (to), .activation = (act)                                                     \
    }

#define ACTIVATION(act)                                                                                                \
    {                                                                                                                  \
        .kind = AN_OP_ACTIVATION, .activation = (act)                                                                  \
    }

static const an_test_case cases[] = {
    {"conv plain input", FROM_IMAGE, 2, 3, 12, CONV(16, 5, 1, 2, 2, 1, AN_ACTIVATION_RELU), 1e-5, false},
    {"conv1", FROM_IMAGE, 2, 3, 24, CONV(96, 11, 4, 0, 3, 1, AN_ACTIVATION_RELU), 1e-5, true},
    {"conv1 padded", FROM_IMAGE, 2, 3, 21, CONV(32, 11, 4, 2, 2, 1, AN_ACTIVATION_RELU), 1e-5, true},
    {"conv of image blocks of 2 x 2", FROM_IMAGE, 2, 3, 19, CONV(16, 7, 2, 3, 3, 1, AN_ACTIVATION_RELU), 1e-5, true},
    {"conv of image blocks of 3 x 3", FROM_IMAGE, 2, 3, 20, CONV(24, 8, 3, 2, 0, 1, AN_ACTIVATION_TANH), 1e-5, true},
    {"conv of an image padded unequally", FROM_IMAGE, 2, 3, 11, CONV(16, 5, 1, 1, 2, 1, AN_ACTIVATION_RELU), 1e-5,
     true},
    {"conv of an image and its gradient", FROM_IMAGE, 2, 3, 11, CONV(16, 5, 1, 1, 2, 1, AN_ACTIVATION_RELU), 1e-5,
     false},
    {"conv 5x5, stride 2", FROM_CONV, 2, 32, 9, CONV(48, 5, 2, 2, 1, 1, AN_ACTIVATION_RELU), 1e-5, false},
    {"conv 5x5 padded before, odd channels", FROM_CONV, 2, 7, 8, CONV(5, 5, 1, 3, 0, 1, AN_ACTIVATION_RELU), 1e-5,
     false},
    {"conv 5x5", FROM_CONV, 2, 32, 9, CONV(48, 5, 1, 2, 1, 1, AN_ACTIVATION_RELU), 1e-5, false},
    {"conv 6x6 unpadded", FROM_CONV, 2, 16, 9, CONV(16, 6, 1, 0, 0, 1, AN_ACTIVATION_RELU), 1e-5, false},
    {"conv odd channels", FROM_CONV, 2, 6, 7, CONV(10, 3, 2, 1, 0, 1, AN_ACTIVATION_NONE), 1e-5, false},
    {"conv tanh", FROM_CONV, 2, 16, 6, CONV(16, 3, 1, 1, 1, 1, AN_ACTIVATION_TANH), 1e-5, false},
    {"conv sigmoid", FROM_CONV, 2, 16, 6, CONV(16, 5, 1, 2, 2, 1, AN_ACTIVATION_SIGMOID), 1e-5, false},
    {"conv grouped 5x5", FROM_CONV, 2, 32, 9, CONV(32, 5, 1, 2, 2, 2, AN_ACTIVATION_RELU), 1e-5, false},
    {"conv grouped 3x3", FROM_CONV, 2, 64, 13, CONV(64, 3, 1, 1, 1, 2, AN_ACTIVATION_RELU), 1e-4, false},
    {"conv grouped behind halves", FROM_HALVES, 2, 64, 13, CONV(32, 3, 1, 1, 1, 2, AN_ACTIVATION_RELU), 1e-4, false},
    {"conv whole behind halves", FROM_HALVES, 2, 64, 13, CONV(64, 3, 1, 1, 1, 1, AN_ACTIVATION_RELU), 1e-4, false},
    {"conv grouped, few channels", FROM_CONV, 2, 8, 5, CONV(12, 3, 1, 1, 1, 2, AN_ACTIVATION_RELU), 1e-5, false},
    {"conv 3x3 unpadded", FROM_CONV, 1, 48, 7, CONV(80, 3, 1, 0, 0, 1, AN_ACTIVATION_RELU), 1e-4, false},
    {"conv 3x3, seven blocks", FROM_CONV, 2, 16, 5, CONV(112, 3, 1, 1, 1, 1, AN_ACTIVATION_RELU), 1e-4, false},
    {"conv of one pixel", FROM_CONV, 1, 32, 1, CONV(32, 3, 1, 1, 1, 1, AN_ACTIVATION_RELU), 1e-4, false},
    {"conv 4x4", FROM_CONV, 3, 16, 6, CONV(64, 4, 1, 1, 2, 1, AN_ACTIVATION_NONE), 1e-5, false},
    {"conv grouped 6x6", FROM_CONV, 2, 64, 11, CONV(32, 6, 1, 2, 3, 2, AN_ACTIVATION_RELU), 1e-5, false},
    {"lrn", FROM_CONV, 2, 32, 5, LRN(1), 1e-5, false},
    {"lrn of many pixels", FROM_CONV, 1, 48, 17, LRN(1), 1e-5, false},
    {"lrn of one block", FROM_CONV, 3, 32, 4, LRN(2), 1e-5, false},
    {"lrn of another width",
     FROM_CONV,
     2,
     32,
     5,
     {.kind = AN_OP_LRN, .lrn_size = 3, .lrn_alpha = 0.5, .lrn_beta = 0.6, .lrn_k = 2, .groups = 1},
     1e-5,
     false},
    {"lrn grouped", FROM_CONV, 2, 96, 5, LRN(2), 1e-5, false},
    {"lrn grouped, few channels", FROM_CONV, 2, 12, 5, LRN(2), 1e-5, false},
    {"lrn grouped behind halves", FROM_HALVES, 2, 64, 5, LRN(2), 1e-5, false},
    {"lrn of three, another power", FROM_CONV, 2, 32, 5, LRN_WITH(3, 0.6, 2), 1e-5, false},
    {"lrn of nine", FROM_CONV, 2, 32, 5, LRN_WITH(9, 0.75, 1), 1e-5, false},
    {"lrn plain order", FROM_IMAGE, 2, 7, 5, LRN(1), 1e-5, false},
    {"pool overlapping", FROM_CONV, 2, 32, 7, POOL(3, 2, 0, 0), 1e-6, false},
    {"pool 2/2", FROM_CONV, 2, 16, 7, POOL(2, 2, 0, 0), 1e-6, false},
    {"pool padded right", FROM_CONV, 2, 16, 6, POOL(3, 2, 0, 1), 1e-6, false},
    {"pool behind halves", FROM_HALVES, 2, 64, 6, POOL(3, 2, 0, 0), 1e-6, false},
    {"pool odd channels", FROM_CONV, 2, 5, 6, POOL(3, 2, 1, 0), 1e-6, false},
    {"mean overlapping", FROM_CONV, 2, 32, 7, MEAN(3, 2, 0, 0), 1e-6, false},
    {"mean padded right", FROM_CONV, 2, 16, 6, MEAN(3, 2, 0, 1), 1e-6, false},
    {"mean padded left, odd channels", FROM_CONV, 2, 5, 6, MEAN(3, 2, 1, 0), 1e-6, false},
    {"mean behind halves", FROM_HALVES, 2, 64, 6, MEAN(3, 2, 0, 1), 1e-6, false},
    {"dense of planes", FROM_CONV, 3, 32, 4, DENSE(24, AN_ACTIVATION_RELU), 1e-5, false},
    {"dense of odd planes", FROM_CONV, 3, 6, 3, DENSE(7, AN_ACTIVATION_TANH), 1e-5, false},
    {"dense of halves", FROM_HALVES, 3, 64, 4, DENSE(24, AN_ACTIVATION_RELU), 1e-5, false},
    {"dense of dense", FROM_DENSE, 3, 40, 1, DENSE(30, AN_ACTIVATION_SIGMOID), 1e-5, false},
    {"relu", FROM_CONV, 2, 32, 5, ACTIVATION(AN_ACTIVATION_RELU), 1e-6, false},
    {"tanh", FROM_CONV, 2, 32, 5, ACTIVATION(AN_ACTIVATION_TANH), 1e-5, false},
    {"sigmoid of odd channels", FROM_CONV, 2, 7, 5, ACTIVATION(AN_ACTIVATION_SIGMOID), 1e-5, false},
    {"sigmoid behind halves", FROM_HALVES, 2, 64, 5, ACTIVATION(AN_ACTIVATION_SIGMOID), 1e-5, false},
    {"dropout", FROM_DENSE, 4, 40, 1, {.kind = AN_OP_DROPOUT, .dropout = 0.5}, 1e-6, false},
    {"dropout of planes", FROM_CONV, 3, 32, 5, {.kind = AN_OP_DROPOUT, .dropout = 0.5}, 1e-6, false},
    {"dropout of odd planes behind halves", FROM_HALVES, 2, 6, 3, {.kind = AN_OP_DROPOUT, .dropout = 0.3}, 1e-6, false},
    {"dropout, odd channels", FROM_DENSE, 4, 7, 1, {.kind = AN_OP_DROPOUT, .dropout = 0.3}, 1e-6, false},
};
#define CASES (sizeof cases / sizeof *cases)

static void test_ops_match_the_reference(void **state)
{
    (void)state;
    for (size_t b = 0; b < BACKENDS; b++)
        for (size_t i = 0; i < CASES; i++) {
            an_test_op_check(&backends[b], &cases[i], true, false);
            an_test_op_check(&backends[b], &cases[i], true, true);
            an_test_op_check(&backends[b], &cases[i], false, false);
        }
}

/* Layers that a backend may compute in one. */
static void test_a_chain_matches_the_reference(void **state)
{
    (void)state;
    for (size_t b = 0; b < BACKENDS; b++)
        for (int groups = 1; groups <= 2; groups++) {
            an_test_chain_check(&backends[b], 7, groups);
            an_test_chain_check(&backends[b], 16, groups);
        }
}

/* Parameters are the same after they were set and read back, and value and momentum do not mix. */
static void test_parameters_round_trip(void **state)
{
    (void)state;
    for (size_t b = 0; b < BACKENDS; b++)
        for (size_t i = 0; i < CASES; i++) {
            an_test_rig r;
            if (cases[i].node.kind != AN_OP_CONV && cases[i].node.kind != AN_OP_DENSE)
                continue;
            an_test_rig_make(&r, &backends[b], &cases[i], true, false);
            float *value = an_test_random(r.weights, 1), *momentum = an_test_random(r.weights, 2);
            float *got = an_test_zeros(r.weights, sizeof *got);
            an_test_ok(r.api->parameter_set(r.op, false, AN_PARAMETER_VALUE, value), cases[i].name);
            an_test_ok(r.api->parameter_set(r.op, false, AN_PARAMETER_MOMENTUM, momentum), cases[i].name);
            an_test_ok(r.api->parameter_get(r.op, false, AN_PARAMETER_VALUE, got), cases[i].name);
            assert_memory_equal(got, value, r.weights * sizeof *got);
            an_test_ok(r.api->parameter_get(r.op, false, AN_PARAMETER_MOMENTUM, got), cases[i].name);
            assert_memory_equal(got, momentum, r.weights * sizeof *got);
            free(value);
            free(momentum);
            free(got);
            r.api->close(r.backend);
        }
}

/* v <- momentum v - decay rate w - rate g; w <- w + v, with the biases' own rate and decay. */
static void check_update(an_test_rig *r, bool bias, size_t count, const an_sgd *sgd)
{
    float *w = an_test_random(count, 1), *v = an_test_random(count, 2), *g = an_test_random(count, 3);
    float *got = an_test_zeros(count, sizeof *got);
    double *value = an_test_doubles(w, count), *velocity = an_test_doubles(v, count);
    double rate = sgd->rate * (bias ? sgd->bias_rate_scale : 1), decay = bias ? sgd->bias_decay : sgd->decay;
    an_test_ok(r->api->parameter_set(r->op, bias, AN_PARAMETER_VALUE, w), "value");
    an_test_ok(r->api->parameter_set(r->op, bias, AN_PARAMETER_MOMENTUM, v), "momentum");
    an_test_ok(r->api->parameter_set(r->op, bias, AN_PARAMETER_GRADIENT, g), "gradient");
    an_test_ok(r->api->update(r->op, sgd, 1), "update");
    for (size_t i = 0; i < count; i++) {
        velocity[i] = sgd->momentum * v[i] - decay * rate * w[i] - rate * g[i];
        value[i] += velocity[i];
    }
    an_test_ok(r->api->parameter_get(r->op, bias, AN_PARAMETER_MOMENTUM, got), "momentum");
    an_test_close("momentum", got, velocity, count, 1e-6);
    an_test_ok(r->api->parameter_get(r->op, bias, AN_PARAMETER_VALUE, got), "value");
    an_test_close("value", got, value, count, 1e-6);
    free(w);
    free(v);
    free(g);
    free(got);
    free(value);
    free(velocity);
}

static void test_update_follows_the_formula(void **state)
{
    (void)state;
    an_sgd sgd = {.rate = 0.1, .momentum = 0.9, .decay = 0.05, .bias_rate_scale = 2, .bias_decay = 0.01};
    for (size_t b = 0; b < BACKENDS; b++)
        for (size_t i = 0; i < CASES; i++) {
            an_test_rig r;
            if (cases[i].node.kind != AN_OP_CONV && cases[i].node.kind != AN_OP_DENSE)
                continue;
            an_test_rig_make(&r, &backends[b], &cases[i], true, false);
            check_update(&r, false, r.weights, &sgd);
            check_update(&r, true, (size_t)r.node->channels, &sgd);
            r.api->close(r.backend);
        }
}

#define LOSS_ROWS 4
#define LOSS_CLASSES 7
static const an_test_case loss_case = {"loss", FROM_DENSE,           LOSS_ROWS, LOSS_CLASSES,
                                       1,      {.kind = AN_OP_LOSS}, 1e-6,      false};

static void check_loss(const an_test_target *t, uint32_t count)
{
    an_test_rig r;
    const an_backend_api *api = t->api;
    an_exec_result result;
    an_run run = {.count = count, .training = true};
    uint32_t labels[LOSS_ROWS] = {6, 0, 3, 3};
    an_reference_shape shape = {LOSS_ROWS, LOSS_CLASSES, 1, 1};
    double slope[LOSS_ROWS * LOSS_CLASSES], probability[LOSS_ROWS * LOSS_CLASSES];
    float got[LOSS_ROWS * LOSS_CLASSES];
    an_test_rig_make(&r, t, &loss_case, true, false);
    float *x = an_test_random(r.inputs, 1);
    for (size_t i = 0; i < r.inputs; i++)
        x[i] *= 100; /* would overflow without care */
    double *logits = an_test_doubles(x, r.inputs);
    an_test_ok(api->output_set(r.source, false, LOSS_ROWS, x), "logits");
    an_test_ok(api->labels(r.op, &(an_targets){.labels = labels, .total = count}, count), "labels");
    an_test_ok(an_test_op_forward(api, r.backend, r.op, &run), "forward");
    an_test_ok(api->backward(r.op, &run), "backward");
    an_test_ok(api->result(r.op, &result), "result");
    double loss = an_reference_loss(shape, logits, labels, (int)count, probability, slope);
    assert_true(result.loss > loss * (1 - 1e-6) && result.loss < loss * (1 + 1e-6));
    an_test_ok(api->output_get(r.op, false, count, got), "probabilities");
    an_test_close("probabilities", got, probability, (size_t)count * LOSS_CLASSES, 1e-6);
    an_test_ok(api->output_get(r.source, true, LOSS_ROWS, got), "gradient");
    an_test_close("gradient", got, slope, r.inputs, fmax(1e-6, t->tolerance));
    free(x);
    free(logits);
    api->close(r.backend);
}

static void test_loss_matches_the_reference(void **state)
{
    (void)state;
    for (size_t b = 0; b < BACKENDS; b++)
        for (uint32_t count = 1; count <= LOSS_ROWS; count++)
            check_loss(&backends[b], count);
}

#define MIXED_ROWS 3
#define MIXED_CLASSES 4
static const an_test_case mixed_case = {"loss", FROM_DENSE,           MIXED_ROWS, MIXED_CLASSES,
                                        1,      {.kind = AN_OP_LOSS}, 1e-6,       false};
static const uint32_t mixed_labels[MIXED_ROWS] = {2, 0, 1}, mixed_others[MIXED_ROWS] = {0, 2, 1};
static const float mixed_shares[MIXED_ROWS] = {0.75F, 0.375F, 1};
static const double mixed_weights[MIXED_CLASSES] = {0.5, 2, 1.25, 3};

/* Of the logits (7919 i + 13) mod 97 / 16 - 3, by PyTorch 2.15 in fp64: torch.nn.CrossEntropyLoss(weight,
 * label_smoothing) of the labels; of mixed ones, with the probabilities share and 1 - share as its target, its sum
 * divided by the sum of weight times probability. */
static const struct {
    bool weighted;
    double smoothing;
    bool mixed;
    double loss, slope[MIXED_ROWS * MIXED_CLASSES];
} torch_losses[] = {
    {false,
     0,
     false,
     1.47427183415,
     {0.006039174909, 0.2909837426, -0.3006858622, 0.003662944742, -0.2865475832, 0.005249215685, 0.2529213756,
      0.02837699189, 0.006039174909, -0.04234959076, 0.03264747111, 0.003662944742}},
    {false,
     0,
     true,
     1.26333433415,
     {-0.07729415842, 0.2909837426, -0.2173525289, 0.003662944742, -0.07821424987, 0.005249215685, 0.04458804229,
      0.02837699189, 0.006039174909, -0.04234959076, 0.03264747111, 0.003662944742}},
    {false,
     0.1,
     false,
     1.58364683415,
     {-0.002294158424, 0.2826504092, -0.2756858622, -0.004670388592, -0.2615475832, -0.003084117648, 0.2445880423,
      0.02004365856, -0.002294158424, -0.01734959076, 0.02431413778, -0.004670388592}},
    {false,
     0.1,
     true,
     1.39380308415,
     {-0.07729415842, 0.2826504092, -0.2006858622, -0.004670388592, -0.0740475832, -0.003084117648, 0.05708804229,
      0.02004365856, -0.002294158424, -0.01734959076, 0.02431413778, -0.004670388592}},
    {true,
     0,
     false,
     1.10873408895,
     {0.006039174909, 0.2909837426, -0.3006858622, 0.003662944742, -0.1146190333, 0.002099686274, 0.1011685503,
      0.01135079676, 0.009662679855, -0.06775934522, 0.05223595377, 0.005860711587}},
    {true,
     0,
     true,
     0.876928696848,
     {-0.02623259038, 0.2300801685, -0.2067438601, 0.002896281889, -0.01278236619, 0.003784318285, -0.01145978346,
      0.02045783136, 0.0089885394, -0.06303194904, 0.04859158491, 0.005451824732}},
    {true,
     0.1,
     false,
     1.360845711,
     {0.002917212698, 0.2878348402, -0.2745432007, -0.01620885219, -0.100174387, -0.01073497157, 0.1168627476,
      -0.005953389014, 0.006178367149, -0.03503393878, 0.04308643366, -0.01423086203}},
    {true,
     0.1,
     true,
     1.12689632106,
     {-0.02595169853, 0.2312111953, -0.1897214971, -0.01553799975, -0.008729484977, -0.008338010489, 0.01369647616,
      0.003371019302, 0.005747318278, -0.03258971049, 0.04008040341, -0.01323801119}},
};

static double mixed_total(bool weighted, bool mixed)
{
    double total = 0;
    for (int i = 0; i < MIXED_ROWS; i++) {
        double share = mixed ? (double)mixed_shares[i] : 1;
        total += weighted ? share * mixed_weights[mixed_labels[i]] + (1 - share) * mixed_weights[mixed_others[i]] : 1;
    }
    return total;
}

/* plain: of an op with smoothing and weights, all the same. */
static void check_torch_loss(an_test_target t, size_t k, bool plain)
{
    an_test_rig r;
    an_exec_result result;
    an_run run = {.count = MIXED_ROWS, .training = true};
    bool mixed = torch_losses[k].mixed, weighted = torch_losses[k].weighted;
    float got[MIXED_ROWS * MIXED_CLASSES], x[MIXED_ROWS * MIXED_CLASSES];
    t.label_smoothing = plain ? 0.3 : torch_losses[k].smoothing;
    t.class_weights = plain || weighted ? mixed_weights : NULL;
    an_targets targets = {.labels = mixed_labels,
                          .others = mixed ? mixed_others : NULL,
                          .shares = mixed ? mixed_shares : NULL,
                          .plain = plain,
                          .total = mixed_total(weighted, mixed)};
    for (int i = 0; i < MIXED_ROWS * MIXED_CLASSES; i++)
        x[i] = (float)((i * 7919 + 13) % 97) / 16 - 3;
    an_test_rig_make(&r, &t, &mixed_case, true, false);
    an_test_ok(r.api->output_set(r.source, false, MIXED_ROWS, x), "logits");
    an_test_ok(r.api->labels(r.op, &targets, MIXED_ROWS), "labels");
    an_test_ok(an_test_op_forward(r.api, r.backend, r.op, &run), "forward");
    an_test_ok(r.api->backward(r.op, &run), "backward");
    an_test_ok(r.api->result(r.op, &result), "result");
    assert_true(fabs(result.loss / torch_losses[k].loss - 1) < 1e-6);
    an_test_ok(r.api->output_get(r.source, true, MIXED_ROWS, got), "gradient");
    an_test_close("gradient", got, torch_losses[k].slope, r.inputs, fmax(1e-6, t.tolerance));
    r.api->close(r.backend);
}

static void test_losses_match_torch(void **state)
{
    (void)state;
    for (size_t b = 0; b < BACKENDS; b++) {
        for (size_t k = 0; k < sizeof torch_losses / sizeof *torch_losses; k++)
            check_torch_loss(backends[b], k, false);
        check_torch_loss(backends[b], 0, true);
    }
}

/* Ranks of the true label: 0 (best), 4 (in the first five), 5 (not), 0; of equal classes the lower number comes first.
 */
static void test_top_counts(void **state)
{
    (void)state;
    const float logits[LOSS_ROWS * LOSS_CLASSES] = {9, 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 7,
                                                    2, 1, 3, 4, 5, 6, 7, 8, 8, 1, 1, 1, 1, 1};
    const uint32_t labels[LOSS_ROWS] = {0, 2, 0, 0};
    const uint32_t rows[][2] = {{0, 3}, {5, 3}, {4, 2}, {6, 4}}; /* k and how many are right; 0: as if 5 */
    for (size_t b = 0; b < BACKENDS; b++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            an_test_rig r;
            an_exec_result result;
            an_run run = {.count = LOSS_ROWS};
            an_test_target target = backends[b];
            target.top = rows[i][0];
            an_test_rig_make(&r, &target, &loss_case, false, false);
            an_test_ok(r.api->output_set(r.source, false, LOSS_ROWS, logits), "logits");
            an_test_ok(r.api->labels(r.op, &(an_targets){.labels = labels, .total = LOSS_ROWS}, LOSS_ROWS), "labels");
            an_test_ok(an_test_op_forward(r.api, r.backend, r.op, &run), "forward");
            an_test_ok(r.api->result(r.op, &result), "result");
            assert_int_equal(result.top1, 2);
            assert_int_equal(result.topk, rows[i][1]);
            r.api->close(r.backend);
        }
}

/* By the rule of exec.h. */
static uint32_t rank_of(const float *probabilities, uint32_t label)
{
    uint32_t rank = 0;
    for (uint32_t c = 0; c < LOSS_CLASSES; c++)
        rank += probabilities[c] > probabilities[label] || (probabilities[c] == probabilities[label] && c < label);
    return rank;
}

/* Ties of logits, and of probabilities alone: exponentials of very different logits are both 0. */
static void test_ties_are_broken_by_class_number(void **state)
{
    (void)state;
    const float logits[LOSS_ROWS * LOSS_CLASSES] = {5, 5, 5, 5, 5, 5, 5, 5,   5,    5,    5,    5,    5,    5,
                                                    7, 7, 7, 7, 7, 9, 7, 500, -500, -400, -500, -300, -200, -100};
    for (size_t b = 0; b < BACKENDS; b++)
        for (uint32_t label = 0; label < LOSS_CLASSES; label++) {
            an_test_rig r;
            an_exec_result result;
            an_run run = {.count = LOSS_ROWS};
            uint32_t labels[LOSS_ROWS] = {label, LOSS_CLASSES - 1 - label, label, label}, top1 = 0, top5 = 0;
            float probabilities[LOSS_ROWS * LOSS_CLASSES];
            an_test_rig_make(&r, &backends[b], &loss_case, false, false);
            an_test_ok(r.api->output_set(r.source, false, LOSS_ROWS, logits), "logits");
            an_test_ok(r.api->labels(r.op, &(an_targets){.labels = labels, .total = LOSS_ROWS}, LOSS_ROWS), "labels");
            an_test_ok(an_test_op_forward(r.api, r.backend, r.op, &run), "forward");
            an_test_ok(r.api->result(r.op, &result), "result");
            an_test_ok(r.api->output_get(r.op, false, LOSS_ROWS, probabilities), "probabilities");
            for (uint32_t row = 0; row < LOSS_ROWS; row++) {
                uint32_t rank = rank_of(probabilities + (size_t)row * LOSS_CLASSES, labels[row]);
                top1 += rank < 1;
                top5 += rank < 5;
            }
            assert_int_equal(result.top1, top1);
            assert_int_equal(result.topk, top5);
            r.api->close(r.backend);
        }
}

static void dropout_output(const an_test_target *t, uint64_t step, bool training, size_t count, float *out)
{
    const an_test_case c = {"dropout", FROM_DENSE, 16, 256, 1, {.kind = AN_OP_DROPOUT, .dropout = 0.25}, 0, false};
    an_test_rig r;
    const an_backend_api *api = t->api;
    an_run run = {.step = step, .count = 16, .training = training};
    an_test_rig_make(&r, t, &c, true, false);
    for (size_t i = 0; i < count; i++)
        out[i] = 3;
    an_test_ok(api->output_set(r.source, false, 16, out), "input");
    an_test_ok(an_test_op_forward(api, r.backend, r.op, &run), "forward");
    an_test_ok(api->output_get(r.op, false, 16, out), "output");
    api->close(r.backend);
}

static void test_dropout_statistics(void **state)
{
    (void)state;
    enum { COUNT = 16 * 256 };
    static float first[COUNT], again[COUNT], other[COUNT], off[COUNT];
    for (size_t b = 0; b < BACKENDS; b++) {
        size_t dropped = 0, changed = 0;
        dropout_output(&backends[b], 1, true, COUNT, first);
        dropout_output(&backends[b], 1, true, COUNT, again);
        dropout_output(&backends[b], 2, true, COUNT, other);
        dropout_output(&backends[b], 1, false, COUNT, off);
        assert_memory_equal(first, again, sizeof first);
        for (size_t i = 0; i < COUNT; i++) {
            dropped += first[i] == 0;
            changed += first[i] != other[i];
            assert_true(first[i] == 0 || first[i] == 4);
            assert_true(off[i] == 3);
        }
        assert_in_range(dropped, COUNT / 4 - 140, COUNT / 4 + 140); /* five deviations */
        assert_in_range(changed, COUNT * 3 / 8 - 160, COUNT * 3 / 8 + 160);
    }
}

/* Two sources of different widths side by side, and both ways back. */
static void check_join(const an_test_target *t, int first, int second, int side)
{
    an_graph graph = {0};
    an_node image = {.name = "image", .kind = AN_OP_INPUT, .channels = 3, .height = side, .width = side};
    an_node a = {.name = "a", .kind = AN_OP_CONV, .channels = first, .kernel = 1, .stride = 1, .input_count = 1};
    an_node b = {.name = "b", .kind = AN_OP_CONV, .channels = second, .kernel = 1, .stride = 1, .input_count = 1};
    an_node join = {.name = "join", .kind = AN_OP_JOIN, .inputs = {1, 2}, .input_count = 2};
    an_op *ops[5];
    an_backend *backend;
    const an_backend_api *api = t->api;
    an_backend_options options = {
        .device = api->name, .batch = 2, .threads = 1, .training = true, .precision = t->precision};
    an_run run = {.count = 2, .training = true};
    size_t plane = (size_t)side * (size_t)side, channels = (size_t)(first + second), whole = channels * plane;
    assert_int_equal(an_graph_add(&graph, &image), 0);
    assert_int_equal(an_graph_add(&graph, &a), 1);
    assert_int_equal(an_graph_add(&graph, &b), 2);
    assert_int_equal(an_graph_add(&graph, &join), 3);
    an_test_ok(api->open(&backend, &options), "open");
    for (int i = 0; i < 5; i++) { /* two joins of the same sources */
        an_op_spec spec = {
            .rate_scale = 1, .node = &graph.nodes[i < 3 ? i : 3], .inputs = {i < 3 ? ops[0] : ops[1], ops[2]}};
        an_test_ok(api->op_create(&ops[i], backend, &spec), "create");
    }
    an_test_ok(api->finish(backend), "finish");
    float *x = an_test_random(2 * whole, 1), *y = an_test_zeros(2 * whole, sizeof *y);
    float *slope = an_test_random(2 * whole, 2), *slope2 = an_test_random(2 * whole, 3);
    size_t own[] = {(size_t)first * plane, (size_t)second * plane};
    an_test_ok(api->output_set(ops[1], false, 2, x), "a");
    an_test_ok(api->output_set(ops[2], false, 2, x + 2 * own[0]), "b");
    an_test_ok(api->forward(ops[3], &run), "forward");
    an_test_ok(api->output_get(ops[3], false, 2, y), "join");
    for (size_t n = 0; n < 2; n++) {
        assert_memory_equal(y + n * whole, x + n * own[0], own[0] * sizeof *y);
        assert_memory_equal(y + n * whole + own[0], x + 2 * own[0] + n * own[1], own[1] * sizeof *y);
    }
    an_test_ok(api->output_set(ops[3], true, 2, slope), "gradient");
    an_test_ok(api->output_set(ops[4], true, 2, slope2), "gradient");
    for (size_t s = 0; s < 2; s++) {
        an_test_ok(api->collect(ops[1 + s]), "collect");
        an_test_ok(api->output_get(ops[1 + s], true, 2, y), "gradient");
        for (size_t i = 0; i < 2 * own[s]; i++) {
            size_t place = i / own[s] * whole + s * own[0] + i % own[s];
            assert_true(fabs(y[i] - slope[place] - slope2[place]) <= t->tolerance);
        }
    }
    free(x);
    free(y);
    free(slope);
    free(slope2);
    api->close(backend);
}

static void test_join(void **state)
{
    (void)state;
    for (size_t b = 0; b < BACKENDS; b++) {
        check_join(&backends[b], 32, 16, 4);
        check_join(&backends[b], 48, 48, 3);
        check_join(&backends[b], 5, 6, 4);
    }
}

/* Every kind behind every kind that can stand before it. */
static const an_node sources[] = {
    {.name = "conv", .kind = AN_OP_CONV, .channels = 16, .kernel = 3, .stride = 1},
    {.name = "conv to 1x1", .kind = AN_OP_CONV, .channels = 16, .kernel = 4, .stride = 1},
    {.name = "lrn", .kind = AN_OP_LRN, .lrn_size = 5, .lrn_alpha = 1, .lrn_beta = 0.75, .lrn_k = 2},
    {.name = "pool", .kind = AN_OP_POOL, .kernel = 2, .stride = 2},
    {.name = "dense", .kind = AN_OP_DENSE, .channels = 16, .activation = AN_ACTIVATION_RELU},
    {.name = "logits", .kind = AN_OP_DENSE, .channels = 16},
    {.name = "dropout", .kind = AN_OP_DROPOUT, .dropout = 0.5},
    {.name = "activation", .kind = AN_OP_ACTIVATION, .activation = AN_ACTIVATION_TANH},
};
static const an_node followers[] = {
    {.name = "follower", .kind = AN_OP_CONV, .channels = 16, .kernel = 1, .stride = 1},
    {.name = "follower", .kind = AN_OP_LRN, .lrn_size = 5, .lrn_alpha = 1, .lrn_beta = 0.75, .lrn_k = 2},
    {.name = "follower", .kind = AN_OP_POOL, .kernel = 1, .stride = 1},
    {.name = "follower", .kind = AN_OP_DENSE, .channels = 16, .activation = AN_ACTIVATION_RELU},
    {.name = "follower", .kind = AN_OP_DROPOUT, .dropout = 0.5},
    {.name = "follower", .kind = AN_OP_ACTIVATION, .activation = AN_ACTIVATION_TANH},
    {.name = "follower", .kind = AN_OP_LOSS},
};
#define SOURCES (sizeof sources / sizeof *sources)
#define FOLLOWERS (sizeof followers / sizeof *followers)

/* Appends a node behind the last one; false where no graph can have it there. */
static bool graph_append(an_graph *graph, an_node node)
{
    node.input_count = 1;
    node.inputs[0] = graph->count - 1;
    return an_graph_add(graph, &node) > 0;
}

/* Makes the ops of a chain, which must succeed for all but the last; returns the error of making and running the last.
 */
static int graph_try(const an_test_target *t, const an_graph *graph)
{
    an_backend *backend;
    an_op *ops[AN_GRAPH_NODES_MAX] = {NULL};
    an_backend_options options = {
        .device = t->api->name, .batch = 2, .threads = 1, .training = true, .precision = t->precision};
    an_run run = {.count = 2, .training = true};
    int rc = AN_OK;
    an_test_ok(t->api->open(&backend, &options), "open");
    for (int i = 0; i < graph->count && !rc; i++) {
        an_op_spec spec = {.rate_scale = 1, .node = &graph->nodes[i], .input_gradient = i > 1};
        if (i)
            spec.inputs[0] = ops[i - 1];
        rc = t->api->op_create(&ops[i], backend, &spec);
        if (i < graph->count - 1)
            an_test_ok(rc, graph->nodes[i].name);
    }
    if (!rc)
        rc = t->api->finish(backend);
    if (!rc)
        rc = an_test_op_forward(t->api, backend, ops[graph->count - 1], &run);
    if (!rc)
        rc = t->api->synchronize(backend);
    t->api->close(backend);
    return rc;
}

static void check_support(const an_test_target *t, const an_node *source, const an_node *follower)
{
    an_graph graph = {0};
    an_node image = {.name = "image", .kind = AN_OP_INPUT, .channels = 3, .height = 4, .width = 4};
    an_backend_options options = {.device = t->api->name, .batch = 2, .threads = 1, .precision = t->precision};
    assert_int_equal(an_graph_add(&graph, &image), 0);
    if (source->kind == AN_OP_DROPOUT || source->kind == AN_OP_ACTIVATION)
        assert_true(graph_append(&graph, sources[4]));
    assert_true(graph_append(&graph, *source));
    for (int i = 0; i < graph.count; i++)
        an_test_ok(t->api->supports(&options, &graph, i), graph.nodes[i].name);
    if (!graph_append(&graph, *follower))
        return;
    int said = t->api->supports(&options, &graph, graph.count - 1);
    assert_true(!said || said == AN_EUNSUPPORTED);
    if (said)
        assert_non_null(strstr(an_error_message(), ": ")); /* a remedy */
    int tried = graph_try(t, &graph);
    if (!said != !tried)
        fail_msg("%s behind %s on %s in %d: supports says %d, trying it %d (%s)", an_op_name(follower->kind),
                 source->name, t->api->name, (int)t->precision, said, tried, an_error_message());
}

/* supports says yes to an op if and only if the op can be made and run. */
static void test_every_kind_is_supported_or_refused(void **state)
{
    (void)state;
    for (size_t b = 0; b < BACKENDS; b++)
        for (size_t s = 0; s < SOURCES; s++)
            for (size_t f = 0; f < FOLLOWERS; f++)
                check_support(&backends[b], &sources[s], &followers[f]);
}

/* A row in the table of kinds has cases here, and a backend in its table has something to say about each kind. */
static void test_every_kind_is_tried(void **state)
{
    (void)state;
    for (int kind = 0; kind <= AN_OP_KINDS; kind++) {
        bool tried = kind == AN_OP_INPUT || kind == AN_OP_LOSS || kind == AN_OP_JOIN; /* by tests of their own */
        for (size_t i = 0; i < CASES; i++)
            tried = tried || (int)cases[i].node.kind == kind;
        assert_int_equal(tried, kind < AN_OP_KINDS);
        for (int b = 0; b < an_backend_count(); b++) {
            an_graph graph = {.nodes = {{.name = "one", .kind = (an_op_kind)kind, .channels = 4, .groups = 1}},
                              .count = 1};
            const an_backend_api *api;
            if (an_backend_at(b, &api))
                continue; /* a module that is not here */
            an_backend_options options = {.device = api->name, .batch = 1, .threads = 1};
            int rc = api->supports(&options, &graph, 0);
            assert_int_equal(rc, kind < AN_OP_KINDS ? AN_OK : AN_EUNSUPPORTED);
        }
    }
}

/* 77, CTest's AN_SKIPPED: there is no device to test. */
static int device_probe(void)
{
#ifdef AN_TEST_CUDA
    const an_backend_api *cuda;
    an_backend *backend;
    an_backend_options options = {.device = "cuda:0", .batch = 1};
    int rc = an_backend_find("cuda", &cuda);
    if (!rc)
        rc = cuda->open(&backend, &options);
    if (rc == AN_EUNSUPPORTED) {
        fprintf(stderr, "skipped: %s\n", an_error_message());
        return 77;
    }
    if (!rc)
        cuda->close(backend);
    for (size_t b = 0; b < BACKENDS; b++)
        if (!backends[b].api)
            backends[b].api = cuda;
#endif
    return 0;
}

int main(void)
{
    if (device_probe())
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ops_match_the_reference),
        cmocka_unit_test(test_a_chain_matches_the_reference),
        cmocka_unit_test(test_parameters_round_trip),
        cmocka_unit_test(test_update_follows_the_formula),
        cmocka_unit_test(test_loss_matches_the_reference),
        cmocka_unit_test(test_losses_match_torch),
        cmocka_unit_test(test_top_counts),
        cmocka_unit_test(test_ties_are_broken_by_class_number),
        cmocka_unit_test(test_every_kind_is_supported_or_refused),
        cmocka_unit_test(test_every_kind_is_tried),
        cmocka_unit_test(test_dropout_statistics),
        cmocka_unit_test(test_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
