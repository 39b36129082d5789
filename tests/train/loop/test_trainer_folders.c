#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "model/nets/nets.h"
#include "tests/train/loop/trainer_support.h"
#include "train/state/checkpoint.h"
#include "train/trained/trained.h"

/* Names that only resemble a checkpoint's are somebody else's files: neither resumed from nor deleted nor renamed. */
static const char *const strange[] = {"step-5000.safetensors",
                                      "step-9.safetensors",
                                      "step-0000000009.safetensors",
                                      "step-+00000009.safetensors",
                                      "step-18446744073709551615.safetensors",
                                      "step-99999999999999999999999.safetensors",
                                      "step-000000009.safetensors.bak",
                                      "step-000000009.safetensors.tmp-",
                                      "step-000000009.safetensors.tmp-mine",
                                      "step-000000009.safetensors.tmp-123",
                                      "step-000000009.safetensors.tmp-0123456789abcdef0",
                                      "mine.safetensors.tmp-0123456789abcdef",
                                      "best.safetensors"};
enum { STRANGE = sizeof(strange) / sizeof(strange[0]) };

static const char *strange_path(const char *run, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/checkpoints/%s", run + strlen(files.root) + 1, name);
    return fixture_path(&files, path);
}

static void assert_mine(const char *path)
{
    an_buffer bytes = {0};
    fixture_read(path, &bytes);
    assert_int_equal(bytes.size, 4);
    assert_memory_equal(bytes.data, "mine", 4);
    an_buffer_free(&bytes);
}

static void test_other_files_are_left_alone(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "strange");
    an_train_config config;
    config_for(&config, run);
    config.resume = "auto";
    config.save_every = 1;
    config.keep = 1;
    listener l = {.stop_at = 2};
    assert_int_equal(train(&config, &l), AN_STOPPED);
    assert_int_equal(an_file_make_folder(strange_path(run, "step-000000008.safetensors")), AN_OK);
    assert_int_equal(an_file_make_folder(strange_path(run, "step-000000007.safetensors.tmp-0123456789abcdef")), AN_OK);
    for (size_t i = 0; i < STRANGE; i++)
        fixture_write(strange_path(run, strange[i]), "mine", 4);
    const char *leftover = strange_path(run, "step-000000009.safetensors.tmp-0123456789abcdef");
    fixture_write(leftover, "half", 4);
    l.stop_at = 0;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(l.warnings, 0);
    assert_same_file(last_of(run), last_of(straight));
    for (size_t i = 0; i < STRANGE; i++)
        assert_mine(strange_path(run, strange[i]));
    assert_int_equal(access(strange_path(run, "step-000000008.safetensors"), F_OK), 0);
    assert_int_equal(access(strange_path(run, "step-000000007.safetensors.tmp-0123456789abcdef"), F_OK), 0);
    assert_int_not_equal(access(leftover, F_OK), 0); /* this one was ours */
    assert_int_not_equal(access(checkpoint_of(run, 2), F_OK), 0);
    fixture_remove(run);
}

