#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/rng.h"
#include "loader_support.h"

static void an_epoch_delivers_every_record_once(void **state)
{
    (void)state;
    an_loader_options o = plain();
    o.last = AN_LAST_SHORT;
    o.epochs = 2;
    an_loader *loader = start(&o);
    an_batch batch;
    assert_int_equal(an_loader_steps_per_epoch(loader), STEPS + 1);
    for (uint64_t epoch = 0; epoch < 2; epoch++) {
        int seen[RECORDS] = {0};
        for (uint64_t step = 0; step <= STEPS; step++) {
            assert_int_equal(an_loader_next(loader, &batch), AN_OK);
            assert_int_equal(batch.epoch, epoch);
            assert_int_equal(batch.step, step);
            assert_int_equal(batch.count, step < STEPS ? BATCH : RECORDS % BATCH);
            assert_int_equal(batch.last, step == STEPS);
            for (uint32_t i = 0; i < batch.count; i++) {
                assert_true(batch.indices[i] < RECORDS);
                assert_int_equal(batch.labels[i], batch.indices[i] % 10);
                seen[batch.indices[i]]++;
            }
            assert_int_equal(an_loader_release(loader, &batch), AN_OK);
        }
        for (uint32_t i = 0; i < RECORDS; i++)
            assert_int_equal(seen[i], 1);
    }
    assert_int_equal(an_loader_next(loader, &batch), AN_END);
    assert_int_equal(an_loader_next(loader, &batch), AN_END);
    an_loader_free(loader);
}

static void assert_same_draw(const an_image_draw *got, const an_sample_draw *wanted)
{
    assert_int_equal(got->x, wanted->x);
    assert_int_equal(got->y, wanted->y);
    assert_int_equal(got->flip, wanted->flip);
    assert_memory_equal(got->shift, wanted->shift, sizeof got->shift);
    assert_float_equal(got->factor, wanted->factor, 0);
    assert_float_equal(got->share, wanted->share, 0);
    assert_memory_equal(got->box, wanted->box, sizeof got->box);
}

/* Samples against the sampler called directly: each in its place, from its own record, and what was drawn for it. */
static void check_batches(an_loader_options o)
{
    an_loader *loader = start(&o);
    an_sampler *sampler;
    an_sample_scratch *scratch;
    an_batch batch;
    assert_int_equal(an_sampler_create(&sampler, &o.sample, SIDE, an_dataset_statistics(set.dataset)), AN_OK);
    assert_int_equal(an_sample_scratch_create(&scratch, sampler), AN_OK);
    uint8_t *wanted = malloc(sample_bytes(&o));
    for (uint64_t step = 0; step < STEPS; step++) {
        assert_int_equal(an_loader_next(loader, &batch), AN_OK);
        for (uint32_t i = 0; i < batch.count; i++) {
            const an_order order = {AN_ORDER_GLOBAL, RECORDS, 0, o.seed, 3};
            an_record record;
            an_sample_draw draw;
            assert_int_equal(batch.indices[i], an_order_at(&order, step * BATCH + i));
            assert_int_equal(an_dataset_record(set.dataset, batch.indices[i], &record), AN_OK);
            an_sampler_draw(sampler, o.seed, 3, batch.indices[i], &draw);
            assert_same_draw(&batch.draws[i], &draw);
            assert_int_equal(an_sampler_make(sampler, scratch, &record, &draw, wanted), AN_OK);
            assert_memory_equal((uint8_t *)batch.data + i * sample_bytes(&o), wanted, sample_bytes(&o));
        }
        assert_int_equal(an_loader_release(loader, &batch), AN_OK);
    }
    free(wanted);
    an_sample_scratch_free(scratch);
    an_sampler_free(sampler);
    an_loader_free(loader);
}

static void batches_hold_what_the_sampler_makes(void **state)
{
    (void)state;
    an_loader_options o = plain();
    o.first_epoch = 3;
    check_batches(o);
    o.sample.format = (an_format){AN_DTYPE_U8, AN_LAYOUT_NHWC, 3}; /* jitter is drawn, and left to others */
    o.sample.mean = AN_MEAN_NONE;
    o.sample.scale = 1;
    assert_true(o.sample.jitter > 0);
    check_batches(o);
}

/* Up to two milliseconds of sleep, different for every worker and sample. */
static void delay(void *context, int worker)
{
    static _Thread_local uint64_t calls;
    (void)context;
    an_rng rng = an_rng_make(99, AN_RNG_TEST, (uint64_t)worker, calls++);
    struct timespec pause = {.tv_nsec = (long)an_rng_below(&rng, 2000000)};
    if (an_rng_below(&rng, 3) == 0)
        nanosleep(&pause, NULL);
}

