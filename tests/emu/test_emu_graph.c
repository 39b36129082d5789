/* Training steps that are replayed as graphs on one and two emulated GPUs. They give the same bits as steps that are
 * queued op by op, whatever comes in between. Where capture is refused, training goes on without. Planted mistakes are
 * noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/exec/exec_private.h"
#include "small_net.h"
#include "support.h"
#include "tests/emu/emulator/emu.h"
#include "tests/emu/runner.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WAIT_STRIDE 5 /* sanitizers take ten times as long */
#else
#define WAIT_STRIDE 1
#endif
#define TWO "cuda:0,cuda:1"
#define SHARED "cuda:0,cuda:0" /* two logical devices on one GPU */

/* Other images and labels in every step. */
static void batch_turn(runner *r, uint32_t labels[BATCH], uint64_t step)
{
    uint8_t *bytes = r->pixels;
    for (size_t i = 0; i < (size_t)(BATCH * SMALL_IMAGE); i++)
        bytes[i] = (uint8_t)(bytes[i] + 37 * step);
    for (uint32_t i = 0; i < BATCH; i++)
        labels[i] = (uint32_t)((i + step) % SMALL_CLASSES);
}

static double step(runner *r, uint64_t number, uint32_t count)
{
    uint32_t labels[BATCH];
    an_exec_result result;
    batch_turn(r, labels, number);
    an_test_ok(an_exec_step(r->exec, &r->images, labels, count, number, &result), "step");
    an_test_ok(an_exec_update(r->exec, &runner_sgd), "update");
    return result.loss;
}

static void evaluate(runner *r, uint32_t count, float *out)
{
    an_exec_result result;
    an_test_ok(an_exec_evaluate(r->exec, &r->images, runner_labels, count, out, &result), "evaluate");
    out[count * SMALL_CLASSES] = (float)result.loss;
}

static void evaluations_compare(runner *one, runner *two, uint32_t count)
{
    float a[BATCH * SMALL_CLASSES + 1], b[BATCH * SMALL_CLASSES + 1];
    evaluate(one, count, a);
    evaluate(two, count, b);
    assert_memory_equal(a, b, (count * SMALL_CLASSES + 1) * sizeof *a);
}

static void small(runner *r, const char *devices, an_precision precision, bool replays)
{
    an_graph graph;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    runner_make(r, &graph, devices, precision, false);
    an_exec_replay_set(r->exec, replays);
}

static void pair_free(runner *one, runner *two)
{
    runner_compare(one->exec, two->exec, 0);
    runner_free(one);
    runner_free(two);
    runner_no_violations();
}

/* Steps far apart, so that every bit of the number matters; smaller batches and evaluations between replays, before the
 * first one and at once after it. */
static void check_same_bits(const char *devices, an_precision precision)
{
    static const uint32_t counts[] = {BATCH, 3, BATCH, BATCH, BATCH, 2, BATCH, BATCH, BATCH};
    runner walks, replays;
    small(&walks, devices, precision, false);
    small(&replays, devices, precision, true);
    for (uint64_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        double expected = step(&walks, i * 0x1234567, counts[i]), got = step(&replays, i * 0x1234567, counts[i]);
        if (got != expected)
            fail_msg("%s, step %d: loss %.9g, walked %.9g", devices, (int)i, got, expected);
        assert_int_equal(an_exec_replays(replays.exec), i >= 2);
        if (i % 3 != 1)
            evaluations_compare(&walks, &replays, i % 2 ? BATCH : 1);
    }
    assert_false(an_exec_replays(walks.exec));
    assert_null(an_exec_replay_refusal(replays.exec));
    pair_free(&walks, &replays);
}

static void test_replays_give_the_same_bits(void **state)
{
    (void)state;
    check_same_bits("cuda:1", AN_PRECISION_F32);
    check_same_bits(TWO, AN_PRECISION_F32);
    check_same_bits("cuda:1,cuda:0", AN_PRECISION_BF16);
    check_same_bits(SHARED, AN_PRECISION_F32);
    check_same_bits(SHARED, AN_PRECISION_BF16);
}

/* Both compute the same, whatever copies their halves: a driver that lets no GPU access another does not matter to two
 * logical devices on one. */
static void test_one_gpu_gives_the_bits_of_two(void **state)
{
    (void)state;
    runner two, shared;
    emu_peer_set(false);
    small(&shared, SHARED, AN_PRECISION_F32, true);
    emu_peer_set(true);
    small(&two, TWO, AN_PRECISION_F32, true);
    for (uint64_t i = 0; i < 4; i++)
        assert_true(step(&two, i, BATCH) == step(&shared, i, BATCH));
    assert_true(an_exec_replays(shared.exec));
    pair_free(&two, &shared);
}

