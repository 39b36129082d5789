/* Whole networks on one and two emulated GPUs. Losses and weights match the CPU's, a step allocates nothing and waits
 * for nothing but its loss, the bytes between devices are those of the formula, and every planted mistake is noticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/cuda/kernels/kernels.h"
#include "model/exec/exec_private.h"
#include "model/nets/alexnet.h"
#include "small_net.h"
#include "support.h"
#include "tests/emu/emulator/emu.h"
#include "tests/emu/runner.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ALEXNET_STEPS 2 /* sanitizers take ten times as long, and look at the same code in fewer */
#define SANITIZED true
#else
#define ALEXNET_STEPS 20
#define SANITIZED false
#endif

typedef struct {
    const char *devices;
    bool columns;
} placement;

static const placement placements[] = {
    {"cuda:0", false}, {"cuda", true}, {"cuda:0,cuda:1", false}, {"cuda:1,cuda:0", false}, {"cuda:0,cuda:0", false}};
#define PLACEMENTS (sizeof placements / sizeof *placements)

static void check_against_cpu(const an_graph *graph, const placement *p, an_precision precision, int steps,
                              double tolerance)
{
    runner cpu, gpu;
    runner_make(&cpu, graph, "cpu", precision == AN_PRECISION_TF32 ? AN_PRECISION_F32 : precision, false);
    runner_make(&gpu, graph, p->devices, precision, p->columns);
    for (int step = 0; step < steps; step++) {
        uint32_t count = step % 3 == 2 ? 3 : BATCH;
        double expected = runner_step(&cpu, (uint64_t)step, count), got = runner_step(&gpu, (uint64_t)step, count);
        if (fabs(got - expected) > tolerance * (fabs(expected) + 0.1))
            fail_msg("%s, step %d: loss %.7g, expected %.7g", p->devices, step, got, expected);
    }
    if (precision != AN_PRECISION_BF16) /* whose roundings differ between devices by more than small biases are large */
        runner_compare(cpu.exec, gpu.exec, 1e-3);
    runner_free(&cpu);
    runner_free(&gpu);
    runner_no_violations();
}

static void test_small_net_matches_the_cpu(void **state)
{
    (void)state;
    an_graph graph;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    for (size_t i = 0; i < PLACEMENTS; i++) {
        check_against_cpu(&graph, &placements[i], AN_PRECISION_F32, 6, 1e-4);
        check_against_cpu(&graph, &placements[i], AN_PRECISION_TF32, 2, 1e-4);
        check_against_cpu(&graph, &placements[i], AN_PRECISION_BF16, 6, 0.03);
    }
    an_small_net(&graph, AN_ACTIVATION_TANH);
    check_against_cpu(&graph, &placements[2], AN_PRECISION_F32, 3, 1e-4);
    an_small_net_reordered(&graph, AN_ACTIVATION_RELU);
    for (size_t i = 0; i < PLACEMENTS; i++)
        check_against_cpu(&graph, &placements[i], AN_PRECISION_F32, 3, 1e-4);
    check_against_cpu(&graph, &placements[0], AN_PRECISION_BF16, 3, 0.03);
}

static void alexnet(an_graph *graph, int side)
{
    an_alexnet_options options = an_alexnet_defaults();
    options.input = side;
    options.classes = 10;
    assert_int_equal(an_alexnet_build(&options, graph), AN_OK);
    runner_narrow(graph);
}

static void test_alexnet_matches_the_cpu(void **state)
{
    (void)state;
    an_graph graph;
    alexnet(&graph, 64);
    check_against_cpu(&graph, &placements[2], AN_PRECISION_F32, ALEXNET_STEPS, 1e-3);
    if (SANITIZED)
        return;
    check_against_cpu(&graph, &placements[0], AN_PRECISION_F32, 3, 1e-4);
    runner_sgd.rate = 0.0001; /* of two networks that round to 8 bits, one soon learns something else at more */
    check_against_cpu(&graph, &placements[2], AN_PRECISION_BF16, ALEXNET_STEPS, 0.05);
    runner_sgd.rate = 0.001;
}

