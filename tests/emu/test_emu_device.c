/* The backend on difficult machines: devices that are too old or fail at any operation, engines that fail when they are
 * run, and networks that a device cannot compute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/exec.h"
#include "small_net.h"
#include "support.h"
#include "tests/emu/emulator/emu.h"

#define BATCH 2

static const uint32_t labels[BATCH] = {4, 0};
static const an_sgd sgd = {.rate = 0.01, .momentum = 0.9};

static int create(an_exec **out, const char *devices, an_precision precision, an_choices *choices)
{
    an_graph graph;
    an_exec_options options = {
        .devices = devices, .batch = BATCH, .training = true, .precision = precision, .choices = choices};
    an_small_net(&graph, AN_ACTIVATION_RELU);
    return an_exec_create(out, &graph, &options);
}

/* Forward, backward and update of one batch, waiting for all of it. */
static int step(an_exec *exec)
{
    static uint8_t pixels[BATCH * SMALL_IMAGE];
    an_exec_result result;
    int rc = an_exec_step(exec, &(an_images){.pixels = pixels}, labels, BATCH, 0, &result);
    if (!rc)
        rc = an_exec_update(exec, &sgd);
    if (rc)
        return rc;
    return an_exec_wait(exec);
}

static void no_violations(void)
{
    char text[512];
    if (emu_violations(text, sizeof text))
        fail_msg("%s", text);
}

static void refused(const char *precision_part, an_precision precision)
{
    an_exec *exec = NULL;
    assert_int_equal(create(&exec, "cuda:1", precision, NULL), AN_EUNSUPPORTED);
    assert_null(exec);
    assert_non_null(strstr(an_error_message(), "cuda:1 (emulated device) has compute capability"));
    if (!strstr(an_error_message(), precision_part))
        fail_msg("'%s' does not say '%s'", an_error_message(), precision_part);
}

static void test_old_devices_are_refused_in_words(void **state)
{
    (void)state;
    an_exec *exec;
    emu_capability_set(7, 0);
    refused("7.0: it must be 7.5", AN_PRECISION_F32);
    emu_capability_set(7, 5);
    refused("bf16 needs 8.0", AN_PRECISION_BF16);
    refused("tf32 needs 8.0", AN_PRECISION_TF32);
    an_test_ok(create(&exec, "cuda:1", AN_PRECISION_F32, NULL), "fp32 on 7.5");
    an_exec_free(exec);
    emu_capability_set(9, 0);
    no_violations();
}

/* An engine that fails when it is run drops out, measured or not; at least one must remain. */
static void test_engines_that_fail_when_run(void **state)
{
    (void)state;
    an_exec *exec = NULL;
    an_choices choices = {0};
    for (int i = 0; i < 3; i++) {
        emu_cost(EMU_CUDNN, i, i == 1 ? 0 : 1000000);
        emu_cost(EMU_CUBLAS, i, i == 0 ? 0 : 1000000);
    }
    emu_refuse(EMU_CUDNN, 1); /* the heuristic's first choice, and the fastest */
    emu_refuse(EMU_CUBLAS, 0);
    an_test_ok(create(&exec, "cuda:0", AN_PRECISION_F32, &choices), "engines that fail");
    an_test_ok(step(exec), "a step without them");
    an_exec_free(exec);
    assert_true(choices.count > 0);
    for (size_t i = 0; i < choices.count; i++) {
        assert_string_not_equal(choices.items[i].name, "8");
        assert_string_not_equal(choices.items[i].name, "10 1=15 2=1 3=0 4=0 5=0 6=8 7=0 8=2");
        assert_true(choices.items[i].first > 0 && choices.items[i].first < 1e12);
    }
    an_choices_free(&choices);
    exec = NULL;
    an_test_ok(create(&exec, "cuda:0", AN_PRECISION_F32, NULL), "engines that fail, none measured");
    an_test_ok(step(exec), "a step without them");
    emu_refuse(EMU_CUDNN, 3); /* which took their place */
    assert_true(step(exec) < 0);
    assert_non_null(strstr(an_error_message(), "cannot run "));
    an_exec_free(exec);
    for (int i = 0; i < 3; i++) {
        emu_cost(EMU_CUDNN, i, 0);
        emu_cost(EMU_CUBLAS, i, 0);
    }
    emu_refuse(EMU_CUDNN, -1);
    emu_refuse(EMU_CUBLAS, -1);
    no_violations();
}

