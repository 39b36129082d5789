/* --class-weights: where weights come from, and what is wrong with a file of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "tests/train/fixture.h"
#include "train/setup/data.h"

#define IMAGES 7 /* of the classes 0, 1, 2, 0, 1, 2, 0 */

static fixture files;
static an_train_data data;
static const char *path;

static int set_up(void **state)
{
    (void)state;
    an_train_config config;
    fixture_open(&files);
    fixture_config(&config);
    config.batch = 1;
    fixture_dataset(fixture_path(&files, "data"), IMAGES, FIXTURE_CLASSES, 1);
    assert_int_equal(an_train_data_open(&data, &config, fixture_path(&files, "data"), NULL), AN_OK);
    assert_null(data.class_weights);
    path = fixture_path(&files, "weights.txt");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    an_train_data_close(&data);
    fixture_close(&files);
    return 0;
}

static void expect(const char *option, double first, double second, double third)
{
    double *got;
    char *name;
    if (an_train_class_weights(&data, option, &got, &name))
        fail_msg("%s", an_error_message());
    assert_true(got[0] == first && got[1] == second && got[2] == third);
    assert_int_equal(strncmp(name, option, strlen(option)), 0);
    free(got);
    free(name);
}

static void test_balanced_is_inverse_to_the_counts(void **state)
{
    (void)state;
    static uint64_t subset[] = {0, 3, 6, 1};
    expect("balanced", 7.0 / (3 * 3), 7.0 / (3 * 2), 7.0 / (3 * 2));
    data.subset = subset; /* --overfit */
    data.subset_count = 4;
    expect("balanced", 4.0 / (3 * 3), 4.0 / 3, 0);
    data.subset = NULL;
}

static const char *id(uint32_t label)
{
    return an_dataset_class(data.training, label)->id;
}

/* The file's text: a printf call. */
#define WRITE(...)                                                                                                     \
    do {                                                                                                               \
        char text[256];                                                                                                \
        fixture_write(path, text, (size_t)snprintf(text, sizeof text, __VA_ARGS__));                                   \
    } while (0)

static void test_a_file_names_classes(void **state)
{
    (void)state;
    WRITE("# two of three\n\n%s 2.5\n\t%s \t 0\r\n", id(2), id(0));
    expect(path, 0, 1, 2.5);
    fixture_write(path, "", 0);
    expect(path, 1, 1, 1);
}

static void refused(const char *word)
{
    double *got;
    char *name;
    assert_int_equal(an_train_class_weights(&data, path, &got, &name), AN_EINVAL);
    assert_null(got);
    assert_null(name);
    if (!strstr(an_error_message(), word) || !strstr(an_error_message(), path))
        fail_msg("'%s' does not name the file and '%s'", an_error_message(), word);
}

static void test_errors_name_the_line(void **state)
{
    (void)state;
    double *got;
    char *name;
    WRITE("%s 1\nnobody 2\n", id(0));
    refused("line 2: class 'nobody'");
    WRITE("\n\n%s 1\n%s 2\n", id(1), id(1));
    refused("line 4: class '");
    WRITE("%s\n", id(0));
    refused("line 1: '");
    WRITE("%s -1", id(0));
    refused("line 1: weight '-1'");
    WRITE("%s 1x", id(0));
    refused("line 1: weight '1x'");
    WRITE("%s nan", id(0));
    refused("line 1: weight 'nan'");
    assert_true(an_train_class_weights(&data, fixture_path(&files, "absent"), &got, &name) < 0);
    assert_non_null(strstr(an_error_message(), "--class-weights"));
}

/* A run goes on with the weights that it began with, or not at all. */
static void test_a_recipe_holds_a_file_to_its_weights(void **state)
{
    (void)state;
    double *got, *again;
    char *name, *same;
    WRITE("%s 2\n", id(1));
    assert_int_equal(an_train_class_weights(&data, path, &got, &name), AN_OK);
    assert_int_equal(strncmp(name + strlen(path), " @ ", 3), 0);
    WRITE("# said otherwise\n%s 2.0\n%s 1\n", id(1), id(0));
    assert_int_equal(an_train_class_weights(&data, name, &again, &same), AN_OK);
    assert_string_equal(same, name);
    assert_memory_equal(again, got, 3 * sizeof *got);
    free(got);
    free(again);
    free(same);
    WRITE("%s 3\n", id(1));
    assert_int_equal(an_train_class_weights(&data, name, &got, &same), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), path));
    free(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_balanced_is_inverse_to_the_counts),
        cmocka_unit_test(test_a_file_names_classes),
        cmocka_unit_test(test_errors_name_the_line),
        cmocka_unit_test(test_a_recipe_holds_a_file_to_its_weights),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