static void test_peer_access_may_be_refused(void **state)
{
    (void)state;
    an_graph graph;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    emu_peer_set(false);
    check_against_cpu(&graph, &placements[2], AN_PRECISION_F32, 3, 1e-4);
    emu_peer_set(true);
}

/* The same steps give the same bits on either device. */
static void test_steps_repeat_exactly(void **state)
{
    (void)state;
    an_graph graph;
    runner one, two;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    runner_make(&one, &graph, "cuda:0,cuda:1", AN_PRECISION_BF16, false);
    runner_make(&two, &graph, "cuda:1,cuda:0", AN_PRECISION_BF16, false);
    for (uint64_t step = 0; step < 4; step++) {
        double a = runner_step(&one, step, BATCH), b = runner_step(&two, step, BATCH);
        assert_true(a == b);
    }
    runner_compare(one.exec, two.exec, 0);
    runner_free(&one);
    runner_free(&two);
    runner_no_violations();
}

/* The bytes that are copied to a device for a batch, by docs/gpu.md. */
static uint64_t image_bytes(uint64_t side)
{
    return BATCH * side * side * 3 + BATCH * sizeof(an_image_draw);
}

/* A prefetched batch is copied while the step before computes. The results are the same bits, and it does no harm if
 * another batch than the prefetched one is used. */
static void test_announced_batches(void **state)
{
    (void)state;
    an_graph graph;
    runner plain, ahead;
    void *other;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    runner_make(&plain, &graph, "cuda:0,cuda:1", AN_PRECISION_F32, false);
    runner_make(&ahead, &graph, "cuda:0,cuda:1", AN_PRECISION_F32, false);
    an_test_ok(an_exec_images_alloc(ahead.exec, &other, ahead.size), "images");
    uint64_t bytes = 2 * image_bytes(SMALL_SIDE) + BATCH * sizeof(an_target_row);
    for (uint64_t step = 0; step < 6; step++) {
        an_exec_prefetch(ahead.exec, step == 3 ? &(an_images){.pixels = other, .draws = ahead.draws} : &ahead.images,
                         BATCH);
        emu_counters before = emu_count();
        double a = runner_step(&ahead, step, BATCH);
        /* The first step brings two batches, and the fifth finds another one than was announced. */
        assert_int_equal(emu_count().to_device - before.to_device,
                         bytes + (step == 0 || step == 4) * (bytes - BATCH * sizeof(an_target_row)));
        assert_true(a == runner_step(&plain, step, BATCH));
    }
    runner_compare(plain.exec, ahead.exec, 0);
    an_exec_images_free(ahead.exec, other, ahead.size);
    runner_free(&plain);
    runner_free(&ahead);
    runner_no_violations();
}

/* The memory of a prefetched batch may be freed while it is being copied. */
static void test_an_announced_batch_may_be_freed(void **state)
{
    (void)state;
    an_graph graph;
    runner r;
    void *other;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    runner_make(&r, &graph, "cuda:0,cuda:1", AN_PRECISION_F32, false);
    for (uint64_t step = 0; step < 3; step++) {
        an_test_ok(an_exec_images_alloc(r.exec, &other, r.size), "images");
        an_exec_prefetch(r.exec, &(an_images){.pixels = other, .draws = r.draws}, BATCH);
        runner_step(&r, step, BATCH);
        an_exec_images_free(r.exec, other, r.size);
    }
    runner_free(&r);
    runner_no_violations();
}

/* The labels' pinned memory may be written again when an evaluation returns, also one that gives nothing back. */
static void test_an_evaluation_leaves_nothing_behind(void **state)
{
    (void)state;
    an_graph graph;
    runner r;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    runner_make(&r, &graph, "cuda:0,cuda:1", AN_PRECISION_F32, false);
    for (int i = 0; i < 3; i++) {
        an_test_ok(an_exec_evaluate(r.exec, &r.images, i == 1 ? NULL : runner_labels, BATCH, NULL, NULL), "evaluate");
        assert_int_equal(emu_in_flight(true), 0);
    }
    runner_free(&r);
    runner_no_violations();
}

