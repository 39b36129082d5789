/* Groups whose ranks are threads: what they compute together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/train/group/crew.h"
#include "tests/train/group/exercise.h"

static void all_well(const crew *c)
{
    for (int i = 0; i < c->count; i++) {
        if (c->members[i].rc)
            fail_msg("rank %d: %s", i, c->members[i].told.message);
        assert_true(fake_has_ended(c->world, i));
        assert_int_equal(c->members[i].given_up, 0);
        assert_int_equal(c->members[i].interrupted, 0);
        assert_int_equal(c->members[i].notes, 0);
    }
}

static int do_collectives(crew_member *m)
{
    return exercise_collectives(m->group);
}

static void test_collectives(void **state)
{
    (void)state;
    for (int ranks = 2; ranks <= 5; ranks++) {
        crew c = {.count = ranks, .work = do_collectives};
        crew_run(&c);
        all_well(&c);
        crew_free(&c);
    }
}

static int do_reduce(crew_member *m)
{
    an_buffer text = {0};
    bool near = m->crew->each == m->crew->count;
    int rc = exercise_reducer(m->group, m->crew->argument, &m->hash);
    if (!rc)
        rc = an_group_describe(m->group, &text);
    if (!rc && near != !!strstr((const char *)text.data, ", gradients in shared memory"))
        rc = an_error(AN_EINTERNAL, "%d ranks on a host: %s", m->crew->each, (const char *)text.data);
    an_buffer_free(&text);
    return rc;
}

/* The same bits on all ranks and in a second run; also whether gradients lie in shared memory or travel. */
static void reduce_all_ways(int ranks, bool bf16)
{
    crew first = {.count = ranks, .each = 1, .work = do_reduce, .argument = bf16};
    crew_run(&first);
    all_well(&first);
    for (int each = 1; each <= ranks; each++) {
        crew other = {.count = ranks, .each = each, .work = do_reduce, .argument = bf16};
        crew_run(&other);
        all_well(&other);
        for (int i = 0; i < ranks; i++)
            assert_int_equal(first.members[0].hash, other.members[i].hash);
        crew_free(&other);
    }
    crew_free(&first);
}

static int do_reduce_elsewhere(crew_member *m)
{
    static const an_group_reduce_options options = {.processors = true};
    float own[64], *values = own;
    void *memory;
    an_buffer text = {0};
    const an_reducer *reducer;
    int rc = an_group_reducer(m->group, &options, &reducer);
    if (!rc && m->rank) { /* rank 0 does not take the memory that it is offered */
        rc = reducer->alloc(reducer->context, sizeof own, &memory);
        values = memory;
    }
    if (rc)
        return rc;
    for (int i = 0; i < 64; i++)
        values[i] = (float)(m->rank + 1);
    an_gradient gradient = {.values = values, .count = 64, .dtype = AN_DTYPE_F32};
    an_gradient_bucket bucket = {.gradients = &gradient, .count = 1, .bytes = sizeof own};
    rc = reducer->open(reducer->context, &bucket, 1, 0);
    if (!rc)
        rc = reducer->queue(reducer->context, 0, NULL);
    if (!rc)
        rc = reducer->wait(reducer->context, 0);
    if (!rc)
        rc = an_group_describe(m->group, &text);
    if (!rc && (strstr((const char *)text.data, "shared") || values[0] != 6 || values[63] != 6))
        rc = an_error(AN_EINTERNAL, "%s, %g", (const char *)text.data, (double)values[0]);
    an_buffer_free(&text);
    return rc;
}

/* One rank whose gradients the others cannot see makes all use messages. */
static void test_reducer_elsewhere(void **state)
{
    (void)state;
    crew c = {.count = 3, .each = 3, .work = do_reduce_elsewhere};
    crew_run(&c);
    all_well(&c);
    crew_free(&c);
}

static void test_reducer(void **state)
{
    (void)state;
    for (int ranks = 2; ranks <= 5; ranks++)
        reduce_all_ways(ranks, false);
}

static void test_reducer_bf16(void **state)
{
    (void)state;
    for (int ranks = 2; ranks <= 5; ranks++)
        reduce_all_ways(ranks, true);
}