/* A step without its update, and values read in between. */
static void test_replays_without_updates(void **state)
{
    (void)state;
    runner walks, replays;
    small(&walks, TWO, AN_PRECISION_F32, false);
    small(&replays, TWO, AN_PRECISION_F32, true);
    for (uint64_t i = 0; i < 5; i++) {
        an_exec_result a, b;
        an_test_ok(an_exec_step(walks.exec, &walks.images, runner_labels, BATCH, i, &a), "step");
        an_test_ok(an_exec_step(replays.exec, &replays.images, runner_labels, BATCH, i, &b), "step");
        assert_true(a.loss == b.loss && a.top1 == b.top1 && a.topk == b.topk);
        for (int p = 0; p < an_exec_parameter_count(walks.exec) && i > 2; p++) {
            uint64_t size = an_exec_parameter(walks.exec, p)->size;
            float *x = an_test_zeros(size, sizeof *x), *y = an_test_zeros(size, sizeof *y);
            an_test_ok(an_exec_parameter_get(walks.exec, p, AN_PARAMETER_GRADIENT, x), "get");
            an_test_ok(an_exec_parameter_get(replays.exec, p, AN_PARAMETER_GRADIENT, y), "get");
            assert_memory_equal(x, y, size * sizeof *x);
            free(x);
            free(y);
        }
    }
    pair_free(&walks, &replays);
}

/* A resumed run queues its first step op by op, where the uninterrupted run replays it. */
static void test_a_resumed_run_ends_in_the_same_bits(void **state)
{
    (void)state;
    runner straight, first, second;
    small(&straight, TWO, AN_PRECISION_BF16, true);
    small(&first, TWO, AN_PRECISION_BF16, true);
    small(&second, TWO, AN_PRECISION_BF16, true);
    for (uint64_t i = 0; i < 4; i++) {
        (void)step(&straight, i, BATCH);
        (void)step(&first, i, BATCH);
    }
    runner_copy(first.exec, second.exec);
    memcpy(second.pixels, first.pixels, first.size);
    for (uint64_t i = 4; i < 8; i++)
        assert_true(step(&straight, i, BATCH) == step(&second, i, BATCH));
    runner_free(&first);
    pair_free(&straight, &second);
}

static void test_replays_can_be_switched(void **state)
{
    (void)state;
    runner r;
    small(&r, TWO, AN_PRECISION_F32, true);
    for (uint64_t i = 0; i < 3; i++)
        (void)step(&r, i, BATCH);
    emu_counters before = emu_count();
    an_exec_replay_set(r.exec, false);
    (void)step(&r, 3, BATCH);
    assert_int_equal(emu_count().graphs, before.graphs);
    assert_false(an_exec_replays(r.exec));
    an_exec_replay_set(r.exec, true);
    (void)step(&r, 4, BATCH);
    assert_int_equal(emu_count().graphs, before.graphs + 2);
    assert_int_equal(emu_count().allocations, before.allocations);
    runner_free(&r);
    runner_no_violations();
}

/* Whatever call is refused, the same steps are computed op by op, and the reason is kept. Returns the number of graphs
 * launched. */
static uint64_t check_refusal(const char *devices, int captured, emu_graph_call call, const char *reason)
{
    runner walks, r;
    uint64_t before = emu_count().graphs;
    small(&walks, devices, AN_PRECISION_F32, false);
    small(&r, devices, AN_PRECISION_F32, true);
    for (uint64_t i = 0; i < 4; i++) {
        if (i == 1) {
            emu_refuse_captured(captured);
            emu_refuse_graph(call);
        }
        assert_true(step(&walks, i, BATCH) == step(&r, i, BATCH));
        assert_false(an_exec_replays(r.exec));
    }
    emu_refuse_captured(0);
    emu_refuse_graph(EMU_NOTHING);
    const char *why = an_exec_replay_refusal(r.exec);
    if (!why || !strstr(why, reason))
        fail_msg("'%s' does not say '%s'", why ? why : "nothing", reason);
    pair_free(&walks, &r);
    return emu_count().graphs - before;
}

static void test_refusals_change_no_bit(void **state)
{
    (void)state;
    assert_int_equal(check_refusal(TWO, 1, EMU_NOTHING, "conv1"), 0);
    assert_int_equal(check_refusal(TWO, 20, EMU_NOTHING, "cuda:"), 0);
    assert_int_equal(check_refusal(TWO, 50, EMU_NOTHING, "cuda:"), 1); /* forward is a graph by then */
    assert_int_equal(check_refusal("cuda:0", 0, EMU_INSTANTIATE, "make a graph of a step on cuda:0"), 0);
    assert_int_equal(check_refusal(TWO, 0, EMU_UPLOAD, "bring a graph of a step to cuda:0: out of memory"), 0);
    emu_peer_set(false); /* a capture takes no copy by way of the host */
    assert_int_equal(check_refusal(TWO, 0, EMU_NOTHING, "bytes of conv2 from cuda:"), 0);
    emu_peer_set(true);
    assert_int_equal(setenv("AN_EMU_CAPTURE", "0", 1), 0);
    assert_int_equal(check_refusal(TWO, 0, EMU_NOTHING, "capture a step on cuda:0"), 0);
    assert_int_equal(unsetenv("AN_EMU_CAPTURE"), 0);
}

