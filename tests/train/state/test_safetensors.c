#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "tests/train/fixture.h"
#include "train/state/safetensors.h"

static fixture files;

static int open_folder(void **state)
{
    (void)state;
    fixture_open(&files);
    return 0;
}

static int close_folder(void **state)
{
    (void)state;
    fixture_close(&files);
    return 0;
}

static int fetch(void *context, size_t number, float *room, const float **out)
{
    const uint64_t *sizes = context;
    for (uint64_t i = 0; i < sizes[number]; i++)
        room[i] = (float)number * 100 + (float)i;
    *out = room;
    return AN_OK;
}

static const char *write_sample(void)
{
    const char *path = fixture_path(&files, "sample.safetensors");
    an_safetensor tensors[] = {{.name = "a.weight", .rank = 2, .shape = {2, 3}},
                               {.name = "\xc3\xa9", .rank = 0},
                               {.name = "empty", .rank = 2, .shape = {0, 5}},
                               {.name = "b", .rank = 1, .shape = {4}}};
    static uint64_t sizes[] = {6, 1, 0, 4};
    an_safetensors_pair pairs[] = {{"format", "test"}, {"text", "two\nlines \"xxh3\":\"here\""}};
    assert_int_equal(an_safetensors_write(path, tensors, 4, pairs, 2, fetch, sizes), AN_OK);
    return path;
}

static void test_round_trip(void **state)
{
    (void)state;
    an_safetensors *file;
    float values[6];
    assert_int_equal(an_safetensors_open(&file, write_sample()), AN_OK);
    assert_true(an_safetensors_guarded(file));
    assert_int_equal(an_safetensors_verify(file), AN_OK);
    assert_int_equal(an_safetensors_count(file), 4);
    assert_string_equal(an_safetensors_metadata(file, "text"), "two\nlines \"xxh3\":\"here\"");
    assert_null(an_safetensors_metadata(file, "absent"));
    const an_safetensor *a = an_safetensors_find(file, "a.weight");
    assert_int_equal(a->rank, 2);
    assert_int_equal(a->shape[0], 2);
    assert_int_equal(a->shape[1], 3);
    assert_int_equal(an_safetensors_read(file, a, values), AN_OK);
    for (int i = 0; i < 6; i++)
        assert_float_equal(values[i], i, 0);
    assert_int_equal(an_safetensors_read(file, an_safetensors_find(file, "b"), values), AN_OK);
    assert_float_equal(values[3], 303, 0);
    assert_int_equal(an_safetensors_read(file, an_safetensors_find(file, "\xc3\xa9"), values), AN_OK);
    assert_float_equal(values[0], 100, 0);
    assert_null(an_safetensors_find(file, "c"));
    an_safetensors_free(file);
}

/* Every byte matters: wherever one bit changes, opening or verifying fails. */
static void test_every_flipped_bit_is_found(void **state)
{
    (void)state;
    an_buffer bytes = {0};
    const char *path = write_sample();
    fixture_read(path, &bytes);
    for (uint64_t i = 0; i < bytes.size; i++) {
        an_safetensors *file = NULL;
        fixture_flip(path, i);
        int rc = an_safetensors_open(&file, path);
        if (!rc) /* a broken key "xxh3" leaves a file without a guard, which checkpoints refuse */
            rc = an_safetensors_guarded(file) ? an_safetensors_verify(file) : AN_ECORRUPT;
        assert_int_equal(rc, AN_ECORRUPT);
        an_safetensors_free(file);
        fixture_flip(path, i);
    }
    an_buffer_free(&bytes);
}

static void test_every_truncation_is_found(void **state)
{
    (void)state;
    an_buffer bytes = {0};
    fixture_read(write_sample(), &bytes);
    for (uint64_t size = 0; size < bytes.size; size++) {
        const char *path = fixture_path(&files, "short");
        an_safetensors *file;
        fixture_write(path, bytes.data, size);
        assert_int_equal(an_safetensors_open(&file, path), AN_ECORRUPT);
        assert_non_null(strstr(an_error_message(), path));
    }
    an_buffer_free(&bytes);
}

/* Write a file of that header and data. */
static const char *write_text(const char *header, const void *data, size_t size)
{
    an_buffer bytes = {0};
    uint64_t length = strlen(header);
    const char *path = fixture_path(&files, "hostile");
    assert_int_equal(an_buffer_append(&bytes, &length, 8), AN_OK);
    assert_int_equal(an_buffer_append(&bytes, header, length), AN_OK);
    assert_int_equal(an_buffer_append(&bytes, data, size), AN_OK);
    fixture_write(path, bytes.data, bytes.size);
    an_buffer_free(&bytes);
    return path;
}

