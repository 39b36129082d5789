#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "store/dataset/dataset.h"
#include "tests/train/loop/trainer_support.h"
#include "train/loop/evaluate.h"
#include "train/loop/trainer.h"
#include "train/setup/session.h"
#include "train/state/safetensors.h"
#include "train/trained/trained.h"

static void test_stopped_anywhere_and_resumed(void **state)
{
    (void)state;
    static const uint64_t stops[] = {1, STEPS_PER_EPOCH, STEPS_PER_EPOCH + 1};
    const char *run = fixture_path(&files, "stopped");
    an_train_config config;
    config_for(&config, run);
    config.resume = "auto";
    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
        listener l = {.stop_at = stops[i]};
        assert_int_equal(train(&config, &l), AN_STOPPED);
        assert_int_equal(access(checkpoint_of(run, stops[i]), F_OK), 0);
    }
    listener l = {0};
    assert_int_equal(train(&config, &l), AN_OK);
    assert_same_file(last_of(run), last_of(straight));
    /* Nothing is left to do, and nothing is done. */
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(l.steps + l.saves + l.validations, 0);
    fixture_remove(run);
}

/* The same for other ways to compute: an undisturbed run and one stopped within an epoch end in the same bytes. */
static void resume_equals(void (*change)(an_train_config *config))
{
    an_train_config config;
    const char *one = fixture_path(&files, "one"), *two = fixture_path(&files, "two");
    listener l = {0};
    config_for(&config, one);
    change(&config);
    assert_int_equal(train(&config, &l), AN_OK);
    config.run = two;
    config.resume = "auto";
    l.stop_at = STEPS_PER_EPOCH + 2;
    assert_int_equal(train(&config, &l), AN_STOPPED);
    l.stop_at = 0;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_same_file(last_of(two), last_of(one));
    fixture_remove(one);
    fixture_remove(two);
}

static void use_bf16(an_train_config *config)
{
    config->precision = AN_PRECISION_BF16;
}

static void use_two_devices(an_train_config *config)
{
    config->devices = "cpu,cpu";
    config->compute_threads = 2;
}

static void use_many_threads(an_train_config *config)
{
    config->compute_threads = 3;
    config->loader_threads = 3;
}

/* The rate falls after the first epoch, and what plateau remembers must survive. */
static void use_plateau(an_train_config *config)
{
    config->schedule = AN_SCHEDULE_PLATEAU;
    config->patience = 1;
    config->rate = 1e-12;
}

/* Within the warm-up, and with a rate that depends on the length of the run. */
static void use_warmup(an_train_config *config)
{
    config->schedule = AN_SCHEDULE_POLY;
    config->power = 2;
    config->warmup_epochs = 1.7;
}

/* Every way to update. A layer learns slowly, so nothing follows from the averages alone. */
static void use_all_of_sgd(an_train_config *config)
{
    config->nesterov = true;
    config->clip = 0.5;
    config->ema = 0.75;
    config->freeze = "conv1";
    config->layer_rates = "conv2=0.5,fc10=2";
}

static void use_parts(an_train_config *config)
{
    use_all_of_sgd(config);
    config->accumulate = 2;
}

static void use_all_of_sgd_on_two_devices(an_train_config *config)
{
    use_all_of_sgd(config);
    use_two_devices(config);
}

/* What is drawn for each sample, and what its loss is made of; the jitter ends with the first epoch. */
static void use_mixtures(an_train_config *config)
{
    config->mixup = 0.4;
    config->cutmix = 1;
    config->jitter_scaled = true;
    config->jitter_epochs = 1;
    config->label_smoothing = 0.1;
    config->class_weights = "balanced";
}

static void test_resumed_in_bf16(void **state)
{
    (void)state;
    resume_equals(use_bf16);
}

static void test_resumed_on_two_devices(void **state)
{
    (void)state;
    resume_equals(use_two_devices);
}

static void test_resumed_with_many_threads(void **state)
{
    (void)state;
    resume_equals(use_many_threads);
}

static void test_resumed_with_plateau(void **state)
{
    (void)state;
    resume_equals(use_plateau);
}