static uint64_t crossings(const an_exec *exec)
{
    uint64_t count = 0;
    for (int i = 0; i < exec->graph.count; i++)
        for (int k = 0; exec->graph.nodes[i].kind == AN_OP_JOIN && k < exec->graph.nodes[i].input_count; k++)
            count += exec->graph.nodes[exec->graph.nodes[i].inputs[k]].device != exec->graph.nodes[i].device;
    return count;
}

/* With one wait removed from the step that is recorded, either the capture fails or the launch is a violation. */
static bool is_caught(const char *devices, int wait, uint64_t *crossing_count)
{
    runner r;
    small(&r, devices, AN_PRECISION_F32, true);
    (void)step(&r, 0, BATCH);
    emu_drop_wait(wait);
    (void)step(&r, 1, BATCH);
    emu_drop_wait(0);
    *crossing_count = crossings(r.exec);
    bool caught = emu_violations(NULL, 0) > 0 || an_exec_replay_refusal(r.exec);
    runner_free(&r);
    return caught;
}

/* In the order of the calls: each device's images; forward's fork, two waits for each crossing (copy after source, use
 * after copy) and join, one ahead of the launch and one behind it; backward's, the same (copy after packing, sum after
 * copy). Four order nothing in this network: forward's join and backward's fork, because all that the second device
 * does is for the first one's loss, and comes from it; and those between the two launches, because nothing stands there
 * on the second device. */
static bool is_harmless(uint64_t wait, uint64_t crossing_count)
{
    uint64_t pass = 4 + 2 * crossing_count, forward = 2 + pass, backward = forward + pass; /* their last ones */
    return wait == forward - 2 || wait == forward || wait == forward + 1 || wait == backward - 1;
}

static void check_missing_waits(const char *devices)
{
    uint64_t count = 1;
    for (uint64_t wait = 1; wait <= 2 + 2 * (4 + 2 * count); wait += WAIT_STRIDE) {
        bool caught = is_caught(devices, (int)wait, &count);
        if (caught == is_harmless(wait, count))
            fail_msg("%s: wait %d of a step with %d crossings is %smissed", devices, (int)wait, (int)count,
                     caught ? "" : "not ");
    }
    assert_true(count > 2);
}

static void test_every_missing_wait_is_caught(void **state)
{
    (void)state;
    check_missing_waits(TWO);
    check_missing_waits(SHARED);
}

/* The waits of steps that only replay: images, and what stands around the first launch and behind the second. */
static void test_every_missing_wait_around_replays_is_caught(void **state)
{
    (void)state;
    runner r;
    int caught = 0;
    small(&r, TWO, AN_PRECISION_F32, true);
    for (uint64_t i = 0; i < 3; i++)
        (void)step(&r, i, BATCH);
    runner_no_violations();
    for (int wait = 1; wait <= 12; wait++) {
        emu_drop_wait(wait);
        (void)step(&r, 3, BATCH);
        emu_drop_wait(0);
        caught += emu_violations(NULL, 0) > 0;
        (void)step(&r, 4, BATCH); /* what the second device did not wait for shows here once more */
        (void)emu_violations(NULL, 0);
    }
    assert_int_equal(caught, 4);
    runner_free(&r);
    runner_no_violations();
}

/* Shows that the test above would fail if dropout's counter were the same in every step. */
static void test_a_baked_number_is_noticed(void **state)
{
    (void)state;
    runner walks, baked;
    bool differ = false;
    small(&walks, "cuda:0", AN_PRECISION_F32, false);
    small(&baked, "cuda:0", AN_PRECISION_F32, true);
    for (uint64_t i = 0; i < 4; i++) {
        double expected = step(&walks, i, BATCH);
        emu_ignore_kernel(i ? "an_device_numbers" : NULL);
        differ = step(&baked, i, BATCH) != expected || differ;
        emu_ignore_kernel(NULL);
        assert_true(differ == (i > 0));
    }
    runner_free(&walks);
    runner_free(&baked);
    runner_no_violations();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replays_give_the_same_bits),
        cmocka_unit_test(test_one_gpu_gives_the_bits_of_two),
        cmocka_unit_test(test_replays_without_updates),
        cmocka_unit_test(test_a_resumed_run_ends_in_the_same_bits),
        cmocka_unit_test(test_replays_can_be_switched),
        cmocka_unit_test(test_refusals_change_no_bit),
        cmocka_unit_test(test_every_missing_wait_is_caught),
        cmocka_unit_test(test_every_missing_wait_around_replays_is_caught),
        cmocka_unit_test(test_a_baked_number_is_noticed),
    };
    (void)emu_violations(NULL, 0); /* from now on collected, and asked for by each test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
