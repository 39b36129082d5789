/* How snapshots are taken on GPUs: the host does not wait, the order is right and the emulator would notice if it were
 * not, and where memory is short. What they hold is compared in tests/model/test_snapshot.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/cuda/kernels/kernels.h"
#include "model/exec/exec_private.h"
#include "model/snapshot.h"
#include "small_net.h"
#include "support.h"
#include "tests/emu/emulator/emu.h"
#include "tests/emu/expect.h"
#include "tests/emu/runner.h"

static void make(runner *r, const char *devices)
{
    an_graph graph;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    runner_make(r, &graph, devices, AN_PRECISION_F32, false);
}

static uint64_t values_of(const an_exec *exec)
{
    uint64_t count = 0;
    for (int p = 0; p < an_exec_parameter_count(exec); p++)
        count += an_exec_parameter(exec, p)->size;
    return count;
}

static bool is_same(const an_snapshot *snapshot, an_exec *exec, an_parameter_kind kind)
{
    bool same = true;
    for (int p = 0; p < an_exec_parameter_count(exec); p++) {
        uint64_t size = an_exec_parameter(exec, p)->size;
        float *expected = an_test_zeros(size, sizeof *expected), *room = an_test_zeros(size, sizeof *room);
        an_test_ok(an_exec_parameter_get(exec, p, kind, expected), "get");
        same = same && !memcmp(expected, an_snapshot_get(snapshot, p, kind, room), size * sizeof *expected);
        free(expected);
        free(room);
    }
    return same;
}

/* Takes a snapshot, goes on for a step, and waits. */
static void take_and_go_on(runner *r, an_snapshot *snapshot, uint64_t at)
{
    an_test_ok(an_snapshot_take(snapshot), "take");
    (void)runner_step(r, at, BATCH);
    an_test_ok(an_snapshot_wait(snapshot), "wait for the snapshot");
}

/* Each device copies what it has in one go; nothing is allocated and nothing waited for. */
static void check_queued(const char *devices, uint64_t launches)
{
    runner r;
    an_snapshot *snapshot;
    make(&r, devices);
    an_test_ok(an_snapshot_create(&snapshot, r.exec), devices);
    for (uint64_t at = 0; at < 4; at++) {
        (void)runner_step(&r, at, BATCH);
        an_test_ok(an_exec_wait(r.exec), "wait");
        emu_counters before = emu_count();
        an_test_ok(an_snapshot_take(snapshot), "take");
        emu_counters after = emu_count();
        assert_int_equal(after.host_waits, before.host_waits);
        assert_int_equal(after.allocations, before.allocations);
        assert_int_equal(after.pageable, before.pageable);
        assert_int_equal(after.launches - before.launches, launches);
        assert_int_equal(after.from_device - before.from_device, an_snapshot_memory(snapshot));
        an_test_ok(an_snapshot_wait(snapshot), "wait for the snapshot");
        assert_int_equal(emu_in_flight(true), 0);
    }
    an_snapshot_free(snapshot);
    runner_free(&r);
    runner_no_violations();
}

static void test_the_host_does_not_wait(void **state)
{
    (void)state;
    check_queued("cuda:0", 12);
    check_queued("cuda:0,cuda:1", 22); /* all layers but the last are split */
}

static void test_one_copy_carries_all(void **state)
{
    (void)state;
    runner r;
    an_snapshot *snapshot;
    make(&r, "cuda:0");
    an_test_ok(an_snapshot_create(&snapshot, r.exec), "create");
    emu_counters before = emu_count();
    an_test_ok(an_snapshot_take(snapshot), "take");
    emu_counters after = emu_count();
    /* 12 kernels, taken recorded and waited for, the copy, copied recorded. */
    assert_int_equal(after.operations - before.operations, 16);
    an_snapshot_free(snapshot);
    runner_free(&r);
    runner_no_violations();
}

