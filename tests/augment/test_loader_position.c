/* Epochs that are gone on with at any position of their order, also by another number of ranks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "loader_support.h"

enum { WORLDS = 4, COUNT_MAX = 40, EPOCHS = 2 };

static const an_last_kind kinds[] = {AN_LAST_DROP, AN_LAST_SHORT, AN_LAST_EVEN, AN_LAST_PAD};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* Small samples: what matters here is which they are. */
static an_loader_options small(void)
{
    an_loader_options o = bytes_options(AN_DECODE_HOST);
    o.sample.crop = 8;
    o.threads = 1;
    o.engine = AN_READER_MMAP; /* it starts no threads */
    return o;
}

/* The part of a rank in a step of all, as places in the epoch's order. Kept apart from base/epochs, which it checks. */
typedef struct {
    uint64_t places[COUNT_MAX];
    uint32_t count, repeated;
} part;

/* What is dealt out in one step, and the position behind it. count: images of the epoch. */
typedef struct {
    uint64_t count, whole, left;
    bool fills; /* nothing is left for another step */
} step;

static step step_at(const an_loader_options *o, uint64_t count, uint64_t position)
{
    step s = {.count = count, .whole = (uint64_t)o->batch * o->world, .left = count - position};
    s.fills = s.left <= s.whole || (o->last == AN_LAST_DROP && s.left - s.whole < s.whole);
    return s;
}

static bool step_exists(const an_loader_options *o, const step *s)
{
    return s->left >= s->whole || (o->last != AN_LAST_DROP && s->left > 0);
}

/* Even parts are as large as the largest of an uneven division. */
static uint64_t part_size(const an_loader_options *o, const step *s)
{
    uint64_t size = o->batch;
    while (o->last == AN_LAST_EVEN && s->left < s->whole && (size - 1) * o->world >= s->left)
        size--;
    return size;
}

static part part_of(const an_loader_options *o, const step *s, uint32_t rank)
{
    part p = {0};
    bool fills = o->last == AN_LAST_EVEN || o->last == AN_LAST_PAD;
    uint64_t size = part_size(o, s), position = s->count - s->left;
    for (uint64_t i = rank * size; i < (rank + 1) * size && (fills || i < s->left); i++) {
        p.places[p.count++] = (position + i) % s->count;
        p.repeated += i >= s->left;
    }
    return p;
}

/* Whether a rank has a part in the step behind this one in the same epoch. */
static bool goes_on(const an_loader_options *o, const step *s, uint32_t rank)
{
    step next = *s;
    next.left -= s->whole < s->left ? s->whole : s->left;
    return !s->fills && step_exists(o, &next) && part_of(o, &next, rank).count > 0;
}

static uint64_t record_at(const an_loader_options *o, uint64_t count, uint64_t epoch, uint64_t place)
{
    an_order order = {.kind = o->order, .count = count, .block = o->block, .seed = o->seed, .epoch = epoch};
    return an_order_at(&order, place);
}

/* Returns whether there was a batch. */
static bool check_batch(const an_loader_options *o, an_loader *loader, const step *s, uint32_t rank, uint64_t epoch,
                        uint64_t number)
{
    an_batch batch;
    part wanted = part_of(o, s, rank);
    if (wanted.count == 0)
        return false;
    if (an_loader_next(loader, &batch))
        fail_msg("%s", an_error_message());
    assert_int_equal(batch.count, wanted.count);
    assert_int_equal(batch.repeated, wanted.repeated);
    assert_int_equal(batch.carried, 0);
    assert_int_equal(batch.epoch, epoch);
    assert_int_equal(batch.step, number);
    assert_int_equal(batch.position, s->fills ? s->count : s->count - s->left + s->whole);
    assert_int_equal(batch.last, !goes_on(o, s, rank));
    for (uint32_t i = 0; i < batch.count; i++)
        assert_int_equal(batch.indices[i], record_at(o, s->count, epoch, wanted.places[i]));
    assert_int_equal(an_loader_release(loader, &batch), AN_OK);
    return true;
}

