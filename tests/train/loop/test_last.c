/* --last: when epochs end, and runs that are stopped, resumed, prolonged or older than the option. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/program/stop.h"
#include "tests/train/fixture.h"
#include "train/loop/trainer_private.h"

enum { IMAGES = 14, EPOCHS = 3 }; /* batch 4 */

static fixture files;
static const char *training, *validation;

/* What a run tells. */
typedef struct {
    uint64_t stop_at; /* step; 0: never */
    uint64_t validated[8];
    double epochs[8]; /* as told with the validation */
    int validations;
    uint64_t steps, total;
} listener;

static void listen(void *context, const an_train_event *event)
{
    listener *l = context;
    if (event->kind == AN_EVENT_VALIDATION) {
        l->validated[l->validations] = event->step;
        l->epochs[l->validations++] = event->epoch;
    }
    if (event->kind != AN_EVENT_TRAIN)
        return;
    l->steps = event->step;
    l->total = event->total;
    if (event->step == l->stop_at)
        an_stop_request();
}

/* without_key: its checkpoints are as those of a version that did not know --last. */
static int train(const an_train_config *config, listener *l, bool without_key)
{
    an_trainer *trainer = NULL;
    an_train_observer observer = {listen, l};
    *l = (listener){.stop_at = l->stop_at};
    an_stop_reset();
    int rc = an_trainer_create(&trainer, config, NULL, training, (const char *const[]){validation, NULL}, &observer);
    if (rc)
        return rc;
    char *line = without_key ? strstr((char *)trainer->recipe.data, "last = ") : NULL;
    assert_true(!without_key || line);
    if (line)
        memmove(line, strchr(line, '\n') + 1, strlen(strchr(line, '\n') + 1) + 1);
    rc = an_trainer_run(trainer);
    an_trainer_free(trainer);
    return rc;
}

static void config_for(an_train_config *config, const char *run, int last)
{
    fixture_config(config);
    config->epochs = EPOCHS;
    config->run = run;
    config->resume = "auto";
    config->keep = 100;
    config->last = last;
}

static void read_checkpoint(const char *run, uint64_t step, an_buffer *out)
{
    char name[512];
    snprintf(name, sizeof(name), "%s/checkpoints/step-%09" PRIu64 ".safetensors", run + strlen(files.root) + 1, step);
    out->size = 0;
    fixture_read(fixture_path(&files, name), out);
}

static void assert_same_checkpoint(const char *a, const char *b, uint64_t step)
{
    an_buffer left = {0}, right = {0};
    read_checkpoint(a, step, &left);
    read_checkpoint(b, step, &right);
    assert_int_equal(left.size, right.size);
    assert_int_equal(memcmp(left.data, right.data, left.size), 0);
    an_buffer_free(&left);
    an_buffer_free(&right);
}

static int set_up(void **state)
{
    (void)state;
    fixture_open(&files);
    training = fixture_path(&files, "training");
    validation = fixture_path(&files, "validation");
    fixture_dataset(training, IMAGES, FIXTURE_CLASSES, 1);
    fixture_dataset(validation, 5, FIXTURE_CLASSES, 2);
    assert_int_equal(an_stop_install(), AN_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_close(&files);
    return 0;
}

/* Which steps end epochs, and where epochs then stand. */
static const struct {
    int last;
    uint64_t ends[EPOCHS];
    double epochs[EPOCHS];
} rows[] = {
    {AN_LAST_DROP, {3, 6, 9}, {1, 2, 3}},
    {AN_LAST_SHORT, {4, 8, 12}, {1, 2, 3}},
    {AN_LAST_CARRY, {4, 7, 11}, {16 / 14.0, 2, 44 / 14.0}},
};

/* A run stopped before, at and after the ends of epochs, and resumed each time, ends in the same bytes. */
static void test_stopped_and_resumed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        an_train_config config;
        listener l = {0};
        const char *one = fixture_path(&files, "one"), *two = fixture_path(&files, "two");
        uint64_t total = rows[i].ends[EPOCHS - 1];
        config_for(&config, one, rows[i].last);
        assert_int_equal(train(&config, &l, false), AN_OK);
        assert_int_equal(l.validations, EPOCHS);
        for (int e = 0; e < EPOCHS; e++) {
            assert_int_equal(l.validated[e], rows[i].ends[e]);
            assert_true(l.epochs[e] == rows[i].epochs[e]);
        }
        assert_true(l.steps == total && l.total == total);
        config_for(&config, two, AN_TRAIN_LAST_AUTO); /* goes on as it was begun */
        for (uint64_t stop = 3; stop < 8; stop++) {
            if (stop == 3)
                config.last = rows[i].last;
            l.stop_at = stop;
            assert_int_equal(train(&config, &l, false), AN_STOPPED);
            config.last = AN_TRAIN_LAST_AUTO;
        }
        l.stop_at = 0;
        assert_int_equal(train(&config, &l, false), AN_OK);
        assert_same_checkpoint(two, one, total);
        fixture_remove(one);
        fixture_remove(two);
    }
}

