/* A file of known bytes and reads of it, for the reader's tests. */
#ifndef AN_TESTS_STORE_READER_READER_SUPPORT_H
#define AN_TESTS_STORE_READER_READER_SUPPORT_H

#include <stdbool.h>

#include "base/rng.h"
#include "store/reader/reader.h"

typedef struct {
    char *path;
    uint8_t *bytes;
    uint64_t size;
} test_file;

int test_file_setup(void **state); /* *state: a test_file of about 3 MB whose size is no multiple of anything */
int test_file_teardown(void **state);

/* A pool of buffers and reads for one reader. */
typedef struct {
    an_reader *reader;
    const test_file *file;
    an_read *reads;
    uint8_t *memory;
    size_t memory_size, stride;
    int depth;
    an_rng rng;
} test_stream;

#define TEST_LENGTH_MAX 60000u

void test_stream_open(test_stream *stream, const test_file *file, an_reader_engine engine, int depth);
void test_stream_close(test_stream *stream);
/* Point read i at random bytes of the file and submit it; returns an_reader_submit's code. */
int test_stream_submit(test_stream *stream, int i);
void test_stream_check(const test_stream *stream, const an_read *read); /* status and every byte */
/* `count` random reads with depth in flight; every byte compared. */
void test_stream_run(test_stream *stream, int count);

#endif
