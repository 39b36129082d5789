/* The images of a validation are loaded before the epoch ends, by a loader that is kept from one to the next: when it
 * is opened, that its passes are all the same, and what happens if it cannot be opened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "augment/loader_private.h"
#include "base/error.h"
#include "base/program/stop.h"
#include "tests/train/fixture.h"
#include "train/loop/trainer_private.h"

enum { IMAGES = 14, SHOWN = 5, STEPS_PER_EPOCH = 3, AHEAD = 100 }; /* batch 4: the last one of a pass is short */

typedef struct {
    fixture files;
    const char *training, *validation, *hidden;
    an_train_config config;
    an_train_observer observer;
    an_trainer *trainer;
    uint64_t show_at, stop_at; /* steps; 0: never */
    an_loader *viewer;         /* the first one seen */
    uint64_t opened_at;
    int validations;
    double loss[8];
    const char *sets[8];
    bool best[8];
} bench;

/* Nobody has asked for a batch: the loader fills its slots all the same. */
static void assert_fills(an_loader *loader)
{
    bool done = false;
    while (!done) {
        assert_int_equal(usleep(1000), 0);
        pthread_mutex_lock(&loader->lock);
        done = loader->open[loader->delivered % (uint64_t)loader->options.slots]->done;
        assert_int_equal(loader->reader_failure.code, 0);
        pthread_mutex_unlock(&loader->lock);
    }
}

static void listen(void *context, const an_train_event *event)
{
    bench *b = context;
    if (event->kind == AN_EVENT_VALIDATION) {
        b->sets[b->validations % 8] = event->set;
        b->best[b->validations % 8] = event->best;
        b->loss[b->validations++ % 8] = event->loss;
    }
    if (event->kind != AN_EVENT_TRAIN)
        return;
    if (!b->opened_at && b->trainer->viewer) {
        b->opened_at = event->step;
        b->viewer = b->trainer->viewer;
    }
    if (event->step == b->show_at)
        assert_int_equal(rename(b->hidden, b->validation), 0);
    if (event->step == b->stop_at)
        an_stop_request();
}

static void bench_open(bench *b)
{
    *b = (bench){.observer = {listen, b}};
    fixture_open(&b->files);
    b->training = fixture_path(&b->files, "training");
    b->validation = fixture_path(&b->files, "validation");
    b->hidden = fixture_path(&b->files, "hidden");
    fixture_dataset(b->training, IMAGES, FIXTURE_CLASSES, 1);
    fixture_dataset(b->validation, SHOWN, FIXTURE_CLASSES, 2);
    fixture_config(&b->config);
}

static void trainer_open(bench *b, const char *validation)
{
    an_stop_reset();
    assert_int_equal(an_trainer_create(&b->trainer, &b->config, NULL, b->training,
                                       (const char *const[]){validation, NULL}, &b->observer),
                     AN_OK);
}

static void bench_close(bench *b)
{
    an_trainer_free(b->trainer);
    fixture_close(&b->files);
}

/* What an undisturbed loader of one pass gives. */
static void view_evaluate(bench *b, an_evaluation *out)
{
    an_train_view_options view = {.dataset = b->trainer->session.data.validation,
                                  .input = &b->trainer->session.data.input,
                                  .crop = b->config.crop,
                                  .batch = b->config.batch,
                                  .threads = 1};
    assert_int_equal(an_evaluate_centre(b->trainer->session.exec, &view, NULL, out), AN_OK);
}

static void test_all_passes_are_the_same(void **state)
{
    (void)state;
    bench b;
    an_evaluation once, pass;
    bench_open(&b);
    trainer_open(&b, b.validation);
    view_evaluate(&b, &once);
    assert_int_equal(once.images, SHOWN);
    an_trainer_prime(b.trainer);
    assert_non_null(b.trainer->viewer);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(
            an_evaluate_pass(b.trainer->session.exec, b.trainer->viewer, b.trainer->session.data.validation, &pass),
            AN_OK);
        assert_true(pass.images == SHOWN && pass.loss == once.loss);
        assert_true(pass.top1 == once.top1 && pass.topk == once.topk);
    }
    bench_close(&b);
}

