#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/nets/nets.h"
#include "tests/train/fixture.h"
#include "train/loop/predictions.h"
#include "train/setup/config.h"
#include "train/setup/network.h"
#include "train/state/text.h"
#include "train/watch/metrics.h"

static fixture files;

static int open_folder(void **state)
{
    (void)state;
    fixture_open(&files);
    return 0;
}

static int close_folder(void **state)
{
    (void)state;
    fixture_close(&files);
    return 0;
}

static void defaults(an_train_config *config)
{
    static const an_options whole = {.program = "an-train", .options = an_train_options};
    assert_int_equal(an_options_init(&whole, config), AN_OK);
}

static char *recipe(const an_train_config *config, an_buffer *text)
{
    text->size = 0;
    assert_int_equal(an_train_config_recipe(config, text), AN_OK);
    return (char *)text->data;
}

static void test_recipe_is_the_second_half(void **state)
{
    (void)state;
    an_train_config config;
    an_buffer text = {0};
    defaults(&config);
    config.run = "somewhere";
    char *lines = recipe(&config, &text);
    assert_ptr_equal(strstr(lines, "batch = 128\n"), lines);
    assert_non_null(strstr(lines, "\nrate = 0.01\n"));
    assert_null(strstr(lines, "somewhere"));
    assert_null(strstr(lines, "threads"));
    an_buffer_free(&text);
}

static void test_recipe_reads_back(void **state)
{
    (void)state;
    an_train_config config, copy;
    an_buffer text = {0}, again = {0}, difference = {0};
    defaults(&config);
    config.rate = 0.1 + 0.2;
    config.rate_epochs = "1,2";
    config.no_flip = true;
    config.init = AN_INIT_HE;
    defaults(&copy);
    assert_int_equal(an_train_config_parse(&copy, recipe(&config, &text), "a test"), AN_OK);
    assert_true(copy.rate == config.rate);
    assert_int_equal(an_train_recipe_compare((char *)text.data, recipe(&copy, &again), &difference), AN_OK);
    assert_int_equal(difference.size, 0);
    assert_int_equal(an_train_config_parse(&copy, "colour = blue\n", "a test"), AN_EINVAL);
    assert_int_equal(an_train_config_parse(&copy, "rate = blue\n", "a test"), AN_EINVAL);
    an_buffer_free(&text);
    an_buffer_free(&again);
}

static void test_difference_names_each_value(void **state)
{
    (void)state;
    an_buffer difference = {0};
    assert_int_equal(
        an_train_recipe_compare("rate = 0.01\nold = 1\nsame = x\n", "rate = 0.02\nsame = x\nnew = 2\n", &difference),
        AN_END);
    assert_string_equal((char *)difference.data,
                        "  rate: 0.01 -> 0.02\n  old: 1 -> (not set)\n  new: (not set) -> 2\n");
    an_buffer_free(&difference);
}

/* Of an option that was once not there it is known what programs did then. */
static void test_older_recipes_get_what_they_meant(void **state)
{
    (void)state;
    an_train_config config;
    an_buffer old = {0}, now = {0}, difference = {0};
    defaults(&config);
    config.rate = 0.5;
    config.last = AN_LAST_DROP;
    assert_int_equal(an_train_recipe_complete("rate = 0.5\n", "a test", &old), AN_OK);
    assert_int_equal(an_train_recipe_compare((char *)old.data, recipe(&config, &now), &difference), AN_OK);
    /* The flag that --columns took the place of. */
    config.columns = AN_ALEXNET_ONE_COLUMN;
    old.size = 0;
    assert_int_equal(an_train_recipe_complete("rate = 0.5\none-column = true\n", "a test", &old), AN_OK);
    assert_int_equal(an_train_recipe_compare((char *)old.data, recipe(&config, &now), &difference), AN_OK);
    assert_int_equal(an_train_recipe_complete("colour = blue\n", "a test", &old), AN_EINVAL);
    an_buffer_free(&old);
    an_buffer_free(&now);
}

static void test_a_recipe_says_what_auto_stands_for(void **state)
{
    (void)state;
    an_train_config config;
    an_buffer text = {0};
    defaults(&config);
    assert_int_equal(config.last, AN_TRAIN_LAST_AUTO);
    assert_non_null(strstr(recipe(&config, &text), "last = carry\n"));
    assert_int_equal(an_train_recipe_parse(&config, "last = short\n", "a test"), AN_OK);
    assert_int_equal(config.last, AN_LAST_SHORT);
    an_buffer_free(&text);
}

