/* What becomes of an epoch's rest: what batches hold with each an_last_kind, for one rank and several. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "loader_support.h"

enum { EPOCHS = 4, WORLDS = 3 };

static const an_last_kind kinds[] = {AN_LAST_DROP, AN_LAST_SHORT, AN_LAST_CARRY};

/* n < batch only where that is allowed: see refusals. */
static const uint32_t batches[] = {1, 16, 29 /* 7 x 29 = 203 */, 67, 101 /* a half, and one left */, 202, RECORDS};

/* The order of all epochs, one behind the other. */
static uint64_t record_at(const an_loader_options *o, uint64_t epoch, uint64_t position)
{
    an_order order = {.kind = o->order, .count = RECORDS, .block = o->block, .seed = o->seed, .epoch = epoch};
    return an_order_at(&order, position);
}

/* What is drawn for a record depends on its own epoch. */
static void assert_draw(const an_sampler *sampler, const an_loader_options *o, const an_batch *batch, uint32_t i,
                        uint64_t epoch)
{
    an_sample_draw wanted;
    an_sampler_draw(sampler, o->seed, epoch, batch->indices[i], &wanted);
    assert_int_equal(batch->draws[i].x, wanted.x);
    assert_int_equal(batch->draws[i].y, wanted.y);
    assert_int_equal(batch->draws[i].flip, wanted.flip);
    assert_memory_equal(batch->draws[i].shift, wanted.shift, sizeof wanted.shift);
}

static an_sampler *sampler_of(const an_loader_options *o)
{
    an_sampler *sampler;
    int rc = an_sampler_create(&sampler, &o->sample, an_dataset_side(o->dataset), an_dataset_statistics(o->dataset));
    assert_int_equal(rc, AN_OK);
    return sampler;
}

/* A step of all ranks: images of the global order from (epoch, position) on. */
typedef struct {
    uint64_t number, epoch, step, position;
    uint64_t count, left; /* left: of its images, for the ranks still to come */
} global_step;

static global_step first_step(void)
{
    return (global_step){0};
}

/* Images of this step, and whether there is one: kept apart from base/epochs, which it checks. */
static bool step_begins(const an_loader_options *o, global_step *s)
{
    uint64_t whole = (uint64_t)o->batch * o->world, rest = RECORDS - s->position;
    bool final = s->epoch == EPOCHS - 1;
    if (s->epoch == EPOCHS)
        return false;
    s->count = rest < whole && (o->last == AN_LAST_SHORT || final) ? rest : whole;
    s->left = s->count;
    return true;
}

/* Whether a rank has no part in a later step of the epoch. */
static bool last_of_rank(const an_loader_options *o, const global_step *s, uint64_t rank, bool over)
{
    uint64_t next = s->position + ((uint64_t)o->world + rank) * o->batch;
    bool ends_short = o->last == AN_LAST_SHORT || (o->last == AN_LAST_CARRY && s->epoch == EPOCHS - 1);
    return over || (ends_short && next >= RECORDS);
}

static bool step_ends_epoch(const an_loader_options *o, const global_step *s)
{
    uint64_t whole = (uint64_t)o->batch * o->world, after = s->position + s->count;
    return after >= RECORDS || (o->last == AN_LAST_DROP && RECORDS - after < whole);
}

static void step_end(const an_loader_options *o, global_step *s)
{
    bool over = step_ends_epoch(o, s);
    s->position += s->count;
    s->step++;
    s->number++;
    if (!over)
        return;
    s->position = o->last == AN_LAST_CARRY ? s->position - RECORDS : 0;
    s->epoch++;
    s->step = 0;
}

