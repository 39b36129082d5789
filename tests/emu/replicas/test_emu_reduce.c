/* Two ranks on emulated GPUs against the CPU, which has the whole batch: on one device and on two, replayed and walked,
 * in parts and clipped. In bf16, whose rounding is larger than what is to be seen, against one emulated GPU. Both ranks
 * hold the same bits, and the same with and without a recording. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/thread.h"
#include "tests/emu/emulator/emu.h"
#include "tests/emu/expect.h"
#include "tests/emu/replicas/ranks.h"
#include "tests/model/support.h"

#define STEPS 5
#define PARAMETERS 16 /* at most */
#define LARGE 1000000

typedef struct {
    rank_state state;
    double losses[STEPS];
    uint64_t checksum;
    float *values[PARAMETERS];
    bool replays;
} member;

typedef struct {
    member *own;
    const ranks_form *form;
    int rank;
    an_nccl_sum *sum;
} job;

static void values_take(member *m)
{
    an_exec *exec = m->state.exec;
    assert_true(an_exec_parameter_count(exec) <= PARAMETERS);
    for (int p = 0; p < an_exec_parameter_count(exec); p++) {
        m->values[p] = an_test_zeros(an_exec_parameter(exec, p)->size, sizeof(float));
        an_test_ok(an_exec_parameter_get(exec, p, AN_PARAMETER_VALUE, m->values[p]), "get");
    }
}

static void *train(void *context)
{
    const job *j = context;
    member *m = j->own;
    rank_make(&m->state, j->form, j->rank, j->sum);
    for (uint64_t step = 0; step < STEPS; step++) {
        rank_step(&m->state, step);
        rank_update(&m->state);
        m->losses[step] = m->state.loss;
    }
    m->checksum = rank_checksum(&m->state);
    m->replays = an_exec_replays(m->state.exec);
    if (an_exec_replay_refusal(m->state.exec))
        fail_msg("%s", an_exec_replay_refusal(m->state.exec));
    values_take(m);
    return NULL;
}

static void ranks_train(const ranks_form *form, member members[RANKS_MAX])
{
    pthread_t threads[RANKS_MAX];
    an_nccl_sum *sums[RANKS_MAX];
    job jobs[RANKS_MAX];
    ranks_sums(form, sums);
    for (int i = 0; i < form->world; i++) {
        jobs[i] = (job){&members[i], form, i, sums[i]};
        assert_int_equal(an_thread_start(&threads[i], "rank", train, &jobs[i]), 0);
    }
    for (int i = 0; i < form->world; i++)
        pthread_join(threads[i], NULL);
}

static void member_free(member *m)
{
    rank_free(&m->state);
    for (int p = 0; p < PARAMETERS; p++)
        free(m->values[p]);
}

static void losses_compare(const member *whole, const member *members, double tolerance)
{
    for (int step = 0; step < STEPS; step++) {
        double loss = members[0].losses[step] + members[1].losses[step];
        if (!(fabs(loss - whole->losses[step]) <= tolerance * whole->losses[step]))
            fail_msg("step %d: loss %.9g, of the whole batch %.9g", step, loss, whole->losses[step]);
    }
}

static void values_compare(const member *whole, const member *own, double tolerance)
{
    for (int p = 0; p < an_exec_parameter_count(own->state.exec); p++) {
        const an_parameter *info = an_exec_parameter(own->state.exec, p);
        double *expected = an_test_doubles(whole->values[p], info->size);
        an_test_close(info->name, own->values[p], expected, info->size, tolerance);
        free(expected);
    }
}

/* Returns the checksum of the weights. */
static uint64_t check(const member *whole, ranks_form form, double tolerance)
{
    member members[RANKS_MAX] = {0};
    form.world = RANKS_MAX;
    ranks_train(&form, members);
    losses_compare(whole, members, tolerance);
    values_compare(whole, &members[0], tolerance);
    uint64_t checksum = members[0].checksum;
    assert_true(members[1].checksum == checksum);
    for (int i = 0; i < RANKS_MAX; i++) {
        assert_int_equal(members[i].replays, !form.walks);
        member_free(&members[i]);
    }
    expect(NULL);
    return checksum;
}

static void check_both(const member *whole, ranks_form form, double tolerance)
{
    uint64_t replayed = check(whole, form, tolerance);
    form.walks = true;
    assert_true(check(whole, form, tolerance) == replayed);
}

static void whole_train(member *whole, const ranks_form *form)
{
    *whole = (member){0};
    (void)train(&(job){whole, form, 0, NULL});
}

#define CPU                                                                                                            \
    {                                                                                                                  \
        "cpu"                                                                                                          \
    }
#define ONE                                                                                                            \
    {                                                                                                                  \
        "cuda:0", "cuda:1"                                                                                             \
    }
#define TWO                                                                                                            \
    {                                                                                                                  \
        "cuda:0,cuda:1", "cuda:2,cuda:3"                                                                               \
    }
#define SHARED                                                                                                         \
    {                                                                                                                  \
        "cuda:0,cuda:0", "cuda:1,cuda:1"                                                                               \
    }