/* Times are differences of a clock that counts microseconds here, as a float of milliseconds. */
static void about(double seconds, double expected)
{
    if (fabs(seconds - expected) > 1e-6)
        fail_msg("%.9f s instead of %.9f", seconds, expected);
}

/* The device's own clock tells a host that is late from one that is not. The host is late by a tenth of a second, and
 * nothing else takes time. */
static void test_idle_time_is_the_devices(void **state)
{
    (void)state;
    an_graph graph;
    runner r;
    an_device_time time;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    runner_make(&r, &graph, "cuda:0,cuda:1", AN_PRECISION_F32, false);
    emu_clocks_hold();
    runner_step(&r, 0, BATCH);
    an_test_ok(an_exec_device_time(r.exec, &time), "time");
    emu_clocks_pass(500);
    an_test_ok(an_exec_wait(r.exec), "wait");
    emu_clocks_pass(100000);
    runner_step(&r, 1, BATCH);
    an_test_ok(an_exec_device_time(r.exec, &time), "time");
    about(time.idle, 0.1);
    about(time.copy, 0); /* it is the host's: it had queued nothing */
    about(time.total, 0.1005);
    an_test_ok(an_exec_device_time(r.exec, &time), "time");
    assert_true(time.idle == 0 && time.copy == 0 && time.total == 0);
    an_test_ok(an_exec_wait(r.exec), "wait");
    an_exec_device_pause(r.exec);
    emu_clocks_pass(100000);
    runner_step(&r, 2, BATCH);
    emu_clocks_pass(500);
    runner_step(&r, 3, BATCH);
    an_test_ok(an_exec_device_time(r.exec, &time), "time");
    about(time.idle, 0.0005); /* without what passed before the pause */
    about(time.total, 0.0005);
    emu_clocks_release();
    runner_free(&r);
    runner_no_violations();
}

/* Bytes that cross between devices in a step: every remote input of a join forward, and its gradient back. */
static uint64_t crossing_bytes(const an_exec *exec, uint64_t value, uint64_t *crossings)
{
    uint64_t sum = 0;
    *crossings = 0;
    for (int i = 0; i < exec->graph.count; i++)
        for (int k = 0; exec->graph.nodes[i].kind == AN_OP_JOIN && k < exec->graph.nodes[i].input_count; k++) {
            const an_node *from = &exec->graph.nodes[exec->graph.nodes[i].inputs[k]];
            if (from->device == exec->graph.nodes[i].device)
                continue;
            sum += 2 * value * (uint64_t)(BATCH * from->channels * from->height * from->width);
            ++*crossings;
        }
    return sum;
}

/* shared: both logical devices are one GPU. Then what crosses between them stays within it. */
static void check_steady(const char *devices, bool shared, an_precision precision)
{
    an_graph graph;
    runner r;
    uint64_t crossings, value = precision == AN_PRECISION_BF16 ? 2 : 4, device_count = strchr(devices, ',') ? 2 : 1;
    alexnet(&graph, 64);
    runner_make(&r, &graph, devices, precision, false);
    for (uint64_t step = 0; step < 2; step++)
        runner_step(&r, step, BATCH);
    emu_counters before = emu_count();
    for (uint64_t step = 2; step < 4; step++)
        runner_step(&r, step, BATCH);
    emu_counters after = emu_count();
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.pageable, before.pageable);
    assert_int_equal(after.graphs - before.graphs, 2 * 2);     /* forward and backward, over all devices */
    assert_int_equal(after.host_waits - before.host_waits, 2); /* a step's loss, whatever is queued behind it */
    uint64_t images = device_count * image_bytes(64);
    assert_int_equal(after.to_device - before.to_device, 2 * (images + BATCH * sizeof(an_target_row)));
    assert_int_equal(after.from_device - before.from_device, 2 * BATCH * 8);
    uint64_t crossing = 2 * crossing_bytes(r.exec, value, &crossings);
    assert_int_equal(after.peer - before.peer, shared ? 0 : crossing);
    assert_int_equal(after.within - before.within, shared ? crossing : 0);
    runner_free(&r);
    runner_no_violations();
}

