/* What a loader delivers: the bytes of augment's loader, epoch by epoch. */
#include "support.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "augment/loader.h"

/* ---- the same bytes ---------------------------------------------------------------------------------------------- */

/* What the same options are called within. */
typedef struct {
    const char *name;
    void (*liban)(liban_loader_options *o);
    void (*inner)(an_loader_options *o);
} translation;

static void bytes(liban_loader_options *o)
{
    o->layout = LIBAN_NHWC;
}

static void inner_bytes(an_loader_options *o)
{
    o->sample.format.layout = AN_LAYOUT_NHWC;
}

static void centre(liban_loader_options *o)
{
    o->centre = true;
    o->mirror = false;
    o->order = LIBAN_ORDER_SEQUENTIAL;
}

static void inner_centre(an_loader_options *o)
{
    o->sample.random_crop = false;
    o->sample.flip = false;
    o->order = AN_ORDER_SEQUENTIAL;
}

static void normal(liban_loader_options *o)
{
    const double mean[] = {120, 115, 100}, deviation[] = {60, 55, 50};
    o->dtype = LIBAN_F32;
    o->mean = LIBAN_MEAN_GIVEN;
    o->deviation = LIBAN_DEVIATION_GIVEN;
    memcpy(o->mean_given, mean, sizeof mean);
    memcpy(o->deviation_given, deviation, sizeof deviation);
    o->jitter = 0.1;
    o->seed = 9;
}

static void inner_normal(an_loader_options *o)
{
    const double mean[] = {120, 115, 100}, deviation[] = {60, 55, 50};
    o->sample.format.dtype = AN_DTYPE_F32;
    o->sample.mean = AN_MEAN_GIVEN;
    memcpy(o->sample.mean_given, mean, sizeof mean);
    memcpy(o->sample.deviation, deviation, sizeof deviation);
    o->sample.jitter = 0.1;
    o->seed = 9;
}

static void dataset_values(liban_loader_options *o)
{
    o->dtype = LIBAN_BF16;
    o->mean = LIBAN_MEAN_DATASET;
    o->deviation = LIBAN_DEVIATION_DATASET;
    o->resized = 0.3;
}

static void inner_dataset_values(an_loader_options *o)
{
    o->sample.format.dtype = AN_DTYPE_BF16;
    o->sample.mean = AN_MEAN_CHANNEL;
    memcpy(o->sample.deviation, an_dataset_statistics(set.dataset)->deviation, sizeof o->sample.deviation);
    o->sample.area_min = 0.3;
}

static void mean_image(liban_loader_options *o)
{
    o->dtype = LIBAN_F16;
    o->mean = LIBAN_MEAN_PIXEL;
    o->order = LIBAN_ORDER_BLOCK;
    o->block = 10;
}

static void inner_mean_image(an_loader_options *o)
{
    o->sample.format.dtype = AN_DTYPE_F16;
    o->sample.mean = AN_MEAN_PIXEL;
    o->order = AN_ORDER_BLOCK;
    o->block = 10;
}

static void mixed(liban_loader_options *o)
{
    o->mixup = 0.4;
    o->cutmix = 1;
    o->rank = 1;
    o->world = 3;
}

static void inner_mixed(an_loader_options *o)
{
    o->sample.mixup = 0.4;
    o->sample.cutmix = 1;
    o->rank = 1;
    o->world = 3;
}

static void padded(liban_loader_options *o)
{
    o->last = LIBAN_LAST_PAD;
    o->epoch = 5;
}

static void inner_padded(an_loader_options *o)
{
    o->last = AN_LAST_PAD;
    o->first_epoch = 5;
}

static const uint64_t chosen[] = {3, 3, 50, 7, 100, 12, 13, 14, 0, 1};

static void subset(liban_loader_options *o)
{
    o->indices = chosen;
    o->index_count = 10;
    o->last = LIBAN_LAST_SHORT;
}

static void inner_subset(an_loader_options *o)
{
    o->subset = chosen;
    o->subset_count = 10;
    o->last = AN_LAST_EVEN;
}