static void refused(const an_train_config *config, const char *word)
{
    assert_int_equal(an_train_config_check(config), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), word));
}

static void test_impossible_combinations(void **state)
{
    (void)state;
    an_train_config config;
    defaults(&config);
    assert_int_equal(an_train_config_check(&config), AN_OK);
    config.resume = "auto";
    refused(&config, "--run");
    config.resume = NULL;
    config.resized = 0.08; /* the default is the mean image */
    refused(&config, "add --mean channel");
    config.mean = AN_MEAN_CHANNEL;
    assert_int_equal(an_train_config_check(&config), AN_OK);
    config.no_random_crop = true;
    refused(&config, "--no-random-crop");
    defaults(&config);
    config.resume = "auto";
    config.resume = config.weights = "file";
    refused(&config, "--weights");
    config.run = "folder"; /* a command that can be repeated: from these weights, or from where it was */
    config.resume = "auto";
    assert_int_equal(an_train_config_check(&config), AN_OK);
    defaults(&config);
    config.rate = 0;
    refused(&config, "--rate");
    defaults(&config);
    config.overfit = 50;
    refused(&config, "--batch 50");
    defaults(&config);
    config.rate_epochs = "3,2";
    refused(&config, "--rate-epochs");
    defaults(&config);
    config.nesterov = true;
    assert_int_equal(an_train_config_check(&config), AN_OK);
    config.momentum = 0;
    refused(&config, "--nesterov changes nothing");
    defaults(&config);
    config.optimizer = AN_OPTIMIZER_LARS;
    assert_int_equal(an_train_config_check(&config), AN_OK);
    config.trust = 0;
    refused(&config, "--trust 0: give a trust above 0, such as 0.001, or --optimizer sgd");
    config.optimizer = AN_OPTIMIZER_SGD;
    assert_int_equal(an_train_config_check(&config), AN_OK);
    defaults(&config);
    config.epochs = 5;
    config.warmup_epochs = 5;
    assert_int_equal(an_train_config_check(&config), AN_OK);
    config.warmup_epochs = 5.5;
    refused(&config, "--warmup-epochs 5.5 are more than --epochs 5");
    defaults(&config);
    config.accumulate = 3;
    refused(&config,
            "--accumulate 3 divides --batch 128 into no equal parts of an even number of images: use --batch 132");
    config.accumulate = 4;
    assert_int_equal(an_train_config_check(&config), AN_OK);
    config.decode = AN_DECODE_DEVICE;
    refused(&config, "--decode host");
    defaults(&config);
    config.stop_after = config.patience = 3; /* the rate would never fall */
    refused(&config, "--patience 3");
    config.stop_after = 4;
    assert_int_equal(an_train_config_check(&config), AN_OK);
    config.stop_after = 1;
    config.schedule = AN_SCHEDULE_COSINE;
    assert_int_equal(an_train_config_check(&config), AN_OK);
}

/* Parse lines as a recipe and then words as a command line, as the program does. */
static void parse(an_train_config *config, const char *lines, const char *const *words)
{
    static const an_options whole = {.program = "an-train", .options = an_train_options, .arguments_max = 1};
    char *argv[8], program[] = "an-train";
    int argc = 1;
    argv[0] = program;
    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)words[argc - 1];
    argv[argc] = NULL;
    const char *path = fixture_path(&files, "recipe");
    fixture_write(path, lines, strlen(lines));
    defaults(config);
    assert_int_equal(an_options_read_file(&whole, path, config), AN_OK);
    assert_int_equal(an_options_parse(&whole, argc, argv, config, NULL), AN_OK);
    an_train_config_imply(config);
}

#define PARSE(config, lines, ...) parse(config, lines, (const char *const[]){__VA_ARGS__, NULL})

/* --overfit decides what is given nowhere, or only in a recipe that was written for another run. */
static void refused_for_ranks(const an_train_config *config, int world, const char *words)
{
    assert_int_equal(an_train_config_check_ranks(config, world), AN_EINVAL);
    if (!strstr(an_error_message(), words))
        fail_msg("'%s' is not in '%s'", words, an_error_message());
}

