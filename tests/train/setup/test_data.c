/* What the loaders of a run deliver: the options of the recipe reach the training's samples, and none of them
 * validation's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "tests/train/fixture.h"
#include "train/setup/session.h"

enum { IMAGES = 14, SHOWN = 5 };

static fixture files;
static const char *training, *validation;

static int set_up(void **state)
{
    (void)state;
    fixture_open(&files);
    training = fixture_path(&files, "training");
    validation = fixture_path(&files, "validation");
    fixture_dataset(training, IMAGES, FIXTURE_CLASSES, 1);
    fixture_dataset(validation, SHOWN, FIXTURE_CLASSES, 2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_close(&files);
    return 0;
}

static void session_open(an_session *session, const an_train_config *config)
{
    if (an_session_open(session, config, NULL, training, (const char *const[]){validation, NULL}))
        fail_msg("%s", an_error_message());
}

static an_sampler *sampler_of(const an_session *s, an_sample_options options, const an_dataset *dataset)
{
    an_sampler *sampler;
    options.format = an_exec_input_format(s->exec);
    assert_int_equal(
        an_sampler_create(&sampler, &options, an_dataset_side(dataset), an_dataset_statistics(s->data.training)),
        AN_OK);
    return sampler;
}

/* Every sample of the batch is what the sampler makes of its record. Returns how many were cut in another size than the
 * crop's. */
static int compare(const an_batch *batch, const an_dataset *dataset, const an_sampler *sampler, uint64_t seed)
{
    an_sample_scratch *scratch;
    size_t bytes = an_sampler_bytes(sampler);
    uint8_t *wanted = NULL;
    int resized = 0;
    assert_int_equal(posix_memalign((void **)&wanted, 64, bytes), 0);
    assert_int_equal(an_sample_scratch_create(&scratch, sampler), AN_OK);
    for (uint32_t i = 0; i < batch->count; i++) {
        an_record record;
        an_sample_draw draw;
        assert_int_equal(an_dataset_record(dataset, batch->indices[i], &record), AN_OK);
        an_sampler_draw(sampler, seed, batch->epoch, batch->indices[i], &draw);
        assert_int_equal(an_sampler_make(sampler, scratch, &record, &draw, wanted), AN_OK);
        assert_memory_equal((const uint8_t *)batch->data + i * bytes, wanted, bytes);
        resized += draw.width && (draw.width != FIXTURE_CROP || draw.height != FIXTURE_CROP);
    }
    an_sample_scratch_free(scratch);
    free(wanted);
    return resized;
}

static void resized_crops_are_for_training(void **state)
{
    (void)state;
    an_train_config config;
    an_session s;
    an_batch batch;
    an_loader *loader;
    fixture_config(&config);
    config.resized = 0.3;
    config.mean = AN_MEAN_CHANNEL;
    assert_int_equal(an_train_config_check(&config), AN_OK);
    session_open(&s, &config);
    an_sample_options options = {.crop = FIXTURE_CROP, .mean = AN_MEAN_CHANNEL, .scale = s.data.input.scale};

    an_sample_options augmented = options;
    augmented.random_crop = augmented.flip = true;
    augmented.area_min = 0.3;
    augmented.jitter = config.jitter;
    an_sampler *sampler = sampler_of(&s, augmented, s.data.training);
    assert_int_equal(an_session_loader(&s, 0, &loader), AN_OK);
    assert_int_equal(an_loader_next(loader, &batch), AN_OK);
    assert_true(compare(&batch, s.data.training, sampler, config.seed) > 0);
    an_loader_free(loader);
    an_sampler_free(sampler);

    an_train_view_options view = {
        .dataset = s.data.validation, .input = &s.data.input, .crop = config.crop, .batch = config.batch, .threads = 1};
    sampler = sampler_of(&s, options, s.data.validation);
    assert_int_equal(an_train_view_loader(&view, s.exec, &loader), AN_OK);
    assert_int_equal(an_loader_next(loader, &batch), AN_OK);
    assert_int_equal(compare(&batch, s.data.validation, sampler, config.seed), 0);
    an_loader_free(loader);
    an_sampler_free(sampler);
    an_session_close(&s);
}

