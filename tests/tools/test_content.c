#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "tests/base/scratch.h"
#include "tools/show/content/history.h"
#include "tools/show/content/nearest.h"

#define ROWS 40
#define UNITS 3

static char folder[SCRATCH_MAX];

/* A file of features that holds rows. */
static an_features *features_of(float rows[ROWS][UNITS])
{
    char path[SCRATCH_MAX + 16], header[128] = {0};
    uint8_t length[8];
    an_features *features;
    an_buffer file = {0};
    snprintf(path, sizeof path, "%s/features", folder);
    int size =
        snprintf(header, sizeof header, "{\"features\":{\"dtype\":\"F32\",\"shape\":[%d,%d],\"data_offsets\":[0,%d]}}",
                 ROWS, UNITS, ROWS * UNITS * 4);
    an_bytes_put_u64(length, (uint64_t)size);
    assert_int_equal(an_buffer_append(&file, length, sizeof length), AN_OK);
    assert_int_equal(an_buffer_append(&file, header, (size_t)size), AN_OK);
    assert_int_equal(an_buffer_append(&file, rows, ROWS * UNITS * sizeof(float)), AN_OK);
    assert_int_equal(an_file_write_atomic(path, file.data, file.size), AN_OK);
    an_buffer_free(&file);
    assert_int_equal(an_features_open(&features, path), AN_OK);
    return features;
}

/* Look for the two nearest of query; what the search returns. */
static int find(float rows[ROWS][UNITS], const float query[UNITS], an_neighbor out[2])
{
    an_features *features = features_of(rows);
    int rc = an_nearest_find(features, query, 1, 2, 1, out);
    an_features_free(features);
    return rc;
}

static void rows_fill(float rows[ROWS][UNITS])
{
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < UNITS; k++)
            rows[i][k] = (float)(i + k);
}

static void test_nearest(void **state)
{
    (void)state;
    float rows[ROWS][UNITS], query[UNITS] = {7.25f, 8.25f, 9.25f};
    an_neighbor found[2];
    rows_fill(rows);
    assert_int_equal(find(rows, query, found), AN_OK);
    assert_int_equal(found[0].index, 7);
    assert_int_equal(found[1].index, 8);
    assert_true(fabs(found[0].distance - 0.25 * sqrt(3)) < 1e-9);
}

static void test_features_that_have_no_order(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY, 1e30f};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        float rows[ROWS][UNITS], query[UNITS] = {0};
        an_neighbor found[2];
        rows_fill(rows);
        rows[31][1] = bad[i];
        assert_int_equal(find(rows, query, found), AN_ECORRUPT);
        assert_non_null(strstr(an_error_message(), "image 31"));
        for (int k = 0; k < ROWS; k++)
            rows[k][0] = bad[i];
        assert_int_equal(find(rows, query, found), AN_ECORRUPT);
        rows_fill(rows);
        query[2] = bad[i];
        assert_int_equal(find(rows, query, found), AN_ECORRUPT);
        assert_non_null(strstr(an_error_message(), "query 0"));
    }
}

static void history_of(const char *lines, an_history *out)
{
    char path[SCRATCH_MAX + 16];
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    assert_int_equal(an_file_write_atomic(path, lines, strlen(lines)), AN_OK);
    assert_int_equal(an_history_load(out, folder), AN_OK);
}

#define LINE(step, loss) "{\"type\":\"train\",\"step\":" #step ",\"epoch\":" #step ",\"loss\":" #loss "}\n"

static void test_damaged_lines_are_passed_over(void **state)
{
    (void)state;
    static const char *damaged[] = {"nonsense\n",
                                    "\n",
                                    "[1]\n",
                                    "{\"type\":\"train\"",
                                    "{\"type\":\"train\",\"epoch\":2,\"loss\":9}\n",
                                    "{\"type\":\"train\",\"step\":-1,\"epoch\":2,\"loss\":9}\n"};
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        char text[512];
        an_history history;
        const char *newline = strchr(damaged[i], '\n') ? "" : "\n";
        snprintf(text, sizeof text, "%s%s%s%s", LINE(1, 3), damaged[i], newline, LINE(2, 5));
        history_of(text, &history);
        assert_int_equal(history.curves[AN_CURVE_LOSS].count, 2);
        assert_true(an_history_mean(&history, AN_CURVE_LOSS) == 4);
        assert_true(history.steps == 2);
        an_history_free(&history);
    }
}

