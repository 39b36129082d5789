/* For tests that make datasets: ingest, open, compare. A failure ends the test. */
#ifndef AN_TESTS_INGEST_SUPPORT_H
#define AN_TESTS_INGEST_SUPPORT_H

#include "ingest/run/run.h"
#include "store/dataset/dataset.h"
#include "tests/ingest/fixture.h"

/* The default options with side pixels, two threads, no output. */
void support_config(an_ingest_config *config, int side);

/* Write JPEG files of different sizes, folder/class-<c>/<i>.jpg: `each` of them in each of `classes` folders. */
void support_pictures(fixture *f, const char *folder, int classes, int each);

void support_ingest(const an_ingest_config *config, const char *source, const char *destination);
an_dataset *support_open(const char *path);

/* Both have the same records, names, classes, statistics and number of inputs that were set aside. */
void support_assert_same(const an_dataset *a, const an_dataset *b);

#endif