static void test_batches_that_ranks_can_share(void **state)
{
    (void)state;
    an_train_config config;
    defaults(&config);
    config.batch = 12;
    assert_int_equal(an_train_config_check_ranks(&config, 4), AN_OK);
    refused_for_ranks(&config, 5, "--batch 12 cannot be shared equally by 5 ranks: use --batch 15, or another number");
    config.mixup = 0.2;
    refused_for_ranks(&config, 4,
                      "--batch 12 gives each of 4 ranks 3 images, but --mixup and --cutmix mix pairs: use --batch 16");
    assert_int_equal(an_train_config_check_ranks(&config, 3), AN_OK);
    config.mixup = 0;
    config.accumulate = 2;
    refused_for_ranks(&config, 2, "which --accumulate 2 divides into no equal parts of an even number: use --batch 16");
    assert_int_equal(an_train_config_check_ranks(&config, 3), AN_OK);
    config.find_rate = 100;
    refused_for_ranks(&config, 3, "--find-lr measures in one process");
    config.batch = 7;
    assert_int_equal(an_train_config_check_ranks(&config, 1), AN_OK);
}

static void test_overfit_implies(void **state)
{
    (void)state;
    an_train_config config;
    PARSE(&config, "", "--overfit=50");
    assert_int_equal(config.batch, 50);
    assert_int_equal(config.schedule, AN_SCHEDULE_CONSTANT);
    assert_int_equal(config.epochs, 300);
    assert_int_equal(config.validate_every, 100);
    assert_int_equal(config.save_every, 0);
    assert_int_equal(an_train_config_check(&config), AN_OK);
    PARSE(&config, "batch = 16\nschedule = steps\nvalidate-every = 2\nsave-every = 7\nepochs = 9\n", "--overfit=50");
    assert_int_equal(config.batch, 16); /* small enough */
    assert_int_equal(config.schedule, AN_SCHEDULE_CONSTANT);
    assert_int_equal(config.epochs, 96); /* of three steps and a rest */
    assert_int_equal(config.validate_every, 32);
    assert_int_equal(config.save_every, 0);
}

static void test_overfit_implies_nothing_against_the_user(void **state)
{
    (void)state;
    an_train_config config;
    PARSE(&config, "", "--overfit=50", "-b60", "--schedule=cosine", "--epochs=7", "--validate-every=3",
          "--save-every=5");
    assert_int_equal(config.batch, 60);
    assert_int_equal(config.schedule, AN_SCHEDULE_COSINE);
    assert_int_equal(config.epochs, 7);
    assert_int_equal(config.validate_every, 3);
    assert_int_equal(config.save_every, 5);
    assert_int_equal(an_train_config_check(&config), AN_EINVAL);
    /* a recipe that overfits says what it wants */
    PARSE(&config, "overfit = 50\nbatch = 25\nschedule = plateau\n", "--validate-every=3");
    assert_int_equal(config.batch, 25);
    assert_int_equal(config.schedule, AN_SCHEDULE_PLATEAU);
    assert_int_equal(config.validate_every, 3);
    assert_int_equal(config.epochs, 150);
    PARSE(&config, "schedule = steps\n", "--batch=100");
    assert_int_equal(config.schedule, AN_SCHEDULE_STEPS);
    assert_int_equal(config.epochs, 90);
    assert_int_equal(config.batch, 100);
}

/* What was used stands in the recipe, and read from there it implies the same. */
static void test_overfit_is_written_as_used(void **state)
{
    (void)state;
    an_train_config config, again;
    an_buffer text = {0}, second = {0};
    PARSE(&config, "schedule = steps\n", "--overfit=40", "--rate=0.02");
    recipe(&config, &text);
    PARSE(&again, (char *)text.data, "--quiet");
    assert_string_equal(recipe(&again, &second), (char *)text.data);
    assert_int_equal(again.epochs, config.epochs);
    assert_int_equal(again.save_every, 0);
    an_buffer_free(&text);
    an_buffer_free(&second);
}

static void test_warmup_in_epochs(void **state)
{
    (void)state;
    an_train_config config;
    an_schedule schedule;
    static const struct {
        double epochs;
        an_last_kind last;
        uint64_t steps;
    } cases[] = {{0, AN_LAST_CARRY, 0},   {1, AN_LAST_DROP, 7},   {0.5, AN_LAST_DROP, 4}, {0.001, AN_LAST_DROP, 1},
                 {2.5, AN_LAST_DROP, 18}, {2, AN_LAST_SHORT, 16}, {2, AN_LAST_CARRY, 15}};
    defaults(&config);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        config.warmup_epochs = cases[i].epochs;
        an_epochs epochs = {.images = 29, .batch = 4, .last = cases[i].last};
        assert_int_equal(an_train_config_schedule(&config, &epochs, 70, &schedule), AN_OK);
        assert_int_equal(schedule.warmup_steps, cases[i].steps);
    }
}

