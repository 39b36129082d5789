#include "tests/store/dataset/support.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/rng.h"

static const uint32_t small_sizes[] = {1, 200, 1900, 2100, 4048, 4049, 9000, 30000};
const test_recipe test_small = {small_sizes, sizeof small_sizes / sizeof *small_sizes};

int test_folder_setup(void **state)
{
    const char *parent = getenv("TMPDIR");
    char *path = NULL;
    if (asprintf(&path, "%s/an-test-XXXXXX", parent ? parent : "/tmp") < 0 || !mkdtemp(path))
        return -1;
    *state = path;
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *position)
{
    (void)info;
    (void)kind;
    (void)position;
    return remove(path);
}

void test_remove_all(const char *path)
{
    assert_return_code(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

int test_folder_teardown(void **state)
{
    test_remove_all(*state);
    free(*state);
    return 0;
}

const char *test_path(void **state, const char *name)
{
    static char buffers[4][512];
    static int next;
    char *buffer = buffers[next++ % 4];
    assert_true(snprintf(buffer, sizeof buffers[0], "%s/%s", (const char *)*state, name) < (int)sizeof buffers[0]);
    return buffer;
}

void test_copy_file(const char *from, const char *to)
{
    an_buffer bytes = {0};
    assert_int_equal(an_file_read(from, SIZE_MAX / 2, &bytes), AN_OK);
    assert_int_equal(an_file_write_atomic(to, bytes.data, bytes.size), AN_OK);
    an_buffer_free(&bytes);
}

typedef struct {
    an_record_header header;
    uint8_t *payload;
    char name[300];
} item;

static item make_item(const test_recipe *recipe, uint64_t index)
{
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 0, index);
    item it = {.header = {.codec = AN_CODEC_JPEG,
                          .width = TEST_SIDE,
                          .height = TEST_SIDE,
                          .label = (uint32_t)(index * 7 % TEST_CLASSES),
                          .length = recipe->sizes[index % recipe->size_count]}};
    it.payload = malloc(it.header.length + 4);
    assert_non_null(it.payload);
    uint32_t length = it.header.length, filled = length < 64 ? length : 64;
    for (uint32_t i = 0; i < filled; i += 4) {
        uint32_t word = an_rng_u32(&rng);
        memcpy(it.payload + i, &word, 4);
    }
    for (; filled < length; filled *= 2) /* cheap under the sanitizers */
        memcpy(it.payload + filled, it.payload, filled < length - filled ? filled : length - filled);
    int width = (int)(index % 5 * 60); /* names of different lengths */
    snprintf(it.name, sizeof it.name, "class/%0*llu.jpg", width, (unsigned long long)index);
    return it;
}

static void add_sums(an_statistics_sums *sums, uint64_t index)
{
    uint8_t pixels[TEST_SIDE * TEST_SIDE * 3];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 31 + index * 17);
    an_image image = {.pixels = pixels, .width = TEST_SIDE, .height = TEST_SIDE, .capacity = sizeof pixels};
    assert_int_equal(an_statistics_sums_add(sums, &image), AN_OK);
}

int test_try_put(an_writer *writer, an_statistics_sums *sums, const test_recipe *recipe, uint64_t index)
{
    item it = make_item(recipe, index);
    add_sums(sums, index);
    int rc = an_writer_put(writer, &it.header, it.payload, it.name);
    free(it.payload);
    return rc;
}

void test_put(an_writer *writer, an_statistics_sums *sums, const test_recipe *recipe, uint64_t index)
{
    if (test_try_put(writer, sums, recipe, index))
        fail_msg("%s", an_error_message());
}

an_writer *test_writer_open(const char *path, an_statistics_sums *sums)
{
    an_writer *writer;
    assert_int_equal(an_statistics_sums_init(sums, TEST_SIDE), AN_OK);
    if (an_writer_open(&writer, path, TEST_MANIFEST, TEST_SIDE, sums))
        fail_msg("%s", an_error_message());
    return writer;
}

void test_classes(an_writer *writer)
{
    assert_int_equal(an_writer_class(writer, 0, "n0", "tench"), AN_OK);
    assert_int_equal(an_writer_class(writer, 2, "n2", ""), AN_OK);
    assert_int_equal(an_writer_class(writer, 1, "n1", "gold, fish"), AN_OK);
}

