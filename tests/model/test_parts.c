/* Batches that are run in parts: the step of the whole batch but for rounding, in the memory of a part. Compiled twice:
 * for processors, and for emulated GPUs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/init.h"
#include "small_net.h"
#include "support.h"
#include "update_rig.h"

#ifdef AN_TEST_CUDA
#include "tests/emu/emulator/emu.h"
#define ONE "cuda:0"
#define TWO "cuda:0,cuda:1"
#define REPLAYS true
#else
#define ONE "cpu"
#define TWO "cpu,cpu"
#define REPLAYS false
#endif

#define BATCH 8

static const uint32_t labels[BATCH] = {4, 0, 2, 1, 3, 3, 0, 4};
static const an_sgd sgd = {.rate = 0.02, .momentum = 0.9, .decay = 0.01, .bias_rate_scale = 2, .clip = 0.5};

static int exec_try(an_exec **out, const char *devices, an_precision precision, int batch, int parts)
{
    static const float grey[3] = {128, 128, 128};
    static const an_conversion conversion = {.mean = grey, .side = 1, .scale = 1 / 128.0};
    an_graph graph;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    an_exec_options options = {.devices = devices,
                               .batch = batch,
                               .threads = 2,
                               .training = true,
                               .seed = 3,
                               .precision = precision,
                               .conversion = &conversion,
                               .parts = parts};
    return an_exec_create(out, &graph, &options);
}

static an_exec *exec_make(const char *devices, an_precision precision, int parts)
{
    an_exec *exec;
    an_test_ok(exec_try(&exec, devices, precision, BATCH, parts), devices);
    an_test_ok(an_init_parameters(exec, AN_INIT_HE, 5), "init");
    return exec;
}

static an_exec_result step(an_exec *exec, uint64_t number, uint32_t count)
{
    static float images[BATCH * SMALL_IMAGE], floats[BATCH * SMALL_IMAGE];
    an_exec_result result;
    an_update_images(exec, number, BATCH, images, floats);
    an_test_ok(an_exec_step(exec, &(an_images){.pixels = images}, labels, count, number, &result), "step");
    return result;
}

static void close_to(an_exec *got, an_exec *expected, an_parameter_kind kind, double tolerance)
{
    for (int p = 0; p < an_exec_parameter_count(got); p++) {
        const an_parameter *info = an_exec_parameter(got, p);
        float *a = an_update_parameter(got, p, kind), *b = an_update_parameter(expected, p, kind);
        double *wanted = an_test_doubles(b, info->size);
        an_test_close(info->name, a, wanted, info->size, tolerance);
        free(a);
        free(b);
        free(wanted);
    }
}

static void no_violations(void)
{
#ifdef AN_TEST_CUDA
    char text[512];
    if (emu_violations(text, sizeof text))
        fail_msg("the emulator complains: %s", text);
#endif
}

static const uint32_t counts[] = {BATCH, BATCH, BATCH, 5, 2, BATCH}; /* of the steps */
#define STEPS (sizeof counts / sizeof *counts)

static void check_parts(const char *devices, an_precision precision, int parts, double tolerance)
{
    an_exec *whole = exec_make(devices, precision, 0), *divided = exec_make(devices, precision, parts);
    assert_true(an_exec_memory(divided) < an_exec_memory(whole));
    for (size_t i = 0; i < STEPS; i++) {
        an_exec_result expected = step(whole, i, counts[i]), got = step(divided, i, counts[i]);
        bool exact = precision == AN_PRECISION_F32; /* in bf16 a rounding soon moves a maximum */
        double norms[2];
        if (fabs(got.loss - expected.loss) > tolerance * expected.loss)
            fail_msg("%s, step %zu: loss %.8g, expected %.8g", devices, i, got.loss, expected.loss);
        if (exact)
            assert_true(got.top1 == expected.top1 && got.top5 == expected.top5);
        if (i == 0 || exact)
            close_to(divided, whole, AN_PARAMETER_GRADIENT, tolerance);
        an_test_ok(an_exec_gradient_norm(whole, &norms[0]), "norm");
        an_test_ok(an_exec_gradient_norm(divided, &norms[1]), "norm");
        assert_true(fabs(norms[0] - norms[1]) <= (exact ? tolerance : 0.1) * norms[0]);
        an_test_ok(an_exec_update(whole, &sgd), "update");
        an_test_ok(an_exec_update(divided, &sgd), "update");
        if (exact)
            close_to(divided, whole, AN_PARAMETER_VALUE, tolerance);
    }
    assert_true(an_exec_replays(divided) == REPLAYS);
    an_exec_free(whole);
    an_exec_free(divided);
    no_violations();
}