static void another_seed_is_another_epoch(void **state)
{
    (void)state;
    an_loader_options o = plain();
    digest one = digest_from(&o, 0);
    o.seed++;
    assert_false(same(digest_from(&o, 0), one));
}

static void every_order_is_the_same_for_every_engine(void **state)
{
    (void)state;
    digest digests[AN_ORDER_SEQUENTIAL + 1];
    for (int order = AN_ORDER_GLOBAL; order <= AN_ORDER_SEQUENTIAL; order++)
        for (size_t e = 0; e < an_reader_engine_count(); e++) {
            an_loader_options o = plain();
            o.order = (an_order_kind)order;
            o.block = 20;
            o.epochs = 2;
            o.engine = (an_reader_engine)e;
            digest found = digest_from(&o, 0);
            if (e == 0)
                digests[order] = found;
            assert_true(same(found, digests[order]));
            assert_true(order == AN_ORDER_GLOBAL || !same(found, digests[order - 1]));
        }
}

static void a_restart_continues_in_mid_epoch(void **state)
{
    (void)state;
    an_loader_options o = plain();
    o.epochs = 3;
    for (uint64_t stop = 1; stop < 2 * STEPS; stop += 5) {
        an_loader_options rest = o;
        rest.first_epoch = stop / STEPS;
        rest.first_step = stop % STEPS;
        rest.epochs = 3 - rest.first_epoch;
        assert_true(same(digest_from(&rest, 0), digest_from(&o, stop)));
    }
    o.first_step = STEPS; /* the end of an epoch is the beginning of the next */
    an_loader_options second = plain();
    second.first_epoch = 1;
    second.epochs = 2;
    assert_true(same(digest_from(&second, 0), digest_from(&o, 0)));
}

static void ranks_share_one_global_order(void **state)
{
    (void)state;
    an_batch batch, part;
    for (uint32_t world = 2; world <= 4; world++) {
        an_loader *ranks[4];
        an_loader_options o = plain();
        an_loader *whole = start(&o);
        o.world = world;
        for (o.rank = 0; o.rank < world; o.rank++) {
            ranks[o.rank] = start(&o);
            assert_int_equal(an_loader_steps_per_epoch(ranks[o.rank]), STEPS / world);
        }
        for (uint64_t b = 0; b < STEPS / world * world; b++) {
            assert_int_equal(an_loader_next(whole, &batch), AN_OK);
            assert_int_equal(an_loader_next(ranks[b % world], &part), AN_OK);
            assert_int_equal(part.step, b / world);
            assert_memory_equal(batch.data, part.data, BATCH * sample_bytes(&o));
            assert_memory_equal(batch.indices, part.indices, BATCH * sizeof *batch.indices);
            assert_int_equal(an_loader_release(whole, &batch), AN_OK);
            assert_int_equal(an_loader_release(ranks[b % world], &part), AN_OK);
        }
        for (uint32_t r = 0; r < world; r++) {
            assert_int_equal(an_loader_next(ranks[r], &part), AN_END);
            an_loader_free(ranks[r]);
        }
        an_loader_free(whole);
    }
}

/* Evaluation: every record on some rank, short batches included. */
static void ranks_cover_everything_without_drop_last(void **state)
{
    (void)state;
    int seen[RECORDS] = {0};
    an_batch batch;
    an_loader_options o = plain();
    o.last = AN_LAST_SHORT;
    o.order = AN_ORDER_SEQUENTIAL;
    o.world = 5;
    for (o.rank = 0; o.rank < o.world; o.rank++) {
        an_loader *loader = start(&o);
        while (!an_loader_next(loader, &batch)) {
            for (uint32_t i = 0; i < batch.count; i++)
                seen[batch.indices[i]]++;
            assert_int_equal(an_loader_release(loader, &batch), AN_OK);
        }
        an_loader_free(loader);
    }
    for (uint32_t i = 0; i < RECORDS; i++)
        assert_int_equal(seen[i], 1);
    o.rank = 4;
    o.batch = 100; /* three batches for five ranks: this one has none */
    an_loader *loader = start(&o);
    assert_int_equal(an_loader_next(loader, &batch), AN_END);
    an_loader_free(loader);
}