static int open_text(const char *header, size_t data)
{
    static const uint8_t zeros[64];
    an_safetensors *file = NULL;
    int rc = an_safetensors_open(&file, write_text(header, zeros, data));
    an_safetensors_free(file);
    return rc;
}

#define TENSOR(dtype, shape, offsets) "{\"a\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void test_hostile_headers(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data;
    } cases[] = {
        {"[]", 0},
        {"{", 0},
        {"{} x", 0},
        {"{}", 4}, /* data nobody names */
        {"{\"a\":1}", 0},
        {"{\"a\":{}}", 0},
        {TENSOR("\"F33\"", "[1]", "[0,4]"), 4},
        {TENSOR("1", "[1]", "[0,4]"), 4},
        {TENSOR("\"F32\"", "1", "[0,4]"), 4},
        {TENSOR("\"F32\"", "[-1]", "[0,4]"), 4},
        {TENSOR("\"F32\"", "[1.0]", "[0,4]"), 4},
        {TENSOR("\"F32\"", "[\"1\"]", "[0,4]"), 4},
        {TENSOR("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4}, /* rank 9 */
        {TENSOR("\"F32\"", "[1]", "[0]"), 4},
        {TENSOR("\"F32\"", "[1]", "[0,4,8]"), 4},
        {TENSOR("\"F32\"", "[1]", "[4,0]"), 4}, /* backwards */
        {TENSOR("\"F32\"", "[1]", "[-4,0]"), 4},
        {TENSOR("\"F32\"", "[1]", "[0,8]"), 4},                     /* outside */
        {TENSOR("\"F32\"", "[2]", "[0,4]"), 4},                     /* shape against offsets */
        {TENSOR("\"F32\"", "[4611686018427387904,4]", "[0,0]"), 0}, /* overflows to 0 */
        {TENSOR("\"F32\"", "[4611686018427387905]", "[0,4]"), 4},   /* times 4 overflows to 4 */
        {TENSOR("\"F32\"", "[1]", "[0,99999999999999999999999]"), 4},
        {TENSOR("\"F32\"", "[1]", "[4,8]"), 8}, /* hole */
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
         4}, /* twice */
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
         4}, /* overlap */
        {"{\"__metadata__\":[]}", 0},
        {"{\"__metadata__\":{\"a\":1}}", 0},
        {"{\"\xff\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(open_text(cases[i].header, cases[i].data), AN_ECORRUPT);
    assert_int_equal(open_text(TENSOR("\"F32\"", "[1]", "[0,4]"), 4), AN_OK);
    assert_int_equal(open_text("{}", 0), AN_OK);
}

static void test_deep_nesting_is_no_stack_overflow(void **state)
{
    (void)state;
    size_t depth = 100000;
    char *deep = malloc(depth + 1);
    memset(deep, '[', depth);
    deep[depth] = '\0';
    assert_int_equal(open_text(deep, 0), AN_ECORRUPT);
    free(deep);
}

/* A parser would take a hundred bytes and more for each. */
static void test_too_many_values(void **state)
{
    (void)state;
    size_t size = 4000000;
    char *many = malloc(size + 1);
    memset(many, '[', size);
    for (size_t i = 5; i < size - 1; i += 3)
        memcpy(many + i, "{},", i + 3 < size - 1 ? 3 : size - 1 - i);
    memcpy(many, "{\"a\":", 5);
    many[size - 1] = '}';
    many[size] = '\0';
    assert_int_equal(open_text(many, 0), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "more values than any network's"));
    free(many);
}

static void test_other_types_open_but_do_not_read(void **state)
{
    (void)state;
    const char *header = TENSOR("\"U16\"", "[2]", "[0,4]");
    assert_int_equal(open_text(header, 4), AN_OK);
    an_safetensors *file;
    float values[2];
    assert_int_equal(an_safetensors_open(&file, fixture_path(&files, "hostile")), AN_OK);
    assert_int_equal(an_safetensors_read(file, an_safetensors_at(file, 0), values), AN_EUNSUPPORTED);
    assert_false(an_safetensors_guarded(file));
    assert_int_equal(an_safetensors_verify(file), AN_OK);
    an_safetensors_free(file);
}