/* 601 values become 301 points: the last stands for one value, the others for two. */
static void test_mean_of_a_thinned_curve(void **state)
{
    (void)state;
    an_buffer text = {0};
    an_history history;
    for (int i = 1; i <= 601; i++)
        assert_int_equal(an_buffer_printf(&text, "{\"type\":\"train\",\"step\":%d,\"epoch\":%d,\"loss\":%d}\n", i, i,
                                          i == 601 ? 602 : 1),
                         AN_OK);
    history_of((char *)text.data, &history);
    assert_int_equal(history.curves[AN_CURVE_LOSS].count, 301);
    assert_true(history.curves[AN_CURVE_LOSS].points[300].y == 602);
    assert_true(fabs(an_history_mean(&history, AN_CURVE_LOSS) - 2) < 1e-12);
    an_history_free(&history);
    an_buffer_free(&text);
}

/* A mean of two rates is a rate that never was. 3000 values in three steps keep their ends. */
static void test_a_long_rate_keeps_its_steps(void **state)
{
    (void)state;
    an_buffer text = {0};
    an_history history;
    for (int i = 1; i <= 3000; i++)
        assert_int_equal(
            an_buffer_printf(&text, "{\"type\":\"train\",\"step\":%d,\"epoch\":%d,\"loss\":1,\"rate\":%g}\n", i, i,
                             i <= 1001   ? 0.01
                             : i <= 2002 ? 0.001
                                         : 0.0001),
            AN_OK);
    history_of((char *)text.data, &history);
    const an_curve *rate = &history.curves[AN_CURVE_RATE];
    const an_point corners[] = {{1, 0.01}, {1001, 0.01}, {1002, 0.001}, {2002, 0.001}, {2003, 0.0001}, {3000, 0.0001}};
    assert_int_equal(rate->count, 6);
    for (int i = 0; i < 6; i++)
        assert_true(rate->points[i].x == corners[i].x && rate->points[i].y == corners[i].y);
    an_history_free(&history);
    text.size = 0;
    for (int i = 1; i <= 3000; i++)
        assert_int_equal(
            an_buffer_printf(&text, "{\"type\":\"train\",\"step\":%d,\"epoch\":%d,\"loss\":1,\"rate\":%d}\n", i, i, i),
            AN_OK);
    history_of((char *)text.data, &history);
    assert_in_range(history.curves[AN_CURVE_RATE].count, 300, 600);
    for (int i = 0; i < history.curves[AN_CURVE_RATE].count; i++)
        assert_true(history.curves[AN_CURVE_RATE].points[i].x == history.curves[AN_CURVE_RATE].points[i].y);
    assert_true(history.curves[AN_CURVE_RATE].points[history.curves[AN_CURVE_RATE].count - 1].x == 3000);
    an_history_free(&history);
    an_buffer_free(&text);
}

static void test_top5(void **state)
{
    (void)state;
    an_history history;
    history_of("{\"type\":\"train\",\"step\":1,\"epoch\":1,\"loss\":1,\"top5\":0.75}\n"
               "{\"type\":\"validation\",\"step\":1,\"epoch\":1,\"loss\":1,\"top5\":0.5}\n",
               &history);
    assert_true(an_history_mean(&history, AN_CURVE_TOP5) == 25);
    assert_true(an_history_mean(&history, AN_CURVE_VALIDATION_TOP5) == 50);
    an_history_free(&history);
}

