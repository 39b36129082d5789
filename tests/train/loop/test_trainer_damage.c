#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/error.h"
#include "base/file.h"
#include "tests/train/loop/trainer_support.h"
#include "train/state/checkpoint.h"
#include "train/state/safetensors.h"
#include "train/state/weights.h"
#include "train/trained/trained.h"

static void test_damaged_newest_falls_back(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "damaged");
    an_train_config config;
    config_for(&config, run);
    config.resume = "auto";
    listener l = {.stop_at = 2};
    assert_int_equal(train(&config, &l), AN_STOPPED);
    l.stop_at = 4;
    assert_int_equal(train(&config, &l), AN_STOPPED);
    fixture_flip(checkpoint_of(run, 4), 100000);
    l.stop_at = 0;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(l.warnings, 1);
    assert_non_null(strstr(l.warning, "step-000000004"));
    assert_same_file(last_of(run), last_of(straight));
    /* All damaged: an error however often it is tried, not a silent new start. */
    for (uint64_t step = 2; step <= 6; step++)
        if (access(checkpoint_of(run, step), F_OK) == 0)
            fixture_flip(checkpoint_of(run, step), 100000);
    assert_int_equal(train(&config, &l), AN_ECORRUPT);
    assert_int_equal(train(&config, &l), AN_ECORRUPT);
    fixture_remove(run);
}

static void replace_by_link(const char *path, const char *target)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(target, path), 0);
}

/* As when the disk that checkpoints were moved to is not mounted. */
static void test_checkpoints_that_lead_nowhere(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "links"), *metrics = fixture_path(&files, "links/metrics.jsonl");
    an_train_config config;
    an_buffer before = {0}, after = {0};
    config_for(&config, run);
    config.resume = "auto";
    listener l = {.stop_at = 2};
    assert_int_equal(train(&config, &l), AN_STOPPED);
    l.stop_at = 4;
    assert_int_equal(train(&config, &l), AN_STOPPED);
    replace_by_link(checkpoint_of(run, 4), "/nowhere/step-000000004.safetensors");
    l.stop_at = 5;
    assert_int_equal(train(&config, &l), AN_STOPPED);
    assert_int_equal(l.warnings, 1);
    assert_non_null(strstr(l.warning, "step-000000004"));
    assert_int_equal(access(checkpoint_of(run, 5), F_OK), 0);
    /* None can be opened: neither a new start nor a change, however often it is tried. */
    for (uint64_t step = 2; step <= 5; step++)
        if (access(checkpoint_of(run, step), F_OK) == 0)
            replace_by_link(checkpoint_of(run, step), "/nowhere/else");
    fixture_read(metrics, &before);
    l.stop_at = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(train(&config, &l), AN_EIO);
        assert_non_null(strstr(an_error_message(), run));
    }
    fixture_read(metrics, &after);
    assert_int_equal(after.size, before.size);
    assert_memory_equal(after.data, before.data, before.size);
    /* The system fails: no older checkpoint instead. A link to itself stands for a bad disk. */
    replace_by_link(checkpoint_of(run, 5), checkpoint_of(run, 5));
    assert_int_equal(train(&config, &l), AN_EIO);
    assert_non_null(strstr(an_error_message(), "step-000000005"));
    an_trained trained;
    assert_int_equal(an_trained_open(&trained, run, NULL), AN_OK); /* best, of the first epoch */
    an_trained_close(&trained);
    replace_by_link(fixture_path(&files, "links/best.safetensors"), "/nowhere/best");
    assert_int_not_equal(an_trained_open(&trained, run, NULL), AN_OK);
    assert_non_null(strstr(an_error_message(), "best.safetensors"));
    an_buffer_free(&before);
    an_buffer_free(&after);
    fixture_remove(run);
}

/* What a checkpoint would not be saved with, none is loaded with. */
static int fetch_not_finite(void *context, size_t number, float *room, const float **out)
{
    an_exec *exec = context;
    int rc = an_exec_parameter_get(exec, (int)number, AN_PARAMETER_VALUE, room);
    if (number == 1)
        room[0] = NAN;
    *out = room;
    return rc;
}

static int load_weights(const char *path, an_exec *exec)
{
    an_weights *weights = NULL;
    int rc = an_weights_open(&weights, path);
    if (!rc)
        rc = an_weights_load(weights, exec, NULL);
    an_weights_free(weights);
    return rc;
}