/* The copies must wait for the kernels, on each device. */
static void test_a_missing_wait_is_noticed(void **state)
{
    (void)state;
    for (int wait = 1; wait <= 2; wait++) {
        runner r;
        an_snapshot *snapshot;
        make(&r, "cuda:0,cuda:1");
        an_test_ok(an_snapshot_create(&snapshot, r.exec), "create");
        (void)runner_step(&r, 0, BATCH);
        take_and_go_on(&r, snapshot, 1);
        expect(NULL);
        emu_drop_wait(wait);
        take_and_go_on(&r, snapshot, 2);
        emu_drop_wait(0);
        expect("is read without waiting for the one who wrote it");
        an_snapshot_free(snapshot);
        runner_free(&r);
    }
    (void)emu_violations(NULL, 0);
}

/* Who takes the next one must have waited for the last. */
static void test_taken_too_early_is_noticed(void **state)
{
    (void)state;
    runner r;
    an_snapshot *snapshot;
    make(&r, "cuda:0");
    an_test_ok(an_snapshot_create(&snapshot, r.exec), "create");
    an_test_ok(an_snapshot_take(snapshot), "take");
    an_test_ok(an_snapshot_take(snapshot), "take");
    expect("is overwritten without waiting for one who reads it");
    an_test_ok(an_snapshot_wait(snapshot), "wait for the snapshot");
    an_snapshot_free(snapshot);
    runner_free(&r);
    (void)emu_violations(NULL, 0);
}

/* The values are the kernel's work. */
static void test_without_the_kernel_nothing_arrives(void **state)
{
    (void)state;
    runner r;
    an_snapshot *snapshot;
    make(&r, "cuda:0");
    an_test_ok(an_snapshot_create(&snapshot, r.exec), "create");
    emu_ignore_kernel("an_device_canonical");
    an_test_ok(an_snapshot_take(snapshot), "take");
    an_test_ok(an_snapshot_wait(snapshot), "wait for the snapshot");
    emu_ignore_kernel(NULL);
    assert_false(is_same(snapshot, r.exec, AN_PARAMETER_VALUE));
    an_test_ok(an_snapshot_take(snapshot), "take");
    an_test_ok(an_snapshot_wait(snapshot), "wait for the snapshot");
    assert_true(is_same(snapshot, r.exec, AN_PARAMETER_VALUE));
    an_snapshot_free(snapshot);
    runner_free(&r);
    runner_no_violations();
}