/* Lines of older versions name no set. Those of one set too many are passed over. */
static void test_validation_sets(void **state)
{
    (void)state;
    an_history history;
    an_buffer text = {0};
    history_of("{\"type\":\"train\",\"step\":1,\"epoch\":1,\"loss\":1,\"top1\":0.5}\n"
               "{\"type\":\"validation\",\"step\":1,\"epoch\":1,\"loss\":2,\"top1\":0.25}\n"
               "{\"type\":\"validation\",\"set\":\"b\",\"step\":1,\"epoch\":1,\"loss\":3,\"top1\":0.75}\n"
               "{\"type\":\"validation\",\"set\":\"b\",\"step\":2,\"epoch\":2,\"loss\":5,\"top1\":0.75}\n",
               &history);
    assert_string_equal(history.first_set, "");
    assert_int_equal(history.curves[AN_CURVE_VALIDATION_LOSS].count, 1);
    assert_true(an_history_mean(&history, AN_CURVE_VALIDATION_ERROR) == 75);
    assert_int_equal(history.set_count, 1);
    assert_string_equal(history.sets[0].name, "b");
    assert_int_equal(history.sets[0].curves[AN_CURVE_VALIDATION_LOSS].count, 2);
    assert_true(history.sets[0].curves[AN_CURVE_VALIDATION_LOSS].mean == 4);
    an_history_free(&history);
    assert_int_equal(an_buffer_printf(&text, LINE(1, 1)), AN_OK);
    for (int i = 0; i < 40; i++)
        assert_int_equal(an_buffer_printf(&text,
                                          "{\"type\":\"validation\",\"set\":\"%d\",\"step\":1,\"epoch\":1,"
                                          "\"loss\":1}\n",
                                          i),
                         AN_OK);
    history_of((char *)text.data, &history);
    assert_string_equal(history.first_set, "0");
    assert_int_equal(history.set_count, AN_HISTORY_SETS_MAX - 1);
    an_history_free(&history);
    an_buffer_free(&text);
}

/* Stopped at step 55 with a line every 50 steps. */
static void test_a_stopped_run_ends_at_its_checkpoint(void **state)
{
    (void)state;
    an_history history;
    history_of("{\"type\":\"train\",\"step\":50,\"epoch\":2,\"loss\":1}\n"
               "{\"type\":\"saved\",\"step\":40,\"text\":\"a\"}\n"
               "{\"type\":\"saved\",\"step\":55,\"text\":\"b\"}\n",
               &history);
    assert_true(history.steps == 55);
    assert_true(fabs(history.epochs - 2.2) < 1e-12);
    an_history_free(&history);
    history_of(LINE(3, 1) "{\"type\":\"saved\",\"step\":2,\"text\":\"a\"}\n", &history);
    assert_true(history.steps == 3 && history.epochs == 3);
    an_history_free(&history);
}

static void test_runs_of_one_name(void **state)
{
    (void)state;
    static const char *const paths[] = {"/data/old/first", "/data/new/first",  "first",
                                        "third",           "/other/old/first", "new/first"};
    static const char *const names[] = {"data/old/first", "data/new/first",  "first",
                                        "third",          "other/old/first", "new/first"};
    an_history runs[6] = {0};
    for (int i = 0; i < 6; i++) {
        runs[i].path = strdup(paths[i]);
        runs[i].name = strdup("?");
    }
    assert_int_equal(an_history_distinguish(runs, 6), AN_OK);
    for (int i = 0; i < 6; i++) {
        assert_string_equal(runs[i].name, names[i]);
        an_history_free(&runs[i]);
    }
}

static int make_folder(void **state)
{
    (void)state;
    scratch_make(folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    scratch_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_features_that_have_no_order),
        cmocka_unit_test(test_damaged_lines_are_passed_over),
        cmocka_unit_test(test_mean_of_a_thinned_curve),
        cmocka_unit_test(test_a_long_rate_keeps_its_steps),
        cmocka_unit_test(test_top5),
        cmocka_unit_test(test_validation_sets),
        cmocka_unit_test(test_a_stopped_run_ends_at_its_checkpoint),
        cmocka_unit_test(test_runs_of_one_name),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
