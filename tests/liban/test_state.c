/* Places in the data: leaving one, going on there, with other batches and worlds too. */
#include "support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EPOCHS 2
#define STEPS_MAX 64

static const int lasts[] = {LIBAN_LAST_DROP, LIBAN_LAST_SHORT, LIBAN_LAST_PAD};

typedef struct {
    uint64_t hash, epoch, step, position;
    liban_loader_state after;
} trace;

/* Note everything that is lent until so many epochs are over. Returns how many batches. */
static size_t follow(liban_loader *loader, trace *out, uint64_t end)
{
    size_t count = 0;
    liban_batch *batch;
    for (uint64_t epoch = 0; epoch < end;) {
        int rc = liban_loader_next(loader, &batch);
        assert_true(rc == LIBAN_OK || rc == LIBAN_END);
        if (rc == LIBAN_END) {
            liban_loader_state_get(loader, &out[count ? count - 1 : 0].after);
            epoch = out[count ? count - 1 : 0].after.epoch;
            continue;
        }
        assert_true(count < STEPS_MAX);
        out[count] = (trace){.hash = hash_of(batch), batch->epoch, batch->step, batch->position, {0}};
        liban_loader_state_get(loader, &out[count].after);
        count++;
        give(batch);
    }
    return count;
}

static void compare(const trace *a, const trace *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(a[i].hash, b[i].hash);
        assert_int_equal(a[i].epoch, b[i].epoch);
        assert_int_equal(a[i].step, b[i].step);
        assert_int_equal(a[i].position, b[i].position);
    }
}

/* By the state that was left behind each batch, into a loader that is elsewhere, and into a new one. */
static void resume_everywhere(const liban_loader_options *options, const trace *whole, size_t count)
{
    trace rest[STEPS_MAX];
    for (size_t k = 0; k + 1 < count; k++) {
        liban_loader_options there = *options;
        there.threads = 1 + (int)(k % 3);
        liban_loader *loader = start(&there);
        give(take(loader));
        assert_int_equal(liban_loader_state_set(loader, &whole[k].after), LIBAN_OK);
        assert_int_equal(follow(loader, rest, EPOCHS), count - k - 1);
        compare(rest, whole + k + 1, count - k - 1);
        liban_loader_free(loader);
        there.epoch = whole[k].after.epoch;
        there.position = whole[k].after.position;
        loader = start(&there);
        liban_batch *batch = take(loader);
        assert_int_equal(hash_of(batch), whole[k + 1].hash);
        give(batch);
        liban_loader_free(loader);
    }
}

static void a_training_goes_on_behind_every_batch(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lasts / sizeof *lasts; i++) {
        trace whole[STEPS_MAX];
        liban_loader_options options = small();
        options.last = lasts[i];
        options.mixup = 0.3;
        liban_loader *loader = start(&options);
        size_t count = follow(loader, whole, EPOCHS);
        assert_int_equal(count, EPOCHS * liban_loader_steps(loader));
        liban_loader_free(loader);
        resume_everywhere(&options, whole, count);
    }
}

/* ---- other worlds and batches ------------------------------------------------------------------------------------ */

typedef struct {
    uint8_t seen[RECORDS];
    liban_loader_state place;
} coverage;

static liban_loader *at(const coverage *c, uint32_t rank, uint32_t world, uint32_t batch)
{
    liban_loader_options options = small();
    options.last = LIBAN_LAST_SHORT;
    options.rank = rank;
    options.world = world;
    options.batch = batch;
    liban_loader *loader = start(&options);
    if (c->place.version)
        assert_int_equal(liban_loader_state_set(loader, &c->place), LIBAN_OK);
    return loader;
}

/* Every rank takes so many steps from the place on, or the rest of the epoch; all of them end at the same place. */
static void cover(coverage *c, uint32_t world, uint32_t batch, uint64_t steps)
{
    coverage before = *c;
    for (uint32_t rank = 0; rank < world; rank++) {
        liban_loader *loader = at(&before, rank, world, batch);
        liban_loader_state place;
        liban_batch *mine;
        int rc = LIBAN_OK;
        for (uint64_t i = 0; i < steps && !rc; i++) {
            rc = liban_loader_next(loader, &mine);
            for (uint32_t k = 0; !rc && k < mine->count - mine->repeated; k++)
                c->seen[mine->indices[k]]++;
            if (!rc)
                give(mine);
        }
        liban_loader_state_get(loader, &place);
        if (rank > 0)
            assert_memory_equal(&place, &c->place, sizeof place);
        c->place = place;
        liban_loader_free(loader);
    }
}

static void the_union_of_all_ranks_is_the_epoch(void **state)
{
    (void)state;
    for (uint64_t steps = 1; steps < 5; steps++) {
        coverage c = {.place = {0}};
        cover(&c, 1, BATCH, steps);
        cover(&c, 2, BATCH, steps);
        cover(&c, 3, 5, 1);
        if (c.place.epoch == 0) /* after 4 steps each, three ranks have taken the rest */
            cover(&c, 1, 3, UINT64_MAX);
        assert_int_equal(c.place.epoch, 1);
        assert_int_equal(c.place.position, 0);
        for (size_t i = 0; i < RECORDS; i++)
            assert_int_equal(c.seen[i], 1);
    }
}