/* Without LARS layers are not trusted, whatever --trust says. */
static void test_trust_is_for_lars(void **state)
{
    (void)state;
    an_train_config config;
    defaults(&config);
    config.trust = 0.01;
    assert_true(an_network_sgd(&config, 2).trust == 0);
    config.optimizer = AN_OPTIMIZER_LARS;
    assert_true(an_network_sgd(&config, 2).trust == 0.01);
    assert_true(an_network_sgd(&config, 2).rate == 2);
}

static void option_set(an_train_config *config, const char *name, const char *value)
{
    assert_int_equal(an_options_set(an_train_recipe_spec(), config, name, value, "test"), AN_OK);
}

static void test_options_without_effect_are_named(void **state)
{
    (void)state;
    an_train_config config;
    an_buffer notes = {0};
    defaults(&config);
    config.dropout = 0.3;
    assert_int_equal(an_network_idle_options(&config, &notes), AN_OK);
    config.network = an_net_find("cifar");
    config.lrn = "none";
    config.columns = AN_ALEXNET_ONE_COLUMN;
    assert_true(notes.size == 0);
    assert_int_equal(an_network_idle_options(&config, &notes), AN_OK);
    assert_int_equal(an_buffer_append(&notes, "", 1), AN_OK);
    assert_string_equal((char *)notes.data,
                        "--dropout is for AlexNet and torchvision's AlexNet: it has no effect on --network cifar\n"
                        "--lrn is for AlexNet: it has no effect on --network cifar\n"
                        "--columns is for AlexNet: it has no effect on --network cifar\n");
    an_buffer_free(&notes);
}

/* An option that acts beside certain values of another one only. */
static void test_options_beside_others_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *beside, *acting, *note;
    } cases[] = {
        {"init-bias", "0.5", "init", "paper", "--init-bias is for --init paper: it has no effect on another one\n"},
        {"init-deviations", "conv3=0.5", "init", "paper",
         "--init-deviations is for --init paper: it has no effect on another one\n"},
        {"no-communication", "true", "columns", "two",
         "--no-communication is for --columns two: it has no effect on one column\n"},
        {"rate-epochs", "2", "schedule", "steps",
         "--rate-epochs is for --schedule steps: it has no effect on another one\n"},
        {"rate-divisor", "2", "schedule", "steps",
         "--rate-divisor is for --schedule steps and plateau: it has no effect on another one\n"},
        {"rate-divisor", "2", "schedule", "plateau",
         "--rate-divisor is for --schedule steps and plateau: it has no effect on another one\n"},
        {"patience", "2", "schedule", "plateau",
         "--patience is for --schedule plateau: it has no effect on another one\n"},
        {"rate-drops", "2", "schedule", "plateau",
         "--rate-drops is for --schedule plateau: it has no effect on another one\n"},
        {"trust", "0.01", "optimizer", "lars", "--trust is for --optimizer lars: it has no effect on another one\n"},
        {"power", "2", "schedule", "poly", "--power is for --schedule poly: it has no effect on another one\n"},
        {"jitter-scaled", "true", "jitter", "0.1",
         "--jitter-scaled is for a --jitter above 0: it has no effect without\n"},
        {"jitter-epochs", "2", "jitter", "0.1",
         "--jitter-epochs is for a --jitter above 0: it has no effect without\n"},
        {"mixup", "0.2", "batch", "2", "--mixup is for a --batch of 2 or more: it has no effect on a single image\n"},
        {"cutmix", "1", "batch", "2", "--cutmix is for a --batch of 2 or more: it has no effect on a single image\n"}};
    static const struct {
        const char *name, *value;
    } others[] = {{"init", "he"},  {"columns", "one"}, {"schedule", "cosine"},
                  {"jitter", "0"}, {"batch", "1"},     {"optimizer", "sgd"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        an_train_config config;
        an_buffer notes = {0};
        size_t k = 0;
        defaults(&config);
        while (strcmp(others[k].name, cases[i].beside) != 0)
            k++;
        option_set(&config, cases[i].name, cases[i].value);
        option_set(&config, cases[i].beside, cases[i].acting);
        assert_int_equal(an_network_idle_options(&config, &notes), AN_OK);
        assert_int_equal(notes.size, 0);
        option_set(&config, cases[i].beside, others[k].value);
        assert_int_equal(an_network_idle_options(&config, &notes), AN_OK);
        assert_int_equal(an_buffer_append(&notes, "", 1), AN_OK);
        assert_string_equal((char *)notes.data, cases[i].note);
        an_buffer_free(&notes);
    }
}