static void put_reject(an_writer *writer, uint64_t ordinal)
{
    char name[40];
    snprintf(name, sizeof name, "bad/%llu", (unsigned long long)ordinal);
    assert_int_equal(an_writer_reject(writer, name, "not an image", ordinal * 3), AN_OK);
}

void test_dataset_make(const char *path, const test_recipe *recipe, uint64_t count, uint64_t rejects)
{
    an_statistics_sums sums;
    an_writer *writer = test_writer_open(path, &sums);
    test_classes(writer);
    for (uint64_t i = an_writer_count(writer); i < count; i++)
        test_put(writer, &sums, recipe, i);
    for (uint64_t i = an_writer_rejects(writer); i < rejects; i++)
        put_reject(writer, i);
    if (an_writer_finish(writer))
        fail_msg("%s", an_error_message());
    an_statistics_sums_free(&sums);
}

static void check_record(const an_dataset *dataset, const test_recipe *recipe, uint64_t index)
{
    item it = make_item(recipe, index);
    an_record record;
    if (an_dataset_record(dataset, index, &record) || an_record_verify(&record))
        fail_msg("%s", an_error_message());
    assert_int_equal(record.header.label, it.header.label);
    assert_int_equal(record.header.length, it.header.length);
    assert_memory_equal(record.payload, it.payload, it.header.length);
    const char *name;
    size_t length;
    assert_int_equal(an_dataset_name(dataset, index, &name, &length), AN_OK);
    assert_int_equal(length, strlen(it.name));
    assert_memory_equal(name, it.name, length);
    assert_int_equal(an_dataset_index(dataset)[index].label, it.header.label);
    free(it.payload);
}

static int check_reject(void *context, const char *name, const char *reason, uint64_t bytes)
{
    uint64_t *seen = context;
    char expected[40];
    snprintf(expected, sizeof expected, "bad/%llu", (unsigned long long)*seen);
    assert_string_equal(name, expected);
    assert_string_equal(reason, "not an image");
    assert_int_equal(bytes, *seen * 3);
    ++*seen;
    return AN_OK;
}

static void check_statistics(const an_dataset *dataset, uint64_t count)
{
    an_statistics_sums sums;
    an_statistics expected;
    assert_int_equal(an_statistics_sums_init(&sums, TEST_SIDE), AN_OK);
    for (uint64_t i = 0; i < count; i++)
        add_sums(&sums, i);
    assert_int_equal(an_statistics_compute(&sums, &expected), AN_OK);
    const an_statistics *found = an_dataset_statistics(dataset);
    assert_int_equal(found->images, count);
    assert_memory_equal(found->mean, expected.mean, sizeof expected.mean);
    assert_memory_equal(found->eigenvector, expected.eigenvector, sizeof expected.eigenvector);
    assert_memory_equal(found->mean_image, expected.mean_image, TEST_SIDE * TEST_SIDE * 3 * sizeof(float));
    an_statistics_free(&expected);
    an_statistics_sums_free(&sums);
}

void test_dataset_check(const char *path, const test_recipe *recipe, uint64_t count, uint64_t rejects)
{
    an_dataset *dataset;
    if (an_dataset_open(&dataset, path))
        fail_msg("%s", an_error_message());
    assert_int_equal(an_dataset_count(dataset), count);
    assert_int_equal(an_dataset_side(dataset), TEST_SIDE);
    assert_string_equal(an_dataset_manifest(dataset), TEST_MANIFEST);
    assert_int_equal(an_dataset_class_count(dataset), TEST_CLASSES);
    assert_string_equal(an_dataset_class(dataset, 1)->id, "n1");
    assert_string_equal(an_dataset_class(dataset, 1)->name, "gold, fish");
    assert_string_equal(an_dataset_class(dataset, 2)->name, "");
    uint64_t counted = 0, seen = 0;
    for (uint32_t i = 0; i < TEST_CLASSES; i++)
        counted += an_dataset_class(dataset, i)->count;
    assert_int_equal(counted, count);
    for (uint64_t i = 0; i < count; i++)
        check_record(dataset, recipe, i);
    assert_int_equal(an_dataset_verify_headers(dataset), AN_OK);
    assert_int_equal(an_dataset_rejects(dataset, check_reject, &seen), AN_OK);
    assert_int_equal(seen, rejects);
    check_statistics(dataset, count);
    an_dataset_free(dataset);
}