static void check(const an_loader_options *options, uint64_t count)
{
    an_loader *ranks[WORLDS];
    an_batch none;
    uint64_t batches[WORLDS] = {0};
    an_loader_options o = *options;
    for (o.rank = 0; o.rank < o.world; o.rank++)
        ranks[o.rank] = start(&o);
    for (uint64_t epoch = 0; epoch < EPOCHS; epoch++) {
        step s = step_at(&o, count, epoch == 0 ? o.first_position : 0);
        for (uint64_t number = 0; step_exists(&o, &s); number++) {
            for (uint32_t r = 0; r < o.world; r++)
                batches[r] += check_batch(&o, ranks[r], &s, r, epoch + o.first_epoch, number);
            s = step_at(&o, count, s.fills ? count : count - s.left + s.whole);
        }
    }
    for (uint32_t r = 0; r < o.world; r++) {
        assert_int_equal(an_loader_next(ranks[r], &none), AN_END);
        if (o.last != AN_LAST_SHORT)
            assert_int_equal(batches[r], batches[0]);
        an_loader_free(ranks[r]);
    }
}

/* Positions of an epoch of count images, the same one perhaps more than once. */
static void check_positions(an_loader_options o, uint64_t count)
{
    const uint64_t positions[] = {0, 1, count - count / 5, count};
    for (size_t i = 0; i < sizeof positions / sizeof *positions; i++) {
        o.first_position = positions[i];
        o.first_epoch = i % 3;
        check(&o, count);
    }
}

static void batches_hold_what_is_left(void **state)
{
    (void)state;
    static const uint64_t counts[] = {1, 2, 7, 23, COUNT_MAX};
    static const uint32_t batches[] = {1, 8, 17};
    uint64_t subset[COUNT_MAX];
    for (uint64_t i = 0; i < COUNT_MAX; i++)
        subset[i] = i;
    for (size_t k = 0; k < KINDS * 5 * 3 * WORLDS; k++) {
        an_loader_options o = small();
        uint64_t count = counts[k / KINDS % 5];
        o.last = kinds[k % KINDS];
        o.batch = batches[k / KINDS / 5 % 3];
        o.world = 1 + (uint32_t)(k / KINDS / 5 / 3);
        o.order = k % 3 ? AN_ORDER_GLOBAL : AN_ORDER_BLOCK;
        o.block = 5;
        o.subset = subset;
        o.subset_count = count;
        o.epochs = EPOCHS;
        if (o.last != AN_LAST_DROP || (uint64_t)o.batch * o.world <= count)
            check_positions(o, count);
    }
}

/* ---- another number of ranks ------------------------------------------------------------------------------------- */

/* What an epoch showed: each sample's bytes by record, how often, and how many of them again. */
typedef struct {
    digest samples[RECORDS];
    uint32_t times[RECORDS];
    uint64_t shown, repeated;
} epoch_log;

static void log_batch(epoch_log *log, const an_loader_options *o, const an_batch *batch)
{
    size_t bytes = sample_bytes(o);
    for (uint32_t i = 0; i < batch->count; i++) {
        uint64_t record = batch->indices[i];
        digest hash = XXH3_128bits((const uint8_t *)batch->data + i * bytes, bytes);
        if (log->times[record]++)
            assert_true(same(log->samples[record], hash));
        log->samples[record] = hash;
    }
    log->shown += batch->count;
    log->repeated += batch->repeated;
}

/* Of the last step of so many ranks: as few images as possible, or as many as fill it. */
static uint64_t most_repeated(const an_loader_options *o, uint32_t world)
{
    return o->last == AN_LAST_EVEN ? world - 1 : o->last == AN_LAST_PAD ? (uint64_t)world * o->batch - 1 : 0;
}