/* A run tells the losses of the same weights that a loader of their own would give, after each epoch. */
static void test_a_run_validates_on_whole_passes(void **state)
{
    (void)state;
    bench b;
    an_evaluation again;
    bench_open(&b);
    b.config.epochs = 4;
    trainer_open(&b, b.validation);
    assert_int_equal(an_trainer_run(b.trainer), AN_OK);
    assert_int_equal(b.validations, 4);
    view_evaluate(&b, &again);
    assert_true(b.loss[3] == again.loss);
    assert_int_equal(b.opened_at, 1);
    assert_null(b.trainer->viewer); /* no validation comes after the last one */
    bench_close(&b);
}

/* Each set is told by its name, in order. The first alone decides what is best. */
static void test_every_set_is_told(void **state)
{
    (void)state;
    bench b;
    an_evaluation again;
    bench_open(&b);
    const char *other = fixture_path(&b.files, "other");
    fixture_dataset(other, 9, FIXTURE_CLASSES, 3);
    const char *const paths[] = {b.validation, other, b.training, NULL};
    an_stop_reset();
    assert_int_equal(an_trainer_create(&b.trainer, &b.config, NULL, b.training, paths, &b.observer), AN_OK);
    assert_int_equal(an_trainer_run(b.trainer), AN_OK);
    assert_int_equal(b.validations, 6);
    for (int i = 0; i < 3; i++) {
        const an_train_set *set = &b.trainer->session.data.sets[i];
        an_train_view_options view = {.dataset = set->dataset,
                                      .input = &b.trainer->session.data.input,
                                      .crop = b.config.crop,
                                      .batch = b.config.batch,
                                      .threads = 1};
        assert_int_equal(an_evaluate_centre(b.trainer->session.exec, &view, NULL, &again), AN_OK);
        assert_true(b.loss[3 + i] == again.loss);
        assert_ptr_equal(b.sets[i], set->name);
        assert_ptr_equal(b.sets[3 + i], set->name);
        assert_true(!i || (!b.best[i] && !b.best[3 + i]));
    }
    an_train_summary summary;
    an_trainer_summary(b.trainer, &summary);
    assert_true(b.best[0] || b.best[3] || summary.best_top1 == 0);
    bench_close(&b);
}

/* A set alone has no name to be told. A stop between two sets tells neither, and the epoch is looked at again. */
static void test_sets_are_told_together(void **state)
{
    (void)state;
    bench b;
    bench_open(&b);
    b.config.run = fixture_path(&b.files, "run");
    b.config.resume = "auto";
    const char *other = fixture_path(&b.files, "other");
    fixture_dataset(other, 3, FIXTURE_CLASSES, 3);
    const char *const paths[] = {b.validation, other, NULL};
    an_stop_reset();
    assert_int_equal(an_trainer_create(&b.trainer, &b.config, NULL, b.training, paths, &b.observer), AN_OK);
    fixture_remove(other); /* it is opened already; its file is, too, when its turn comes */
    assert_true(an_trainer_run(b.trainer) < 0);
    assert_int_equal(b.trainer->state.step, STEPS_PER_EPOCH);
    assert_int_equal(b.validations, 0);
    assert_true(b.trainer->state.best_top1 == 0);
    an_trainer_free(b.trainer);
    b.config.run = NULL;
    b.config.resume = NULL;
    trainer_open(&b, b.validation);
    assert_int_equal(an_trainer_run(b.trainer), AN_OK);
    assert_int_equal(b.validations, 2);
    assert_null(b.sets[0]);
    bench_close(&b);
}

static void test_images_are_there_before_the_epoch_ends(void **state)
{
    (void)state;
    bench b;
    bench_open(&b);
    b.stop_at = STEPS_PER_EPOCH - 1;
    trainer_open(&b, b.validation);
    assert_int_equal(an_trainer_run(b.trainer), AN_STOPPED);
    assert_int_equal(b.validations, 0);
    assert_ptr_equal(b.trainer->viewer, b.viewer);
    assert_fills(b.viewer);
    an_stop_reset();
    b.stop_at = STEPS_PER_EPOCH + 1;
    assert_int_equal(an_trainer_run(b.trainer), AN_STOPPED);
    assert_int_equal(b.validations, 1);
    assert_ptr_equal(b.trainer->viewer, b.viewer);
    assert_fills(b.viewer); /* for the second time */
    assert_fills(b.trainer->loader);
    bench_close(&b);
}