static void test_ranks_are_the_whole(void **state)
{
    (void)state;
    member whole;
    whole_train(&whole, &(ranks_form){.devices = CPU});
    check_both(&whole, (ranks_form){.devices = ONE}, 1e-4);
    check_both(&whole, (ranks_form){.devices = ONE, .bucket_bytes = LARGE, .precision = AN_PRECISION_TF32}, 1e-2);
    check_both(&whole, (ranks_form){.devices = TWO}, 1e-4);
    check_both(&whole, (ranks_form){.devices = SHARED, .bucket_bytes = 20000}, 1e-4);
    check(&whole, (ranks_form){.devices = TWO, .parts = 2}, 1e-4);
    member_free(&whole);
}

static void test_bf16_ranks_are_the_whole(void **state)
{
    (void)state;
    member whole;
    whole_train(&whole, &(ranks_form){.devices = ONE, .precision = AN_PRECISION_BF16});
    check_both(&whole, (ranks_form){.devices = ONE, .bucket_bytes = 20000, .precision = AN_PRECISION_BF16}, 0.05);
    check_both(&whole, (ranks_form){.devices = TWO, .bucket_bytes = LARGE, .precision = AN_PRECISION_BF16}, 0.05);
    check(&whole, (ranks_form){.devices = ONE, .parts = 2, .precision = AN_PRECISION_BF16}, 0.05);
    member_free(&whole);
}

static void test_the_norm_is_that_of_the_sums(void **state)
{
    (void)state;
    member whole;
    whole_train(&whole, &(ranks_form){.devices = CPU, .clip = 0.05});
    check_both(&whole, (ranks_form){.devices = ONE, .clip = 0.05}, 1e-4);
    check_both(&whole, (ranks_form){.devices = TWO, .clip = 0.05}, 1e-4);
    member_free(&whole);
}

/* A single changed bit, wherever it is, and the same values at exchanged places. */
static void test_checksums_tell_weights_apart(void **state)
{
    (void)state;
    rank_state r;
    an_nccl_sum *sum;
    const ranks_form form = {.devices = {"cuda:0"}, .world = 1};
    ranks_sums(&form, &sum);
    rank_make(&r, &form, 0, sum);
    uint64_t before = rank_checksum(&r), allocations = emu_count().allocations;
    for (int p = 0; p < an_exec_parameter_count(r.exec); p++) {
        size_t count = (size_t)an_exec_parameter(r.exec, p)->size, places[] = {0, count / 2, count - 1};
        float *values = an_test_zeros(count, sizeof *values);
        an_test_ok(an_exec_parameter_get(r.exec, p, AN_PARAMETER_VALUE, values), "get");
        for (int i = 0; i < 3; i++) {
            float old = values[places[i]];
            values[places[i]] = nextafterf(old, 9);
            an_test_ok(an_exec_parameter_set(r.exec, p, AN_PARAMETER_VALUE, values), "set");
            assert_true(rank_checksum(&r) != before);
            values[places[i]] = old;
        }
        float first = values[0];
        values[0] = values[count - 1];
        values[count - 1] = first;
        an_test_ok(an_exec_parameter_set(r.exec, p, AN_PARAMETER_VALUE, values), "set");
        assert_true(values[0] == first || rank_checksum(&r) != before);
        values[count - 1] = values[0];
        values[0] = first;
        an_test_ok(an_exec_parameter_set(r.exec, p, AN_PARAMETER_VALUE, values), "set");
        free(values);
    }
    assert_true(rank_checksum(&r) == before);
    assert_int_equal(emu_count().allocations, allocations);
    rank_free(&r);
    expect(NULL);
}

/* A rank whose images do not count adds nothing to the loss and to the gradients. */
static void check_without_images(an_precision precision)
{
    rank_state r;
    an_nccl_sum *sum;
    double norm;
    const ranks_form form = {.devices = ONE, .world = 1, .precision = precision};
    ranks_sums(&form, &sum);
    rank_make(&r, &form, 0, sum);
    for (uint64_t step = 0; step < 3; step++) {
        an_exec_share(r.exec, 0, INFINITY);
        rank_step(&r, step);
        assert_true(r.loss == 0);
        an_test_ok(an_exec_gradient_norm(r.exec, &norm), "norm");
        assert_true(norm == 0);
        an_exec_share(r.exec, 0, RANKS_BATCH);
        rank_step(&r, step);
        assert_true(r.loss > 0);
        an_test_ok(an_exec_gradient_norm(r.exec, &norm), "norm");
        assert_true(norm > 0);
    }
    rank_free(&r);
    expect(NULL);
}

static void test_a_rank_without_images(void **state)
{
    (void)state;
    check_without_images(AN_PRECISION_F32);
    check_without_images(AN_PRECISION_BF16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks_are_the_whole),          cmocka_unit_test(test_bf16_ranks_are_the_whole),
        cmocka_unit_test(test_the_norm_is_that_of_the_sums), cmocka_unit_test(test_a_rank_without_images),
        cmocka_unit_test(test_checksums_tell_weights_apart),
    };
    (void)emu_violations(NULL, 0); /* from now on collected, and asked for by each test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