static void test_a_step_neither_waits_nor_allocates(void **state)
{
    (void)state;
    check_steady("cuda:0", false, AN_PRECISION_F32);
    check_steady("cuda:0,cuda:1", false, AN_PRECISION_BF16);
    check_steady("cuda:0,cuda:0", true, AN_PRECISION_BF16);
}

/* Removing any wait that orders work within a step is noticed. The wait for an image slot to be free is not among them:
 * the host has seen the loss of the step that used the slot, which already orders it. */
static void test_every_missing_wait_is_caught(void **state)
{
    (void)state;
    an_graph graph;
    runner r;
    uint64_t crossings, caught = 0;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    runner_make(&r, &graph, "cuda:0,cuda:1", AN_PRECISION_F32, false);
    an_exec_replay_set(r.exec, false);
    runner_step(&r, 0, BATCH); /* both places of the images have been used then */
    runner_step(&r, 1, BATCH);
    (void)crossing_bytes(r.exec, 4, &crossings);
    runner_no_violations();
    for (int wait = 1; wait <= 100; wait++) {
        an_exec_result result;
        emu_drop_wait(wait);
        an_test_ok(an_exec_step(r.exec, &r.images, runner_labels, BATCH, 1, &result), "step");
        caught += emu_violations(NULL, 0) > 0;
    }
    emu_drop_wait(0);
    /* For each crossing: copy after source, use after copy; copy after packing, sum after copy. For each device:
     * images. */
    assert_int_equal(caught, 4 * crossings + 2);
    runner_free(&r);
}

static void test_a_swapped_device_is_caught(void **state)
{
    (void)state;
    an_graph graph;
    runner r;
    char text[512];
    an_small_net(&graph, AN_ACTIVATION_RELU);
    emu_peer_set(false);
    runner_make(&r, &graph, "cuda:0,cuda:1", AN_PRECISION_F32, false);
    emu_peer_set(true);
    emu_swap_devices(2);
    runner_step(&r, 0, BATCH);
    assert_int_equal(emu_violations(text, sizeof text), 1);
    assert_non_null(strstr(text, "does not hold the memory"));
    runner_free(&r);
}

static void test_devices_are_listed(void **state)
{
    (void)state;
    an_buffer text = {0};
    an_test_ok(an_backend_devices(&text), "devices");
    assert_non_null(strstr((const char *)text.data, "cuda:1   emulated device, compute capability 9.0, 17 GB\n"));
    assert_non_null(strstr((const char *)text.data, "cpu "));
    an_buffer_free(&text);
}

/* A layer's memory holds its output, weights and what training needs, although they are made at different times. */
static void test_layers_know_their_memory(void **state)
{
    (void)state;
    an_graph graph;
    runner r;
    uint64_t sum = 0;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    runner_make(&r, &graph, "cuda:0", AN_PRECISION_F32, false);
    for (int i = 0; i < an_exec_layer_count(r.exec); i++) {
        an_exec_layer layer;
        const an_node *node = &r.exec->graph.nodes[i];
        uint64_t values = (uint64_t)(BATCH * node->channels * node->height * node->width);
        an_exec_layer_get(r.exec, i, &layer);
        if (node->has_weights && layer.memory < (2 * values + 3 * layer.parameters) * sizeof(float))
            fail_msg("%s: %llu bytes", layer.name, (unsigned long long)layer.memory);
        sum += layer.memory;
    }
    assert_true(sum <= an_exec_memory(r.exec));
    assert_true(sum > an_exec_memory(r.exec) / 2); /* the rest is the libraries' workspace */
    runner_free(&r);
    runner_no_violations();
}

