#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "tests/train/fixture.h"
#include "train/advice/find_rate.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* What the program says about points of ten classes, whose loss of guessing is 2.3026. */
static void say(const an_rate_point *points, int count, int steps, an_buffer *out)
{
    an_rate_finding finding = {.points = points, .count = count, .steps = steps, .classes = 10};
    finding.choice = an_find_rate_choose(points, count, 10);
    out->size = 0;
    assert_int_equal(an_find_rate_print(&finding, out), AN_OK);
}

static void assert_says(const an_rate_point *points, int count, const char *words)
{
    an_buffer text = {0};
    say(points, count, 200, &text);
    if (!strstr((char *)text.data, words))
        fail_msg("\"%s\" does not say \"%s\"", (char *)text.data, words);
    an_buffer_free(&text);
}

static void test_rate_is_chosen_before_the_explosion(void **state)
{
    (void)state;
    const an_rate_point points[] = {{0.001, 3}, {0.01, 2}, {0.03, 1.5}, {0.1, 5}};
    assert_float_equal(an_find_rate_choose(points, COUNT(points), 10).rate, 0.01, 1e-12);
    assert_says(points, COUNT(points),
                "use --rate 0.01: a third of the rate 0.03, at which the loss was lowest, 1.5000");
    assert_float_equal(an_find_rate_at(0, 100), AN_FIND_RATE_MIN, 1e-18);
    assert_float_equal(an_find_rate_at(99, 100), AN_FIND_RATE_MAX, 1e-9);
}

/* No rate is named for a loss that only comes down to guessing, or is below it by no more than batches differ; and what
 * is said of it is true. */
static void test_losses_near_guessing(void **state)
{
    (void)state;
    const an_rate_point dying[] = {{0.001, 4}, {0.01, 3}, {0.03, 2.31}, {0.1, 2.33}};
    assert_true(an_find_rate_choose(dying, COUNT(dying), 10).rate == 0);
    assert_says(dying, COUNT(dying),
                "the lowest loss, 2.3100 at rate 0.03, is not 2 % below that of guessing, ln(10) = 2.3026: the network "
                "does not start");
    const an_rate_point below[] = {{0.001, 4}, {0.01, 3}, {0.03, 2.28}, {0.1, 2.33}};
    assert_true(an_find_rate_choose(below, COUNT(below), 10).rate == 0);
    assert_says(below, COUNT(below), "the lowest loss, 2.2800 at rate 0.03, is not 2 % below that of guessing");
    const an_rate_point enough[] = {{0.001, 4}, {0.01, 3}, {0.03, 2.25}, {0.1, 2.33}};
    assert_float_equal(an_find_rate_choose(enough, COUNT(enough), 10).rate, 0.01, 1e-12);
}

/* Weights that were trained before start below guessing: then they are what the loss is compared with. */
static void test_losses_that_start_below_guessing(void **state)
{
    (void)state;
    const an_rate_point trained[] = {{0.001, 1.234}, {0.01, 1.22}, {0.03, 1.23}, {0.1, 5}};
    assert_true(an_find_rate_choose(trained, COUNT(trained), 10).rate == 0);
    assert_says(trained, COUNT(trained),
                "the lowest loss, 1.2200 at rate 0.01, is not 2 % below 1.2340, that of the start");
    const an_rate_point better[] = {{0.001, 1.234}, {0.01, 1.22}, {0.03, 1.2}, {0.1, 5}};
    assert_float_equal(an_find_rate_choose(better, COUNT(better), 10).rate, 0.01, 1e-12);
}

static void test_without_points(void **state)
{
    (void)state;
    const an_rate_point none[1] = {{0, 0}};
    assert_true(an_find_rate_choose(none, 0, 10).rate == 0);
    assert_says(none, 0, "the loss is not finite at rate 1e-05 already");
}