static an_loader_options inner_options(void)
{
    return (an_loader_options){.dataset = set.dataset,
                               .sample = {.crop = 16,
                                          .random_crop = true,
                                          .flip = true,
                                          .scale = 1,
                                          .format = {AN_DTYPE_U8, AN_LAYOUT_NCHW, 3}},
                               .engine = AN_READER_PREAD,
                               .depth = 3,
                               .threads = 1,
                               .slots = 2,
                               .batch = BATCH,
                               .seed = 1,
                               .world = 1,
                               .verify = true};
}

static void compare(const liban_batch *mine, const an_batch *theirs)
{
    assert_int_equal(mine->count, theirs->count);
    assert_int_equal(mine->images_size, theirs->size);
    assert_memory_equal(mine->images, theirs->data, theirs->size);
    assert_memory_equal(mine->indices, theirs->indices, theirs->count * sizeof *theirs->indices);
    for (uint32_t i = 0; i < theirs->count; i++) {
        assert_int_equal(mine->labels[i], theirs->labels[i]);
        if (mine->shares) {
            assert_true(mine->shares[i] == theirs->draws[i].share);
            assert_memory_equal(mine->boxes[i], theirs->draws[i].box, sizeof theirs->draws[i].box);
        }
    }
    assert_int_equal(mine->epoch, theirs->epoch);
    assert_int_equal(mine->step, theirs->step);
    assert_int_equal(mine->position, theirs->position);
    assert_int_equal(mine->repeated, theirs->repeated);
    assert_int_equal(mine->last, theirs->last);
    assert_int_equal(mine->device, -1);
}

static void compare_epoch(const translation *t)
{
    liban_loader_options options = small();
    an_loader_options inner = inner_options();
    an_loader *reference;
    an_batch theirs;
    t->liban(&options);
    t->inner(&inner);
    liban_loader *loader = start(&options);
    assert_int_equal(an_loader_create(&reference, &inner), 0);
    bool mixing = inner.sample.mixup > 0;
    for (bool last = false; !last;) {
        liban_batch *mine = take(loader);
        assert_int_equal(an_loader_next(reference, &theirs), 0);
        assert_true(mixing == (mine->shares != NULL) && mixing == (mine->boxes != NULL));
        compare(mine, &theirs);
        last = theirs.last;
        give(mine);
        assert_int_equal(an_loader_release(reference, &theirs), 0);
    }
    an_loader_free(reference);
    liban_loader_free(loader);
}

static void options_mean_what_they_mean_within(void **state)
{
    (void)state;
    static const translation all[] = {
        {"bytes", bytes, inner_bytes},
        {"centre", centre, inner_centre},
        {"mean and deviation", normal, inner_normal},
        {"the dataset's mean and deviation", dataset_values, inner_dataset_values},
        {"the dataset's mean image", mean_image, inner_mean_image},
        {"mixing, one rank of three", mixed, inner_mixed},
        {"padded", padded, inner_padded},
        {"subset", subset, inner_subset},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        print_message("  %s\n", all[i].name);
        compare_epoch(&all[i]);
    }
}

/* ---- epochs ------------------------------------------------------------------------------------------------------ */

/* Take batches until the epoch ends; returns how many. */
static uint64_t count_epoch(liban_loader *loader, uint64_t epoch, uint64_t *samples)
{
    liban_batch *batch;
    uint64_t batches = 0;
    int rc;
    for (*samples = 0; !(rc = liban_loader_next(loader, &batch)); batches++) {
        assert_int_equal(batch->epoch, epoch);
        assert_int_equal(batch->step, batches);
        *samples += batch->count;
        give(batch);
    }
    assert_int_equal(rc, LIBAN_END);
    assert_null(batch);
    return batches;
}

