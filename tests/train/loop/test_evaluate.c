#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/program/stop.h"
#include "tests/train/fixture.h"
#include "train/loop/evaluate.h"
#include "train/loop/predictions.h"
#include "train/setup/session.h"
#include "train/watch/profile.h"

enum { IMAGES = 23 }; /* no multiple of any batch here */

static fixture files;
static an_train_config config;
static an_session session;

static int set_up(void **state)
{
    (void)state;
    fixture_open(&files);
    fixture_dataset(fixture_path(&files, "data"), IMAGES, FIXTURE_CLASSES, 1);
    fixture_config(&config);
    assert_int_equal(an_session_open(&session, &config, NULL, fixture_path(&files, "data"), NULL), AN_OK);
    assert_int_equal(an_session_start_weights(&session), AN_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    an_session_close(&session);
    fixture_close(&files);
    return 0;
}

/* Every image once, in order, with its own label and a distribution. */
typedef struct {
    uint64_t seen;
    float kept[IMAGES][FIXTURE_CLASSES];
    uint32_t top1;
    int answer;
} look;

static int see(void *context, uint64_t index, uint32_t label, const float *p)
{
    look *l = context;
    float sum = 0;
    assert_int_equal(index, l->seen++);
    assert_int_equal(label, index % FIXTURE_CLASSES);
    for (int c = 0; c < FIXTURE_CLASSES; c++)
        sum += p[c];
    assert_float_equal(sum, 1, 1e-5);
    memcpy(l->kept[index], p, sizeof(l->kept[index]));
    l->top1 += an_prediction_rank(p, FIXTURE_CLASSES, label) == 0;
    return l->answer;
}

static an_train_view_options view(int crop, int batch)
{
    return (an_train_view_options){
        .dataset = session.data.training, .input = &session.data.input, .crop = crop, .batch = batch, .threads = 2};
}

static void fill_parameters(an_exec *exec, float value)
{
    for (int i = 0; i < an_exec_parameter_count(exec); i++) {
        uint64_t size = an_exec_parameter(exec, i)->size;
        float *values = malloc(size * sizeof(float));
        for (uint64_t at = 0; at < size; at++)
            values[at] = value;
        assert_int_equal(an_exec_parameter_set(exec, i, AN_PARAMETER_VALUE, values), AN_OK);
        free(values);
    }
}

static void test_centre_sees_every_image(void **state)
{
    (void)state;
    look l = {0};
    an_evaluate_watcher watcher = {see, &l, FIXTURE_CLASSES};
    an_evaluation result;
    an_train_view_options options = view(FIXTURE_CROP, config.batch);
    assert_int_equal(an_evaluate_centre(session.exec, &options, &watcher, &result), AN_OK);
    assert_int_equal(l.seen, IMAGES);
    assert_int_equal(result.images, IMAGES);
    assert_int_equal(result.top1, l.top1);
    assert_int_equal(result.topk, IMAGES); /* of three classes */
    double loss = 0;
    for (int i = 0; i < IMAGES; i++)
        loss -= log((double)l.kept[i][i % FIXTURE_CLASSES]) / IMAGES;
    assert_float_equal(result.loss, loss, 1e-4);
}

/* --top K in all ways to evaluate: by exec's counts, by predictions, of ten crops. */
static void test_top_is_what_was_asked_for(void **state)
{
    (void)state;
    enum { TOP = 2 };
    look l = {0}, ten = {0};
    an_evaluate_watcher watcher = {see, &l, FIXTURE_CLASSES}, other = {see, &ten, FIXTURE_CLASSES};
    an_evaluation seen, counted, crops;
    an_train_config two = config;
    an_session s;
    two.top = TOP;
    two.batch = 20;
    assert_int_equal(an_session_open(&s, &two, NULL, fixture_path(&files, "data"), NULL), AN_OK);
    assert_int_equal(an_session_start_weights(&s), AN_OK);
    an_train_view_options options = view(FIXTURE_CROP, two.batch);
    options.top = TOP;
    assert_int_equal(an_evaluate_centre(s.exec, &options, &watcher, &seen), AN_OK);
    assert_int_equal(an_evaluate_centre(s.exec, &options, NULL, &counted), AN_OK);
    assert_int_equal(an_evaluate_ten_crop(s.exec, &options, &other, &crops), AN_OK);
    uint64_t right = 0, of_ten = 0;
    for (uint32_t i = 0; i < IMAGES; i++) {
        right += an_prediction_rank(l.kept[i], FIXTURE_CLASSES, i % FIXTURE_CLASSES) < TOP;
        of_ten += an_prediction_rank(ten.kept[i], FIXTURE_CLASSES, i % FIXTURE_CLASSES) < TOP;
    }
    assert_true(right < IMAGES); /* so 5 would count otherwise */
    assert_true(seen.k == TOP && counted.k == TOP && crops.k == TOP);
    assert_int_equal(seen.topk, right);
    assert_int_equal(counted.topk, right);
    assert_int_equal(crops.topk, of_ten);
    an_session_close(&s);
}

static void test_tops_that_tell_nothing(void **state)
{
    (void)state;
    an_train_config three = config;
    an_session s;
    three.top = FIXTURE_CLASSES;
    assert_int_equal(an_session_open(&s, &three, NULL, fixture_path(&files, "data"), NULL), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "use --top 2 or less"));
    assert_int_equal(an_train_top_check(5, 2), AN_OK); /* the default */
    assert_int_equal(an_train_top_check(2, 2), AN_EINVAL);
    assert_int_equal(an_train_top_check(6, 6), AN_EINVAL);
    assert_int_equal(an_train_top_check(6, 7), AN_OK);
}

