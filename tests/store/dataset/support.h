/* Scratch folders and small datasets for the store's tests. All failures end the test. */
#ifndef AN_TESTS_STORE_DATASET_SUPPORT_H
#define AN_TESTS_STORE_DATASET_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

#include "store/dataset/dataset.h"
#include "store/dataset/writer.h"

#define TEST_SIDE 8
#define TEST_CLASSES 3
#define TEST_MANIFEST "{\"quality\":90,\"source\":\"test\"}"

/* A cmocka fixture: *state is the path of an empty folder, removed with all it holds. */
int test_folder_setup(void **state);
int test_folder_teardown(void **state);
/* "<folder>/<name>" in one of a few static buffers. */
const char *test_path(void **state, const char *name);
void test_remove_all(const char *path);
void test_copy_file(const char *from, const char *to);

/* Record `index` is a pure function of its number: size from `sizes` in turn, random bytes, label, name. */
typedef struct {
    const uint32_t *sizes; /* payload bytes */
    size_t size_count;
} test_recipe;

extern const test_recipe test_small; /* some within a page, some beyond */

/* sums and then the record: an_writer_put's code. */
int test_try_put(an_writer *writer, an_statistics_sums *sums, const test_recipe *recipe, uint64_t index);
void test_put(an_writer *writer, an_statistics_sums *sums, const test_recipe *recipe, uint64_t index);
an_writer *test_writer_open(const char *path, an_statistics_sums *sums); /* sums: initialised here */
void test_classes(an_writer *writer);
void test_dataset_make(const char *path, const test_recipe *recipe, uint64_t count, uint64_t rejects);
/* Every record, name, label, class and count as the recipe says. */
void test_dataset_check(const char *path, const test_recipe *recipe, uint64_t count, uint64_t rejects);

#endif
