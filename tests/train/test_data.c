/* What the loaders of a run deliver: the options of the recipe reach the training's samples, and none of them
 * validation's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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
    if (an_session_open(session, config, training, validation))
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
    assert_int_equal(an_train_data_block(&s.data, &config, &both), AN_OK);
    assert_int_equal(an_train_view_block(&view, &shown), AN_OK);
    assert_true(shown > (size_t)config.batch * FIXTURE_CROP * FIXTURE_CROP * 3 + 1024);
    assert_true(both >= shown);
    an_session_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resized_crops_are_for_training),
        cmocka_unit_test(blocks_have_room_for_both_sets),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