static void epochs_end_one_by_one(void **state)
{
    (void)state;
    static const uint64_t batches[] = {RECORDS / BATCH, RECORDS / BATCH + 1, RECORDS / BATCH + 1};
    static const uint64_t samples[] = {RECORDS / BATCH * BATCH, RECORDS, (RECORDS / BATCH + 1) * BATCH};
    for (int last = LIBAN_LAST_DROP; last <= LIBAN_LAST_PAD; last++) {
        liban_loader_options options = small();
        options.last = last;
        liban_loader *loader = start(&options);
        assert_int_equal(liban_loader_steps(loader), batches[last]);
        for (uint64_t epoch = 0, count; epoch < 4; epoch++) {
            assert_int_equal(count_epoch(loader, epoch, &count), batches[last]);
            assert_int_equal(count, samples[last]);
        }
        liban_loader_free(loader);
    }
}

static void ranks_have_equally_many_batches(void **state)
{
    (void)state;
    for (int last = LIBAN_LAST_DROP; last <= LIBAN_LAST_PAD; last++)
        for (uint32_t rank = 0; rank < 3; rank++) {
            liban_loader_options options = small();
            uint64_t samples;
            options.last = last;
            options.rank = rank;
            options.world = 3;
            liban_loader *loader = start(&options);
            assert_int_equal(count_epoch(loader, 0, &samples), liban_loader_steps(loader));
            assert_int_equal(liban_loader_steps(loader), last == LIBAN_LAST_DROP ? 4 : 5);
            liban_loader_free(loader);
        }
}

static void crops_change_their_size(void **state)
{
    (void)state;
    static const liban_crop_change changes[] = {{1, 20}, {3, 12}};
    static const uint32_t crops[] = {16, 20, 20, 12, 12};
    liban_loader_options options = small();
    liban_batch *batch, *kept[5];
    uint64_t hashes[5];
    options.crop_changes = changes;
    options.crop_change_count = 2;
    liban_loader *loader = start(&options);
    for (uint64_t epoch = 0; epoch < 5; epoch++) {
        kept[epoch] = take(loader);
        assert_int_equal(kept[epoch]->epoch, epoch);
        assert_int_equal(kept[epoch]->crop, crops[epoch]);
        hashes[epoch] = hash_of(kept[epoch]);
        while (!liban_loader_next(loader, &batch)) {
            assert_int_equal(batch->crop, crops[epoch]);
            give(batch);
        }
    }
    for (uint64_t epoch = 0; epoch < 5; epoch++) { /* those of runs that are over stay as they were */
        assert_int_equal(hash_of(kept[epoch]), hashes[epoch]);
        give(kept[epoch]);
    }
    liban_loader_stats stats;
    liban_loader_stats_get(loader, &stats); /* of all runs together */
    assert_int_equal(stats.batches, 5 * (RECORDS / BATCH));
    liban_loader_free(loader);
}

/* What is called a change, but is none, must not end anything. */
static void crops_may_change_to_what_they_are(void **state)
{
    (void)state;
    static const liban_crop_change changes[] = {{1, 16}, {2, 12}, {3, 12}, {4, 16}};
    static const uint32_t crops[] = {16, 16, 12, 12, 16, 16};
    liban_loader_options options = small();
    liban_batch *batch;
    options.crop_changes = changes;
    options.crop_change_count = 4;
    liban_loader *loader = start(&options);
    for (uint64_t epoch = 0; epoch < 6; epoch++) {
        uint64_t batches = 0;
        while (!liban_loader_next(loader, &batch)) {
            assert_int_equal(batch->epoch, epoch);
            assert_int_equal(batch->crop, crops[epoch]);
            batches++;
            give(batch);
        }
        assert_int_equal(batches, liban_loader_steps(loader));
    }
    liban_loader_free(loader);
}

