/* Groups whose ranks are threads: how they fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "tests/train/group/crew.h"
#include "tests/train/group/exercise.h"

#define SILENCE 1.0 /* seconds: of ranks that are meant to be lost */

/* All ranks but those of `except` report this. */
static void all_say(const crew *c, int except, int rc, const char *text)
{
    for (int i = 0; i < c->count; i++) {
        if (i == except)
            continue;
        assert_int_equal(c->members[i].rc, rc);
        if (!strstr(c->members[i].told.message, text))
            fail_msg("rank %d: '%s' instead of '%s'", i, c->members[i].told.message, text);
    }
}

static int speakers(const crew *c, int except)
{
    int count = 0;
    for (int i = 0; i < c->count; i++)
        count += i != except && c->members[i].speaks;
    return count;
}

/* What the other ranks wait in while one fails. */
enum { IN_SUM, IN_BROADCAST, IN_BARRIER, IN_REDUCE, IN_CHECKS, IN_CLOSE, PHASES };

/* One bucket, in the reducer's memory if it has some. */
static int open_reducer(const an_reducer *reducer, float *values, uint64_t count)
{
    an_gradient gradient = {.values = values, .count = count, .dtype = AN_DTYPE_F32};
    an_gradient_bucket bucket = {.gradients = &gradient, .count = 1, .bytes = count * sizeof *values};
    int rc = reducer->alloc ? reducer->alloc(reducer->context, bucket.bytes, &gradient.values) : 0;
    return rc ? rc : reducer->open(reducer->context, &bucket, 1, 0);
}

static int wait_in_reduce(an_group *group)
{
    static const an_group_reduce_options options = {.processors = true};
    float values[300] = {0};
    const an_reducer *reducer;
    int rc = an_group_reducer(group, &options, &reducer);
    if (!rc)
        rc = open_reducer(reducer, values, 300);
    if (!rc)
        rc = reducer->queue(reducer->context, 0, NULL);
    if (!rc)
        rc = reducer->wait(reducer->context, 0);
    /* The others fail in the second one. */
    if (!rc)
        rc = reducer->queue(reducer->context, 0, NULL);
    return rc ? rc : reducer->wait(reducer->context, 0);
}

static int open_and_reduce_once(an_group *group)
{
    static const an_group_reduce_options options = {.processors = true};
    float values[300] = {0};
    const an_reducer *reducer;
    int rc = an_group_reducer(group, &options, &reducer);
    if (!rc)
        rc = open_reducer(reducer, values, 300);
    if (!rc)
        rc = reducer->queue(reducer->context, 0, NULL);
    return rc ? rc : reducer->wait(reducer->context, 0);
}

static int wait_in(an_group *group, int phase)
{
    double value = 1;
    int rc = 0;
    if (phase == IN_SUM)
        return an_group_sum(group, &value, 1);
    if (phase == IN_BROADCAST)
        return an_group_broadcast(group, &value, sizeof value);
    if (phase == IN_BARRIER)
        return an_group_barrier(group);
    if (phase == IN_REDUCE)
        return wait_in_reduce(group);
    while (!rc && phase == IN_CHECKS) {
        usleep(1000);
        rc = an_group_check(group);
    }
    return rc;
}

/* argument: the rank that fails + 10 x the phase. */
static int do_fail(crew_member *m)
{
    int who = m->crew->argument % 10, phase = m->crew->argument / 10;
    if (m->rank != who)
        return wait_in(m->group, phase);
    int rc = phase == IN_REDUCE ? open_and_reduce_once(m->group) : 0;
    usleep(30000); /* the others have begun to wait, mostly */
    return rc ? rc : an_error(AN_ECORRUPT, "'/data/train': record 7 is damaged");
}

static void fail_in(int phase, int who, int each)
{
    crew c = {.count = 3, .each = each, .work = do_fail, .argument = who + 10 * phase};
    crew_run(&c);
    if (phase == IN_CLOSE) {
        assert_int_equal(c.members[who].rc, AN_ECORRUPT);
    } else {
        all_say(&c, -1, AN_ECORRUPT,
                who && each == 2 ? "rank 2 on 'host2': '/data/train': record 7 is damaged"
                : who            ? "rank 2 on 'host0': '/data/train': record 7 is damaged"
                                 : "rank 0 on 'host0': '/data/train': record 7 is damaged");
        assert_int_equal(speakers(&c, -1), 1);
        assert_true(c.members[0].speaks);
        for (int i = 0; i < 3; i++) /* before an_group_fail returned: what is freed afterwards is not touched */
            assert_int_equal(c.members[i].interrupted, 1);
    }
    for (int i = 0; i < 3; i++)
        assert_false(fake_has_ended(c.world, i)); /* MPI would wait for those that are gone */
    crew_free(&c);
}