static void test_messages(void **state)
{
    (void)state;
    an_graph graph;
    an_exec *exec = NULL;
    an_exec_options options = {.devices = "cuda:7", .batch = BATCH, .threads = 1, .training = true};
    an_small_net(&graph, AN_ACTIVATION_RELU);
    assert_int_equal(an_exec_create(&exec, &graph, &options), AN_EUNSUPPORTED);
    assert_non_null(strstr(an_error_message(), "no cuda:7: this machine has 2"));
    options.devices = "cuda:x";
    assert_int_equal(an_exec_create(&exec, &graph, &options), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "cuda:x"));
    options.devices = "cuda:0";
    emu_memory_set(12000);
    assert_int_equal(an_exec_create(&exec, &graph, &options), AN_ENOMEM);
    assert_non_null(strstr(an_error_message(), " bytes on cuda:0 for fc5 ("));
    emu_memory_set(300000);
    assert_int_equal(an_exec_create(&exec, &graph, &options), AN_ENOMEM);
    assert_non_null(strstr(an_error_message(), "conv2: cannot allocate "));
    assert_non_null(strstr(an_error_message(), " bytes on cuda:0 to compare and measure kernels of "));
    emu_memory_set(0);
    assert_null(exec);
    runner_no_violations();
}

/* Parameters and momentum move between placements and training goes on as if nothing had happened. */
static void test_training_moves_between_placements(void **state)
{
    (void)state;
    static const char *const from[] = {"cpu", "cuda:0", "cuda:0,cuda:1"};
    an_graph graph;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 3; k++) {
            runner one, two;
            runner_make(&one, &graph, from[i], AN_PRECISION_F32, false);
            runner_make(&two, &graph, from[k], AN_PRECISION_F32, false);
            runner_step(&one, 0, BATCH);
            runner_copy(one.exec, two.exec);
            double a = runner_step(&one, 1, BATCH), b = runner_step(&two, 1, BATCH);
            assert_true(fabs(a - b) < 1e-4 * a);
            runner_compare(one.exec, two.exec, 1e-4);
            runner_free(&one);
            runner_free(&two);
        }
    runner_no_violations();
}

/* Makes a network and frees it; returns how often the devices' clocks were read for it. */
static uint64_t timings_of(const an_graph *graph, const char *devices, an_choices *choices)
{
    runner r;
    uint64_t before = emu_count().timings;
    runner_make_with(&r, graph, devices, AN_PRECISION_F32, false, choices);
    uint64_t taken = emu_count().timings - before;
    runner_free(&r);
    return taken;
}

/* How many choices of cuDNN's (for convolutions) or of cuBLASLt's have that name. */
static int named(const an_choices *choices, const char *what, const char *name)
{
    int count = 0;
    for (size_t i = 0; i < choices->count; i++)
        count += strstr(choices->items[i].key, what) && !strcmp(choices->items[i].name, name);
    return count;
}

static void costs_set(unsigned one, unsigned three, unsigned four)
{
    emu_cost(EMU_CUDNN, 1, one);
    emu_cost(EMU_CUDNN, 3, three);
    emu_cost(EMU_CUDNN, 4, four);
}

/* The fastest kernel is chosen and kept. What was chosen is not measured again, unless the driver changes. */
static void test_choices_are_measured_once(void **state)
{
    (void)state;
    an_graph graph;
    an_choices choices = {0};
    an_small_net(&graph, AN_ACTIVATION_RELU);
    costs_set(2000000, 1000000, 0);
    for (int i = 0; i < 3; i++)
        emu_cost(EMU_CUBLAS, i, i == 1 ? 0 : 1000000);
    assert_true(timings_of(&graph, "cuda:0", &choices) > 0);
    size_t count = choices.count;
    int convolutions = named(&choices, "convolution", "10 2=2");
    assert_true(convolutions > 0);
    assert_int_equal((size_t)(convolutions + named(&choices, "product", "10 1=20 2=1 3=0 4=0 5=0 6=8 7=0 8=2")), count);
    costs_set(0, 1000000, 2000000);
    assert_int_equal(timings_of(&graph, "cuda:0", &choices), 0);
    assert_int_equal(timings_of(&graph, "cuda:1", &choices), 0); /* of the same kind */
    assert_int_equal(choices.count, count);
    emu_driver_set(13010);
    assert_true(timings_of(&graph, "cuda:0", &choices) > 0);
    assert_int_equal(choices.count, 2 * count);
    assert_int_equal(named(&choices, "convolution", "8"), convolutions);
    emu_driver_set(13000);
    costs_set(0, 0, 0);
    for (int i = 0; i < 3; i++)
        emu_cost(EMU_CUBLAS, i, 0);
    an_choices_free(&choices);
    runner_no_violations();
}