static void test_resumed_with_mixtures(void **state)
{
    (void)state;
    resume_equals(use_mixtures);
}

static void test_resumed_with_warmup(void **state)
{
    (void)state;
    resume_equals(use_warmup);
}

static void test_resumed_with_all_of_sgd(void **state)
{
    (void)state;
    resume_equals(use_parts);
    resume_equals(use_all_of_sgd_on_two_devices);
}

/* The averages of a checkpoint, or its weights, are other values than those of exec's parameters; or the same. */
static void assert_holds(const char *path, const char *prefix, an_exec *exec, bool same)
{
    an_safetensors *file;
    assert_int_equal(an_safetensors_open(&file, path), AN_OK);
    for (int i = 0; i < an_exec_parameter_count(exec); i++) {
        const an_parameter *p = an_exec_parameter(exec, i);
        char name[64];
        float *held = calloc(p->size, sizeof(*held)), *values = calloc(p->size, sizeof(*values));
        snprintf(name, sizeof(name), "%s%s", prefix, p->name);
        const an_safetensor *tensor = an_safetensors_find(file, name);
        assert_non_null(tensor);
        assert_int_equal(an_safetensors_read(file, tensor, held), AN_OK);
        assert_int_equal(an_exec_parameter_get(exec, i, AN_PARAMETER_VALUE, values), AN_OK);
        assert_int_equal(memcmp(held, values, p->size * sizeof(*held)) == 0, same);
        free(held);
        free(values);
    }
    an_safetensors_free(file);
}

/* With averages, these are what validation judges, what a trained network is, and what a new run begins with. */
static void test_averages_are_what_is_judged(void **state)
{
    (void)state;
    an_train_config config;
    an_trained trained;
    an_exec *exec;
    an_evaluation seen;
    an_dataset *set;
    listener l = {0};
    const char *run = fixture_path(&files, "averages");
    config_for(&config, run);
    config.ema = 0.9;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(an_trained_open(&trained, NULL, last_of(run)), AN_OK);
    assert_int_equal(an_trained_exec(&trained, "cpu", 4, 1, NULL, &exec), AN_OK);
    assert_holds(last_of(run), "average.", exec, true);
    assert_holds(last_of(run), "", exec, false);
    assert_int_equal(an_dataset_open(&set, validation), AN_OK);
    an_train_view_options view = {
        .dataset = set, .input = &trained.input, .crop = config.crop, .batch = 4, .threads = 1};
    assert_int_equal(an_evaluate_centre(exec, &view, NULL, &seen), AN_OK);
    assert_true(fabs(seen.loss - l.validation_loss) < 1e-6 * seen.loss);
    an_dataset_free(set);
    an_exec_free(exec);
    an_trained_close(&trained);
    fixture_remove(run);
}

static void ignore(void *context, const an_train_event *event)
{
    (void)context;
    (void)event;
}

static void test_frozen_parameters_are_counted(void **state)
{
    (void)state;
    an_train_config config;
    an_trainer *trainer;
    an_train_observer observer = {ignore, NULL};
    an_buffer text = {0};
    config_for(&config, NULL);
    config.freeze = "conv1,conv2,conv3";
    assert_int_equal(an_trainer_create(&trainer, &config, NULL, training, NULL, &observer), AN_OK);
    assert_int_equal(an_trainer_describe(trainer, &text), AN_OK);
    assert_int_equal(an_buffer_append(&text, "", 1), AN_OK);
    /* 4 x 4 pixels of 64 channels for each of the 3 classes, and their biases */
    assert_non_null(strstr((char *)text.data, " 3075 of the parameters learn, the others are frozen\n"));
    an_buffer_free(&text);
    an_trainer_free(trainer);
}

static int refuse_layers(const char *freeze, const char *rates, const char *part)
{
    an_train_config config;
    listener l = {0};
    config_for(&config, NULL);
    config.freeze = freeze;
    config.layer_rates = rates;
    int rc = train(&config, &l);
    if (!strstr(an_error_message(), part))
        fail_msg("'%s' does not say '%s'", an_error_message(), part);
    return rc;
}