static int do_count(crew_member *m)
{
    float values[1000];
    an_gradient gradient = {.values = values, .count = 1000, .dtype = AN_DTYPE_F32};
    an_gradient_bucket bucket = {.gradients = &gradient, .count = 1, .bytes = sizeof values};
    an_group_reduce_options options = {.processors = true, .bf16 = m->crew->argument};
    const an_reducer *reducer;
    double waited;
    uint64_t sent;
    memset(values, 0, sizeof values);
    int rc = an_group_reducer(m->group, &options, &reducer);
    if (!rc)
        rc = reducer->open(reducer->context, &bucket, 1, 0);
    for (int i = 0; i < 2 && !rc; i++) {
        rc = reducer->queue(reducer->context, 0, NULL);
        if (!rc)
            rc = reducer->wait(reducer->context, 0);
    }
    an_group_reduced(m->group, &waited, &sent);
    m->hash = sent;
    an_group_reduced(m->group, &waited, &sent);
    return rc || (!sent && waited <= 0) ? rc : an_error(AN_EINTERNAL, "counted twice");
}

/* Of two ranks each sends half of the values and half of the sums. */
static void test_counts(void **state)
{
    (void)state;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        crew c = {.count = 2, .work = do_count, .argument = bf16};
        crew_run(&c);
        all_well(&c);
        assert_int_equal(c.members[0].hash + c.members[1].hash, 2 * 2 * 1000 * (bf16 ? 2 : 4));
        crew_free(&c);
    }
}

static int do_places(crew_member *m)
{
    an_buffer text = {0};
    int rc = an_group_describe(m->group, &text);
    if (!rc && strcmp((const char *)text.data, "5 ranks on 3 hosts, fake MPI 1.0") != 0)
        rc = an_error(AN_EINTERNAL, "%s", (const char *)text.data);
    an_buffer_free(&text);
    bool fits = an_group_rank(m->group) == m->rank && an_group_world(m->group) == 5 &&
                an_group_local_rank(m->group) == m->rank % 2 &&
                an_group_local_world(m->group) == (m->rank == 4 ? 1 : 2) &&
                !strcmp(an_group_host(m->group, 3), "host2");
    return rc || fits ? rc : an_error(AN_EINTERNAL, "another place");
}

static void test_places(void **state)
{
    (void)state;
    crew c = {.count = 5, .work = do_places};
    crew_run(&c);
    all_well(&c);
    crew_free(&c);
}

/* A launcher of another MPI starts processes that are worlds of their own. */
static void test_other_launcher(void **state)
{
    (void)state;
    crew c = {.count = 1, .promised = 4, .work = do_places};
    crew_run(&c);
    assert_int_equal(c.members[0].rc, AN_EUNSUPPORTED);
    assert_non_null(strstr(c.members[0].told.message, "the launcher started 4 processes, but fake MPI 1.0 sees 1"));
    assert_true(fake_has_ended(c.world, 0));
    crew_free(&c);
}

static void test_no_group(void **state)
{
    (void)state;
    double value = 3;
    int own = 7, all = 0;
    const an_reducer *reducer = (const an_reducer *)&value;
    an_group_reduce_options options = {.processors = true};
    uint64_t sent = 1;
    an_buffer text = {0};
    assert_int_equal(an_group_sum(NULL, &value, 1), 0);
    assert_true(value == 3);
    assert_int_equal(an_group_gather(NULL, &own, sizeof own, &all), 0);
    assert_int_equal(all, 7);
    assert_int_equal(an_group_broadcast(NULL, &own, sizeof own), 0);
    assert_int_equal(an_group_barrier(NULL), 0);
    assert_int_equal(an_group_check(NULL), 0);
    assert_int_equal(an_group_fail(NULL, AN_ECORRUPT), AN_ECORRUPT);
    assert_true(an_group_speaks(NULL));
    assert_int_equal(an_group_rank(NULL), 0);
    assert_int_equal(an_group_world(NULL), 1);
    assert_int_equal(an_group_local_rank(NULL), 0);
    assert_int_equal(an_group_local_world(NULL), 1);
    assert_string_equal(an_group_host(NULL, 0), "");
    assert_int_equal(an_group_reducer(NULL, &options, &reducer), 0);
    assert_null(reducer);
    an_group_reduced(NULL, &value, &sent);
    assert_int_equal(sent, 0);
    an_group_doing(NULL, AN_GROUP_SAVING);
    assert_int_equal(an_group_describe(NULL, &text), 0);
    assert_string_equal((const char *)text.data, "1 process");
    an_buffer_free(&text);
    an_group_close(NULL);
}