/* One rank's part of a step. seen: how often each record was delivered, by epoch. */
static void check_part(const an_loader_options *o, const an_sampler *sampler, an_loader *loader, global_step *s,
                       uint8_t seen[EPOCHS + 1][RECORDS])
{
    an_batch batch;
    uint64_t wanted = s->left < o->batch ? s->left : o->batch, carried = 0;
    uint64_t begin = s->position + s->count - s->left;
    if (wanted == 0)
        return;
    assert_int_equal(an_loader_next(loader, &batch), AN_OK);
    assert_int_equal(batch.count, wanted);
    assert_int_equal(batch.epoch, s->epoch);
    assert_int_equal(batch.step, s->step);
    assert_int_equal(batch.position, step_ends_epoch(o, s) ? RECORDS : s->position + s->count);
    uint64_t rank = (begin - s->position) / o->batch;
    assert_int_equal(batch.last, last_of_rank(o, s, rank, step_ends_epoch(o, s)));
    for (uint32_t i = 0; i < batch.count; i++) {
        bool next = begin + i >= RECORDS;
        uint64_t epoch = s->epoch + next, position = begin + i - (next ? RECORDS : 0);
        assert_int_equal(batch.indices[i], record_at(o, epoch, position));
        assert_draw(sampler, o, &batch, i, epoch);
        seen[epoch][batch.indices[i]]++;
        carried += next;
    }
    assert_int_equal(batch.carried, carried);
    s->left -= wanted;
    assert_int_equal(an_loader_release(loader, &batch), AN_OK);
}

static void assert_seen(const an_loader_options *o, uint8_t seen[EPOCHS + 1][RECORDS])
{
    uint64_t whole = (uint64_t)o->batch * o->world, kept = RECORDS;
    if (o->last == AN_LAST_DROP)
        kept -= RECORDS % whole;
    for (uint64_t epoch = 0; epoch <= EPOCHS; epoch++) {
        uint64_t sum = 0;
        for (uint32_t r = 0; r < RECORDS; r++) {
            assert_true(seen[epoch][r] <= 1);
            sum += seen[epoch][r];
        }
        assert_int_equal(sum, epoch < EPOCHS ? kept : 0);
    }
}

static void check(an_loader_options o)
{
    an_loader *ranks[WORLDS];
    an_batch none;
    uint8_t seen[EPOCHS + 1][RECORDS] = {0};
    an_sampler *sampler = sampler_of(&o);
    global_step s = first_step();
    for (o.rank = 0; o.rank < o.world; o.rank++)
        ranks[o.rank] = start(&o);
    while (step_begins(&o, &s)) {
        for (uint32_t r = 0; r < o.world; r++)
            check_part(&o, sampler, ranks[r], &s, seen);
        assert_int_equal(s.left, 0);
        step_end(&o, &s);
    }
    for (uint32_t r = 0; r < o.world; r++) {
        assert_int_equal(an_loader_next(ranks[r], &none), AN_END);
        an_loader_free(ranks[r]);
    }
    assert_seen(&o, seen);
    an_sampler_free(sampler);
}

/* Over the epochs asked for, each record comes as often as there are epochs, but for what is dropped. */
static void batches_hold_what_the_order_says(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (size_t b = 0; b < sizeof batches / sizeof *batches; b++)
            for (uint32_t world = 1; world <= WORLDS; world++) {
                an_loader_options o = plain();
                o.last = kinds[k];
                o.batch = batches[b];
                o.world = world;
                o.epochs = EPOCHS;
                o.order = b % 2 ? AN_ORDER_BLOCK : AN_ORDER_GLOBAL;
                o.block = 10;
                if ((uint64_t)o.batch * world <= RECORDS)
                    check(o);
            }
}

/* From every step on the rest is the same as from the beginning. */
static void carried_epochs_begin_anywhere(void **state)
{
    (void)state;
    an_loader_options o = plain();
    o.last = AN_LAST_CARRY;
    o.batch = 67;
    for (uint32_t world = 1; world <= WORLDS; world++)
        for (o.world = world, o.rank = 0; o.rank < world; o.rank++) {
            an_epochs epochs = {RECORDS, (uint64_t)o.batch * world, AN_LAST_CARRY};
            o.first_epoch = o.first_step = 0;
            o.epochs = EPOCHS;
            an_loader_options rest = o;
            uint64_t steps = an_epochs_steps(&epochs, EPOCHS);
            for (uint64_t step = 0; step < steps; step += world == 1 ? 1 : 2) {
                rest.first_epoch = an_epochs_done(&epochs, step);
                rest.first_step = step - an_epochs_steps(&epochs, rest.first_epoch);
                rest.epochs = EPOCHS - rest.first_epoch;
                assert_true(same(digest_from(&rest, 0), digest_from(&o, step)));
            }
        }
}