/* Checked with a crop as large as the record: all five windows are then the same, so that the mean of the ten
 * predictions is the mean of the predictions for the image and for its mirror. */
static void test_ten_crop_is_the_mean_of_views(void **state)
{
    (void)state;
    an_train_config large = config;
    an_session whole;
    large.crop = FIXTURE_SIDE;
    large.batch = 13; /* one image's ten crops fit */
    assert_int_equal(an_session_open(&whole, &large, NULL, fixture_path(&files, "data"), NULL), AN_OK);
    assert_int_equal(an_session_start_weights(&whole), AN_OK);
    static look centre, ten;
    an_evaluate_watcher first = {see, &centre, FIXTURE_CLASSES}, second = {see, &ten, FIXTURE_CLASSES};
    an_evaluation one, mean;
    an_train_view_options options = view(FIXTURE_SIDE, large.batch);
    assert_int_equal(an_evaluate_centre(whole.exec, &options, &first, &one), AN_OK);
    assert_int_equal(an_evaluate_ten_crop(whole.exec, &options, &second, &mean), AN_OK);
    assert_int_equal(mean.images, IMAGES);
    assert_int_equal(mean.top1, ten.top1);
    double difference = 0;
    for (int i = 0; i < IMAGES; i++)
        for (int c = 0; c < FIXTURE_CLASSES; c++) {
            /* Half of the views are the image itself, half its mirror: within what a mirror can change. */
            float mirrored = 2 * ten.kept[i][c] - centre.kept[i][c];
            assert_true(mirrored > -1e-4f && mirrored < 1.0001f);
            difference += fabs((double)(ten.kept[i][c] - centre.kept[i][c]));
        }
    assert_true(difference > 1e-4); /* the mirrored views count */
    an_session_close(&whole);
}

static void test_watcher_and_stop_end_it(void **state)
{
    (void)state;
    look l = {.answer = AN_EIO};
    an_evaluate_watcher watcher = {see, &l, FIXTURE_CLASSES};
    an_evaluation result;
    an_train_view_options options = view(FIXTURE_CROP, config.batch);
    assert_int_equal(an_evaluate_centre(session.exec, &options, &watcher, &result), AN_EIO);
    assert_int_equal(l.seen, 1);
    an_stop_request();
    assert_int_equal(an_evaluate_centre(session.exec, &options, NULL, &result), AN_STOPPED);
    an_stop_reset();
}

static void test_impossible_views(void **state)
{
    (void)state;
    an_evaluation result;
    an_train_view_options options = view(FIXTURE_SIDE + 1, config.batch);
    assert_int_equal(an_evaluate_centre(session.exec, &options, NULL, &result), AN_EINVAL);
    an_train_input other = session.data.input;
    float *mean = calloc((size_t)40 * 40 * 3, sizeof(float));
    other.side = 40;
    other.mean_image = mean;
    options = view(FIXTURE_CROP, config.batch);
    options.input = &other;
    assert_int_equal(an_evaluate_centre(session.exec, &options, NULL, &result), AN_OK); /* one colour fits any side */
    mean[100] = 1;
    assert_int_equal(an_evaluate_centre(session.exec, &options, NULL, &result), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "--size 40"));
    free(mean);
}