static void a_subset_is_all_there_is(void **state)
{
    (void)state;
    const uint64_t subset[5] = {200, 3, 77, 4, 150};
    int seen[5] = {0};
    an_batch batch;
    an_loader_options o = plain();
    o.subset = subset;
    o.subset_count = 5;
    o.batch = 2;
    o.last = AN_LAST_SHORT;
    an_loader *loader = start(&o);
    while (!an_loader_next(loader, &batch)) {
        for (uint32_t i = 0; i < batch.count; i++)
            for (int k = 0; k < 5; k++)
                seen[k] += batch.indices[i] == subset[k];
        assert_int_equal(an_loader_release(loader, &batch), AN_OK);
    }
    for (int k = 0; k < 5; k++)
        assert_int_equal(seen[k], 1);
    an_loader_free(loader);
}

static void batches_stay_until_released(void **state)
{
    (void)state;
    an_batch held[3], batch;
    an_loader_options o = plain();
    o.slots = 3;
    an_loader *loader = start(&o);
    for (int i = 0; i < 3; i++)
        assert_int_equal(an_loader_next(loader, &held[i]), AN_OK);
    assert_int_equal(an_loader_try_next(loader, &batch), AN_AGAIN);
    assert_int_equal(an_loader_next(loader, &batch), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "release"));
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(held[i].step, i);
    assert_int_equal(an_loader_release(loader, &held[0]), AN_OK);
    assert_int_equal(an_loader_next(loader, &batch), AN_OK);
    assert_int_equal(batch.step, 3);
    an_loader_free(loader); /* with batches held */
}

static void try_next_says_again_until_a_batch_is_there(void **state)
{
    (void)state;
    an_batch batch;
    an_loader_options o = plain();
    uint64_t steps = 0;
    int rc;
    an_loader *loader = start(&o);
    while ((rc = an_loader_try_next(loader, &batch)) != AN_END) {
        if (rc == AN_AGAIN)
            continue;
        assert_int_equal(rc, AN_OK);
        steps++;
        assert_int_equal(an_loader_release(loader, &batch), AN_OK);
    }
    assert_int_equal(steps, STEPS);
    an_loader_free(loader);
}

static void stopping_is_possible_at_any_moment(void **state)
{
    (void)state;
    static const an_reader_engine engines[] = {AN_READER_PREAD, AN_READER_MMAP, AN_READER_AUTO};
    for (uint64_t taken = 0; taken < 60; taken++) {
        an_batch batch;
        an_loader_options o = plain();
        o.engine = engines[taken % 3];
        o.threads = 1 + (int)(taken % 4);
        o.epochs = taken % 2 ? 0 : 1;
        o.worker_hook = taken % 5 ? NULL : delay;
        an_loader *loader = start(&o);
        for (uint64_t i = 0; i < taken % STEPS; i++) {
            assert_int_equal(an_loader_next(loader, &batch), AN_OK);
            if (i + 2 < taken % STEPS || taken % 3)
                assert_int_equal(an_loader_release(loader, &batch), AN_OK);
            else
                break;
        }
        if (taken % 7 == 0)
            nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
        an_loader_free(loader);
    }
    an_loader_free(NULL);
}

/* Batches before the damaged record arrive; its own fails and says which record it is; then it stays so. */
static void damage_is_reported_in_its_turn(void **state)
{
    (void)state;
    static const an_reader_engine engines[] = {AN_READER_PREAD, AN_READER_MMAP, AN_READER_AUTO};
    fixture_flip_byte(&set, 150);
    for (size_t e = 0; e < 3; e++) {
        an_batch batch;
        an_loader_options o = plain();
        o.order = AN_ORDER_SEQUENTIAL;
        o.engine = engines[e];
        o.threads = 3;
        an_loader *loader = start(&o);
        for (uint32_t step = 0; step < 150 / BATCH; step++) {
            assert_int_equal(an_loader_next(loader, &batch), AN_OK);
            assert_int_equal(an_loader_release(loader, &batch), AN_OK);
        }
        for (int i = 0; i < 2; i++) {
            assert_int_equal(an_loader_next(loader, &batch), AN_ECORRUPT);
            assert_int_equal(batch.lease, 0);
            assert_non_null(strstr(an_error_message(), "record 150 ('class/150.png')"));
            assert_non_null(strstr(an_error_message(), set.path));
        }
        assert_int_equal(an_loader_try_next(loader, &batch), AN_ECORRUPT);
        an_loader_free(loader);
    }
    fixture_flip_byte(&set, 150);
}