/* A run starts at step 0 only where nothing is left of another one, with --resume auto and without. */
static void test_no_new_start_beside_remains(void **state)
{
    (void)state;
    static const char damaged[] = "step-000000004.safetensors.damaged";
    static const char metrics[] = "{\"type\":\"train\",\"step\":4}\n{\"type\":\"saved\",\"step\":4,\"text\":\"x\"}\n";
    const char *run = fixture_path(&files, "remains"), *best = fixture_path(&files, "remains/best.safetensors");
    const char *told = fixture_path(&files, "remains/metrics.jsonl");
    an_train_config config;
    assert_int_equal(an_file_make_folder(fixture_path(&files, "remains/checkpoints")), AN_OK);
    config_for(&config, run);
    for (int i = 0; i < 2; i++) {
        config.resume = i ? "auto" : NULL;
        for (size_t k = 0; k <= STRANGE; k++) {
            const char *path = strange_path(run, k < STRANGE ? strange[k] : damaged);
            fixture_write(path, "mine", 4);
            assert_refused(&config, path);
            assert_mine(path);
            assert_int_equal(unlink(path), 0);
        }
        fixture_write(best, "mine", 4);
        assert_refused(&config, best);
        assert_mine(best);
        assert_int_equal(unlink(best), 0);
        fixture_write(told, metrics, strlen(metrics));
        assert_refused(&config, told);
        assert_int_equal(unlink(told), 0);
        assert_int_not_equal(access(fixture_path(&files, "remains/recipe.txt"), F_OK), 0);
    }
    /* From another file a run goes on there, but not over a best checkpoint that is not that file. */
    fixture_write(best, "mine", 4);
    config.resume = checkpoint_of(straight, STEPS_PER_EPOCH);
    assert_refused(&config, best);
    assert_mine(best);
    listener l = {.stop_at = 4};
    assert_int_equal(unlink(best), 0);
    assert_int_equal(link(checkpoint_of(straight, STEPS_PER_EPOCH), best), 0);
    config.resume = best;
    assert_int_equal(train(&config, &l), AN_STOPPED);
    fixture_remove(run);
    assert_int_equal(an_file_make_folder(fixture_path(&files, "remains/checkpoints")), AN_OK);
    config.resume = "auto";
    /* What a run leaves that ended before its first checkpoint, and what is of no run at all. */
    fixture_write(told, metrics, strchr(metrics, '\n') + 1 - metrics);
    fixture_write(strange_path(run, "notes.txt"), "mine", 4);
    fixture_write(strange_path(run, ".DS_Store"), "mine", 4);
    l.stop_at = 0;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_same_file(last_of(run), last_of(straight));
    assert_mine(strange_path(run, "notes.txt"));
    assert_mine(strange_path(run, ".DS_Store"));
    fixture_remove(run);
}

/* A name counts for the step that the file holds: a copy under a later name neither leads anywhere nor makes --keep
 * delete the others. */
static void test_renamed_checkpoints_are_passed_over(void **state)
{
    (void)state;
    char aside[512];
    const char *run = fixture_path(&files, "renamed");
    an_train_config config;
    config_for(&config, run);
    config.resume = "auto";
    config.keep = 1;
    listener l = {.stop_at = 2};
    assert_int_equal(train(&config, &l), AN_STOPPED);
    for (int i = 0; i < 2; i++) { /* what was set aside before is kept */
        assert_int_equal(an_file_copy(checkpoint_of(run, 2 + i), checkpoint_of(run, 5000)), AN_OK);
        l.stop_at = i ? 0 : 3;
        assert_int_equal(train(&config, &l), i ? AN_OK : AN_STOPPED);
        assert_int_equal(l.warnings, 1);
        assert_non_null(strstr(l.warning, "step-000005000"));
        assert_non_null(strstr(l.warning, i ? "holds step 3" : "holds step 2"));
        snprintf(aside, sizeof(aside), "%s.damaged%s", checkpoint_of(run, 5000), i ? "-2" : "");
        assert_int_equal(access(aside, F_OK), 0);
        assert_int_not_equal(access(checkpoint_of(run, 5000), F_OK), 0);
    }
    assert_same_file(last_of(run), last_of(straight));
    /* Exchanged: none is what it says. */
    assert_int_equal(rename(last_of(run), checkpoint_of(run, 5)), 0);
    assert_int_equal(train(&config, &l), AN_ECORRUPT);
    assert_int_equal(access(checkpoint_of(run, 5), F_OK), 0);
    fixture_remove(run);
}

/* Names that a run will write are free, or it does not begin: not at step 0, and not at the end of an epoch. */
static void test_names_in_the_way_are_refused(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "way");
    const char *const taken[] = {checkpoint_of(run, 0), checkpoint_of(run, 6),
                                 fixture_path(&files, "way/best.safetensors")};
    an_train_config config;
    config_for(&config, run);
    for (int i = 0; i < 6; i++) {
        const char *path = taken[i % 3];
        config.resume = i == 5 ? NULL : "auto";
        listener l = {0};
        assert_int_equal(an_file_make_folder(fixture_path(&files, "way/checkpoints")), AN_OK);
        assert_int_equal(i < 3 ? mkdir(path, 0777) : mkfifo(path, 0666), 0);
        assert_true(train(&config, &l) < 0);
        assert_non_null(strstr(an_error_message(), path));
        assert_int_equal(l.steps, 0);
        assert_int_equal(remove(path), 0);
    }
    fixture_remove(run);
}

