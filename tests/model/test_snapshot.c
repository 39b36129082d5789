/* Snapshots of parameters: they hold what the parameters were when they were taken, whatever is computed before they
 * are waited for, and taking them changes nothing. Compiled twice: for processors, and for emulated GPUs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/exec.h"
#include "model/init.h"
#include "model/snapshot.h"
#include "small_net.h"
#include "support.h"

#define BATCH 4

static const uint32_t labels[BATCH] = {4, 0, 2, 1};
static const an_sgd sgd = {.rate = 0.01, .momentum = 0.9, .decay = 0.0005, .bias_rate_scale = 2};

static bool split = true; /* the network has halves */

/* Everything on one logical device. */
static void unsplit_net(an_graph *graph)
{
    an_node dense = {.name = "fc",
                     .kind = AN_OP_DENSE,
                     .inputs = {0},
                     .input_count = 1,
                     .channels = SMALL_CLASSES,
                     .activation = AN_ACTIVATION_NONE};
    an_node loss = {.name = "loss", .kind = AN_OP_LOSS, .inputs = {1}, .input_count = 1};
    memset(graph, 0, sizeof *graph);
    an_node image = {.name = "image", .kind = AN_OP_INPUT, .channels = 3, .height = SMALL_SIDE, .width = SMALL_SIDE};
    assert_int_equal(an_graph_add(graph, &image), 0);
    assert_int_equal(an_graph_add(graph, &dense), 1);
    assert_int_equal(an_graph_add(graph, &loss), 2);
}

static int exec_try(an_exec **out, const char *devices, an_precision precision, bool training)
{
    an_graph graph;
    an_exec_options options = {
        .devices = devices, .batch = BATCH, .threads = 2, .training = training, .seed = 3, .precision = precision};
    if (split)
        an_small_net(&graph, AN_ACTIVATION_RELU);
    else
        unsplit_net(&graph);
    return an_exec_create(out, &graph, &options);
}

static void exec_make(an_exec **out, const char *devices, an_precision precision)
{
    an_test_ok(exec_try(out, devices, precision, true), devices);
    an_test_ok(an_init_parameters(*out, AN_INIT_HE, 5), "init");
}

static void step(an_exec *exec, uint64_t number)
{
    static uint16_t pixels[2 * BATCH * SMALL_IMAGE]; /* whether read as bytes, bf16 or fp32: small and finite */
    an_exec_result result;
    for (size_t i = 0; i < sizeof pixels / sizeof *pixels; i++)
        pixels[i] = (uint16_t)(0x3C00 + (i * 37 + number * 11) % 0x300);
    an_test_ok(an_exec_step(exec, &(an_images){.pixels = pixels}, labels, BATCH, number, &result), "step");
    an_test_ok(an_exec_update(exec, &sgd), "update");
    an_test_ok(an_exec_wait(exec), "wait"); /* pixels are written again */
}

/* The number of values in which the snapshot differs from exec's parameters. */
static uint64_t differences(const an_snapshot *snapshot, an_exec *exec, an_parameter_kind kind)
{
    uint64_t found = 0;
    for (int p = 0; p < an_exec_parameter_count(exec); p++) {
        uint64_t size = an_exec_parameter(exec, p)->size;
        float *expected = an_test_zeros(size, sizeof *expected), *room = an_test_zeros(size, sizeof *room);
        const float *got = an_snapshot_get(snapshot, p, kind, room);
        an_test_ok(an_exec_parameter_get(exec, p, kind, expected), "get");
        for (uint64_t i = 0; i < size; i++)
            found += memcmp(&got[i], &expected[i], sizeof *got) != 0;
        free(expected);
        free(room);
    }
    return found;
}

static void same(const an_snapshot *snapshot, an_exec *exec)
{
    assert_int_equal(differences(snapshot, exec, AN_PARAMETER_VALUE), 0);
    assert_int_equal(differences(snapshot, exec, AN_PARAMETER_MOMENTUM), 0);
}