/* Whichever operation first fails on a lost device, the message says what happened and what to do. */
static void test_a_lost_device_is_named_everywhere(void **state)
{
    (void)state;
    an_exec *exec;
    an_test_ok(create(&exec, "cuda:0,cuda:1", AN_PRECISION_F32, NULL), "create");
    an_test_ok(step(exec), "step");
    uint64_t before = emu_count().operations;
    an_test_ok(step(exec), "step");
    uint64_t operations = emu_count().operations - before;
    for (uint64_t at = 0; at < operations; at++) {
        emu_lose_after(at);
        int rc = step(exec);
        emu_lose_after(EMU_NEVER);
        if (rc >= 0 || !strstr(an_error_message(), "the device failed and is lost"))
            fail_msg("operation %d of %d: %d, %s", (int)at, (int)operations, rc, an_error_message());
        assert_non_null(strstr(an_error_message(), "--resume auto"));
        an_test_ok(an_exec_wait(exec), "wait");
    }
    an_exec_free(exec);
    no_violations();
}

static bool is_convolution(const an_exec_layer *layer)
{
    return !strcmp(layer->kind, "conv");
}

/* The layers' times: forward, backward and update of those that have them. Planted costs make convolutions very long on
 * the devices' clocks, without the host having to wait. */
static void check_times(const an_exec *exec, bool on_devices, bool alone)
{
    for (int i = 0; i < an_exec_layer_count(exec); i++) {
        an_exec_layer layer;
        an_exec_layer_get(exec, i, &layer);
        bool slow = on_devices && is_convolution(&layer);
        assert_int_equal(layer.runs, 2);
        assert_true(slow <= (layer.forward > 1000) && slow <= (layer.backward > 1000));
        if (alone || !on_devices)
            assert_true(slow == (layer.forward > 1000) && slow == (layer.backward > 1000));
        assert_true(layer.forward > 0 && layer.update < 1000);
        assert_true((layer.update > 0) == (on_devices && layer.parameters > 0));
    }
}

static void parameters_same(an_exec *a, an_exec *b)
{
    for (int p = 0; p < an_exec_parameter_count(a); p++) {
        size_t size = an_exec_parameter(a, p)->size;
        float *one = an_test_zeros(size, sizeof *one), *other = an_test_zeros(size, sizeof *other);
        an_test_ok(an_exec_parameter_get(a, p, AN_PARAMETER_VALUE, one), "get");
        an_test_ok(an_exec_parameter_get(b, p, AN_PARAMETER_VALUE, other), "get");
        assert_memory_equal(one, other, size * sizeof *one);
        free(one);
        free(other);
    }
}

/* Profiling reports the layers' times on the devices' clocks and does not change what is computed. */
static void check_profile(const char *devices)
{
    an_exec *exec, *plain;
    bool alone = !strchr(devices, ',');
    an_test_ok(create(&exec, devices, AN_PRECISION_F32, NULL), devices);
    an_test_ok(create(&plain, devices, AN_PRECISION_F32, NULL), devices);
    emu_cost(EMU_CUDNN, 1, 1000000000); /* the heuristic's first that suits */
    for (int i = 0; i < 2; i++) {
        an_test_ok(step(exec), "step");
        an_test_ok(step(plain), "step");
    }
    check_times(exec, false, alone);
    an_exec_profile(exec);
    for (int i = 0; i < 2; i++) {
        an_test_ok(step(exec), "step");
        an_test_ok(step(plain), "step");
    }
    check_times(exec, true, alone);
    emu_counters before = emu_count();
    an_exec_layers_reset(exec);
    for (int i = 0; i < 2; i++)
        an_test_ok(step(exec), "step");
    check_times(exec, true, alone);
    assert_int_equal(emu_count().allocations, before.allocations);
    for (int i = 0; i < 2; i++)
        an_test_ok(step(plain), "step");
    parameters_same(exec, plain);
    emu_cost(EMU_CUDNN, 1, 0);
    an_exec_free(exec);
    an_exec_free(plain);
}