static void an_epoch_without_a_step_left_ends_at_once(void **state)
{
    (void)state;
    liban_loader_options options = small();
    liban_batch *batch;
    options.epoch = 3;
    options.position = RECORDS - BATCH + 1;
    liban_loader *loader = start(&options);
    assert_int_equal(liban_loader_next(loader, &batch), LIBAN_END);
    batch = take(loader);
    assert_int_equal(batch->epoch, 4);
    assert_int_equal(batch->step, 0);
    give(batch);
    liban_loader_free(loader);
}

static void steps_are_counted_from_the_beginning_of_the_epoch(void **state)
{
    (void)state;
    liban_loader_options options = small();
    options.position = 3 * BATCH + 1;
    liban_loader *loader = start(&options);
    liban_batch *batch = take(loader);
    assert_int_equal(batch->step, 4);
    assert_int_equal(batch->position, 4 * BATCH + 1);
    give(batch);
    liban_loader_free(loader);
}

/* ---- states that do not fit -------------------------------------------------------------------------------------- */

static void check_member(liban_loader *loader, const liban_loader_state *state, int code, const char *words)
{
    liban_loader_state before, after;
    liban_loader_state_get(loader, &before);
    assert_int_equal(liban_loader_state_set(loader, state), code);
    message_has(words);
    liban_loader_state_get(loader, &after);
    assert_memory_equal(&before, &after, sizeof before);
}

static void other_states_are_refused_by_member(void **state)
{
    (void)state;
    const uint64_t indices[] = {1, 2, 3, 4, 5, 6, 7, 8};
    liban_loader_options options = small();
    liban_loader_state good, bad;
    liban_loader *loader = start(&options);
    liban_loader_state_get(loader, &good);
    assert_int_equal(good.fingerprint, liban_dataset_fingerprint(dataset));
    assert_int_equal(good.sampling, 0);
#define BAD(MEMBER, VALUE, CODE, WORDS) (bad = good, bad.MEMBER = (VALUE), check_member(loader, &bad, CODE, WORDS))
    BAD(version, 0, LIBAN_EINVAL, "version is 0");
    BAD(version, 2, LIBAN_EUNSUPPORTED, "version is 2");
    BAD(fingerprint, 5, LIBAN_EINVAL, "fingerprint is 5");
    BAD(records, 5, LIBAN_EINVAL, "records is 5");
    BAD(sampling, 5, LIBAN_EINVAL, "sampling is 5");
    BAD(seed, 5, LIBAN_EINVAL, "seed is 5");
    BAD(order, 1, LIBAN_EINVAL, "order is 1");
    BAD(block, 5, LIBAN_EINVAL, "block is 5");
    BAD(position, RECORDS + 1, LIBAN_EINVAL, "position is 102");
    BAD(epoch, UINT64_MAX, LIBAN_EINVAL, "epoch 18446744073709551615");
    good.position = RECORDS; /* behind it there would be epoch 0 */
    BAD(epoch, UINT64_MAX, LIBAN_EINVAL, "epoch 18446744073709551615");
    liban_loader_free(loader);
    options.indices = indices;
    options.index_count = 8;
    loader = start(&options);
    liban_loader_state_get(loader, &bad);
    assert_true(bad.sampling != 0);
    liban_loader_free(loader);
}

/* ---- set_epoch --------------------------------------------------------------------------------------------------- */

static int counting_alloc(void *context, void **out, size_t size)
{
    ++*(int *)context;
    *out = aligned_alloc(4096, size); /* whole pages */
    return *out ? LIBAN_OK : LIBAN_ENOMEM;
}

static void counting_free(void *context, void *memory, size_t size)
{
    (void)size;
    *(int *)context += 1000;
    free(memory);
}

static void the_next_epoch_costs_nothing(void **state)
{
    (void)state;
    int used = 0;
    liban_batch *batch;
    liban_loader_options options = small();
    options.memory_alloc = counting_alloc;
    options.memory_free = counting_free;
    options.memory_context = &used;
    liban_loader *loader = start(&options);
    int once = used;
    for (uint64_t epoch = 0; epoch < 3; epoch++) {
        assert_int_equal(liban_loader_set_epoch(loader, epoch), LIBAN_OK);
        for (uint64_t step = 0; step < liban_loader_steps(loader); step++) {
            batch = take(loader);
            assert_int_equal(batch->epoch, epoch);
            give(batch);
        }
        /* An end that nobody asked for any more: set_epoch is the answer to it. */
        if (epoch % 2)
            assert_int_equal(liban_loader_next(loader, &batch), LIBAN_END);
    }
    assert_int_equal(used, once);
    assert_int_equal(liban_loader_set_epoch(loader, 9), LIBAN_OK);
    assert_true(used >= once + 1000);
    batch = take(loader);
    assert_int_equal(batch->epoch, 9);
    give(batch);
    assert_int_equal(liban_loader_set_epoch(loader, 9), LIBAN_OK); /* from its beginning */
    batch = take(loader);
    assert_int_equal(batch->step, 0);
    give(batch);
    liban_loader_free(loader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_training_goes_on_behind_every_batch),
        cmocka_unit_test(the_union_of_all_ranks_is_the_epoch),
        cmocka_unit_test(an_epoch_without_a_step_left_ends_at_once),
        cmocka_unit_test(steps_are_counted_from_the_beginning_of_the_epoch),
        cmocka_unit_test(other_states_are_refused_by_member),
        cmocka_unit_test(the_next_epoch_costs_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
