/* Datasets in tests of ingest: make one, open one, compare two. Failures end the test. */
#ifndef AN_TESTS_INGEST_SUPPORT_H
#define AN_TESTS_INGEST_SUPPORT_H

#include "ingest/run/run.h"
#include "store/dataset/dataset.h"
#include "tests/ingest/fixture.h"

/* The default options with side pixels, two threads, no output. */
void support_config(an_ingest_config *config, int side);

/* each pictures in each of classes folders folder/class-<c>/<i>.jpg of the fixture, of differing sizes. */
void support_pictures(fixture *f, const char *folder, int classes, int each);

void support_ingest(const an_ingest_config *config, const char *source, const char *destination);
an_dataset *support_open(const char *path);

/* Record for record, name for name, classes, statistics and set-aside counts: the same. */
void support_assert_same(const an_dataset *a, const an_dataset *b);

#endif
