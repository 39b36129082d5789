#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "tests/train/loop/trainer_support.h"
#include "train/state/checkpoint.h"
#include "train/trained/trained.h"

static void test_signal_saves_and_goes_on(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "signal");
    an_train_config config;
    config_for(&config, run);
    listener l = {.signal_at = 4};
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(l.saves, EPOCHS + 1);
    assert_int_equal(access(checkpoint_of(run, 4), F_OK), 0);
    assert_same_file(last_of(run), last_of(straight));
    fixture_remove(run);
}

/* Steps go on while a checkpoint is written. It is told when it is there, with its own step; how long training stood
 * still for it is less than it took. */
static void test_training_goes_on_while_a_checkpoint_is_written(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "goes-on");
    an_train_config config;
    config_for(&config, run);
    listener l = {.signal_at = 1};
    held_until(3);
    assert_int_equal(train(&config, &l), AN_OK);
    held_until(0);
    assert_int_equal(l.first_saved, 1);
    assert_true(l.steps_at_save >= 3);
    assert_true(l.held < l.seconds);
    assert_int_equal(l.saves, EPOCHS + 1);
    assert_same_file(last_of(run), last_of(straight));
    an_checkpoint *c;
    assert_int_equal(an_checkpoint_open(&c, checkpoint_of(run, 1)), AN_OK);
    assert_int_equal(an_checkpoint_state(c)->step, 1);
    an_checkpoint_free(c);
    fixture_remove(run);
}

/* A stop is requested while an earlier checkpoint is being written: it is waited for, and the stop's own one, too. */
static void test_stopped_while_a_checkpoint_is_written(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "stopped-writing");
    an_train_config config;
    config_for(&config, run);
    config.resume = "auto";
    listener l = {.signal_at = 1, .stop_at = 2};
    held_until(1000);
    assert_int_equal(train(&config, &l), AN_STOPPED);
    held_until(0);
    assert_int_equal(l.saves, 2);
    assert_int_equal(l.first_saved, 1);
    for (uint64_t step = 1; step <= 2; step++) {
        an_checkpoint *c;
        assert_int_equal(an_checkpoint_open(&c, checkpoint_of(run, step)), AN_OK);
        an_checkpoint_free(c);
    }
    l = (listener){0};
    assert_int_equal(train(&config, &l), AN_OK);
    assert_same_file(last_of(run), last_of(straight));
    fixture_remove(run);
}

/* Without memory for the copy, training waits, and says so once. */
static void test_without_memory_training_waits(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "no-memory");
    an_train_config config;
    config_for(&config, run);
    listener l = {.signal_at = 1};
    planted.no_memory = true;
    assert_int_equal(train(&config, &l), AN_OK);
    planted.no_memory = false;
    assert_int_equal(l.warnings, 1);
    assert_non_null(strstr(l.warning, "training waits for each checkpoint until it is written: planted"));
    assert_int_equal(l.first_saved, 1);
    assert_int_equal(l.steps_at_save, 1);
    assert_true(l.held >= l.seconds);
    assert_same_file(last_of(run), last_of(straight));
    fixture_remove(run);
}

static int count_files(const char *folder)
{
    int count = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));)
        count += e->d_name[0] != '.';
    assert_int_equal(closedir(d), 0);
    return count;
}

/* A checkpoint that cannot be written ends the run after the step that finds it out, and leaves nothing behind. */
static void test_a_failed_write_ends_the_run(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "no-space");
    an_train_config config;
    config_for(&config, run);
    config.save_every = 2;
    config.validate_every = 100; /* nor do epochs save */
    config.resume = "auto";
    listener l = {.stop_at = 1};
    assert_int_equal(train(&config, &l), AN_STOPPED);
    l = (listener){0};
    planted.full = true;
    planted.patient_from = 2;
    held_until(2); /* step 2, whose checkpoint it is, and step 3 */
    assert_int_equal(train(&config, &l), AN_ENOSPC);
    planted.patient_from = INT_MAX;
    held_until(0);
    assert_non_null(strstr(an_error_message(), "step-000000002.safetensors"));
    assert_int_equal(l.steps, 2);
    assert_int_equal(l.saves, 0);
    /* The one before is left, and nothing else. */
    assert_int_equal(count_files(fixture_path(&files, "no-space/checkpoints")), 1);
    /* The last checkpoint, after which there is no step, fails the run as well. */
    config.save_every = 0;
    config.steps = 2;
    assert_int_equal(train(&config, &l), AN_ENOSPC);
    planted.full = false;
    config.steps = 0;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(access(last_of(run), F_OK), 0);
    fixture_remove(run);
}

static void test_best_without_hard_links(void **state)
{
    (void)state;
    an_train_config config;
    struct stat status;
    char best[512];
    const char *run = fixture_path(&files, "unlinked");
    config_for(&config, run);
    listener l = {0};
    planted.no_links = true;
    assert_int_equal(train(&config, &l), AN_OK);
    planted.no_links = false;
    snprintf(best, sizeof(best), "%s/best.safetensors", run);
    assert_int_equal(stat(best, &status), 0);
    assert_int_equal(status.st_nlink, 1);
    an_trained trained;
    assert_int_equal(an_trained_open(&trained, run, NULL), AN_OK);
    an_trained_close(&trained);
    fixture_remove(run);
}

static void test_keeps_newest_and_best(void **state)
{
    (void)state;
    an_train_config config;
    const char *run = fixture_path(&files, "keep");
    config_for(&config, run);
    config.save_every = 1;
    config.keep = 2;
    listener l = {0};
    assert_int_equal(train(&config, &l), AN_OK);
    for (uint64_t step = 1; step <= 6; step++)
        assert_int_equal(access(checkpoint_of(run, step), F_OK), step > 4 ? 0 : -1);
    an_trained trained;
    assert_int_equal(an_trained_open(&trained, run, NULL), AN_OK);
    assert_int_equal(trained.classes, FIXTURE_CLASSES);
    assert_int_equal(trained.config.batch, config.batch);
    an_trained_close(&trained);
    fixture_remove(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signal_saves_and_goes_on),
        cmocka_unit_test(test_training_goes_on_while_a_checkpoint_is_written),
        cmocka_unit_test(test_stopped_while_a_checkpoint_is_written),
        cmocka_unit_test(test_without_memory_training_waits),
        cmocka_unit_test(test_a_failed_write_ends_the_run),
        cmocka_unit_test(test_best_without_hard_links),
        cmocka_unit_test(test_keeps_newest_and_best),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