/* All ranks, `steps` steps from a position on, or until the epoch ends. Returns the position behind them. */
static uint64_t run_world(epoch_log *log, an_loader_options o, uint32_t world, uint64_t position, uint64_t steps)
{
    uint64_t after = position, repeated = log->repeated;
    o.world = world;
    o.first_position = position;
    for (o.rank = 0; o.rank < world; o.rank++) {
        an_batch batch;
        an_loader *loader = start(&o);
        int rc = AN_OK;
        for (uint64_t i = 0; i < steps; i++) {
            rc = an_loader_next(loader, &batch);
            if (rc)
                break;
            log_batch(log, &o, &batch);
            after = batch.position > after ? batch.position : after;
            assert_int_equal(an_loader_release(loader, &batch), AN_OK);
        }
        assert_true(!rc || rc == AN_END);
        an_loader_free(loader);
    }
    assert_true(log->repeated - repeated <= most_repeated(&o, world));
    return after;
}

/* From one rank to two to three and back to one. */
static void run_epoch(epoch_log *log, const an_loader_options *o, uint64_t first, uint64_t second)
{
    *log = (epoch_log){0};
    uint64_t position = run_world(log, *o, 1, 0, first);
    position = run_world(log, *o, 2, position, second);
    position = run_world(log, *o, 3, position, 1);
    position = run_world(log, *o, 1, position, UINT64_MAX);
    assert_int_equal(position, RECORDS);
    assert_int_equal(run_world(log, *o, 2, position, 1), RECORDS); /* nothing is left */
}

static void check_union(const an_loader_options *o, const epoch_log *log, const epoch_log *whole)
{
    uint64_t missing = 0;
    for (uint32_t r = 0; r < RECORDS; r++) {
        assert_true(log->times[r] <= 1 || log->repeated > 0);
        missing += log->times[r] == 0;
        if (log->times[r])
            assert_true(same(log->samples[r], whole->samples[r]));
    }
    assert_int_equal(log->shown - log->repeated + missing, RECORDS);
    if (o->last == AN_LAST_DROP)
        assert_true(missing < (uint64_t)o->batch * 3);
    else
        assert_int_equal(missing, 0);
}

static void another_world_goes_on_with_the_epoch(void **state)
{
    (void)state;
    static epoch_log log, whole;
    for (size_t k = 0; k < KINDS; k++)
        for (uint64_t n = 0; n < 6; n++) {
            an_loader_options o = small();
            o.first_epoch = 3;
            o.last = AN_LAST_SHORT;
            whole = (epoch_log){0};
            assert_int_equal(run_world(&whole, o, 1, 0, UINT64_MAX), RECORDS);
            o.last = kinds[k];
            o.batch = 5 + 3 * (uint32_t)n;
            o.threads = 1 + (int)n % 3;
            run_epoch(&log, &o, 1 + n % 4, n % 3);
            check_union(&o, &log, &whole);
        }
}

static void skip_batches(an_loader *loader, uint64_t count)
{
    an_batch batch;
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(an_loader_next(loader, &batch), AN_OK);
        assert_int_equal(an_loader_release(loader, &batch), AN_OK);
    }
}

/* The loader that goes on behind `done` batches, and the state of the last of them, against the undisturbed one. */
static void check_next(const an_loader_options *o, uint64_t done, const an_batch *state)
{
    an_batch wanted, batch;
    an_loader_options rest = *o;
    rest.first_epoch = state->epoch;
    rest.first_position = state->position;
    rest.epochs = o->epochs - state->epoch;
    an_loader *straight = start(o), *again = start(&rest);
    skip_batches(straight, done);
    int rc = an_loader_next(straight, &wanted);
    assert_int_equal(an_loader_next(again, &batch), rc);
    if (!rc) {
        assert_memory_equal(batch.data, wanted.data, wanted.size);
        assert_memory_equal(batch.indices, wanted.indices, wanted.count * sizeof *wanted.indices);
        assert_int_equal(batch.count, wanted.count);
        assert_int_equal(batch.epoch, wanted.epoch);
        assert_int_equal(batch.position, wanted.position);
        assert_int_equal(batch.repeated, wanted.repeated);
        assert_int_equal(batch.step, 0);
    }
    an_loader_free(again);
    an_loader_free(straight);
}