static void test_layers_that_there_are_not(void **state)
{
    (void)state;
    const char *there_are = "no layer 'conv9' that learns: there are conv1, conv2, conv3, fc10";
    assert_int_equal(refuse_layers("conv1,conv9", "none", there_are), AN_EINVAL);
    assert_int_equal(refuse_layers("none", "conv9=2", there_are), AN_EINVAL);
    assert_int_equal(refuse_layers("pool1", "none", "no layer 'pool1'"), AN_EINVAL);
    assert_int_equal(refuse_layers("none", "conv1=-1", "'conv1=-1' is not LAYER=FACTOR"), AN_EINVAL);
    assert_int_equal(refuse_layers("none", "conv1", "'conv1' is not LAYER=FACTOR"), AN_EINVAL);
    assert_int_equal(refuse_layers("none", "conv1=2x", "'conv1=2x' is not LAYER=FACTOR"), AN_EINVAL);
    assert_int_equal(refuse_layers("none", "conv1=1,conv1=2", "--layer-rates names 'conv1' twice"), AN_EINVAL);
    assert_int_equal(refuse_layers("conv1", "conv1=2", "contradict each other about 'conv1'"), AN_EINVAL);
    assert_int_equal(refuse_layers("conv1,conv2,conv3,fc10", "none", "leave no layer that learns"), AN_EINVAL);
}

static void test_exploding_loss_stops_at_once(void **state)
{
    (void)state;
    an_train_config config;
    const char *run = fixture_path(&files, "explodes");
    config_for(&config, run);
    config.rate = 1000;
    config.epochs = 100;
    config.save_every = 1;
    config.keep = 1;
    listener l = {0};
    assert_int_equal(train(&config, &l), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "last good checkpoint"));
    assert_true(l.steps < 30);
    fixture_remove(run);
}

static void test_learns_a_few_images_by_heart(void **state)
{
    (void)state;
    an_train_config config;
    config_for(&config, NULL);
    config.overfit = 6;
    config.batch = 3;
    config.epochs = 80;
    config.validate_every = 20;
    config.jitter = 0;
    config.rate = 0.002;
    listener l = {0};
    assert_int_equal(train(&config, &l), AN_OK);
    assert_true(l.top1 == 1.0);
    assert_int_equal(l.warnings, 0);
    assert_non_null(strstr(l.note, "learned 100 % of its 6 images"));
    config.rate = 1e-9;
    config.epochs = 1;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(l.warnings, 1);
    assert_non_null(strstr(l.warning, "learned only"));
}

/* Whether this processor can train in bf16. */
static bool has_bf16(void)
{
    an_train_config config;
    an_session session;
    fixture_config(&config);
    config.precision = AN_PRECISION_BF16;
    fixture f;
    fixture_open(&f);
    fixture_dataset(fixture_path(&f, "data"), IMAGES, FIXTURE_CLASSES, 1);
    int rc = an_session_open(&session, &config, NULL, fixture_path(&f, "data"), NULL);
    if (!rc)
        an_session_close(&session);
    fixture_close(&f);
    return rc != AN_EIO;
}

/* Alone, so that CTest reports a processor without bf16 as skipped. */
static int run_bf16(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_resumed_in_bf16)};
    if (!has_bf16()) {
        fprintf(stderr, "skipped: %s\n", an_error_message());
        return 77;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "bf16") == 0)
        return run_bf16();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stopped_anywhere_and_resumed),  cmocka_unit_test(test_resumed_on_two_devices),
        cmocka_unit_test(test_resumed_with_many_threads),     cmocka_unit_test(test_resumed_with_plateau),
        cmocka_unit_test(test_resumed_with_warmup),           cmocka_unit_test(test_resumed_with_mixtures),
        cmocka_unit_test(test_resumed_with_all_of_sgd),       cmocka_unit_test(test_averages_are_what_is_judged),
        cmocka_unit_test(test_frozen_parameters_are_counted), cmocka_unit_test(test_layers_that_there_are_not),
        cmocka_unit_test(test_exploding_loss_stops_at_once),  cmocka_unit_test(test_learns_a_few_images_by_heart),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
