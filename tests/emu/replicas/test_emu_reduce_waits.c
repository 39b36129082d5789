/* Each wait around a bucket is needed, and the emulator notices if one is missing: that of the reduction for backward,
 * that of the update for the sums, and that of the next step, which writes the gradients anew. A single rank shows it:
 * what it adds up is only its own, but the order is that of many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "model/exec/exec_private.h"
#include "tests/emu/emulator/emu.h"
#include "tests/emu/expect.h"
#include "tests/emu/replicas/ranks.h"
#include "tests/model/support.h"

#define WAITS_MAX 400

typedef struct {
    ranks_form form;
    bool reduces;
    int steps; /* at a time; an update follows the last one */
} scene;

static void run(rank_state *r, const scene *s)
{
    for (int i = 0; i < s->steps; i++)
        rank_step(r, (uint64_t)i);
    rank_update(r);
}

static void make(rank_state *r, const scene *s)
{
    an_nccl_sum *sum = NULL;
    if (s->reduces)
        ranks_sums(&s->form, &sum);
    rank_make(r, &s->form, 0, sum);
    run(r, s);
    expect(NULL);
}

/* Leaves out one wait. Whether that is noticed; *happened: there is a wait of that number. */
static bool is_caught(const scene *s, int wait, bool *happened, char *text, size_t size)
{
    rank_state r;
    make(&r, s);
    emu_drop_wait(wait);
    run(&r, s);
    *happened = !emu_drop_wait(0);
    bool caught = emu_violations(text, size) > 0 || an_exec_replay_refusal(r.exec);
    rank_free(&r);
    (void)emu_violations(NULL, 0);
    return caught;
}

/* How many waits there are, and how many of them are missed without being noticed. */
static int waits_of(const scene *s, int *missed)
{
    char text[512];
    bool happened = true;
    int count = 0;
    *missed = 0;
    while (count < WAITS_MAX) {
        bool caught = is_caught(s, count + 1, &happened, text, sizeof text);
        if (!happened)
            return count;
        count++;
        *missed += !caught;
    }
    fail_msg("a step with more than %d waits", WAITS_MAX);
    return 0;
}

/* Buckets of the network: layers with weights, on each device. */
static int buckets_of(const scene *s)
{
    rank_state r;
    int count = 0;
    make(&r, s);
    for (int i = 0; i < r.exec->graph.count; i++)
        count += r.exec->graph.nodes[i].has_weights;
    rank_free(&r);
    return count;
}

/* Beside the waits without reduction there is one for each bucket of a step and one for each device, and each of them
 * is noticed when it is missing. */
static void check(scene s, int devices)
{
    int alone, missed_alone, missed;
    s.form.world = 1;
    s.steps += !s.steps;
    alone = waits_of(&s, &missed_alone);
    s.reduces = true;
    int count = waits_of(&s, &missed);
    if (count != alone + s.steps * (buckets_of(&s) + devices))
        fail_msg("%d waits, %d of them without reduction, %d buckets, %d devices", count, alone, buckets_of(&s),
                 devices);
    if (missed > missed_alone)
        fail_msg("%s: %d of %d missing waits are not noticed, without reduction %d of %d", s.form.devices[0], missed,
                 count, missed_alone, alone);
}

/* A first step is walked in any case, so the second one is recorded. */
#define WALKS .form.walks = true

static void test_every_wait_of_a_walked_step_counts(void **state)
{
    (void)state;
    check((scene){.form.devices = {"cuda:0"}, WALKS}, 1);
    check((scene){.form.devices = {"cuda:0"}, .form.clip = 0.05, WALKS}, 1);
    check((scene){.form.devices = {"cuda:0"}, .form.precision = AN_PRECISION_BF16, WALKS}, 1);
    check((scene){.form.devices = {"cuda:0,cuda:1"}, WALKS}, 2);
}

static void test_every_wait_of_a_recorded_step_counts(void **state)
{
    (void)state;
    check((scene){.form.devices = {"cuda:0"}}, 1);
    check((scene){.form.devices = {"cuda:0,cuda:1"}}, 2);
    check((scene){.form.devices = {"cuda:0,cuda:0"}}, 2);
}

/* With parts the sums are those that gather writes. */
static void test_every_wait_of_a_step_in_parts_counts(void **state)
{
    (void)state;
    check((scene){.form.devices = {"cuda:0"}, .form.parts = 2, WALKS}, 1);
    check((scene){.form.devices = {"cuda:0,cuda:1"}, .form.parts = 2, WALKS}, 2);
}

/* Without an update in between, the next backward and the next gather come upon the sums. */
static void test_the_next_step_waits(void **state)
{
    (void)state;
    check((scene){.form.devices = {"cuda:0"}, WALKS, .steps = 2}, 1);
    check((scene){.form.devices = {"cuda:0"}, .form.parts = 2, WALKS, .steps = 2}, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_wait_of_a_walked_step_counts),
        cmocka_unit_test(test_every_wait_of_a_recorded_step_counts),
        cmocka_unit_test(test_every_wait_of_a_step_in_parts_counts),
        cmocka_unit_test(test_the_next_step_waits),
    };
    (void)emu_violations(NULL, 0); /* from now on collected, and asked for by each test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