static void weights_choose_records(void **state)
{
    (void)state;
    double weights[RECORDS] = {[5] = 5e307, [70] = 1.5e308}; /* their sum is more than a double holds */
    uint32_t seen[2] = {0};
    liban_loader_options options = small();
    liban_batch *batch;
    options.weights = weights;
    options.weight_count = RECORDS;
    liban_loader *loader = start(&options);
    while (!liban_loader_next(loader, &batch)) {
        for (uint32_t i = 0; i < batch->count; i++) {
            assert_true(batch->indices[i] == 5 || batch->indices[i] == 70);
            seen[batch->indices[i] == 70]++;
        }
        give(batch);
    }
    assert_true(seen[0] > 0 && seen[1] > seen[0]);
    liban_loader_free(loader);
}

/* ---- lending ----------------------------------------------------------------------------------------------------- */

static void more_slots_are_made_up_to_the_limit(void **state)
{
    (void)state;
    liban_loader_options options = small();
    liban_batch *held[5], *more = NULL;
    uint64_t hashes[5];
    options.slots = 2;
    options.slots_max = 5;
    liban_loader *loader = start(&options);
    for (int i = 0; i < 5; i++) {
        held[i] = take(loader);
        hashes[i] = hash_of(held[i]);
    }
    assert_int_equal(liban_loader_next(loader, &more), LIBAN_EINVAL);
    message_has("all 5 batches are lent");
    assert_null(more);
    give(held[3]);
    more = take(loader);
    assert_int_equal(more->step, 5);
    liban_loader_stats stats;
    liban_loader_stats_get(loader, &stats);
    assert_int_equal(stats.slots, 5);
    held[3] = more;
    hashes[3] = hash_of(more);
    for (int i = 4; i >= 0; i--) {
        assert_int_equal(hash_of(held[i]), hashes[i]);
        give(held[i]);
    }
    liban_loader_free(loader);
}

static void a_batch_is_released_once(void **state)
{
    (void)state;
    liban_loader_options options = small();
    liban_loader *loader = start(&options);
    liban_batch *batch = take(loader);
    assert_int_equal(liban_batch_use(batch, NULL), LIBAN_EINVAL);
    message_has("host");
    assert_int_equal(liban_batch_use(NULL, NULL), LIBAN_EINVAL);
    give(batch);
    assert_int_equal(liban_batch_release(batch), LIBAN_EINVAL);
    message_has("not lent");
    assert_int_equal(liban_batch_release(NULL), LIBAN_EINVAL);
    liban_loader_free(loader);
}

static void waiting_may_be_limited(void **state)
{
    (void)state;
    liban_loader_options options = small();
    liban_batch *batch;
    int rc = LIBAN_OK;
    options.batch = 100;
    for (int i = 0; i < 1000 && rc != LIBAN_AGAIN; i++) { /* decoding takes longer than asking */
        liban_loader *loader = start(&options);
        rc = liban_loader_next_within(loader, &batch, 0);
        if (rc == LIBAN_AGAIN) {
            assert_null(batch);
            batch = take(loader); /* nothing was lost */
            assert_int_equal(batch->epoch, 0);
        }
        give(batch);
        assert_int_equal(liban_loader_next_within(loader, &batch, UINT64_MAX), LIBAN_END);
        liban_loader_free(loader);
    }
    assert_int_equal(rc, LIBAN_AGAIN);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static void as_many_threads_as_the_process_may_use_processors(void **state)
{
    (void)state;
    liban_loader_options options = small();
    liban_loader_stats stats;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    options.threads = 0;
    liban_loader *loader = start(&options);
    liban_loader_stats_get(loader, &stats);
    liban_loader_free(loader);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    assert_int_equal(stats.threads, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_mean_what_they_mean_within),
        cmocka_unit_test(epochs_end_one_by_one),
        cmocka_unit_test(ranks_have_equally_many_batches),
        cmocka_unit_test(crops_change_their_size),
        cmocka_unit_test(crops_may_change_to_what_they_are),
        cmocka_unit_test(weights_choose_records),
        cmocka_unit_test(more_slots_are_made_up_to_the_limit),
        cmocka_unit_test(a_batch_is_released_once),
        cmocka_unit_test(waiting_may_be_limited),
        cmocka_unit_test(as_many_threads_as_the_process_may_use_processors),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