static void test_failures(void **state)
{
    (void)state;
    for (int phase = 0; phase < PHASES; phase++) {
        for (int who = 0; who < 3; who += 2) {
            if (phase != IN_BROADCAST || !who) /* rank 0 need not wait for others */
                fail_in(phase, who, 2);
        }
    }
    fail_in(IN_REDUCE, 0, 3); /* in shared memory */
    fail_in(IN_REDUCE, 2, 3);
}

static int do_fail_twice(crew_member *m)
{
    int rc = an_group_barrier(m->group);
    if (rc)
        return rc;
    rc = an_group_fail(m->group, an_error(m->rank ? AN_EIO : AN_ECORRUPT, "own trouble"));
    an_error_state first;
    an_error_save(&first, rc);
    int again = an_group_fail(m->group, an_error(AN_EINVAL, "later"));
    return again == rc && !strcmp(first.message, an_error_message()) ? rc : an_error(AN_EINTERNAL, "not the same");
}

/* Several failures at once: all ranks agree about the first, and a second call returns the same. */
static void test_first_counts(void **state)
{
    (void)state;
    crew c = {.count = 4, .work = do_fail_twice};
    crew_run(&c);
    all_say(&c, -1, c.members[0].rc, c.members[0].told.message);
    assert_non_null(strstr(c.members[0].told.message, "own trouble"));
    crew_free(&c);
}

static int do_other_layout(crew_member *m)
{
    static const an_group_reduce_options options = {.processors = true};
    float values[10] = {0};
    bool other = m->rank == 2;
    an_gradient gradient = {.values = values, .count = 10, .dtype = AN_DTYPE_F32};
    an_gradient_bucket bucket = {.gradients = &gradient, .count = 1, .bytes = sizeof values};
    const an_reducer *reducer;
    if (m->crew->argument == 1 && other)
        bucket.bytes = 36;
    int rc = an_group_reducer(m->group, &options, &reducer);
    return rc ? rc : reducer->open(reducer->context, &bucket, 1, m->crew->argument == 0 && other);
}

static void test_other_layout(void **state)
{
    (void)state;
    for (int what = 0; what < 2; what++) {
        crew c = {.count = 4, .work = do_other_layout, .argument = what};
        crew_run(&c);
        all_say(&c, -1, AN_EUNSUPPORTED, "rank 2 on 'host2' computes with other kernels than rank 0 on 'host0'");
        assert_int_equal(speakers(&c, -1), 1);
        crew_free(&c);
    }
}

/* argument: the rank that falls silent. */
static int do_fall_silent(crew_member *m)
{
    double value = 1;
    int rc = an_group_barrier(m->group);
    if (rc)
        return rc;
    if (m->rank == m->crew->argument)
        fake_stop(m->crew->world, m->rank, true);
    return an_group_sum(m->group, &value, 1);
}

static void test_silence(void **state)
{
    (void)state;
    crew c = {.count = 3, .silence = SILENCE, .work = do_fall_silent, .argument = 2};
    crew_run(&c);
    all_say(&c, 2, AN_EIO, "rank 2 on 'host2' has given no sign of life for ");
    all_say(&c, 2, AN_EIO, "it was killed or stopped, or the network to it is down");
    /* what is cut off says the same of rank 0, on its own host */
    assert_int_equal(c.members[2].rc, AN_EIO);
    assert_non_null(strstr(c.members[2].told.message, "rank 0 on 'host0' has given no sign of life for "));
    assert_true(c.members[0].speaks);
    assert_false(c.members[1].speaks);
    crew_free(&c);
}