/* Weights of zero make all classes equally probable: the one with the lowest number is listed first. */
static void test_ties_count_as_listed(void **state)
{
    (void)state;
    an_session zero;
    look centre = {0};
    static look ten;
    an_evaluate_watcher first = {see, &centre, FIXTURE_CLASSES}, second = {see, &ten, FIXTURE_CLASSES};
    an_evaluation result;
    an_train_config wide = config;
    wide.batch = 10;
    assert_int_equal(an_session_open(&zero, &wide, NULL, fixture_path(&files, "data"), NULL), AN_OK);
    fill_parameters(zero.exec, 0);
    an_train_view_options options = view(FIXTURE_CROP, wide.batch);
    assert_int_equal(an_evaluate_centre(zero.exec, &options, &first, &result), AN_OK);
    assert_int_equal(result.top1, (IMAGES + 2) / FIXTURE_CLASSES); /* labels are 0, 1, 2, 0... */
    assert_int_equal(result.top1, centre.top1);
    assert_int_equal(an_evaluate_ten_crop(zero.exec, &options, &second, &result), AN_OK);
    assert_int_equal(result.top1, (IMAGES + 2) / FIXTURE_CLASSES);
    an_session_close(&zero);
}

static void test_outputs_that_are_not_finite_have_no_accuracy(void **state)
{
    (void)state;
    an_session broken;
    look l = {0};
    an_evaluate_watcher watcher = {see, &l, FIXTURE_CLASSES};
    an_evaluation result;
    an_train_config wide = config;
    wide.batch = 10;
    assert_int_equal(an_session_open(&broken, &wide, NULL, fixture_path(&files, "data"), NULL), AN_OK);
    fill_parameters(broken.exec, NAN);
    an_train_view_options options = view(FIXTURE_CROP, wide.batch);
    assert_int_equal(an_evaluate_ten_crop(broken.exec, &options, &watcher, &result), AN_ECORRUPT);
    assert_true(result.diverged);
    assert_int_equal(an_evaluate_centre(broken.exec, &options, &watcher, &result), AN_ECORRUPT);
    assert_true(result.diverged);
    assert_int_equal(l.seen, 0);
    an_session_close(&broken);
}

/* The mean is subtracted whole from images of its own side, and as a colour from all others. */
static void test_how_images_of_any_side_are_seen(void **state)
{
    (void)state;
    enum { SIDE = 40 };
    float *mean = calloc((size_t)SIDE * SIDE * 3, sizeof(float));
    for (size_t i = 0; i < (size_t)SIDE * SIDE * 3; i++)
        mean[i] = (float)(i % 3 + 1);
    an_train_input input = {.side = SIDE, .mean_image = mean, .scale = 0.5};
    an_format format = {AN_DTYPE_F32, AN_LAYOUT_NCHW, 3};
    an_sample_options sample;
    an_statistics statistics;
    an_sampler *sampler = NULL;
    assert_int_equal(an_train_input_sample(&input, FIXTURE_CROP, SIDE, format, &sample, &statistics), AN_OK);
    assert_int_equal(sample.mean, AN_MEAN_PIXEL);
    for (uint32_t side = FIXTURE_CROP; side < 2 * SIDE; side += 7) {
        assert_int_equal(an_train_input_sample(&input, FIXTURE_CROP, side, format, &sample, &statistics), AN_OK);
        assert_int_equal(sample.mean, AN_MEAN_CHANNEL);
        assert_float_equal(statistics.mean[2], 3, 0);
        assert_int_equal(an_sampler_create(&sampler, &sample, side, &statistics), AN_OK);
        an_sampler_free(sampler);
    }
    assert_int_equal(an_train_input_sample(&input, FIXTURE_CROP, FIXTURE_CROP - 1, format, &sample, &statistics),
                     AN_EINVAL);
    mean[7] = 9;
    assert_int_equal(an_train_input_sample(&input, FIXTURE_CROP, SIDE, format, &sample, &statistics), AN_OK);
    assert_int_equal(an_train_input_sample(&input, FIXTURE_CROP, SIDE + 1, format, &sample, &statistics), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "--size 40"));
    free(mean);
}