/* From each step on, in later epochs too. */
static void the_same_world_goes_on_as_if_nothing_was(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        an_batch batch;
        an_loader_options o = plain();
        o.last = kinds[k];
        o.batch = 23;
        o.epochs = 2;
        an_loader *loader = start(&o);
        for (uint64_t done = 1; !an_loader_next(loader, &batch); done++) {
            an_batch reached = batch;
            assert_int_equal(an_loader_release(loader, &batch), AN_OK);
            check_next(&o, done, &reached);
        }
        an_loader_free(loader);
    }
}

/* Records that fill the last step are read and decoded like others. */
static void filled_batches_do_not_depend_on_timing(void **state)
{
    (void)state;
    static const uint32_t batches[] = {29, 60, 3 * RECORDS + 7};
    for (size_t k = 0; k < KINDS * 3; k++) {
        an_loader_options o = bytes_options(AN_DECODE_HOST);
        o.last = kinds[k % KINDS];
        o.batch = batches[k / KINDS];
        o.world = 2;
        o.rank = 1;
        o.first_position = 50;
        o.epochs = 2;
        o.order = k % 2 ? AN_ORDER_BLOCK : AN_ORDER_GLOBAL;
        o.block = 150;
        if (o.last == AN_LAST_DROP && o.batch > RECORDS / 2)
            continue;
        digest wanted = digest_from(&o, 0);
        o.threads = 5;
        o.slots = 4;
        o.depth = 3;
        assert_true(same(digest_from(&o, 0), wanted));
        o.decode = AN_DECODE_DEVICE;
        assert_true(same(digest_from(&o, 0), wanted));
        o.engine = AN_READER_URING_DIRECT; /* a window of records that goes over the end */
        assert_true(same(digest_from(&o, 0), wanted));
    }
}

/* A batch of more samples than there are records goes round, and a block of payloads has room for it. */
static void one_record_fills_a_batch(void **state)
{
    (void)state;
    for (int device = 0; device < 2; device++) {
        an_batch batch;
        uint64_t subset[2] = {7, 9};
        an_loader_options o = bytes_options(device ? AN_DECODE_DEVICE : AN_DECODE_HOST);
        o.last = AN_LAST_PAD;
        o.subset = subset;
        for (o.subset_count = 1; o.subset_count <= 2; o.subset_count++) {
            an_loader *loader = start(&o);
            if (an_loader_next(loader, &batch))
                fail_msg("%s", an_error_message());
            assert_int_equal(batch.count, BATCH);
            assert_int_equal(batch.repeated, BATCH - o.subset_count);
            assert_int_equal(batch.position, o.subset_count);
            assert_true(batch.last);
            for (uint32_t i = o.subset_count; i < BATCH; i++) {
                assert_int_equal(batch.indices[i], batch.indices[i % o.subset_count]);
                assert_memory_equal(&batch.draws[i], &batch.draws[i % o.subset_count], sizeof *batch.draws);
            }
            an_loader_free(loader);
        }
    }
}

static void impossible_positions_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint64_t position, step;
        an_last_kind last;
        const char *words;
    } bad[] = {{RECORDS + 1, 0, AN_LAST_SHORT, "position 204 is beyond the 203 images"},
               {UINT64_MAX, 0, AN_LAST_DROP, "is beyond the 203 images"},
               {5, 1, AN_LAST_SHORT, "exclude each other"},
               {5, 0, AN_LAST_CARRY, "carried over"}};
    an_loader *loader;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        an_loader_options o = plain();
        o.first_position = bad[i].position;
        o.first_step = bad[i].step;
        o.last = bad[i].last;
        assert_int_equal(an_loader_create(&loader, &o), AN_EINVAL);
        if (!strstr(an_error_message(), bad[i].words))
            fail_msg("'%s' does not say '%s'", an_error_message(), bad[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_hold_what_is_left),
        cmocka_unit_test(another_world_goes_on_with_the_epoch),
        cmocka_unit_test(the_same_world_goes_on_as_if_nothing_was),
        cmocka_unit_test(filled_batches_do_not_depend_on_timing),
        cmocka_unit_test(one_record_fills_a_batch),
        cmocka_unit_test(impossible_positions_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
