/* Images to write and datasets to compare, for the tests of liban's writer. Failures end the test. */
#ifndef AN_TESTS_LIBAN_WRITER_SUPPORT_H
#define AN_TESTS_LIBAN_WRITER_SUPPORT_H

#include <an/writer.h>

#include "store/dataset/dataset.h"
#include "tests/ingest/fixture.h"

/* Image number i is a function of its number: a JPEG, or every fifth a text that is set aside; three classes. */
int writer_support_try_feed(liban_writer *writer, uint64_t i);
void writer_support_feed(liban_writer *writer, uint64_t first, uint64_t end);

liban_writer *writer_support_open(const char *path, const char *codec); /* side 32 */
void writer_support_finish(liban_writer *writer);

/* Records, names, classes, what was set aside and statistics are the same; manifests may differ. */
void writer_support_assert_same(const an_dataset *a, const an_dataset *b);
void writer_support_assert_same_paths(const char *a, const char *b);

#endif