static void test_remedies(void **state)
{
    (void)state;
    an_buffer text = {0};
    const an_rate_point flat[] = {{0.001, 3}, {0.01, 3}, {0.03, 2.99}};
    say(flat, COUNT(flat), 50, &text);
    assert_non_null(strstr((char *)text.data, ": try --find-lr 200\n"));
    an_rate_finding finding = {.points = flat, .count = COUNT(flat), .steps = 200, .classes = 10, .paper_init = true};
    finding.choice = an_find_rate_choose(flat, COUNT(flat), 10);
    text.size = 0;
    assert_int_equal(an_find_rate_print(&finding, &text), AN_OK);
    assert_non_null(strstr((char *)text.data, "(try --init he)"));
    an_buffer_free(&text);
}

/* The lines of the JSON, each an object. */
static int parse_lines(char *text, json_t **out, int most)
{
    int count = 0;
    for (char *line; (line = strsep(&text, "\n")) && *line; count++) {
        assert_true(count < most);
        out[count] = json_loads(line, 0, NULL);
        assert_non_null(out[count]);
    }
    return count;
}

static double number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static void test_json(void **state)
{
    (void)state;
    const an_rate_point points[] = {{0.001, 3}, {0.01, 2}, {0.03, 1.5}, {0.1, 5}};
    an_rate_finding finding = {.points = points, .count = COUNT(points), .steps = 4, .classes = 10};
    json_t *lines[8];
    an_buffer text = {0};
    for (int round = 0; round < 2; round++) {
        finding.count = round ? 1 : COUNT(points);
        finding.choice = an_find_rate_choose(points, finding.count, 10);
        text.size = 0;
        assert_int_equal(an_find_rate_print_json(&finding, &text), AN_OK);
        assert_int_equal(parse_lines((char *)text.data, lines, 8), finding.count + 1);
        for (int i = 0; i < finding.count; i++) {
            assert_string_equal(json_string_value(json_object_get(lines[i], "type")), "find-lr");
            assert_int_equal(json_integer_value(json_object_get(lines[i], "step")), i);
            assert_float_equal(number(lines[i], "rate"), points[i].rate, 1e-9);
            assert_float_equal(number(lines[i], "loss"), points[i].loss, 1e-9);
        }
        const json_t *result = lines[finding.count];
        assert_string_equal(json_string_value(json_object_get(result, "type")), "found-lr");
        assert_float_equal(number(result, "lowest_loss"), round ? 3 : 1.5, 1e-9);
        assert_float_equal(number(result, "lowest_rate"), round ? 0.001 : 0.03, 1e-9);
        assert_float_equal(number(result, "bar"), log(10), 1e-7);
        assert_string_equal(json_string_value(json_object_get(result, "bar_is")), "guessing");
        if (round)
            assert_true(json_is_null(json_object_get(result, "rate")));
        else
            assert_float_equal(number(result, "rate"), 0.01, 1e-9);
        for (int i = 0; i <= finding.count; i++)
            json_decref(lines[i]);
    }
    an_buffer_free(&text);
}

static void test_the_rate_rises_from_step_to_step(void **state)
{
    (void)state;
    enum { STEPS = 60 };
    fixture files;
    an_train_config config;
    an_session session;
    an_rate_point points[STEPS];
    an_rate_choice choice = {0};
    int count = 0;
    fixture_open(&files);
    fixture_dataset(fixture_path(&files, "data"), 23, FIXTURE_CLASSES, 1);
    fixture_config(&config);
    assert_int_equal(an_session_open(&session, &config, NULL, fixture_path(&files, "data"), NULL), AN_OK);
    assert_int_equal(an_find_rate(&session, STEPS, points, &count, &choice), AN_OK);
    assert_true(count > 10 && count <= STEPS); /* ends early where the loss explodes */
    for (int i = 1; i < count; i++)
        assert_true(points[i].rate > points[i - 1].rate && isfinite(points[i].loss));
    assert_true(choice.rate >= 0 && choice.rate < AN_FIND_RATE_MAX / 3);
    an_session_close(&session);
    fixture_close(&files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate_is_chosen_before_the_explosion),
        cmocka_unit_test(test_losses_near_guessing),
        cmocka_unit_test(test_losses_that_start_below_guessing),
        cmocka_unit_test(test_without_points),
        cmocka_unit_test(test_remedies),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_the_rate_rises_from_step_to_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
