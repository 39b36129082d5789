/* What a loader refuses, and how it fails. */
#include "support.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void structs_of_other_versions_are_refused(void **state)
{
    (void)state;
    liban_loader_options options = small();
    options.version = 0;
    refused(&options, LIBAN_EINVAL, "liban_loader_options has version 0: begin with its initialiser");
    options.version = LIBAN_LOADER_OPTIONS_VERSION + 1;
    refused(&options, LIBAN_EUNSUPPORTED, "liban_loader_options has version 2, this library knows 1");
    refused(NULL, LIBAN_EINVAL, "liban_loader_options is NULL");
    liban_loader *loader;
    options = small();
    assert_int_equal(liban_loader_create(&loader, NULL, &options), LIBAN_EINVAL);
    message_has("needs a dataset");
    liban_loader_free(NULL);
    liban_loader_close(NULL);
}

#define REFUSED(CODE, WORDS, ...)                                                                                      \
    do {                                                                                                               \
        liban_loader_options o = small();                                                                              \
        __VA_ARGS__;                                                                                                   \
        refused(&o, CODE, WORDS);                                                                                      \
    } while (0)

static void impossible_places_are_refused(void **state)
{
    (void)state;
    REFUSED(LIBAN_EINVAL, "batch 0", o.batch = 0);
    REFUSED(LIBAN_EINVAL, "do not fill a batch of 200", o.batch = 200);
    REFUSED(LIBAN_EINVAL, "world 0", o.world = 0);
    REFUSED(LIBAN_EINVAL, "rank 2", o.rank = 2; o.world = 2);
    REFUSED(LIBAN_EINVAL, "order 3", o.order = 3);
    REFUSED(LIBAN_EINVAL, "order -1", o.order = -1);
    REFUSED(LIBAN_EINVAL, "block 0", o.order = LIBAN_ORDER_BLOCK);
    REFUSED(LIBAN_EINVAL, "last 3", o.last = 3);
    REFUSED(LIBAN_EINVAL, "epoch 18446744073709551615", o.epoch = UINT64_MAX);
    REFUSED(LIBAN_EINVAL, "position 102 is beyond the 101 records", o.position = RECORDS + 1);
}

static void impossible_records_are_refused(void **state)
{
    (void)state;
    const uint64_t beyond[] = {0, RECORDS};
    double weights[RECORDS] = {1, 2};
    REFUSED(LIBAN_EINVAL, "indices: number 1 is 101", o.indices = beyond; o.index_count = 2);
    REFUSED(LIBAN_EINVAL, "indices are empty", o.indices = beyond);
    REFUSED(LIBAN_EINVAL, "index_count without indices", o.index_count = 2);
    REFUSED(LIBAN_EINVAL, "2 weights for 101 records", o.weights = weights; o.weight_count = 2);
    REFUSED(LIBAN_EINVAL, "weight_count without weights", o.weight_count = 2);
    REFUSED(LIBAN_EINVAL, "weights need order global", o.weights = weights; o.weight_count = RECORDS;
            o.order = LIBAN_ORDER_SEQUENTIAL);
    weights[1] = -1;
    REFUSED(LIBAN_EINVAL, "weights: number 1 is -1", o.weights = weights; o.weight_count = RECORDS);
    weights[1] = NAN;
    REFUSED(LIBAN_EINVAL, "weights: number 1 is", o.weights = weights; o.weight_count = RECORDS);
    weights[0] = weights[1] = 0;
    REFUSED(LIBAN_EINVAL, "weights are all 0", o.weights = weights; o.weight_count = RECORDS);
}

static void impossible_crops_are_refused(void **state)
{
    (void)state;
    const liban_crop_change large = {1, SIDE + 1}, falling[] = {{3, 8}, {3, 9}};
    REFUSED(LIBAN_EINVAL, "crop 0", o.crop = 0);
    REFUSED(LIBAN_EINVAL, "crop 25", o.crop = SIDE + 1);
    REFUSED(LIBAN_EINVAL, "crop_changes: crop 25", o.crop_changes = &large; o.crop_change_count = 1);
    REFUSED(LIBAN_EINVAL, "epoch 3 follows epoch 3", o.crop_changes = falling; o.crop_change_count = 2);
    REFUSED(LIBAN_EINVAL, "crop_changes is NULL", o.crop_change_count = 2);
    REFUSED(LIBAN_EINVAL, "centre", o.resized = 0.5; o.centre = true);
    REFUSED(LIBAN_EINVAL, "area 2", o.resized = 2);
    REFUSED(LIBAN_EINVAL, "resized excludes mean pixel", o.resized = 0.5; o.mean = LIBAN_MEAN_PIXEL;
            o.dtype = LIBAN_F32);
}