/* --overfit sets the schedule aside, so what a recipe says of it is no mistake. */
static void test_overfit_leaves_options_of_the_schedule_unnamed(void **state)
{
    (void)state;
    an_train_config config;
    an_buffer notes = {0};
    defaults(&config);
    config.overfit = 50;
    option_set(&config, "schedule", "constant");
    option_set(&config, "rate-epochs", "2");
    option_set(&config, "power", "2");
    assert_int_equal(an_network_idle_options(&config, &notes), AN_OK);
    assert_int_equal(notes.size, 0);
}

static void test_scale_follows_initialisation(void **state)
{
    (void)state;
    an_train_config config;
    defaults(&config);
    assert_int_equal(an_train_config_scale(&config), AN_SCALE_PAPER);
    config.init = AN_INIT_HE;
    assert_int_equal(an_train_config_scale(&config), AN_SCALE_UNIT);
    config.scale = AN_SCALE_PAPER;
    assert_int_equal(an_train_config_scale(&config), AN_SCALE_PAPER);
}

static void write_steps(const char *path, uint64_t resumed, uint64_t first, uint64_t last)
{
    an_metrics *metrics;
    assert_int_equal(an_metrics_open(&metrics, path, resumed), AN_OK);
    for (uint64_t step = first; step <= last; step++) {
        an_train_event event = {.kind = AN_EVENT_TRAIN, .step = step, .loss = 1.5};
        assert_int_equal(an_metrics_write(metrics, &event), AN_OK);
    }
    an_metrics_close(metrics);
}

static void test_metrics_read_as_if_never_interrupted(void **state)
{
    (void)state;
    an_buffer straight = {0}, resumed = {0};
    const char *one = fixture_path(&files, "one.jsonl"), *two = fixture_path(&files, "two.jsonl");
    write_steps(one, 0, 1, 20);
    write_steps(two, 0, 1, 14);
    fixture_read(two, &resumed);
    fixture_write(two, resumed.data, resumed.size - 5); /* killed while writing */
    resumed.size = 0;
    write_steps(two, 11, 12, 20);
    fixture_read(one, &straight);
    fixture_read(two, &resumed);
    assert_int_equal(straight.size, resumed.size);
    assert_memory_equal(straight.data, resumed.data, straight.size);
    an_buffer_free(&straight);
    an_buffer_free(&resumed);
}

static void test_metrics_are_json(void **state)
{
    (void)state;
    an_buffer line = {0};
    an_train_event event = {.kind = AN_EVENT_NOTE, .step = 7, .text = "a \"quoted\"\nword"};
    assert_int_equal(an_metrics_format(&event, &line), AN_OK);
    assert_string_equal((char *)line.data, "{\"type\":\"note\",\"step\":7,\"text\":\"a \\\"quoted\\\"\\nword\"}\n");
    an_buffer_free(&line);
}

static void test_predictions_are_sorted(void **state)
{
    (void)state;
    const float p[] = {0.1f, 0.3f, 0.05f, 0.3f, 0.2f, 0.04f, 0.01f};
    an_prediction got;
    assert_int_equal(an_prediction_make(&got, 9, 4, p, 7), AN_OK);
    const uint32_t want[] = {1, 3, 4, 0, 2};
    assert_int_equal(got.count, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(got.top[i], want[i]);
        assert_true(got.probability[i] == p[want[i]]);
    }
    assert_int_equal(an_prediction_make(&got, 0, 0, p, 2), AN_OK);
    assert_int_equal(got.count, 2);
    assert_int_equal(got.top[0], 1);
    assert_int_equal(got.top[1], 0);
}