static void refuse(const an_loader_options *o, const char *word)
{
    an_loader *loader = (void *)1;
    assert_int_equal(an_loader_create(&loader, o), AN_EINVAL);
    assert_null(loader);
    if (!strstr(an_error_message(), word))
        fail_msg("'%s' does not mention '%s'", an_error_message(), word);
}

static int counting_alloc(void *context, void **out, size_t size)
{
    ++*(int *)context;
    return an_pages_alloc(out, size);
}

static void counting_free(void *context, void *memory, size_t size)
{
    --*(int *)context;
    an_pages_free(memory, size);
}

static void impossible_options_are_named(void **state)
{
    (void)state;
    const uint64_t beyond[1] = {RECORDS};
    an_loader_options o;
    o = plain(), o.threads = 0, refuse(&o, "threads 0");
    o = plain(), o.slots = 1, refuse(&o, "slots 1");
    o = plain(), o.depth = 0, refuse(&o, "depth 0");
    o = plain(), o.depth = 5000, refuse(&o, "depth 5000");
    o = plain(), o.batch = 0, refuse(&o, "batch 0");
    o = plain(), o.world = 0, refuse(&o, "world 0");
    o = plain(), o.rank = 1, refuse(&o, "rank 1");
    o = plain(), o.order = AN_ORDER_BLOCK, refuse(&o, "block 0");
    o = plain(), o.batch = RECORDS + 1, refuse(&o, "do not fill");
    o = plain(), o.world = RECORDS, refuse(&o, "do not fill");
    o = plain(), o.first_step = STEPS + 1, refuse(&o, "step 13");
    o = plain(), o.epochs = UINT64_MAX, refuse(&o, "epochs");
    o = plain(), o.subset = beyond, o.subset_count = 1, o.batch = 1, refuse(&o, "record 203");
    o = plain(), o.subset = beyond, o.subset_count = 0, refuse(&o, "no records");
    char unknown[32];
    snprintf(unknown, sizeof unknown, "engine %zu", an_reader_engine_count());
    o = plain(), o.engine = (an_reader_engine)an_reader_engine_count(), refuse(&o, unknown);
    o = plain(), o.engine = (an_reader_engine)-1, refuse(&o, "engine");
    o = plain(), o.order = (an_order_kind)3, refuse(&o, "order 3");
    o = plain(), o.order = (an_order_kind)-1, refuse(&o, "order");
    o = plain(), o.dataset = NULL, refuse(&o, "dataset");
    o = plain(), o.memory_alloc = counting_alloc, refuse(&o, "memory_free");
    o = plain(), o.memory_free = counting_free, refuse(&o, "memory_alloc");
    o = plain(), o.threads = 1025, refuse(&o, "threads 1025");
    o = plain(), o.slots = 4097, refuse(&o, "slots 4097");
    o = plain(), o.order = AN_ORDER_BLOCK, o.block = UINT64_MAX, refuse(&o, "order block");
    o = plain(), o.sample.crop = SIDE + 1, refuse(&o, "crop");
    o = plain(), o.sample.mean = (an_mean_kind)4, refuse(&o, "mean 4");
    o = plain(), o.sample.scale = 0, refuse(&o, "scale 0");
    o = plain(), o.sample.jitter = -1, refuse(&o, "jitter");
    o = plain(), o.sample.area_min = 2, refuse(&o, "area 2");
    o = plain(), o.sample.format.channels = 2, refuse(&o, "2 channels");
    o = plain(), o.sample.format.layout = (an_layout)9, refuse(&o, "layout 9");
    o = plain(), o.sample.format.dtype = (an_dtype)9, refuse(&o, "type 9");
}

static int failing_alloc(void *context, void **out, size_t size)
{
    (void)context, (void)out;
    return an_error(AN_ENOMEM, "no %zu bytes of pinned memory", size);
}

static void slots_come_from_the_given_memory(void **state)
{
    (void)state;
    int allocations = 0;
    an_batch batch;
    an_loader *loader;
    an_loader_options o = plain();
    o.memory_alloc = counting_alloc;
    o.memory_free = counting_free;
    o.memory_context = &allocations;
    loader = start(&o);
    assert_int_equal(allocations, 1);
    assert_int_equal(an_loader_next(loader, &batch), AN_OK);
    assert_int_equal((uintptr_t)batch.data % 4096, 0);
    an_loader_free(loader);
    assert_int_equal(allocations, 0);
    o.memory_alloc = failing_alloc;
    assert_int_equal(an_loader_create(&loader, &o), AN_ENOMEM);
    assert_int_equal(allocations, 0);
}