static const char *const variables[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE",    "PMI_RANK", "PMIX_RANK",
                                        "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"};
#define VARIABLES (sizeof variables / sizeof *variables)

/* values: of the variables in turn; NULL: not set. */
static an_launch launch(const char *const values[VARIABLES])
{
    an_launch found;
    for (size_t i = 0; i < VARIABLES; i++)
        assert_int_equal(values[i] ? setenv(variables[i], values[i], 1) : unsetenv(variables[i]), 0);
    an_launch_find(&found);
    assert_int_equal(an_group_launched(), found.count);
    return found;
}

static void test_launchers(void **state)
{
    (void)state;
    assert_int_equal(launch((const char *const[VARIABLES]){0}).count, 1);
    assert_int_equal(launch((const char *const[VARIABLES]){"4"}).count, 4);
    assert_int_equal(launch((const char *const[VARIABLES]){"x"}).count, 1);
    assert_int_equal(launch((const char *const[VARIABLES]){NULL, "3", "0"}).count, 3);
    assert_int_equal(launch((const char *const[VARIABLES]){NULL, "3"}).count, 1); /* no rank */
    assert_int_equal(launch((const char *const[VARIABLES]){NULL, NULL, NULL, "0", "8", "16"}).count, 8);
    assert_int_equal(launch((const char *const[VARIABLES]){NULL, NULL, NULL, "0", NULL, "16"}).count, 16);
    /* a script of sbatch, and a step of one task */
    assert_int_equal(launch((const char *const[VARIABLES]){NULL, NULL, NULL, NULL, NULL, "16"}).count, 1);
    assert_int_equal(launch((const char *const[VARIABLES]){NULL, NULL, NULL, NULL, "1", "1"}).count, 1);
    /* tasks that know nothing of each other */
    an_launch alone = launch((const char *const[VARIABLES]){NULL, NULL, NULL, NULL, "4", "4"});
    assert_int_equal(alone.count, 4);
    assert_non_null(strstr(alone.unsupported, "srun --mpi=pmix"));
    static const an_group_options options;
    an_group *group = (an_group *)&alone;
    assert_int_equal(an_group_open(&group, &options), AN_EUNSUPPORTED);
    assert_null(group);
    assert_non_null(strstr(an_error_message(), "each would train alone"));
    (void)launch((const char *const[VARIABLES]){0});
    assert_int_equal(an_group_open(&group, &options), 0);
    assert_null(group);
}

static void test_no_module(void **state)
{
    (void)state;
    static const an_group_options options;
    an_group *group;
    (void)launch((const char *const[VARIABLES]){"2"});
    assert_int_equal(setenv("AN_MPI_MODULE", "/nowhere/an_mpi.so", 1), 0);
    assert_int_equal(an_group_open(&group, &options), AN_EUNSUPPORTED);
    assert_non_null(strstr(an_error_message(), "2 processes were started together, which needs MPI"));
    assert_non_null(strstr(an_error_message(), "/nowhere/an_mpi.so"));
    (void)launch((const char *const[VARIABLES]){0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_collectives),       cmocka_unit_test(test_reducer),  cmocka_unit_test(test_reducer_bf16),
        cmocka_unit_test(test_reducer_elsewhere), cmocka_unit_test(test_counts),   cmocka_unit_test(test_places),
        cmocka_unit_test(test_other_launcher),    cmocka_unit_test(test_no_group), cmocka_unit_test(test_launchers),
        cmocka_unit_test(test_no_module),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