/* Equal probabilities: the rank of a class is the place at which it is listed. */
static void test_ties_go_by_class_number(void **state)
{
    (void)state;
    enum { CLASSES = 5 };
    const float p[][CLASSES] = {{0.2f, 0.2f, 0.2f, 0.2f, 0.2f},
                                {0.1f, 0.3f, 0.1f, 0.3f, 0.2f},
                                {0, 0, 1, 0, 0},
                                {0.25f, 0.25f, 0, 0.25f, 0.25f}};
    for (size_t row = 0; row < sizeof(p) / sizeof(p[0]); row++) {
        an_prediction listed;
        assert_int_equal(an_prediction_make(&listed, row, 0, p[row], CLASSES), AN_OK);
        for (uint32_t place = 0; place < CLASSES; place++)
            assert_int_equal(an_prediction_rank(p[row], CLASSES, listed.top[place]), place);
    }
}

static void test_predictions_refuse_what_has_no_order(void **state)
{
    (void)state;
    const float odd[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++)
        for (uint32_t place = 0; place < 3; place++) {
            float p[] = {0.2f, 0.5f, 0.3f};
            an_prediction got;
            assert_int_equal(an_prediction_check(17, p, 3), AN_OK);
            p[place] = odd[i];
            assert_int_equal(an_prediction_make(&got, 17, 0, p, 3), AN_ECORRUPT);
            assert_non_null(strstr(an_error_message(), "record 17"));
            assert_non_null(strstr(an_error_message(), "earlier checkpoint"));
        }
}

static void test_metrics_hold_any_path(void **state)
{
    (void)state;
    an_buffer line = {0};
    an_train_event event = {
        .kind = AN_EVENT_SAVED, .step = 7, .seconds = 0.5, .held = 0.25, .text = "runs/caf\xe9/\xc3\xa9/a\\b"};
    assert_int_equal(an_metrics_format(&event, &line), AN_OK);
    assert_string_equal(
        (char *)line.data,
        "{\"type\":\"saved\",\"step\":7,\"text\":\"runs/caf\\\\xe9/\xc3\xa9/a\\\\b\",\"seconds\":0.5,\"held\":0.25}\n");
    an_buffer_free(&line);
}

static void escapes_to(const char *bytes, const char *text)
{
    char *escaped = an_text_escape(bytes, strlen(bytes)), *back = an_text_unescape(text);
    assert_string_equal(escaped, text);
    assert_string_equal(back, bytes);
    free(escaped);
    free(back);
}

static void test_text_escapes_and_reads_back(void **state)
{
    (void)state;
    escapes_to("", "");
    escapes_to("/data/train", "/data/train");
    escapes_to("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
    escapes_to("caf\xe9", "caf\\xe9");
    escapes_to("\xe2\x82", "\\xe2\\x82");          /* cut within a character */
    escapes_to("\xc0\xaf", "\\xc0\\xaf");          /* overlong */
    escapes_to("\xed\xa0\x80", "\\xed\\xa0\\x80"); /* surrogate */
    escapes_to("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
    escapes_to("a\\b\\x\\xg0\\", "a\\b\\x\\xg0\\"); /* no escapes */
    escapes_to("\\xe9", "\\x5cxe9");
    escapes_to("\\\\x5c", "\\\\x5cx5c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recipe_is_the_second_half),
        cmocka_unit_test(test_recipe_reads_back),
        cmocka_unit_test(test_difference_names_each_value),
        cmocka_unit_test(test_older_recipes_get_what_they_meant),
        cmocka_unit_test(test_a_recipe_says_what_auto_stands_for),
        cmocka_unit_test(test_impossible_combinations),
        cmocka_unit_test(test_batches_that_ranks_can_share),
        cmocka_unit_test(test_overfit_implies),
        cmocka_unit_test(test_overfit_implies_nothing_against_the_user),
        cmocka_unit_test(test_overfit_is_written_as_used),
        cmocka_unit_test(test_warmup_in_epochs),
        cmocka_unit_test(test_trust_is_for_lars),
        cmocka_unit_test(test_options_without_effect_are_named),
        cmocka_unit_test(test_options_beside_others_are_named),
        cmocka_unit_test(test_overfit_leaves_options_of_the_schedule_unnamed),
        cmocka_unit_test(test_scale_follows_initialisation),
        cmocka_unit_test(test_metrics_read_as_if_never_interrupted),
        cmocka_unit_test(test_metrics_are_json),
        cmocka_unit_test(test_metrics_hold_any_path),
        cmocka_unit_test(test_text_escapes_and_reads_back),
        cmocka_unit_test(test_predictions_are_sorted),
        cmocka_unit_test(test_ties_go_by_class_number),
        cmocka_unit_test(test_predictions_refuse_what_has_no_order),
    };
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