/* While a run is under way, too: a pipe is no place for a checkpoint. */
static void test_a_pipe_planted_meanwhile(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "planted");
    an_train_config config;
    config_for(&config, run);
    assert_int_equal(an_file_make_folder(fixture_path(&files, "planted/checkpoints")), AN_OK);
    plant_at = checkpoint_of(run, 3);
    listener l = {0};
    assert_int_equal(train(&config, &l), AN_EIO);
    assert_non_null(strstr(an_error_message(), checkpoint_of(run, 3)));
    assert_non_null(strstr(an_error_message(), "a named pipe"));
    plant_at = NULL;
    fixture_remove(run);
}

/* Paths are bytes: saved, resumed and used where they are not UTF-8. */
static void test_paths_that_are_not_utf8(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "caf\xe9"), *data = fixture_path(&files, "donn\xe9"
                                                                                    "es");
    an_train_config config;
    fixture_dataset(data, IMAGES, FIXTURE_CLASSES, 1);
    config_for(&config, run);
    config.resume = "auto";
    listener l = {.stop_at = 4};
    assert_int_equal(train_on(&config, data, &l), AN_STOPPED);
    l = (listener){0};
    assert_int_equal(train_on(&config, data, &l), AN_OK);
    assert_int_equal(l.warnings, 0);
    an_trained trained;
    assert_int_equal(an_trained_open(&trained, run, NULL), AN_OK);
    assert_string_equal(an_checkpoint_identity(trained.checkpoint)->dataset, data);
    an_trained_close(&trained);
    fixture_remove(run);
}

static void test_what_does_not_belong_is_refused(void **state)
{
    (void)state;
    an_train_config config;
    const char *changed = fixture_path(&files, "changed"), *classes = fixture_path(&files, "classes");
    const char *pixels = fixture_path(&files, "pixels");
    config_for(&config, straight);
    refused(&config, training, "--resume auto");
    config.resume = "auto";
    config.momentum = 0.8;
    refused(&config, training, "momentum: 0.9 -> 0.8");
    config.momentum = 0.9;
    fixture_dataset(changed, IMAGES + 1, FIXTURE_CLASSES, 1);
    refused(&config, changed, "has changed");
    fixture_dataset(pixels, IMAGES, FIXTURE_CLASSES, 3); /* same manifest, labels and lengths */
    refused(&config, pixels, "has changed");
    fixture_dataset(classes, IMAGES, FIXTURE_CLASSES + 1, 1);
    refused(&config, classes, "has 4");
    config_for(&config, NULL);
    config.crop = FIXTURE_SIDE + 1;
    refused(&config, training, "--crop");
    config_for(&config, NULL);
    config.network = an_net_find("alexnet");
    config.crop = 20;
    refused(&config, training, "--crop 64 or more");
    config.lrn = "conv1,conv9";
    refused(&config, training, "--lrn");
    config_for(&config, NULL);
    config.batch = IMAGES + 1;
    refused(&config, training, "--batch");
    config_for(&config, NULL);
    config.overfit = IMAGES + 1;
    refused(&config, training, "--overfit");
}

static void test_rewinding_over_newer_checkpoints_is_refused(void **state)
{
    (void)state;
    an_train_config config;
    config_for(&config, straight);
    config.resume = checkpoint_of(straight, STEPS_PER_EPOCH);
    refused(&config, training, "later checkpoint");
    /* Into another folder it goes. */
    const char *other = fixture_path(&files, "other");
    config.run = other;
    config.resume = checkpoint_of(straight, STEPS_PER_EPOCH);
    listener l = {0};
    assert_int_equal(train(&config, &l), AN_OK);
    assert_same_file(last_of(other), last_of(straight));
    fixture_remove(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_files_are_left_alone),
        cmocka_unit_test(test_no_new_start_beside_remains),
        cmocka_unit_test(test_renamed_checkpoints_are_passed_over),
        cmocka_unit_test(test_names_in_the_way_are_refused),
        cmocka_unit_test(test_a_pipe_planted_meanwhile),
        cmocka_unit_test(test_paths_that_are_not_utf8),
        cmocka_unit_test(test_what_does_not_belong_is_refused),
        cmocka_unit_test(test_rewinding_over_newer_checkpoints_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
