/* For the tests of sources: files in a temporary folder, opening a source, what it must give. Failures end the test. */
#ifndef AN_TESTS_INGEST_SOURCES_SOURCE_SUPPORT_H
#define AN_TESTS_INGEST_SOURCES_SOURCE_SUPPORT_H

#include "ingest/sources/source.h"
#include "tests/ingest/fixture.h"

extern fixture support_files; /* fresh for each test */
int support_set_up(void **state);
int support_tear_down(void **state);

void support_put(const char *name, const char *content);              /* write a file there */
void support_put_gz(const char *name, const void *data, size_t size); /* the same, compressed */
const char *support_path(const char *name); /* of a file there; valid for the next three calls */

an_source *support_open_source(const an_source_options *options);

/* Opening fails with this code and a message that holds text. */
void support_refused(const an_source_options *options, int code, const char *text);

/* The next items of the source are these "name=label" pairs, and no more; NULL ends them. */
void support_expect_items(an_source *source, const char *const *expected);

#endif