static void impossible_values_are_refused(void **state)
{
    (void)state;
    REFUSED(LIBAN_EINVAL, "dtype 4", o.dtype = 4);
    REFUSED(LIBAN_EINVAL, "layout 2", o.layout = 2);
    REFUSED(LIBAN_EINVAL, "channels must be 3 (RGB) or 1 (grey), not 4", o.channels = 4);
    REFUSED(LIBAN_EINVAL, "mean 9", o.mean = 9; o.dtype = LIBAN_F32);
    REFUSED(LIBAN_EINVAL, "deviation -2", o.deviation = -2; o.dtype = LIBAN_F32);
    REFUSED(LIBAN_EINVAL, "mean needs a float dtype", o.mean = LIBAN_MEAN_DATASET);
    REFUSED(LIBAN_EINVAL, "deviation needs a float dtype", o.deviation = LIBAN_DEVIATION_DATASET);
    REFUSED(LIBAN_EINVAL, "jitter needs a float dtype", o.jitter = 0.1);
    REFUSED(LIBAN_EINVAL, "jitter -1", o.jitter = -1; o.dtype = LIBAN_F32);
    REFUSED(LIBAN_EINVAL, "grey images have none", o.jitter = 0.1; o.dtype = LIBAN_F32; o.channels = 1);
    REFUSED(LIBAN_EINVAL, "mean_given: inf", o.mean = LIBAN_MEAN_GIVEN; o.mean_given[2] = INFINITY;
            o.dtype = LIBAN_F32);
    REFUSED(LIBAN_EINVAL, "deviation_given: 0", o.deviation = LIBAN_DEVIATION_GIVEN; o.dtype = LIBAN_F32);
    REFUSED(LIBAN_EINVAL, "mixup -1", o.mixup = -1);
}

static int no_memory(void *context, void **out, size_t size)
{
    ++*(int *)context;
    (void)size;
    *out = NULL;
    return LIBAN_ENOMEM;
}

static int errno_of_no_memory(void *context, void **out, size_t size)
{
    (void)context, (void)out, (void)size;
    return ENOMEM; /* above 0, where the outcomes are */
}

static int nothing(void *context, void **out, size_t size)
{
    (void)context, (void)out, (void)size;
    return LIBAN_OK;
}

static void never(void *context, void *memory, size_t size)
{
    (void)memory;
    (void)size;
    *(int *)context = -1000;
}

