/* A group's way through NCCL: ranks are threads of this process, which MPI's stand-in connects. They find each other's
 * communicators, are told when they do not fit together, and when one fails the others come back from the device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "tests/emu/emulator/emu.h"
#include "tests/emu/expect.h"
#include "tests/model/support.h"
#include "tests/train/group/crew.h"

#define COUNT 1000
#define RANKS 3

/* What a rank adds up, on the device of its number. */
typedef struct {
    cudaStream_t stream;
    void *values;
    an_gradient gradient;
    an_gradient_bucket bucket;
    const an_reducer *reducer;
} bench;

static int bench_make(bench *b, crew_member *m, const an_group_reduce_options *options)
{
    ok(cudaSetDevice(m->rank));
    ok(cudaStreamCreateWithFlags(&b->stream, cudaStreamNonBlocking));
    ok(cudaMalloc(&b->values, COUNT * sizeof(float)));
    b->gradient = (an_gradient){b->values, COUNT, AN_DTYPE_F32};
    b->bucket = (an_gradient_bucket){.gradients = &b->gradient, .count = 1, .bytes = COUNT * sizeof(float)};
    return an_group_reducer(m->group, options, &b->reducer);
}

static int bench_open(bench *b, uint64_t layout)
{
    return b->reducer->open(b->reducer->context, &b->bucket, 1, layout);
}

static int bench_sum(const bench *b, int rank, float *first)
{
    float values[COUNT];
    for (int i = 0; i < COUNT; i++)
        values[i] = (float)(rank + 1 + i);
    ok(cudaMemcpyAsync(b->values, values, sizeof values, cudaMemcpyHostToDevice, b->stream));
    int rc = b->reducer->queue(b->reducer->context, 0, b->stream);
    ok(cudaMemcpyAsync(values, b->values, sizeof values, cudaMemcpyDeviceToHost, b->stream));
    *first = values[0];
    return rc;
}

/* Waits for the device. The communicators end with the group, so no work may be under way. */
static void bench_free(bench *b)
{
    ok(cudaStreamSynchronize(b->stream));
    ok(cudaStreamDestroy(b->stream));
    ok(cudaFree(b->values));
}

static int adds_up(crew_member *m)
{
    bench b;
    an_buffer text = {0};
    float first = 0;
    int rc = bench_make(&b, m, &(an_group_reduce_options){.devices = "cuda:0", .bucket_bytes = 77});
    if (!rc)
        rc = bench_open(&b, 5);
    for (int step = 0; step < 3 && !rc; step++) {
        rc = bench_sum(&b, m->rank, &first);
        assert_true(first == 1 + 2 + 3);
    }
    assert_int_equal(b.reducer->bucket_bytes, 77);
    an_test_ok(an_group_describe(m->group, &text), "describe");
    assert_non_null(strstr((const char *)text.data, ", NCCL 2.30.7"));
    an_buffer_free(&text);
    bench_free(&b);
    return rc;
}

static void run_well(int (*work)(crew_member *member))
{
    crew c = {.count = RANKS, .work = work};
    crew_run(&c);
    for (int i = 0; i < RANKS; i++)
        if (c.members[i].rc)
            fail_msg("rank %d: %s", i, c.members[i].told.message);
    crew_free(&c);
    expect(NULL);
}

static void run_badly(int (*work)(crew_member *member), const char *part)
{
    crew c = {.count = RANKS, .work = work};
    crew_run(&c);
    for (int i = 0; i < RANKS; i++)
        if (!c.members[i].rc || !strstr(c.members[i].told.message, part))
            fail_msg("rank %d: '%s' does not say '%s'", i, c.members[i].told.message, part);
    crew_free(&c);
    expect(NULL);
}

static int brings_more_devices(crew_member *m)
{
    bench b;
    int rc = bench_make(&b, m, &(an_group_reduce_options){.devices = m->rank == 2 ? "cuda:0,cuda:1" : "cuda:0"});
    bench_free(&b);
    return rc;
}

static int brings_another_layout(crew_member *m)
{
    bench b;
    float first;
    int rc = bench_make(&b, m, &(an_group_reduce_options){.devices = "cuda:0"});
    if (!rc)
        rc = bench_open(&b, m->rank == 1);
    if (!rc)
        rc = bench_sum(&b, m->rank, &first);
    bench_free(&b);
    return rc;
}

static int wants_bf16(crew_member *m)
{
    bench b;
    int rc = bench_make(&b, m, &(an_group_reduce_options){.devices = "cuda:0", .bf16 = true});
    bench_free(&b);
    return rc;
}

/* The others have queued their part and wait for the device. */
static int fails_alone(crew_member *m)
{
    bench b;
    float first;
    int rc = bench_make(&b, m, &(an_group_reduce_options){.devices = "cuda:0"});
    if (!rc)
        rc = bench_open(&b, 5);
    if (!rc)
        rc = bench_sum(&b, m->rank, &first);
    if (!rc && m->rank == 1)
        rc = an_error(AN_EIO, "the disk is gone");
    else if (!rc)
        rc = bench_sum(&b, m->rank, &first);
    if (!rc) {
        rc = an_group_check(m->group);
        assert_int_equal(rc, AN_EIO);
        assert_int_equal(b.reducer->queue(b.reducer->context, 0, b.stream), AN_EINTERNAL);
        rc = an_group_check(m->group);
    }
    bench_free(&b);
    return rc;
}

static void test_ranks_add_up(void **state)
{
    (void)state;
    run_well(adds_up);
}

static void test_what_does_not_fit_is_told(void **state)
{
    (void)state;
    run_badly(brings_more_devices, "rank 2 on 'host2' has 2 devices and rank 0 on 'host0' has 1: give all as many");
    run_badly(brings_another_layout, "rank 1 on 'host0' keeps gradients in another layout than rank 0 on 'host0'");
    run_badly(wants_bf16, "gradients cannot travel as bf16 between GPUs");
}

static void test_a_failure_ends_the_wait_for_the_device(void **state)
{
    (void)state;
    run_badly(fails_alone, "rank 1 on 'host0': the disk is gone");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks_add_up),
        cmocka_unit_test(test_what_does_not_fit_is_told),
        cmocka_unit_test(test_a_failure_ends_the_wait_for_the_device),
    };
    (void)emu_violations(NULL, 0); /* from now on collected, and asked for by each test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