/* Weights whose input is padded in memory, whose windows are not square, or that lie in canonical order already. */
static void check_order(int o, int i, int h, int w, int stored_i)
{
    size_t stored = (size_t)(o * h * w * stored_i), items = (size_t)(o * i * h * w);
    cudaStream_t stream;
    void *in, *out[2];
    float *values = an_test_random(stored, 1), *got = an_test_zeros(items, sizeof *got);
    ok(cudaSetDevice(0));
    ok(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    ok(cudaMalloc(&in, stored * sizeof *values + 4096)); /* room for one item too many */
    for (int k = 0; k < 2; k++)
        ok(cudaMalloc(&out[k], items * sizeof *got + 4096));
    ok(cudaMemcpyAsync(in, values, stored * sizeof *values, cudaMemcpyHostToDevice, stream));
    an_canonical_args args = {
        .at = {.out = {out[0], out[1]}, .in = {in, in}, .items = items}, .i = i, .h = h, .w = w, .stored_i = stored_i};
    ok(an_kernel_canonical(&args, stream));
    for (int k = 0; k < 2; k++) {
        ok(cudaMemcpyAsync(got, out[k], items * sizeof *got, cudaMemcpyDeviceToHost, stream));
        ok(cudaStreamSynchronize(stream));
        size_t n = 0;
        for (int a = 0; a < o; a++)
            for (int b = 0; b < i; b++)
                for (int y = 0; y < h; y++)
                    for (int x = 0; x < w; x++)
                        assert_true(got[n++] == values[((a * h + y) * w + x) * stored_i + b]);
        ok(cudaFree(out[k]));
    }
    ok(cudaFree(in));
    ok(cudaStreamDestroy(stream));
    free(values);
    free(got);
}

static void test_every_order(void **state)
{
    (void)state;
    check_order(5, 3, 4, 2, 8);
    check_order(4, 6, 3, 3, 6);
    check_order(7, 9, 1, 1, 9);
    check_order(7, 9, 1, 1, 12);
    check_order(6, 1, 1, 1, 1);
    check_order(3, 1, 5, 4, 4);
    expect(NULL);
    emu_extra_item("an_device_canonical");
    check_order(5, 3, 4, 2, 8);
    emu_extra_item(NULL);
    expect("that the arguments do not describe");
}

/* A device without room for the buffer: kernels write the host's memory, and training goes on as well. */
static void test_device_memory_is_short(void **state)
{
    (void)state;
    runner r;
    an_snapshot *snapshot;
    make(&r, "cuda:0,cuda:1");
    uint64_t before = an_exec_memory(r.exec);
    emu_memory_set((size_t)256 << 20); /* less remains than libraries may still need */
    an_test_ok(an_snapshot_create(&snapshot, r.exec), "create");
    emu_memory_set(0);
    assert_int_equal(an_exec_memory(r.exec), before);
    for (uint64_t at = 0; at < 4; at++)
        take_and_go_on(&r, snapshot, at);
    an_test_ok(an_snapshot_take(snapshot), "take");
    an_test_ok(an_snapshot_wait(snapshot), "wait for the snapshot");
    assert_true(is_same(snapshot, r.exec, AN_PARAMETER_VALUE));
    assert_true(is_same(snapshot, r.exec, AN_PARAMETER_MOMENTUM));
    an_snapshot_free(snapshot);
    runner_free(&r);
    runner_no_violations();
}

/* Without memory on the host there is none, which leaves the exec as it was. */
static void test_host_memory_is_short(void **state)
{
    (void)state;
    runner r;
    an_snapshot *snapshot;
    make(&r, "cuda:0");
    uint64_t before = an_exec_memory(r.exec);
    emu_pinned_set(values_of(r.exec) * 2 * sizeof(float) - 1);
    assert_true(an_snapshot_create(&snapshot, r.exec) < 0);
    emu_pinned_set(0);
    assert_non_null(strstr(an_error_message(), "a copy of the parameters: "));
    assert_int_equal(an_exec_memory(r.exec), before);
    (void)runner_step(&r, 0, BATCH);
    an_test_ok(an_snapshot_create(&snapshot, r.exec), "create");
    an_snapshot_free(snapshot);
    runner_free(&r);
    runner_no_violations();
}

/* Every operation of taking and waiting may be the one at which a device is lost. */
static void test_a_lost_device(void **state)
{
    (void)state;
    for (uint64_t operation = 0; operation < 20; operation++) {
        runner r;
        an_snapshot *snapshot;
        make(&r, "cuda:0");
        an_test_ok(an_snapshot_create(&snapshot, r.exec), "create");
        (void)runner_step(&r, 0, BATCH);
        emu_lose_after(operation);
        int rc = an_snapshot_take(snapshot);
        if (!rc)
            rc = an_snapshot_wait(snapshot);
        if (rc && !strstr(an_error_message(), "cuda:0"))
            fail_msg("'%s' does not name the device", an_error_message());
        assert_true(operation >= 16 || rc < 0);
        emu_lose_after(EMU_NEVER);
        an_snapshot_free(snapshot);
        runner_free(&r);
    }
    runner_no_violations();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_host_does_not_wait),
        cmocka_unit_test(test_one_copy_carries_all),
        cmocka_unit_test(test_a_missing_wait_is_noticed),
        cmocka_unit_test(test_taken_too_early_is_noticed),
        cmocka_unit_test(test_without_the_kernel_nothing_arrives),
        cmocka_unit_test(test_every_order),
        cmocka_unit_test(test_device_memory_is_short),
        cmocka_unit_test(test_host_memory_is_short),
        cmocka_unit_test(test_a_lost_device),
    };
    (void)emu_violations(NULL, 0); /* from now on collected */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
