/* What ranks must have in common and how they divide a host, seen from one rank of a group that the test plays: it
 * stands before the group's functions (--wrap) and says what the others hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/thread.h"
#include "train/replicas/agree.h"
#include "train/replicas/devices.h"
#include "train/replicas/processors.h"

#define RANKS 4

static struct {
    int rank, local_rank, local_world;
    const char *host[RANKS];
    const char *first;         /* what rank 0 broadcasts, beginning with its size */
    bool sized;                /* the size was asked for */
    const void *theirs[RANKS]; /* what others give in a gather; NULL: the same as this rank */
    uint64_t checksum;
} stage;

static an_group *const group = (an_group *)&stage;

int __wrap_an_group_rank(const an_group *g);
int __wrap_an_group_rank(const an_group *g)
{
    return g ? stage.rank : 0;
}

int __wrap_an_group_world(const an_group *g);
int __wrap_an_group_world(const an_group *g)
{
    return g ? RANKS : 1;
}

int __wrap_an_group_local_rank(const an_group *g);
int __wrap_an_group_local_rank(const an_group *g)
{
    return g ? stage.local_rank : 0;
}

int __wrap_an_group_local_world(const an_group *g);
int __wrap_an_group_local_world(const an_group *g)
{
    return g ? stage.local_world : 1;
}

const char *__wrap_an_group_host(const an_group *g, int rank);
const char *__wrap_an_group_host(const an_group *g, int rank)
{
    return g ? stage.host[rank] : "";
}

int __wrap_an_group_gather(an_group *g, const void *own, size_t size, void *all);
int __wrap_an_group_gather(an_group *g, const void *own, size_t size, void *all)
{
    assert_non_null(g);
    for (int i = 0; i < RANKS; i++)
        memcpy((char *)all + (size_t)i * size, i != stage.rank && stage.theirs[i] ? stage.theirs[i] : own, size);
    return AN_OK;
}

int __wrap_an_group_broadcast(an_group *g, void *data, size_t size);
int __wrap_an_group_broadcast(an_group *g, void *data, size_t size)
{
    assert_non_null(g);
    if (stage.rank == 0)
        return AN_OK;
    uint64_t length = strlen(stage.first) + 1;
    if (!stage.sized)
        memcpy(data, &length, size);
    else
        memcpy(data, stage.first, size);
    stage.sized = !stage.sized;
    return AN_OK;
}

int __wrap_an_exec_checksum(an_exec *exec, uint64_t *out);
int __wrap_an_exec_checksum(an_exec *exec, uint64_t *out)
{
    (void)exec;
    *out = stage.checksum;
    return AN_OK;
}

static int set_up(void **state)
{
    (void)state;
    memset(&stage, 0, sizeof stage);
    stage.local_world = RANKS;
    for (int i = 0; i < RANKS; i++)
        stage.host[i] = "a";
    return 0;
}

static void assert_said(const char *part)
{
    if (!strstr(an_error_message(), part))
        fail_msg("'%s' is not in '%s'", part, an_error_message());
}

/* ---- what all must have in common ---- */

static void equal_lines_agree(void **state)
{
    (void)state;
    stage.rank = 2;
    stage.first = "batch = 8\nrate = 0.1\n";
    assert_int_equal(an_replicas_compare(group, "batch = 8\nrate = 0.1\n"), AN_OK);
    assert_int_equal(an_replicas_compare(NULL, "batch = 8\n"), AN_OK);
}

static void the_first_line_that_differs_is_named(void **state)
{
    (void)state;
    static const char none[512];
    stage.rank = 2;
    stage.host[2] = "b";
    stage.theirs[0] = stage.theirs[1] = stage.theirs[3] = none;
    stage.first = "batch = 8\nrate = 0.1\nseed = 1\n";
    assert_int_equal(an_replicas_compare(group, "batch = 8\nrate = 0.2\nseed = 2\n"), AN_EINVAL);
    assert_said("rank 2 on 'b' differs from rank 0 in its rate: 0.2; rank 0 has 0.1; start all ranks with the same");
    assert_int_equal(an_replicas_compare(group, "batch = 8\n"), AN_EINVAL);
    assert_said("rank 2 on 'b' differs from rank 0 in its number of options");
    assert_int_equal(an_replicas_compare(group, "batch = 8\nrate = 0.1\nseed = 11\n"), AN_EINVAL);
    assert_said("seed: 11; rank 0 has 1;");
}

static void the_first_rank_that_differs_is_named_by_all(void **state)
{
    (void)state;
    char one[512] = "seed: 3; rank 0 has 1", other[512] = "rate: 7; rank 0 has 1";
    stage.rank = 0;
    stage.theirs[1] = one;
    stage.theirs[3] = other;
    assert_int_equal(an_replicas_compare(group, "seed = 1\n"), AN_EINVAL);
    assert_said("rank 1 on 'a' differs from rank 0 in its seed: 3; rank 0 has 1; ");
}