static void test_confusion(void **state)
{
    (void)state;
    an_confusion confusion;
    an_confused worst[2];
    assert_int_equal(an_confusion_init(&confusion, 3), AN_OK);
    assert_int_equal(an_confusion_worst(&confusion, worst, 2), 0);
    const uint32_t pairs[][2] = {{0, 0}, {0, 1}, {0, 1}, {2, 0}, {2, 0}, {2, 0}, {1, 2}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        an_confusion_add(&confusion, pairs[i][0], pairs[i][1]);
    assert_int_equal(an_confusion_total(&confusion, 0), 3);
    assert_int_equal(an_confusion_correct(&confusion, 0), 1);
    assert_int_equal(an_confusion_worst(&confusion, worst, 2), 2);
    assert_int_equal(worst[0].label, 2);
    assert_int_equal(worst[0].count, 3);
    assert_int_equal(worst[1].label, 0);
    assert_int_equal(worst[1].predicted, 1);
    an_confusion_free(&confusion);
}

static void test_dry_run_tells_parameters_and_speed(void **state)
{
    (void)state;
    an_buffer text = {0};
    char parameters[32];
    assert_int_equal(an_session_dry_run(&session, &text), AN_OK);
    snprintf(parameters, sizeof(parameters), " %llu ", (unsigned long long)an_graph_parameters(&session.graph));
    assert_non_null(strstr((char *)text.data, parameters));
    assert_non_null(strstr((char *)text.data, "images/s"));
    assert_non_null(strstr((char *)text.data, " ms a step of "));
    an_buffer_free(&text);
}

static void test_dry_run_as_json(void **state)
{
    (void)state;
    an_buffer text = {0};
    an_train_config asked = *session.config;
    const an_train_config *before = session.config;
    asked.json = true;
    session.config = &asked;
    assert_int_equal(an_session_dry_run(&session, &text), AN_OK);
    session.config = before;
    assert_int_equal(an_buffer_append(&text, "", 1), AN_OK);
    unsigned long long parameters;
    double milliseconds, images;
    const char *found = strstr((char *)text.data, "\"milliseconds\": ");
    assert_int_equal(sscanf((char *)text.data, "{\"event\": \"dry_run\", \"parameters\": %llu,", &parameters), 1);
    assert_int_equal(parameters, an_graph_parameters(&session.graph));
    assert_non_null(found);
    assert_int_equal(sscanf(found, "\"milliseconds\": %lf, \"images_per_second\": %lf", &milliseconds, &images), 2);
    assert_true(fabs(images * milliseconds / config.batch - 1e3) < 10);
    assert_null(strchr(strchr((char *)text.data, '\n') + 1, '\n'));
    an_buffer_free(&text);
}

static void test_profile_table(void **state)
{
    (void)state;
    an_profile profile;
    an_buffer text = {0};
    an_evaluation result;
    an_train_view_options options = view(FIXTURE_CROP, config.batch);
    assert_int_equal(an_profile_open(&profile, session.exec), AN_OK);
    assert_int_equal(an_profile_print(&profile, config.batch, &text), AN_OK);
    assert_int_equal(text.size, 0); /* nothing was taken */
    assert_int_equal(an_evaluate_centre(session.exec, &options, NULL, &result), AN_OK);
    an_profile_take(&profile, session.exec, 2);
    assert_int_equal(an_profile_print(&profile, config.batch, &text), AN_OK);
    assert_non_null(strstr((char *)text.data, "conv1"));
    assert_non_null(strstr((char *)text.data, "ms a step"));
    an_buffer_free(&text);
    an_profile_close(&profile);
}

/* Whoever opens a session says what a signal does, before and afterwards. Comes before the others: a process with
 * OpenMP's threads cannot be forked. */
static void test_a_signal_ends_what_follows_too(void **state)
{
    (void)state;
    an_session other;
    int status;
    fixture_open(&files);
    fixture_dataset(fixture_path(&files, "data"), IMAGES, FIXTURE_CLASSES, 1);
    fixture_config(&config);
    pid_t child = fork();
    assert_return_code(child, 0);
    if (child == 0) {
        an_stop_at_once(true);
        int rc = an_stop_install();
        if (!rc)
            rc = an_session_open(&other, &config, NULL, fixture_path(&files, "data"), NULL);
        if (!rc)
            (void)raise(SIGTERM);
        _exit(rc ? AN_EXIT_FAILURE : AN_EXIT_OK);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), AN_EXIT_INTERRUPTED);
    fixture_close(&files);
}

int main(void)
{
    const struct CMUnitTest first[] = {cmocka_unit_test(test_a_signal_ends_what_follows_too)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_centre_sees_every_image),
        cmocka_unit_test(test_top_is_what_was_asked_for),
        cmocka_unit_test(test_tops_that_tell_nothing),
        cmocka_unit_test(test_ten_crop_is_the_mean_of_views),
        cmocka_unit_test(test_watcher_and_stop_end_it),
        cmocka_unit_test(test_impossible_views),
        cmocka_unit_test(test_ties_count_as_listed),
        cmocka_unit_test(test_outputs_that_are_not_finite_have_no_accuracy),
        cmocka_unit_test(test_how_images_of_any_side_are_seen),
        cmocka_unit_test(test_confusion),
        cmocka_unit_test(test_dry_run_tells_parameters_and_speed),
        cmocka_unit_test(test_dry_run_as_json),
        cmocka_unit_test(test_profile_table),
    };
    int failed = cmocka_run_group_tests(first, NULL, NULL);
    return failed ? failed : cmocka_run_group_tests(tests, set_up, tear_down);
}