/* The last step of a run is whole, so that more epochs can follow it. */
static void test_more_epochs_follow(void **state)
{
    (void)state;
    an_train_config config;
    listener l = {0};
    const char *one = fixture_path(&files, "once"), *two = fixture_path(&files, "prolonged");
    config_for(&config, one, AN_TRAIN_LAST_AUTO);
    assert_int_equal(train(&config, &l, false), AN_OK);
    assert_int_equal(l.total, 11); /* a run that begins carries */
    config.run = two;
    for (config.epochs = 1; config.epochs <= EPOCHS; config.epochs++)
        assert_int_equal(train(&config, &l, false), AN_OK);
    assert_same_checkpoint(two, one, 11);
    fixture_remove(one);
    fixture_remove(two);
}

/* Checkpoints of versions that dropped the rest without saying so go on as they were begun, with the same command. */
static void test_older_checkpoints_go_on_dropping(void **state)
{
    (void)state;
    an_train_config config;
    listener l = {0};
    const char *one = fixture_path(&files, "new"), *two = fixture_path(&files, "old");
    config_for(&config, one, AN_LAST_DROP);
    assert_int_equal(train(&config, &l, false), AN_OK);
    config_for(&config, two, AN_LAST_DROP);
    l.stop_at = 4;
    assert_int_equal(train(&config, &l, true), AN_STOPPED);
    config.last = AN_LAST_CARRY;
    assert_int_equal(train(&config, &l, false), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "last: drop -> carry"));
    config.last = AN_TRAIN_LAST_AUTO;
    for (l.stop_at = 5; l.stop_at; l.stop_at = l.stop_at == 5 ? 7 : 0) /* the second time it is said */
        assert_int_equal(train(&config, &l, false), AN_STOPPED);
    assert_int_equal(train(&config, &l, false), AN_OK);
    assert_int_equal(l.total, 9);
    assert_same_checkpoint(two, one, 9);
    fixture_remove(one);
    fixture_remove(two);
}

/* An epoch of as many images as a batch is one step, however its rest is dealt with. */
static void test_an_epoch_of_one_batch(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        an_train_config config;
        listener l = {0};
        config_for(&config, NULL, rows[i].last);
        config.resume = NULL;
        config.batch = IMAGES;
        assert_int_equal(train(&config, &l, false), AN_OK);
        assert_true(l.total == EPOCHS && l.validations == EPOCHS);
        config.batch = IMAGES + 1;
        assert_int_equal(train(&config, &l, false), AN_EINVAL);
        assert_non_null(strstr(an_error_message(), "--batch 15 is more than the 14 images"));
        config.batch = 4;
        config.overfit = 6;
        assert_int_equal(train(&config, &l, false), AN_OK);
        assert_int_equal(l.total, rows[i].last == AN_LAST_DROP ? 3 : rows[i].last == AN_LAST_SHORT ? 6 : 5);
        assert_int_equal(l.validations, EPOCHS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stopped_and_resumed),
        cmocka_unit_test(test_more_epochs_follow),
        cmocka_unit_test(test_older_checkpoints_go_on_dropping),
        cmocka_unit_test(test_an_epoch_of_one_batch),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