static void counters_add_up(void **state)
{
    (void)state;
    an_loader_stats stats;
    an_batch batch;
    uint64_t bytes = 0;
    an_loader_options o = plain();
    o.epochs = 0;
    an_loader *loader = start(&o);
    for (uint32_t i = 0; i < STEPS; i++) {
        assert_int_equal(an_loader_next(loader, &batch), AN_OK);
        for (uint32_t k = 0; k < batch.count; k++)
            bytes += an_dataset_index(set.dataset)[batch.indices[k]].length;
        assert_int_equal(an_loader_release(loader, &batch), AN_OK);
    }
    an_loader_stats_get(loader, &stats);
    assert_int_equal(stats.batches, STEPS);
    assert_int_equal(stats.samples, STEPS * BATCH);
    assert_int_equal(stats.threads, 2);
    assert_true(bytes > 0 && stats.elapsed_ns > 0 && stats.worker_busy_ns > 0);
    assert_true(stats.consumer_wait_ns <= stats.elapsed_ns);
    uint64_t worker_time = stats.worker_busy_ns + stats.worker_wait_read_ns + stats.worker_wait_slot_ns;
    assert_true(worker_time <= 2 * stats.elapsed_ns);
    uint64_t reset = an_clock_ns();
    an_loader_stats_reset(loader);
    an_loader_stats_get(loader, &stats);
    assert_int_equal(stats.batches, 0);
    assert_true(stats.elapsed_ns <= an_clock_ns() - reset);
    an_loader_free(loader);
}

static void the_verdict_names_the_binding_stage(void **state)
{
    (void)state;
    char text[256];
    const uint64_t second = 1000000000;
    an_loader_stats s = {.elapsed_ns = 10 * second, .threads = 2};
    s.worker_busy_ns = 19 * second;
    s.consumer_wait_ns = 4 * second;
    assert_string_equal(an_loader_verdict(&s, text, sizeof text), "decode");
    assert_non_null(strstr(text, "40 %"));
    s.worker_busy_ns = 3 * second;
    s.worker_wait_read_ns = 17 * second;
    assert_string_equal(an_loader_verdict(&s, text, sizeof text), "read");
    s.worker_wait_read_ns = 0;
    s.worker_wait_slot_ns = 17 * second;
    s.consumer_wait_ns = second / 50;
    assert_string_equal(an_loader_verdict(&s, text, sizeof text), "consumer");
    an_loader_stats none = {0};
    assert_string_equal(an_loader_verdict(&none, text, sizeof text), "consumer");
}

/* A slow consumer is seen as such by the counters of a real run. */
static void a_slow_consumer_is_the_limit(void **state)
{
    (void)state;
    char text[256];
    an_loader_stats stats;
    an_batch batch;
    an_loader_options o = plain();
    o.epochs = 0;
    an_loader *loader = start(&o);
    for (uint32_t i = 0; i < 12; i++) {
        assert_int_equal(an_loader_next(loader, &batch), AN_OK);
        if (i == 2)
            an_loader_stats_reset(loader);
        nanosleep(&(struct timespec){.tv_nsec = 60000000}, NULL);
        assert_int_equal(an_loader_release(loader, &batch), AN_OK);
    }
    an_loader_stats_get(loader, &stats);
    assert_true(stats.worker_wait_slot_ns > stats.worker_wait_read_ns);
    assert_true(stats.reader_blocked_ns > 0);
    assert_string_not_equal(an_loader_verdict(&stats, text, sizeof text), "read");
    an_loader_free(loader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_epoch_delivers_every_record_once),
        cmocka_unit_test(batches_hold_what_the_sampler_makes),
        cmocka_unit_test(another_seed_is_another_epoch),
        cmocka_unit_test(every_order_is_the_same_for_every_engine),
        cmocka_unit_test(a_restart_continues_in_mid_epoch),
        cmocka_unit_test(ranks_share_one_global_order),
        cmocka_unit_test(ranks_cover_everything_without_drop_last),
        cmocka_unit_test(a_subset_is_all_there_is),
        cmocka_unit_test(batches_stay_until_released),
        cmocka_unit_test(try_next_says_again_until_a_batch_is_there),
        cmocka_unit_test(stopping_is_possible_at_any_moment),
        cmocka_unit_test(damage_is_reported_in_its_turn),
        cmocka_unit_test(impossible_options_are_named),
        cmocka_unit_test(slots_come_from_the_given_memory),
        cmocka_unit_test(counters_add_up),
        cmocka_unit_test(the_verdict_names_the_binding_stage),
        cmocka_unit_test(a_slow_consumer_is_the_limit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