/* The bits depend on the kernels that were chosen, but not on whether they were measured. */
static void test_choices_decide_the_bits(void **state)
{
    (void)state;
    an_graph graph;
    an_choices favourites = {0}, others = {0};
    runner plain, same, other;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    for (int i = 1; i < 3; i++)
        emu_cost(EMU_CUBLAS, i, 1000000);
    costs_set(0, 1000000, 1000000);
    runner_make(&plain, &graph, "cuda:0,cuda:1", AN_PRECISION_F32, false);
    runner_make_with(&same, &graph, "cuda:0,cuda:1", AN_PRECISION_F32, false, &favourites);
    costs_set(1000000, 0, 1000000);
    runner_make_with(&other, &graph, "cuda:0,cuda:1", AN_PRECISION_F32, false, &others);
    costs_set(0, 0, 0);
    for (int i = 1; i < 3; i++)
        emu_cost(EMU_CUBLAS, i, 0);
    bool differ = false;
    for (uint64_t step = 0; step < 3; step++) {
        double loss = runner_step(&plain, step, BATCH), another = runner_step(&other, step, BATCH);
        assert_true(loss == runner_step(&same, step, BATCH));
        assert_true(fabs(loss - another) < 1e-4 * fabs(loss));
        differ = differ || loss != another;
    }
    assert_true(differ);
    runner_compare(plain.exec, same.exec, 0);
    runner_free(&plain);
    runner_free(&same);
    runner_free(&other);
    an_choices_free(&favourites);
    an_choices_free(&others);
    runner_no_violations();
}

/* If the library no longer offers what was chosen, the choice is made again. */
static void test_unknown_choices_are_replaced(void **state)
{
    (void)state;
    an_graph graph;
    an_choices choices = {0};
    an_small_net(&graph, AN_ACTIVATION_RELU);
    assert_true(timings_of(&graph, "cuda:0", &choices) > 0);
    size_t count = choices.count;
    for (size_t i = 0; i < count; i++)
        memset(choices.items[i].name, 'x', strlen(choices.items[i].name));
    assert_true(timings_of(&graph, "cuda:0", &choices) > 0);
    assert_int_equal(choices.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_not_equal(choices.items[i].name[0], 'x');
    an_choices_free(&choices);
    runner_no_violations();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_net_matches_the_cpu),
        cmocka_unit_test(test_alexnet_matches_the_cpu),
        cmocka_unit_test(test_peer_access_may_be_refused),
        cmocka_unit_test(test_steps_repeat_exactly),
        cmocka_unit_test(test_a_step_neither_waits_nor_allocates),
        cmocka_unit_test(test_announced_batches),
        cmocka_unit_test(test_an_announced_batch_may_be_freed),
        cmocka_unit_test(test_an_evaluation_leaves_nothing_behind),
        cmocka_unit_test(test_idle_time_is_the_devices),
        cmocka_unit_test(test_every_missing_wait_is_caught),
        cmocka_unit_test(test_a_swapped_device_is_caught),
        cmocka_unit_test(test_devices_are_listed),
        cmocka_unit_test(test_layers_know_their_memory),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_training_moves_between_placements),
        cmocka_unit_test(test_choices_are_measured_once),
        cmocka_unit_test(test_choices_decide_the_bits),
        cmocka_unit_test(test_unknown_choices_are_replaced),
    };
    (void)emu_violations(NULL, 0); /* from now on collected, and asked for by each test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
