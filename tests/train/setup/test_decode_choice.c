/* Who decodes: the option, the rule of auto, and what it measures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "tests/train/fixture.h"
#include "train/setup/decode_choice.h"
#include "train/setup/session.h"

static fixture files;

static int open_folder(void **state)
{
    (void)state;
    fixture_open(&files);
    fixture_dataset(fixture_path(&files, "data"), 60, FIXTURE_CLASSES, 1);
    return 0;
}

static int close_folder(void **state)
{
    (void)state;
    fixture_close(&files);
    return 0;
}

static an_decode_place chosen(double host, double network)
{
    return an_decode_rule(&(an_decode_rates){.host = host, .network = network});
}

static void the_host_decodes_where_it_keeps_up_easily(void **state)
{
    (void)state;
    assert_int_equal(chosen(30000, 20000), AN_DECODE_HOST);
    assert_int_equal(chosen(24000, 20000), AN_DECODE_HOST);
    assert_int_equal(chosen(23999, 20000), AN_DECODE_DEVICE);
    assert_int_equal(chosen(0, 20000), AN_DECODE_DEVICE);
}

/* Measuring leaves the network as it is, and needs no more than a few batches. */
static void both_rates_are_measured(void **state)
{
    (void)state;
    an_train_config config;
    an_session session;
    an_decode_rates rates;
    an_loader *loader;
    an_batch batch;
    float before[64], after[64];
    fixture_config(&config);
    assert_int_equal(an_session_open(&session, &config, NULL, fixture_path(&files, "data"), NULL), AN_OK);
    assert_int_equal(an_session_start_weights(&session), AN_OK);
    assert_int_equal(an_session_loader(&session, 0, &loader), AN_OK);
    assert_int_equal(an_loader_next(loader, &batch), AN_OK);
    assert_true(batch.count * FIXTURE_CLASSES <= 64);
    an_images images = an_train_images(&batch);
    assert_int_equal(an_exec_evaluate(session.exec, &images, NULL, batch.count, before, NULL), AN_OK);
    assert_int_equal(an_decode_measure(loader, session.exec, &rates), AN_OK);
    assert_true(rates.host > 0 && rates.network > 0);
    assert_int_equal(an_exec_evaluate(session.exec, &images, NULL, batch.count, after, NULL), AN_OK);
    assert_memory_equal(before, after, batch.count * FIXTURE_CLASSES * sizeof *before);
    an_loader_free(loader);
    an_session_close(&session);
}

/* Without a GPU there is nothing to choose, and nothing is said. */
static void without_a_gpu_auto_is_the_host(void **state)
{
    (void)state;
    an_train_config config;
    an_session session;
    an_buffer text = {0};
    fixture_config(&config);
    config.decode = AN_TRAIN_DECODE_AUTO;
    assert_int_equal(an_session_open(&session, &config, NULL, fixture_path(&files, "data"), NULL), AN_OK);
    assert_int_equal(an_session_start_weights(&session), AN_OK);
    assert_int_equal(an_session_choose_decoding(&session, 0), AN_OK);
    assert_null(session.decoding);
    assert_true(session.rates.host == 0);
    assert_int_equal(an_session_decodes(&session, session.data.training), AN_DECODE_HOST);
    assert_int_equal(an_session_describe(&session, &text), AN_OK);
    assert_int_equal(an_buffer_append(&text, "", 1), AN_OK);
    assert_null(strstr((char *)text.data, "decod"));
    an_buffer_free(&text);
    an_session_close(&session);
}

/* It is no part of the recipe: a run that is resumed may choose otherwise. */
static void the_option_is_for_each_start(void **state)
{
    (void)state;
    static const an_options whole = {.program = "an-train", .options = an_train_options};
    static const char text[] = "decode = device\n";
    const char *path = fixture_path(&files, "recipe");
    an_train_config config;
    an_buffer recipe = {0};
    assert_int_equal(an_options_init(&whole, &config), AN_OK);
    assert_int_equal(config.decode, AN_TRAIN_DECODE_AUTO);
    fixture_write(path, text, sizeof text - 1);
    assert_int_equal(an_options_read_file(&whole, path, &config), AN_OK);
    assert_int_equal(config.decode, AN_DECODE_DEVICE);
    assert_int_equal(an_train_config_recipe(&config, &recipe), AN_OK);
    assert_int_equal(an_buffer_append(&recipe, "", 1), AN_OK);
    assert_null(strstr((char *)recipe.data, "decode"));
    assert_int_equal(an_options_set(&whole, &config, "decode", "elsewhere", "a test"), AN_EINVAL);
    an_buffer_free(&recipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_host_decodes_where_it_keeps_up_easily),
        cmocka_unit_test(both_rates_are_measured),
        cmocka_unit_test(without_a_gpu_auto_is_the_host),
        cmocka_unit_test(the_option_is_for_each_start),
    };
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
