#include "tests/store/reader/reader_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"

#define FILE_SIZE ((3u << 20) + 1234)

int test_file_setup(void **state)
{
    test_file *file = calloc(1, sizeof *file);
    const char *parent = getenv("TMPDIR");
    if (!file || asprintf(&file->path, "%s/an-read-XXXXXX", parent ? parent : "/tmp") < 0)
        return -1;
    int fd = mkstemp(file->path);
    if (fd < 0 || close(fd))
        return -1;
    file->size = FILE_SIZE;
    file->bytes = malloc(FILE_SIZE + 4);
    if (!file->bytes)
        return -1;
    an_rng rng = an_rng_make(3, AN_RNG_TEST, 0, 0);
    for (uint32_t i = 0; i < FILE_SIZE; i += 4) {
        uint32_t word = an_rng_u32(&rng);
        memcpy(file->bytes + i, &word, 4);
    }
    *state = file;
    return an_file_write_atomic(file->path, file->bytes, FILE_SIZE);
}

int test_file_teardown(void **state)
{
    test_file *file = *state;
    int rc = unlink(file->path);
    free(file->path);
    free(file->bytes);
    free(file);
    return rc;
}

void test_stream_open(test_stream *stream, const test_file *file, an_reader_engine engine, int depth)
{
    *stream = (test_stream){.file = file, .depth = depth, .rng = an_rng_make((uint64_t)depth, AN_RNG_TEST, engine, 0)};
    if (an_reader_create(&stream->reader, file->path, &(an_reader_options){engine, depth}))
        fail_msg("%s", an_error_message());
    stream->stride = (an_reader_capacity(stream->reader, TEST_LENGTH_MAX) + 4095) & ~(size_t)4095;
    stream->memory_size = stream->stride * (size_t)depth;
    stream->reads = calloc((size_t)depth, sizeof *stream->reads);
    void *memory;
    assert_int_equal(an_pages_alloc(&memory, stream->memory_size), AN_OK);
    stream->memory = memory;
    assert_non_null(stream->reads);
    for (int i = 0; i < depth; i++)
        stream->reads[i].buffer = stream->memory + stream->stride * (size_t)i;
}

void test_stream_close(test_stream *stream)
{
    an_reader_free(stream->reader);
    an_pages_free(stream->memory, stream->memory_size);
    free(stream->reads);
}

int test_stream_submit(test_stream *stream, int i)
{
    an_read *read = &stream->reads[i];
    uint32_t largest = an_rng_below(&stream->rng, 4) ? TEST_LENGTH_MAX : 100;
    read->length = 1 + an_rng_below(&stream->rng, largest);
    uint64_t room = stream->file->size - read->length;
    read->offset =
        an_rng_below(&stream->rng, 20) ? an_rng_below(&stream->rng, (uint32_t)room + 1) : room; /* the tail too */
    read->user = read;
    return an_reader_submit(stream->reader, read);
}

void test_stream_check(const test_stream *stream, const an_read *read)
{
    if (an_reader_read_error(stream->reader, read))
        fail_msg("%s", an_error_message());
    assert_ptr_equal(read->user, read);
    assert_memory_equal(read->data, stream->file->bytes + read->offset, read->length);
    bool in_buffer = read->data >= read->buffer && read->data < read->buffer + stream->stride;
    assert_int_equal(in_buffer, !an_reader_is_mapped(stream->reader));
}

void test_stream_run(test_stream *stream, int count)
{
    int submitted = 0, finished = 0;
    for (; submitted < count && submitted < stream->depth; submitted++)
        assert_int_equal(test_stream_submit(stream, submitted), AN_OK);
    while (finished < count) {
        an_read *done;
        int rc = an_rng_below(&stream->rng, 2) ? an_reader_poll(stream->reader, &done) : AN_AGAIN;
        if (rc == AN_AGAIN)
            rc = an_reader_wait(stream->reader, &done);
        assert_int_equal(rc, AN_OK);
        test_stream_check(stream, done);
        finished++;
        if (submitted < count && ++submitted)
            assert_int_equal(test_stream_submit(stream, (int)(done - stream->reads)), AN_OK);
    }
    an_read *none;
    assert_int_equal(an_reader_wait(stream->reader, &none), AN_END);
    assert_int_equal(an_reader_poll(stream->reader, &none), AN_END);
}