/* Memory for its batches is taken late. */
static void test_it_is_opened_some_steps_before(void **state)
{
    (void)state;
    bench b;
    bench_open(&b);
    b.config.batch = 1;
    b.config.epochs = b.config.validate_every = 10;
    trainer_open(&b, b.validation);
    assert_int_equal(an_trainer_next_validation(b.trainer), 10 * IMAGES);
    assert_int_equal(an_trainer_run(b.trainer), AN_OK);
    assert_int_equal(b.opened_at, 10 * IMAGES - AHEAD);
    assert_int_equal(b.validations, 1);
    bench_close(&b);
}

static void test_the_next_validation(void **state)
{
    (void)state;
    an_train_config config = {.validate_every = 3};
    an_trainer t = {.config = &config, .session = {.epochs = {100, 1, AN_LAST_DROP}, .total_steps = 750}};
    const uint64_t steps[][2] = {{0, 300}, {1, 300}, {299, 300}, {300, 600}, {599, 600}, {600, 750}, {749, 750}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        t.state.step = steps[i][0];
        assert_int_equal(an_trainer_next_validation(&t), steps[i][1]);
    }
}

/* With the one after the last step, if that ends no epoch that is validated. */
static void test_validations_that_are_left(void **state)
{
    (void)state;
    an_train_config config = {.validate_every = 3};
    an_dataset *any = (an_dataset *)&config; /* only that there is one matters */
    an_trainer t = {.config = &config, .session = {.epochs = {100, 1, AN_LAST_DROP}, .data = {.validation = any}}};
    const uint64_t cases[][3] = {{750, 0, 3}, {750, 6, 1}, {900, 0, 3}, {900, 3, 2}, {900, 9, 0}, {1000, 9, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        t.session.total_steps = cases[i][0];
        t.state.epochs_closed = cases[i][1];
        assert_int_equal(an_trainer_validations_left(&t), cases[i][2]);
    }
    t.session.data.validation = NULL;
    assert_int_equal(an_trainer_validations_left(&t), 0);
}

static void test_nothing_is_opened_without_images(void **state)
{
    (void)state;
    bench b;
    bench_open(&b);
    trainer_open(&b, NULL);
    assert_int_equal(an_trainer_run(b.trainer), AN_OK);
    assert_int_equal(b.opened_at, 0);
    assert_int_equal(b.validations, 0);
    bench_close(&b);
}

/* Opening ahead of time is only an attempt: what counts is whether it succeeds when it is due. */
static void test_a_failure_is_told_when_it_is_due(void **state)
{
    (void)state;
    bench b;
    bench_open(&b);
    trainer_open(&b, b.validation);
    assert_int_equal(rename(b.validation, b.hidden), 0);
    b.show_at = STEPS_PER_EPOCH - 1;
    assert_int_equal(an_trainer_run(b.trainer), AN_OK);
    assert_int_equal(b.validations, 2);
    an_trainer_free(b.trainer);
    trainer_open(&b, b.validation);
    assert_int_equal(rename(b.validation, b.hidden), 0);
    b.show_at = b.validations = 0;
    assert_true(an_trainer_run(b.trainer) < 0);
    assert_int_equal(b.trainer->state.step, STEPS_PER_EPOCH);
    assert_int_equal(b.validations, 0);
    assert_non_null(strstr(an_error_message(), b.validation));
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_passes_are_the_same),
        cmocka_unit_test(test_a_run_validates_on_whole_passes),
        cmocka_unit_test(test_every_set_is_told),
        cmocka_unit_test(test_sets_are_told_together),
        cmocka_unit_test(test_images_are_there_before_the_epoch_ends),
        cmocka_unit_test(test_it_is_opened_some_steps_before),
        cmocka_unit_test(test_the_next_validation),
        cmocka_unit_test(test_validations_that_are_left),
        cmocka_unit_test(test_nothing_is_opened_without_images),
        cmocka_unit_test(test_a_failure_is_told_when_it_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