static void test_layers_are_timed_on_the_devices_clock(void **state)
{
    (void)state;
    check_profile("cuda:0");
    check_profile("cuda:0,cuda:1");
    no_violations();
}

/* Idle time of a step whose images are announced a step ahead, or not. convolution: microseconds that each takes. */
static an_device_time idle_of(const char *devices, bool announced, unsigned convolution)
{
    an_exec *exec;
    an_device_time time;
    static uint8_t pixels[2][BATCH * SMALL_IMAGE];
    an_test_ok(create(&exec, devices, AN_PRECISION_F32, NULL), devices);
    emu_cost(EMU_CUDNN, 1, convolution);
    for (int i = 0; i < 3; i++) {
        an_exec_result result;
        an_images images = {.pixels = pixels[i % 2]}, next = {.pixels = pixels[(i + 1) % 2]};
        if (announced)
            an_exec_prefetch(exec, &next, BATCH);
        if (i == 2)
            an_test_ok(an_exec_device_time(exec, &time), "time");
        an_test_ok(an_exec_step(exec, &images, labels, BATCH, (uint64_t)i, &result), "step");
        an_test_ok(an_exec_update(exec, &sgd), "update");
    }
    an_test_ok(an_exec_device_time(exec, &time), "time");
    emu_cost(EMU_CUDNN, 1, 0);
    an_exec_free(exec);
    return time;
}

/* Copies take half an hour on the devices' clocks. A longer step hides them; otherwise the device waits for them. */
static void test_idle_time_before_a_late_copy(void **state)
{
    (void)state;
    static const char *const devices[] = {"cuda:0", "cuda:0,cuda:1"};
    const double seconds = BATCH * SMALL_IMAGE;
    emu_copy_cost(1000000);
    for (int i = 0; i < 2; i++) {
        an_device_time time = idle_of(devices[i], false, 0);
        assert_true(time.copy > seconds - 600 && time.copy < seconds + 600);
        assert_true(time.idle - time.copy < 600 && time.total > time.idle);
        time = idle_of(devices[i], true, 2000000000);
        assert_true(time.copy < 600 && time.total > seconds);
    }
    emu_copy_cost(0);
    no_violations();
}

/* The position of a maximum is kept in a byte, which larger windows would overflow without a word. */
static int create_with_window(int window, bool average)
{
    an_exec *exec = NULL;
    an_graph graph = {0};
    an_exec_options options = {.devices = "cuda:1", .batch = BATCH, .training = true};
    an_node image = {.name = "input", .kind = AN_OP_INPUT, .channels = 3, .height = SMALL_SIDE, .width = SMALL_SIDE};
    an_node pool = {
        .name = "pool", .kind = AN_OP_POOL, .input_count = 1, .kernel = window, .stride = 1, .average = average};
    an_node logits = {.name = "fc", .kind = AN_OP_DENSE, .input_count = 1, .channels = SMALL_CLASSES};
    an_node loss = {.name = "loss", .kind = AN_OP_LOSS, .input_count = 1};
    pool.inputs[0] = an_graph_add(&graph, &image);
    logits.inputs[0] = an_graph_add(&graph, &pool);
    loss.inputs[0] = an_graph_add(&graph, &logits);
    assert_true(an_graph_add(&graph, &loss) > 0);
    int rc = an_exec_create(&exec, &graph, &options);
    an_exec_free(exec);
    return rc;
}

static void test_large_maximum_windows_are_refused(void **state)
{
    (void)state;
    an_test_ok(create_with_window(16, false), "a maximum over 16 x 16");
    an_test_ok(create_with_window(17, true), "an average over 17 x 17");
    assert_int_equal(create_with_window(17, false), AN_EUNSUPPORTED);
    assert_non_null(strstr(an_error_message(), "pool: training a maximum over windows of 17 x 17"));
    no_violations();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_old_devices_are_refused_in_words),
        cmocka_unit_test(test_engines_that_fail_when_run),
        cmocka_unit_test(test_a_lost_device_is_named_everywhere),
        cmocka_unit_test(test_layers_are_timed_on_the_devices_clock),
        cmocka_unit_test(test_idle_time_before_a_late_copy),
        cmocka_unit_test(test_large_maximum_windows_are_refused),
    };
    (void)emu_violations(NULL, 0); /* from now on collected */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