static void test_silence_of_zero(void **state)
{
    (void)state;
    crew c = {.count = 5, .silence = SILENCE, .work = do_fall_silent, .argument = 0};
    crew_run(&c);
    all_say(&c, 0, AN_EIO, "rank 0 on 'host0' has given no sign of life for ");
    assert_true(c.members[1].speaks); /* the first that is left of each host */
    assert_true(c.members[2].speaks);
    assert_false(c.members[3].speaks);
    assert_true(c.members[4].speaks);
    crew_free(&c);
}

static int do_short_silence(crew_member *m)
{
    int rc = an_group_barrier(m->group);
    for (int i = 0; i < 4 && !rc; i++) {
        fake_stop(m->crew->world, m->rank, m->rank == 1);
        usleep(200000);
        fake_stop(m->crew->world, m->rank, false);
        usleep(100000);
        rc = an_group_check(m->group);
    }
    return rc;
}

/* Silence that ends in time is none; silences do not add up. */
static void test_short_silence(void **state)
{
    (void)state;
    crew c = {.count = 2, .silence = 20, .work = do_short_silence};
    crew_run(&c);
    for (int i = 0; i < 2; i++)
        assert_int_equal(c.members[i].rc, 0);
    crew_free(&c);
}

static int do_break(crew_member *m)
{
    double value = 1;
    int rc = an_group_barrier(m->group);
    if (!rc && m->rank == 1)
        fake_break(m->crew->world, 1);
    for (int i = 0; i < 2 && !rc; i++) /* the first one may have been on its way */
        rc = an_group_sum(m->group, &value, 1);
    return rc;
}

/* A rank whose MPI fails cannot tell the others; they notice its silence. */
static void test_broken_mpi(void **state)
{
    (void)state;
    crew c = {.count = 2, .silence = SILENCE, .work = do_break};
    crew_run(&c);
    assert_int_equal(c.members[1].rc, AN_EIO);
    assert_non_null(strstr(c.members[1].told.message, "rank 1 on 'host0': fake MPI 1.0: code 77"));
    assert_int_equal(c.members[0].rc, AN_EIO);
    crew_free(&c);
}

/* Rank 1 fails; the others' training threads are caught elsewhere until they have been given up. */
static int do_never_come(crew_member *m)
{
    if (m->rank == 1)
        return an_error(AN_ECORRUPT, "damaged");
    while (!atomic_load(&m->given_up))
        usleep(1000);
    return an_error(AN_EIO, "too late");
}

static void test_last_resort(void **state)
{
    (void)state;
    crew c = {.count = 3, .work = do_never_come};
    crew_run(&c);
    for (int i = 0; i < 3; i += 2) {
        assert_int_equal(c.members[i].interrupted, 1);
        assert_int_equal(c.members[i].given_up, 1);
        assert_int_equal(c.members[i].give_up_rc, AN_ECORRUPT);
        assert_string_equal(c.members[i].give_up_message, "rank 1 on 'host0': damaged");
        assert_int_equal(c.members[i].give_up_speaks, !i);
    }
    assert_int_equal(c.members[1].given_up, 0);
    crew_free(&c);
}

static int do_keep_waiting(crew_member *m)
{
    double value = 1;
    an_group_doing(m->group, m->rank == 2 ? AN_GROUP_LOADING : AN_GROUP_TRAINING);
    while (m->rank == 2 && !atomic_load(&m->crew->members[0].notes))
        usleep(1000);
    return an_group_sum(m->group, &value, 1);
}

/* Rank 0 says whom all wait for, and what that is doing. */
static void test_note(void **state)
{
    (void)state;
    crew c = {.count = 3, .patience = 1.5, .work = do_keep_waiting};
    crew_run(&c);
    for (int i = 0; i < 3; i++)
        assert_int_equal(c.members[i].rc, 0);
    assert_int_equal(c.members[0].notes, 1);
    assert_non_null(strstr(c.members[0].note, "all ranks have been waiting for rank 2 on 'host2' for "));
    assert_non_null(strstr(c.members[0].note, "it is waiting for images"));
    assert_int_equal(c.members[1].notes + c.members[2].notes, 0);
    crew_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failures),   cmocka_unit_test(test_first_counts),    cmocka_unit_test(test_other_layout),
        cmocka_unit_test(test_silence),    cmocka_unit_test(test_silence_of_zero), cmocka_unit_test(test_short_silence),
        cmocka_unit_test(test_broken_mpi), cmocka_unit_test(test_last_resort),     cmocka_unit_test(test_note),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
