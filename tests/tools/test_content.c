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
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
