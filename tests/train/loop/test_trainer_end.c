/* Where a run ends, by itself or not, how it goes on from there, and what it tells on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "tests/train/loop/trainer_support.h"

#define TINY 1e-12 /* a rate that changes nothing: top-1 stays what it is at the start */

static void assert_told(const listener *l, const char *note, uint64_t step)
{
    if (strcmp(l->note, note) != 0)
        fail_msg("'%s' instead of '%s'", l->note, note);
    assert_int_equal(l->note_step, step);
}

/* --steps ends a run, but its schedule is that of all epochs: a run that goes on after it is one that never stopped. */
static void steps_only_stop(int schedule)
{
    const char *whole = fixture_path(&files, "whole"), *parts = fixture_path(&files, "parts");
    static const uint64_t ends[] = {1, STEPS_PER_EPOCH, STEPS_PER_EPOCH + 1, 0};
    an_train_config config;
    listener l = {0};
    config_for(&config, whole);
    config.schedule = schedule;
    assert_int_equal(train(&config, &l), AN_OK);
    config.run = parts;
    config.resume = "auto";
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        config.steps = ends[i];
        assert_int_equal(train(&config, &l), AN_OK);
        assert_int_equal(l.validations, 1);
        assert_int_equal(access(checkpoint_of(parts, ends[i] ? ends[i] : STEPS_PER_EPOCH * EPOCHS), F_OK), 0);
    }
    assert_same_file(last_of(parts), last_of(whole));
    fixture_remove(whole);
    fixture_remove(parts);
}

static void test_steps_only_stop(void **state)
{
    (void)state;
    steps_only_stop(AN_SCHEDULE_CONSTANT);
    steps_only_stop(AN_SCHEDULE_COSINE);
    steps_only_stop(AN_SCHEDULE_POLY);
}

/* A schedule cannot be stretched afterwards. A checkpoint that was on its way to fewer steps is what versions left that
 * took --steps for the schedule's length; the same --steps finish such a run as it was begun. */
static void test_a_schedule_keeps_its_length(void **state)
{
    (void)state;
    const char *whole = fixture_path(&files, "whole"), *parts = fixture_path(&files, "parts");
    an_train_config config;
    listener l = {0};
    config_for(&config, whole);
    config.schedule = AN_SCHEDULE_COSINE;
    config.epochs = 1;
    assert_int_equal(train(&config, &l), AN_OK);
    config.run = parts;
    config.resume = "auto";
    l.stop_at = 1;
    assert_int_equal(train(&config, &l), AN_STOPPED);
    l.stop_at = 0;
    config.epochs = 2;
    assert_refused(&config, "was on its way to 3 steps");
    assert_non_null(strstr(an_error_message(), "--steps 3 ends the run"));
    config.steps = 5;
    assert_refused(&config, "was on its way to 3 steps");
    config.steps = STEPS_PER_EPOCH;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_same_file(checkpoint_of(parts, STEPS_PER_EPOCH), checkpoint_of(whole, STEPS_PER_EPOCH));
    fixture_remove(whole);
    fixture_remove(parts);
}

/* Top-1 does not rise after the first validation: the second one in vain ends the run. */
static void test_stops_early(void **state)
{
    (void)state;
    enum { END = 3 * STEPS_PER_EPOCH };
    const char *one = fixture_path(&files, "one"), *two = fixture_path(&files, "two");
    char note[200];
    an_train_config config;
    listener l = {0};
    config_for(&config, one);
    config.rate = TINY;
    config.epochs = 9;
    config.stop_after = 2;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(l.steps, END);
    assert_int_equal(l.validations, 3);
    snprintf(note, sizeof(note),
             "stopped early at step 9 of 27: 2 validations in a row did not reach a top-1 above %.2f %%, of step 3",
             100 * l.top1);
    assert_true(l.top1 > 0);
    assert_told(&l, note, END);
    /* stopped and resumed, it ends at the same place, and stays there */
    config.run = two;
    config.resume = "auto";
    l.stop_at = STEPS_PER_EPOCH + 2;
    assert_int_equal(train(&config, &l), AN_STOPPED);
    l.stop_at = 0;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_told(&l, note, END);
    assert_same_file(checkpoint_of(two, END), checkpoint_of(one, END));
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(l.steps + l.validations + l.saves + l.notes, 0);
    /* and goes on with more patience */
    config.stop_after = 3;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(l.steps, STEPS_PER_EPOCH);
    fixture_remove(one);
    fixture_remove(two);
}

static void test_what_needs_a_validation_set(void **state)
{
    (void)state;
    an_train_config config;
    listener l = {.alone = true};
    config_for(&config, NULL);
    config.epochs = 1;
    config.stop_after = 4;
    assert_int_equal(train(&config, &l), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "--stop-after 4 needs a validation set"));
    config.stop_after = 0;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(l.warnings, 0);
    config.schedule = AN_SCHEDULE_PLATEAU;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(l.warnings, 1);
    assert_non_null(strstr(l.warning, "the rate stays at 0.01"));
    assert_non_null(strstr(l.warning, "--schedule steps"));
    config.rate_drops = 0; /* it is not meant to fall */
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(l.warnings, 0);
    config.rate_drops = 3;
    config.overfit = 6; /* it validates on these */
    assert_int_equal(train(&config, &l), AN_OK);
    assert_null(strstr(l.warning, "schedule plateau"));
}