/* ---- weights ---- */

static void ranks_that_drifted_are_named(void **state)
{
    (void)state;
    uint64_t other = 9;
    stage.checksum = 5;
    assert_int_equal(an_replicas_check_weights(group, NULL, 1000), AN_OK);
    assert_int_equal(an_replicas_check_weights(NULL, NULL, 1000), AN_OK);
    stage.theirs[3] = &other;
    assert_int_equal(an_replicas_check_weights(group, NULL, 1000), AN_ECORRUPT);
    assert_said("rank 3 on 'a' holds other weights than rank 0 after step 1000");
    stage.theirs[1] = &other;
    assert_int_equal(an_replicas_check_weights(group, NULL, 7), AN_ECORRUPT);
    assert_said("ranks 1 and 3 hold other weights than rank 0 after step 7");
    stage.theirs[2] = &other;
    assert_int_equal(an_replicas_check_weights(group, NULL, 7), AN_ECORRUPT);
    assert_said("ranks 1, 2 and 3 hold other weights");
    assert_said("resume from the last checkpoint");
}

static void the_choices_of_rank_0_arrive(void **state)
{
    (void)state;
    an_choices choices = {0};
    stage.rank = 1;
    stage.first = "conv1 of a GPU\tengine 7\t12.5\t13.25\nconv2\tengine 1\t1\t2\n";
    assert_int_equal(an_replicas_spread_choices(group, &choices), AN_OK);
    assert_int_equal(choices.count, 2);
    const an_choice *found = an_choices_find(&choices, "conv1 of a GPU");
    assert_non_null(found);
    assert_string_equal(found->name, "engine 7");
    assert_true(found->microseconds == 12.5 && found->first == 13.25);
    assert_false(found->measured);
    an_choices_free(&choices);
}

/* ---- a host's devices and processors ---- */

static void assert_devices(int local_rank, const char *list, const char *expected)
{
    char *devices = NULL;
    stage.local_rank = local_rank;
    assert_int_equal(an_replica_devices(group, list, &devices), AN_OK);
    assert_string_equal(devices, expected);
    free(devices);
}

static void each_local_rank_has_its_devices(void **state)
{
    (void)state;
    char *devices = NULL;
    stage.local_world = 2;
    assert_devices(0, "cuda:0,cuda:1;cuda:2,cuda:3", "cuda:0,cuda:1");
    assert_devices(1, "cuda:0,cuda:1;cuda:2,cuda:3", "cuda:2,cuda:3");
    assert_devices(1, "cpu,cpu", "cpu,cpu");
    assert_devices(1, "a;b;c", "b");
    stage.local_world = 3;
    assert_int_equal(an_replica_devices(group, "cuda:0;cuda:1", &devices), AN_EINVAL);
    assert_said(
        "--devices 'cuda:0;cuda:1' has 2 lists for the 3 ranks of this host: give one for each rank, one for all");
    assert_int_equal(an_replica_devices(NULL, "cpu", &devices), AN_OK);
    assert_string_equal(devices, "cpu");
    free(devices);
}

static void processors_are_shared_by_ranks_with_the_same_ones(void **state)
{
    (void)state;
    int all = an_thread_cpu_count(), count = 0;
    uint64_t other = 1;
    an_buffer notes = {0};
    assert_int_equal(an_replica_processors(NULL, &count, &notes), AN_OK);
    assert_int_equal(count, all);
    assert_int_equal(an_replica_processors(group, &count, &notes), AN_OK);
    assert_int_equal(count, all / RANKS > 1 ? all / RANKS : 1);
    stage.host[1] = stage.host[2] = "b"; /* two ranks here */
    assert_int_equal(an_replica_processors(group, &count, &notes), AN_OK);
    assert_int_equal(count, all / 2 > 1 ? all / 2 : 1);
    stage.theirs[3] = &other; /* which has processors of its own */
    assert_int_equal(an_replica_processors(group, &count, &notes), AN_OK);
    assert_int_equal(count, all);
    an_buffer_free(&notes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(equal_lines_agree, set_up),
        cmocka_unit_test_setup(the_first_line_that_differs_is_named, set_up),
        cmocka_unit_test_setup(the_first_rank_that_differs_is_named_by_all, set_up),
        cmocka_unit_test_setup(ranks_that_drifted_are_named, set_up),
        cmocka_unit_test_setup(the_choices_of_rank_0_arrive, set_up),
        cmocka_unit_test_setup(each_local_rank_has_its_devices, set_up),
        cmocka_unit_test_setup(processors_are_shared_by_ranks_with_the_same_ones, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