static void read_as(const char *header, const void *data, size_t size, float *out)
{
    an_safetensors *file;
    assert_int_equal(an_safetensors_open(&file, write_text(header, data, size)), AN_OK);
    assert_false(an_safetensors_is_f32(an_safetensors_at(file, 0)));
    assert_int_equal(an_safetensors_read(file, an_safetensors_at(file, 0), out), AN_OK);
    an_safetensors_free(file);
}

/* Numbers of IEEE 754's interchange formats and of bfloat16, by their definitions. */
static void test_other_floats_are_converted(void **state)
{
    (void)state;
    static const uint16_t halves[] = {0x3c00, 0xc000, 0x3555, 0x7bff, 0x0400, 0x0001, 0x83ff, 0x8000, 0x7c00, 0xfc00};
    static const float half_values[] = {1,        -2,          0x1.554p-2F, 65504,     0x1p-14F,
                                        0x1p-24F, -0x3ffp-24F, -0.0F,       HUGE_VALF, -HUGE_VALF};
    static const uint16_t brains[] = {0x3f80, 0xc049, 0x0001, 0xff80};
    static const float brain_values[] = {1, -3.140625F, 0x1p-133F, -HUGE_VALF};
    static const double doubles[] = {0.1, -1e300, 1e-60, 3.4028234663852886e38, HUGE_VAL};
    static const float double_values[] = {0.1F, -HUGE_VALF, 0, 3.4028234663852886e38F, HUGE_VALF};
    float values[10];
    read_as(TENSOR("\"F16\"", "[10]", "[0,20]"), halves, sizeof(halves), values);
    assert_memory_equal(values, half_values, sizeof(half_values));
    read_as(TENSOR("\"BF16\"", "[2,2]", "[0,8]"), brains, sizeof(brains), values);
    assert_memory_equal(values, brain_values, sizeof(brain_values));
    read_as(TENSOR("\"F64\"", "[5]", "[0,40]"), doubles, sizeof(doubles), values);
    assert_memory_equal(values, double_values, sizeof(double_values));
    const uint16_t not_a_number = 0x7e00;
    read_as(TENSOR("\"F16\"", "[]", "[0,2]"), &not_a_number, 2, values);
    assert_true(isnan(values[0]));
}

/* More values than are converted at a time. */
static void test_many_values_are_converted(void **state)
{
    (void)state;
    enum { MANY = 20000 };
    uint16_t *halves = calloc(MANY, sizeof(*halves));
    float *values = calloc(MANY, sizeof(*values));
    for (int i = 0; i < MANY; i++)
        halves[i] = (uint16_t)(0x3f80 + i % 64);
    read_as(TENSOR("\"BF16\"", "[20000]", "[0,40000]"), halves, MANY * sizeof(*halves), values);
    for (int i = 0; i < MANY; i++)
        assert_float_equal(values[i], 1 + (float)(i % 64) / 128, 0);
    free(values);
    free(halves);
}

static void test_absent_and_odd_files(void **state)
{
    (void)state;
    an_safetensors *file;
    assert_int_equal(an_safetensors_open(&file, fixture_path(&files, "absent")), AN_ENOTFOUND);
    assert_int_equal(an_safetensors_open(&file, files.root), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "is a folder"));
}

static int refuse(void *context, size_t number, float *room, const float **out)
{
    (void)context, (void)number, (void)room, (void)out;
    return an_error(AN_EIO, "no values");
}

static void test_failed_write_leaves_nothing(void **state)
{
    (void)state;
    an_safetensor tensor = {.name = "a", .rank = 1, .shape = {1}};
    const char *path = fixture_path(&files, "never");
    assert_int_equal(an_safetensors_write(path, &tensor, 1, NULL, 0, refuse, NULL), AN_EIO);
    assert_int_not_equal(access(path, F_OK), 0);
    an_safetensor huge = {.name = "a", .rank = 2, .shape = {UINT64_MAX / 2, 4}};
    assert_int_equal(an_safetensors_write(path, &huge, 1, NULL, 0, refuse, NULL), AN_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_flipped_bit_is_found),
        cmocka_unit_test(test_every_truncation_is_found),
        cmocka_unit_test(test_hostile_headers),
        cmocka_unit_test(test_deep_nesting_is_no_stack_overflow),
        cmocka_unit_test(test_too_many_values),
        cmocka_unit_test(test_other_types_open_but_do_not_read),
        cmocka_unit_test(test_other_floats_are_converted),
        cmocka_unit_test(test_many_values_are_converted),
        cmocka_unit_test(test_absent_and_odd_files),
        cmocka_unit_test(test_failed_write_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