/* One exec goes on after each snapshot; the other one, which has none, shows what the snapshot must hold. */
static void check(const char *devices, an_precision precision)
{
    an_exec *exec, *other;
    an_snapshot *snapshot;
    exec_make(&exec, devices, precision);
    exec_make(&other, devices, precision);
    an_test_ok(an_snapshot_create(&snapshot, exec), devices);
    uint64_t values = 0;
    for (int p = 0; p < an_exec_parameter_count(exec); p++)
        values += an_exec_parameter(exec, p)->size;
    assert_int_equal(an_snapshot_memory(snapshot), 2 * sizeof(float) * values);
    for (uint64_t at = 0; at < 8; at += 2) {
        an_test_ok(an_snapshot_take(snapshot), "take");
        step(exec, at);
        step(exec, at + 1);
        an_test_ok(an_snapshot_wait(snapshot), "wait for the snapshot");
        same(snapshot, other);
        assert_true(differences(snapshot, exec, AN_PARAMETER_VALUE) > values / 2);
        step(other, at);
        step(other, at + 1);
    }
    an_test_ok(an_snapshot_take(snapshot), "take");
    an_test_ok(an_snapshot_wait(snapshot), "wait for the snapshot");
    same(snapshot, exec);
    same(snapshot, other); /* taking snapshots did not change the training */
    an_snapshot_free(snapshot);
    an_exec_free(exec);
    an_exec_free(other);
}

static void test_one_device(void **state)
{
    (void)state;
#ifdef AN_TEST_CUDA
    check("cuda:0", AN_PRECISION_F32);
#else
    check("cpu", AN_PRECISION_F32);
#endif
}

static void test_two_devices(void **state)
{
    (void)state;
#ifdef AN_TEST_CUDA
    check("cuda:0,cuda:1", AN_PRECISION_F32);
#else
    check("cpu,cpu", AN_PRECISION_F32);
#endif
}

static void test_a_device_without_parameters(void **state)
{
    (void)state;
    split = false;
#ifdef AN_TEST_CUDA
    check("cuda:0,cuda:1", AN_PRECISION_F32);
#else
    check("cpu,cpu", AN_PRECISION_F32);
#endif
    split = true;
}

/* What is kept are the fp32 masters. */
static void test_bf16(void **state)
{
    (void)state;
    an_exec *exec;
#ifdef AN_TEST_CUDA
    const char *one = "cuda:0", *two = "cuda:0,cuda:1";
#else
    const char *one = "cpu", *two = "cpu,cpu";
#endif
    int rc = exec_try(&exec, one, AN_PRECISION_BF16, true);
    if (rc == AN_EUNSUPPORTED)
        skip();
    an_test_ok(rc, one);
    an_exec_free(exec);
    check(one, AN_PRECISION_BF16);
    check(two, AN_PRECISION_BF16);
}

static void test_without_training_there_is_none(void **state)
{
    (void)state;
    an_exec *exec;
    an_snapshot *snapshot;
    an_test_ok(exec_try(&exec, "cpu", AN_PRECISION_F32, false), "exec");
    an_test_refused(an_snapshot_create(&snapshot, exec), "made for evaluation");
    an_exec_free(exec);
}

/* A snapshot that is dropped before it was waited for, and a second one of the same exec. */
static void test_dropped_and_made_again(void **state)
{
    (void)state;
    an_exec *exec;
    an_snapshot *snapshot;
#ifdef AN_TEST_CUDA
    exec_make(&exec, "cuda:0,cuda:1", AN_PRECISION_F32);
#else
    exec_make(&exec, "cpu,cpu", AN_PRECISION_F32);
#endif
    uint64_t before = an_exec_memory(exec);
    for (int i = 0; i < 2; i++) {
        an_test_ok(an_snapshot_create(&snapshot, exec), "create");
        an_test_ok(an_snapshot_take(snapshot), "take");
        an_snapshot_free(snapshot);
        assert_int_equal(an_exec_memory(exec), before);
    }
    an_snapshot_free(NULL);
    an_exec_free(exec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_device),
        cmocka_unit_test(test_two_devices),
        cmocka_unit_test(test_a_device_without_parameters),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_without_training_there_is_none),
        cmocka_unit_test(test_dropped_and_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