/* Each time that the rate falls is told: by plateau, and at an epoch of schedule steps, whether it is validated or not.
 */
static void test_falls_of_the_rate_are_told(void **state)
{
    (void)state;
    an_train_config config;
    listener l = {0};
    config_for(&config, NULL);
    config.schedule = AN_SCHEDULE_PLATEAU;
    config.rate = TINY;
    config.patience = 1;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(l.notes, 1);
    assert_told(&l, "the rate falls from 1e-12 to 1e-13 after epoch 2: 1 validation without a new best top-1",
                2 * STEPS_PER_EPOCH);
    config.schedule = AN_SCHEDULE_STEPS;
    config.rate_epochs = "1";
    for (int every = 1; every <= 2; every++) {
        config.validate_every = every;
        assert_int_equal(train(&config, &l), AN_OK);
        assert_int_equal(l.notes, 1);
        assert_told(&l, "the rate falls from 1e-12 to 1e-13 after epoch 1", STEPS_PER_EPOCH);
    }
}

/* Who stops a run learns how it goes on. */
static void test_stops_say_how_to_go_on(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "stops"), *other = fixture_path(&files, "elsewhere");
    an_train_config config;
    listener l = {.stop_at = 1};
    config_for(&config, NULL);
    assert_int_equal(train(&config, &l), AN_STOPPED);
    assert_told(&l, "stopped at step 1 of 6: nothing of it is kept: there was no --run FOLDER", 1);
    config.run = run;
    assert_int_equal(train(&config, &l), AN_STOPPED);
    assert_told(&l, "stopped at step 1 of 6: the same command with --resume auto continues", 1);
    config.resume = "auto";
    l.stop_at = 2;
    assert_int_equal(train(&config, &l), AN_STOPPED);
    assert_told(&l, "stopped at step 2 of 6: the same command continues", 2);
    config.run = other;
    config.resume = checkpoint_of(run, 2);
    l.stop_at = 4;
    assert_int_equal(train(&config, &l), AN_STOPPED);
    assert_told(&l, "stopped at step 4 of 6: the same command with --resume auto, instead of from that file, continues",
                4);
    config.resume = "auto"; /* which is true */
    l.stop_at = 0;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(l.notes, 0);
    assert_same_file(last_of(other), last_of(straight));
    fixture_remove(run);
    fixture_remove(other);
}

static void assert_holds_line(const char *path, const char *beginning)
{
    an_buffer text = {0};
    fixture_read(path, &text);
    assert_int_equal(an_buffer_append(&text, "", 1), AN_OK);
    if (!strstr((char *)text.data, beginning))
        fail_msg("no line '%s' in %s", beginning, (char *)text.data);
    an_buffer_free(&text);
}

/* The steps since the last line are told when a run ends between two lines, stopped or failing, and are kept. */
static void test_the_last_steps_are_told(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "last"), *metrics = fixture_path(&files, "last/metrics.jsonl");
    an_train_config config;
    listener l = {0};
    config_for(&config, run);
    config.log_every = 100;
    config.resume = "auto";
    planted.takes = 0;
    planted.stop_at_take = 2; /* after two steps */
    assert_int_equal(train(&config, &l), AN_STOPPED);
    planted.stop_at_take = 0;
    assert_int_equal(l.last_told, 2);
    assert_holds_line(metrics, "{\"type\":\"train\",\"step\":2,");
    assert_int_equal(train(&config, &l), AN_OK);
    assert_same_file(last_of(run), last_of(straight));
    assert_holds_line(metrics, "{\"type\":\"train\",\"step\":2,");
    assert_holds_line(metrics, "{\"type\":\"train\",\"step\":3,");
    fixture_remove(run);
    config.resume = NULL;
    config.rate = 1000;
    config.validate_every = config.epochs = 100;
    assert_int_equal(train(&config, &l), AN_ECORRUPT);
    assert_int_equal(l.steps, 1);
    assert_true(l.last_told > 0 && l.last_told < 30);
    assert_non_null(strstr(an_error_message(), "not finite")); /* not another message */
    assert_holds_line(metrics, "{\"type\":\"train\"");
    fixture_remove(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_only_stop),
        cmocka_unit_test(test_a_schedule_keeps_its_length),
        cmocka_unit_test(test_stops_early),
        cmocka_unit_test(test_what_needs_a_validation_set),
        cmocka_unit_test(test_falls_of_the_rate_are_told),
        cmocka_unit_test(test_stops_say_how_to_go_on),
        cmocka_unit_test(test_the_last_steps_are_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