static void impossible_ways_of_working_are_refused(void **state)
{
    (void)state;
    int asked = 0;
    REFUSED(LIBAN_EINVAL, "threads -1", o.threads = -1);
    REFUSED(LIBAN_EINVAL, "threads 1025", o.threads = 1025);
    REFUSED(LIBAN_EINVAL, "slots 1", o.slots = 1);
    REFUSED(LIBAN_EINVAL, "slots_max 3 is below slots 4", o.slots = 4; o.slots_max = 3);
    REFUSED(LIBAN_EINVAL, "slots_max 1 is outside 2", o.slots_max = 1);
    REFUSED(LIBAN_EINVAL, "slots_max -1", o.slots_max = -1);
    REFUSED(LIBAN_EINVAL, "slots_max 4097", o.slots_max = 4097; o.device = "cuda:0");
    REFUSED(LIBAN_EINVAL, "depth 5000", o.depth = 5000);
    REFUSED(LIBAN_EINVAL, "engine 'steam' is unknown: choose auto, uring", o.engine = "steam");
    REFUSED(LIBAN_EINVAL, "memory_alloc and memory_free", o.memory_alloc = no_memory);
    REFUSED(LIBAN_EUNSUPPORTED, "device 'cuda:0'", o.device = "cuda:0");
    REFUSED(LIBAN_ENOMEM, "4 slots with a batch of 8 each: memory_alloc gave no memory", o.memory_alloc = no_memory;
            o.memory_free = never; o.memory_context = &asked);
    assert_int_equal(asked, 1);
    REFUSED(LIBAN_EINVAL, "memory_alloc returned 12", o.memory_alloc = errno_of_no_memory; o.memory_free = never);
    REFUSED(LIBAN_EINVAL, "memory_alloc returned 0, but gave NULL", o.memory_alloc = nothing; o.memory_free = never);
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

static void damage_fails_its_batch_and_all_later_ones(void **state)
{
    (void)state;
    liban_loader_options options = small();
    liban_batch *batch;
    uint64_t record;
    options.order = LIBAN_ORDER_SEQUENTIAL;
    fixture_flip_byte(&set, 3 * BATCH + 2);
    liban_loader *loader = start(&options);
    for (uint64_t step = 0; step < 3; step++) {
        assert_int_equal(liban_loader_failed_record(loader, &record), LIBAN_ENOTFOUND);
        batch = take(loader);
        assert_int_equal(batch->step, step);
        give(batch);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(liban_loader_next(loader, &batch), LIBAN_ECORRUPT);
        message_has("record 26 ('class/26.png') of");
        assert_null(batch);
        assert_int_equal(liban_loader_failed_record(loader, &record), LIBAN_OK);
        assert_int_equal(record, 26);
    }
    fixture_flip_byte(&set, 3 * BATCH + 2);
    assert_int_equal(liban_loader_set_epoch(loader, 1), LIBAN_OK); /* elsewhere it may go on */
    give(take(loader));
    assert_int_equal(liban_loader_failed_record(loader, &record), LIBAN_ENOTFOUND);
    liban_loader_free(loader);
}

/* Whoever mended what was wrong may send the loader to where it stands. */
static void a_failed_loader_may_try_the_same_place_again(void **state)
{
    (void)state;
    liban_loader_options options = small();
    liban_loader_state place;
    liban_batch *batch;
    options.order = LIBAN_ORDER_SEQUENTIAL;
    for (uint64_t step = 0; step < 2; step++) {
        fixture_flip_byte(&set, step * BATCH + 2);
        liban_loader *loader = start(&options);
        for (uint64_t i = 0; i < step; i++)
            give(take(loader));
        assert_int_equal(liban_loader_next(loader, &batch), LIBAN_ECORRUPT);
        liban_loader_state_get(loader, &place);
        assert_int_equal(liban_loader_state_set(loader, &place), LIBAN_OK);
        assert_int_equal(liban_loader_next(loader, &batch), LIBAN_ECORRUPT);
        fixture_flip_byte(&set, step * BATCH + 2);
        assert_int_equal(step ? liban_loader_state_set(loader, &place) : liban_loader_set_epoch(loader, 0), LIBAN_OK);
        batch = take(loader);
        assert_int_equal(batch->step, step);
        give(batch);
        liban_loader_free(loader);
    }
}

static void checksums_may_be_ignored(void **state)
{
    (void)state;
    liban_loader_options options = small();
    options.order = LIBAN_ORDER_SEQUENTIAL;
    options.verify = false;
    fixture_flip_byte(&set, 2); /* of codec rgb: any byte is a colour */
    liban_loader *loader = start(&options);
    give(take(loader));
    liban_loader_free(loader);
    fixture_flip_byte(&set, 2);
}

/* ---- forks ------------------------------------------------------------------------------------------------------- */

typedef struct {
    liban_loader *loader;
    liban_batch *batch;
} opened;

/* In a child; what it returns says which step failed. */
static int try_all(const opened *o)
{
    liban_batch *batch;
    liban_loader *loader;
    liban_loader_state place;
    liban_loader_stats stats;
    uint64_t record;
    char text[256];
    const liban_loader_options options = small();
    if (liban_loader_create(&loader, dataset, &options) != LIBAN_EFORKED)
        return 1;
    if (liban_loader_next(o->loader, &batch) != LIBAN_EFORKED || batch)
        return 2;
    if (!strstr(liban_error_message(), "the loader belongs to process"))
        return 3;
    if (liban_loader_next_within(o->loader, &batch, 5) != LIBAN_EFORKED)
        return 4;
    if (liban_batch_release(o->batch) != LIBAN_EFORKED || liban_batch_use(o->batch, NULL) != LIBAN_EFORKED)
        return 5;
    liban_loader_state_get(o->loader, &place);
    if (liban_loader_state_set(o->loader, &place) != LIBAN_EFORKED ||
        liban_loader_set_epoch(o->loader, 0) != LIBAN_EFORKED)
        return 6;
    if (liban_loader_failed_record(o->loader, &record) != LIBAN_EFORKED)
        return 7;
    liban_loader_stats_get(o->loader, &stats);
    if (stats.batches != 0 || strcmp(liban_loader_verdict(o->loader, text, sizeof text), "unknown") != 0)
        return 8;
    if (liban_loader_note(o->loader))
        return 9;
    liban_loader_interrupt(o->loader);
    liban_loader_resume(o->loader);
    liban_loader_close(o->loader);
    liban_loader_free(o->loader);
    return 0;
}

static void forks_are_refused_and_do_not_hang(void **state)
{
    (void)state;
    liban_loader_options options = small();
    opened o = {.loader = start(&options)};
    int status;
    o.batch = take(o.loader);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(60);
        _exit(try_all(&o));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    give(o.batch); /* here it works on */
    give(take(o.loader));
    liban_loader_free(o.loader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structs_of_other_versions_are_refused),
        cmocka_unit_test(impossible_places_are_refused),
        cmocka_unit_test(impossible_records_are_refused),
        cmocka_unit_test(impossible_crops_are_refused),
        cmocka_unit_test(impossible_values_are_refused),
        cmocka_unit_test(impossible_ways_of_working_are_refused),
        cmocka_unit_test(damage_fails_its_batch_and_all_later_ones),
        cmocka_unit_test(a_failed_loader_may_try_the_same_place_again),
        cmocka_unit_test(checksums_may_be_ignored),
        cmocka_unit_test(forks_are_refused_and_do_not_hang),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