/* Where devices decode, training's finished samples may be smaller than validation's records. */
static void blocks_have_room_for_both_sets(void **state)
{
    (void)state;
    an_train_config config;
    an_session s;
    size_t both, shown;
    fixture_config(&config);
    config.resized = 0.3;
    config.mean = AN_MEAN_CHANNEL;
    session_open(&s, &config);
    an_train_view_options view = {.dataset = s.data.validation, .crop = config.crop, .batch = config.batch};
    assert_int_equal(an_train_data_block(&s.data, &config, &s.share, &both), AN_OK);
    assert_int_equal(an_train_view_block(&view, &shown), AN_OK);
    assert_true(shown > (size_t)config.batch * FIXTURE_CROP * FIXTURE_CROP * 3 + 1024);
    assert_true(both >= shown);
    an_session_close(&s);
}

/* ---- several sets to validate on ---- */

static int open_sets(an_train_data *data, const char *const *paths)
{
    an_train_config config;
    fixture_config(&config);
    return an_train_data_open(data, &config, training, paths);
}

static void sets_are_told_apart(void **state)
{
    (void)state;
    an_train_data data;
    char tail[512];
    const char *a = fixture_path(&files, "a"), *b = fixture_path(&files, "b");
    assert_int_equal(mkdir(a, 0700), 0);
    assert_int_equal(mkdir(b, 0700), 0);
    const char *in_a = fixture_path(&files, "a/validation"), *in_b = fixture_path(&files, "b/validation");
    fixture_dataset(in_a, 3, FIXTURE_CLASSES, 3);
    fixture_dataset(in_b, 4, FIXTURE_CLASSES, 4);
    snprintf(tail, sizeof tail, "%s//", in_b);
    assert_int_equal(open_sets(&data, (const char *const[]){in_a, training, tail, NULL}), AN_OK);
    assert_int_equal(data.set_count, 3);
    assert_string_equal(data.sets[0].name, "a/validation");
    assert_string_equal(data.sets[1].name, "training");
    assert_string_equal(data.sets[2].name, "b/validation");
    assert_int_equal(an_dataset_count(data.sets[2].dataset), 4);
    assert_ptr_equal(data.validation, data.sets[0].dataset);
    an_train_data_close(&data);
    /* A name that is all of its path. */
    assert_int_equal(chdir(a), 0);
    assert_int_equal(open_sets(&data, (const char *const[]){"validation", in_b, NULL}), AN_OK);
    assert_string_equal(data.sets[0].name, "validation");
    assert_string_equal(data.sets[1].name, "b/validation");
    an_train_data_close(&data);
    assert_int_equal(chdir("/"), 0);
}

static void sets_that_cannot_be_used(void **state)
{
    (void)state;
    an_train_data data;
    char again[512];
    const char *many[AN_TRAIN_SETS_MAX + 2] = {0}, *other = fixture_path(&files, "other");
    snprintf(again, sizeof again, "%s/", validation);
    assert_int_equal(open_sets(&data, (const char *const[]){validation, again, NULL}), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "given twice"));
    for (int i = 0; i <= AN_TRAIN_SETS_MAX; i++)
        many[i] = validation;
    assert_int_equal(open_sets(&data, many), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "at most 16"));
    fixture_dataset(other, 3, FIXTURE_CLASSES + 1, 3); /* each set is checked, not the first alone */
    assert_int_equal(open_sets(&data, (const char *const[]){validation, other, NULL}), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "other"));
    assert_int_equal(open_sets(&data, (const char *const[]){validation, "/nowhere", NULL}), AN_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resized_crops_are_for_training),
        cmocka_unit_test(blocks_have_room_for_both_sets),
        cmocka_unit_test(sets_are_told_apart),
        cmocka_unit_test(sets_that_cannot_be_used),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