/* Threads, slots and who decodes show in no carried batch. */
static void carried_batches_do_not_depend_on_timing(void **state)
{
    (void)state;
    for (int direct = 0; direct < 2; direct++) {
        an_loader_options o = bytes_options(AN_DECODE_HOST);
        o.last = AN_LAST_CARRY;
        o.batch = 101;
        o.epochs = 3;
        o.order = direct ? AN_ORDER_BLOCK : AN_ORDER_GLOBAL;
        o.block = 150; /* with O_DIRECT a window of records that goes over an epoch's end */
        digest wanted = digest_from(&o, 0);
        o.threads = 5;
        o.slots = 4;
        o.depth = 3;
        assert_true(same(digest_from(&o, 0), wanted));
        o.decode = AN_DECODE_DEVICE;
        assert_true(same(digest_from(&o, 0), wanted));
        o.engine = AN_READER_MMAP;
        assert_true(same(digest_from(&o, 0), wanted));
    }
}

static void what_fills_no_step_is_refused(void **state)
{
    (void)state;
    an_loader *loader;
    an_loader_options o = plain();
    o.last = AN_LAST_CARRY; /* a batch would hold a record twice for one epoch and another */
    o.batch = RECORDS + 1;
    assert_int_equal(an_loader_create(&loader, &o), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "do not fill a batch of 204"));
    o.batch = 102;
    o.world = 2;
    assert_int_equal(an_loader_create(&loader, &o), AN_EINVAL);
    o.batch = 67;
    o.first_step = 3; /* 203 / 134: the first epoch has two steps */
    assert_int_equal(an_loader_create(&loader, &o), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "step 3"));
    o.first_step = 0;
    o.last = (an_last_kind)7;
    assert_int_equal(an_loader_create(&loader, &o), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "last 7"));
    o.last = AN_LAST_CARRY;
    o.first_epoch = UINT64_MAX / 2;
    assert_int_equal(an_loader_create(&loader, &o), AN_EINVAL);
}

/* Fewer records than a batch are one short batch. */
static void a_short_batch_may_be_an_epoch(void **state)
{
    (void)state;
    an_batch batch;
    an_loader_options o = plain();
    o.last = AN_LAST_SHORT;
    o.batch = RECORDS + 50;
    o.epochs = 2;
    an_loader *loader = start(&o);
    for (uint64_t epoch = 0; epoch < 2; epoch++) {
        assert_int_equal(an_loader_next(loader, &batch), AN_OK);
        assert_true(batch.count == RECORDS && batch.epoch == epoch && batch.last);
        assert_int_equal(an_loader_release(loader, &batch), AN_OK);
    }
    assert_int_equal(an_loader_next(loader, &batch), AN_END);
    an_loader_free(loader);
}

/* Room for the largest records twice: as many as two epochs can bring into one batch. */
static void a_block_has_room_for_records_twice(void **state)
{
    (void)state;
    size_t once, twice;
    an_loader_options o = bytes_options(AN_DECODE_DEVICE);
    o.batch = RECORDS;
    o.last = AN_LAST_SHORT;
    assert_int_equal(an_loader_block_size(&o, &once), AN_OK);
    o.last = AN_LAST_CARRY;
    assert_int_equal(an_loader_block_size(&o, &twice), AN_OK);
    assert_true(twice > once);
    o.batch = 1;
    assert_int_equal(an_loader_block_size(&o, &twice), AN_OK);
    o.last = AN_LAST_SHORT;
    assert_int_equal(an_loader_block_size(&o, &once), AN_OK);
    assert_int_equal(twice, once);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_hold_what_the_order_says),        cmocka_unit_test(carried_epochs_begin_anywhere),
        cmocka_unit_test(carried_batches_do_not_depend_on_timing), cmocka_unit_test(what_fills_no_step_is_refused),

        cmocka_unit_test(a_short_batch_may_be_an_epoch),           cmocka_unit_test(a_block_has_room_for_records_twice),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