static void test_parts_are_the_whole(void **state)
{
    (void)state;
    check_parts(ONE, AN_PRECISION_F32, 2, 1e-5);
    check_parts(ONE, AN_PRECISION_F32, 4, 1e-5);
    check_parts(TWO, AN_PRECISION_F32, 4, 1e-5);
    check_parts(TWO, AN_PRECISION_BF16, 2, 0.03);
}

static void check_evaluation(const char *devices)
{
    float images[BATCH * SMALL_IMAGE], floats[BATCH * SMALL_IMAGE], found[2][BATCH * SMALL_CLASSES];
    an_exec *whole = exec_make(devices, AN_PRECISION_F32, 0), *divided = exec_make(devices, AN_PRECISION_F32, 4);
    const uint32_t sizes[] = {BATCH, 5};
    for (int i = 0; i < 2; i++) {
        an_exec_result expected, got;
        an_update_images(whole, 9, BATCH, images, floats);
        an_test_ok(an_exec_evaluate(whole, &(an_images){.pixels = images}, labels, sizes[i], found[0], &expected),
                   "whole");
        an_test_ok(an_exec_evaluate(divided, &(an_images){.pixels = images}, labels, sizes[i], found[1], &got),
                   "parts");
        double *wanted = an_test_doubles(found[0], sizes[i] * SMALL_CLASSES);
        an_test_close("probabilities", found[1], wanted, sizes[i] * SMALL_CLASSES, 1e-5);
        assert_true(fabs(got.loss - expected.loss) < 1e-5 * expected.loss);
        assert_true(got.top1 == expected.top1 && got.top5 == expected.top5);
        an_test_ok(an_exec_evaluate(divided, &(an_images){.pixels = images}, NULL, sizes[i], found[1], NULL),
                   "no labels");
        an_test_close("probabilities", found[1], wanted, sizes[i] * SMALL_CLASSES, 1e-5);
        free(wanted);
    }
    an_exec_free(whole);
    an_exec_free(divided);
    no_violations();
}

static void test_evaluation_in_parts(void **state)
{
    (void)state;
    check_evaluation(ONE);
    check_evaluation(TWO);
}

/* Neither graphs nor batches that are sent ahead change a bit. */
static void check_ways(const char *devices)
{
    static float images[2][BATCH * SMALL_IMAGE], floats[BATCH * SMALL_IMAGE];
    an_exec *plain = exec_make(devices, AN_PRECISION_F32, 2), *ahead = exec_make(devices, AN_PRECISION_F32, 2);
    an_exec_replay_set(plain, false);
    for (uint64_t number = 0; number < 2; number++)
        an_update_images(plain, number, BATCH, images[number], floats);
    for (uint64_t number = 0; number < 5; number++) {
        an_images now = {.pixels = images[number % 2]}, next = {.pixels = images[(number + 1) % 2]};
        an_exec_result result;
        an_exec_prefetch(ahead, &next, BATCH);
        an_test_ok(an_exec_step(plain, &now, labels, BATCH, number, &result), "step");
        an_test_ok(an_exec_step(ahead, &now, labels, BATCH, number, &result), "step");
        an_test_ok(an_exec_update(plain, &sgd), "update");
        an_test_ok(an_exec_update(ahead, &sgd), "update");
    }
    assert_true(an_exec_replays(ahead) == REPLAYS);
    an_update_same(plain, AN_PARAMETER_VALUE, ahead, AN_PARAMETER_VALUE);
    an_exec_free(plain);
    an_exec_free(ahead);
    no_violations();
}

static void test_graphs_and_batches_ahead(void **state)
{
    (void)state;
    check_ways(ONE);
    check_ways(TWO);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    an_exec *exec;
    an_test_refused(exec_try(&exec, ONE, AN_PRECISION_F32, BATCH, 3), "a batch of 8 in 3 parts: they must be equal");
    an_test_refused(exec_try(&exec, ONE, AN_PRECISION_F32, 6, 2),
                    "a batch of 6 in 2 parts: they must be equal, and even");
    an_test_refused(exec_try(&exec, ONE, AN_PRECISION_F32, BATCH, -1), "in -1 parts");
    an_graph graph;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    an_exec_options options = {
        .devices = ONE, .batch = BATCH, .parts = 2, .decoder = &(an_image_decoder){.size = 1 << 20}};
    an_test_refused(an_exec_create(&exec, &graph, &options), "encoded cannot be divided into parts");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_are_the_whole),
        cmocka_unit_test(test_evaluation_in_parts),
        cmocka_unit_test(test_graphs_and_batches_ahead),
        cmocka_unit_test(test_what_is_refused),
    };
#ifdef AN_TEST_CUDA
    (void)emu_violations(NULL, 0); /* from now on collected, and asked for by each test */
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