static void test_weights_that_are_not_finite_are_refused(void **state)
{
    (void)state;
    an_trained trained;
    an_exec *exec;
    const char *path = fixture_path(&files, "nan.safetensors");
    assert_int_equal(an_trained_open(&trained, straight, NULL), AN_OK);
    assert_int_equal(an_trained_exec(&trained, "cpu", 1, 1, NULL, &exec), AN_OK);
    size_t count = (size_t)an_exec_parameter_count(exec);
    an_safetensor *tensors = calloc(count, sizeof(*tensors));
    for (size_t i = 0; i < count; i++) {
        const an_parameter *p = an_exec_parameter(exec, (int)i);
        tensors[i] = (an_safetensor){.name = p->name, .rank = p->rank};
        for (int d = 0; d < p->rank; d++)
            tensors[i].shape[d] = (uint64_t)p->shape[d];
    }
    assert_int_equal(an_safetensors_write(path, tensors, count, NULL, 0, fetch_not_finite, exec), AN_OK);
    assert_int_equal(load_weights(path, exec), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), tensors[1].name));
    /* Neither does a checkpoint take a mean image like that. */
    trained.input.mean_image[5] = INFINITY;
    assert_int_equal(an_checkpoint_save(path, &(an_checkpoint_parameters){.exec = exec},
                                        an_checkpoint_state(trained.checkpoint),
                                        an_checkpoint_identity(trained.checkpoint), &trained.input),
                     AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "input.mean_image"));
    free(tensors);
    an_exec_free(exec);
    an_trained_close(&trained);
}

/* Make the last value of a checkpoint's tensor infinite, and the checksum right again. */
static void poison(const char *path, const char *name)
{
    an_buffer bytes = {0};
    an_safetensors *file;
    char digits[17];
    const float infinite = -INFINITY;
    uint64_t length;
    fixture_read(path, &bytes);
    assert_int_equal(an_safetensors_open(&file, path), AN_OK);
    memcpy(&length, bytes.data, 8);
    memcpy(bytes.data + 8 + length + an_safetensors_find(file, name)->end - 4, &infinite, 4);
    an_safetensors_free(file);
    char *place = memmem(bytes.data, bytes.size, "\"xxh3\":\"", 8);
    memset(place + 8, '0', 16);
    snprintf(digits, sizeof(digits), "%016" PRIx64, (uint64_t)XXH3_64bits(bytes.data + 8, bytes.size - 8));
    memcpy(place + 8, digits, 16);
    assert_int_equal(an_file_write_atomic(path, bytes.data, bytes.size), AN_OK);
    an_buffer_free(&bytes);
}

/* A right checksum is not enough: such a checkpoint is passed over like a damaged one, and refused by name. */
static void test_not_finite_newest_falls_back(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "poisoned"), *best = fixture_path(&files, "poisoned/best.safetensors");
    an_train_config config;
    config_for(&config, run);
    config.resume = "auto";
    listener l = {.stop_at = 2};
    assert_int_equal(train(&config, &l), AN_STOPPED);
    l.stop_at = 4;
    assert_int_equal(train(&config, &l), AN_STOPPED);
    poison(checkpoint_of(run, 4), "momentum.fc10.bias");
    l.stop_at = 0;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(l.warnings, 1);
    assert_non_null(strstr(l.warning, "step-000000004"));
    assert_non_null(strstr(l.warning, "'momentum.fc10.bias' holds values that are not finite"));
    assert_same_file(last_of(run), last_of(straight));
    poison(best, "conv1.weight");
    an_trained trained;
    assert_int_equal(an_trained_open(&trained, run, NULL), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), best));
    assert_non_null(strstr(an_error_message(), "'conv1.weight'"));
    config_for(&config, NULL);
    config.weights = best;
    assert_int_equal(train(&config, &l), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "'conv1.weight'"));
    config.weights = NULL;
    config.resume = best;
    assert_int_equal(train(&config, &l), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "'conv1.weight'"));
    fixture_remove(run);
}

/* Of a network that a file describes, the file is to blame. */
static void test_impossible_networks_name_their_file(void **state)
{
    (void)state;
    an_trained trained;
    an_graph graph;
    an_exec *exec;
    assert_int_equal(an_trained_open(&trained, straight, NULL), AN_OK);
    const int crop = trained.config.crop;
    assert_int_equal(an_trained_graph(&trained, &graph), AN_OK);
    trained.config.crop = 4;
    assert_int_equal(an_trained_graph(&trained, &graph), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), trained.path));
    assert_non_null(strstr(an_error_message(), "--crop 4"));
    trained.config.crop = crop;
    trained.classes = 1 << 20;
    assert_int_equal(an_trained_exec(&trained, "cpu", 1, 1, NULL, &exec), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), trained.path));
    assert_non_null(strstr(an_error_message(), "too small for"));
    an_trained_close(&trained);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damaged_newest_falls_back),
        cmocka_unit_test(test_checkpoints_that_lead_nowhere),
        cmocka_unit_test(test_weights_that_are_not_finite_are_refused),
        cmocka_unit_test(test_not_finite_newest_falls_back),
        cmocka_unit_test(test_impossible_networks_name_their_file),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
