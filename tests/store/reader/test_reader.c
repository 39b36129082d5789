#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include <cmocka.h>

#include "base/error.h"
#include "store/reader/engine_private.h"
#include "tests/store/message.h"
#include "tests/store/reader/reader_support.h"

/* Whatever holds for every engine walks the table: a new row is tested by being there. */
#define ENGINES an_reader_engine_count()

static void every_engine_gives_the_same_bytes(void **state)
{
    static const int depths[] = {1, 2, 3, 7, 8, 32, 100, 256};
    for (size_t e = 0; e < ENGINES; e++)
        for (size_t d = 0; d < sizeof depths / sizeof *depths; d++) {
            test_stream stream;
            test_stream_open(&stream, *state, (an_reader_engine)e, depths[d]);
            test_stream_run(&stream, 150 + 2 * depths[d]);
            an_reader_stats stats;
            an_reader_stats_get(stream.reader, &stats);
            assert_int_equal(stats.reads, 150 + 2 * depths[d]);
            assert_true(stats.bytes > stats.reads && stats.in_flight_sum >= stats.reads);
            test_stream_close(&stream);
        }
}

static void registered_buffers_give_the_same_bytes(void **state)
{
    for (size_t e = 0; e < ENGINES; e++) {
        test_stream stream;
        test_stream_open(&stream, *state, (an_reader_engine)e, 16);
        /* Only the front half: reads into the other half go the plain way. */
        assert_int_equal(an_reader_buffers(stream.reader, stream.memory, stream.memory_size / 2), AN_OK);
        test_stream_run(&stream, 200);
        test_stream_close(&stream);
    }
}

static void full_depth_pushes_back(void **state)
{
    for (size_t e = 0; e < ENGINES; e++) {
        test_stream stream;
        an_read extra = {.length = 1, .buffer = (uint8_t[1]){0}}, *done;
        test_stream_open(&stream, *state, (an_reader_engine)e, 4);
        for (int i = 0; i < 4; i++)
            assert_int_equal(test_stream_submit(&stream, i), AN_OK);
        assert_int_equal(an_reader_submit(stream.reader, &extra), AN_AGAIN);
        assert_int_equal(an_reader_wait(stream.reader, &done), AN_OK);
        assert_int_equal(test_stream_submit(&stream, (int)(done - stream.reads)), AN_OK);
        test_stream_close(&stream);
    }
}

static void expect_early_end(test_stream *stream, uint64_t offset, uint32_t length)
{
    an_read *done, *read = stream->reads;
    read->offset = offset;
    read->length = length;
    assert_int_equal(an_reader_submit(stream->reader, read), AN_OK);
    assert_int_equal(an_reader_wait(stream->reader, &done), AN_OK);
    assert_ptr_equal(done, read);
    assert_int_equal(an_reader_read_error(stream->reader, done), AN_ECORRUPT);
    assert_message(stream->file->path);
    assert_message("ends early");
    assert_null(done->data);
}

static void beyond_the_end_is_an_error(void **state)
{
    for (size_t e = 0; e < ENGINES; e++) {
        test_stream stream;
        test_stream_open(&stream, *state, (an_reader_engine)e, 2);
        uint64_t size = stream.file->size;
        expect_early_end(&stream, size - 10, 11);
        expect_early_end(&stream, size, 1);
        expect_early_end(&stream, size - 9000, 9001);
        expect_early_end(&stream, size + 100000, 5000);
        test_stream_run(&stream, 20); /* still good for what is there */
        test_stream_close(&stream);
    }
}

/* Nobody may write into a buffer, or touch a read, once the reader is freed: asan and the refill below would show. */
static void freed_at_any_moment(void **state)
{
    for (size_t e = 0; e < ENGINES; e++)
        for (int round = 0; round < 20; round++) {
            test_stream stream;
            test_stream_open(&stream, *state, (an_reader_engine)e, 1 + round * 3 % 32);
            for (int i = 0; i < stream.depth; i++)
                assert_int_equal(test_stream_submit(&stream, i), AN_OK);
            an_read *done;
            for (int i = 0; i < round % 7 && i < stream.depth; i++)
                assert_int_equal(an_reader_wait(stream.reader, &done), AN_OK);
            an_reader_free(stream.reader);
            stream.reader = NULL;
            memset(stream.memory, 0xA5, stream.memory_size);
            usleep(round % 5 * 100);
            for (size_t i = 0; i < stream.memory_size; i++)
                if (stream.memory[i] != 0xA5)
                    fail_msg("a buffer was written after the reader was freed (%s)",
                             an_reader_engine_name((an_reader_engine)e));
            test_stream_close(&stream);
        }
}

static void impossible_reads_are_refused(void **state)
{
    for (size_t e = 0; e < ENGINES; e++) {
        test_stream stream;
        test_stream_open(&stream, *state, (an_reader_engine)e, 1);
        an_read read = {.length = 0, .buffer = stream.memory};
        assert_int_equal(an_reader_submit(stream.reader, &read), AN_EINVAL);
        read.length = AN_READER_LENGTH_MAX + 1;
        assert_int_equal(an_reader_submit(stream.reader, &read), AN_EINVAL);
        read.length = 1;
        read.offset = UINT64_MAX;
        assert_int_equal(an_reader_submit(stream.reader, &read), AN_EINVAL);
        assert_message(stream.file->path);
        test_stream_close(&stream);
    }
}

static void impossible_files_are_refused(void **state)
{
    const test_file *file = *state;
    for (size_t e = 0; e < ENGINES; e++) {
        an_reader *reader;
        assert_int_equal(an_reader_create(&reader, "/nowhere/data", &(an_reader_options){(an_reader_engine)e, 1}),
                         AN_ENOTFOUND);
        assert_message("'/nowhere/data'");
        assert_null(reader);
        assert_true(an_reader_create(&reader, "/", &(an_reader_options){(an_reader_engine)e, 1}) < 0);
        assert_int_equal(an_reader_create(&reader, file->path, &(an_reader_options){(an_reader_engine)e, 0}),
                         AN_EINVAL);
        assert_message("1 to 4096");
        assert_int_equal(an_reader_create(&reader, file->path, &(an_reader_options){(an_reader_engine)e, 4097}),
                         AN_EINVAL);
    }
}

static void direct_wants_aligned_buffers(void **state)
{
    test_stream stream;
    test_stream_open(&stream, *state, AN_READER_URING_DIRECT, 1);
    if (an_reader_engine_used(stream.reader) != AN_READER_URING_DIRECT) {
        assert_non_null(an_reader_note(stream.reader));
        test_stream_close(&stream);
        skip();
    }
    an_read read = {.length = 1, .buffer = stream.memory + 1};
    assert_int_equal(an_reader_submit(stream.reader, &read), AN_EINVAL);
    assert_message("not aligned");
    assert_int_equal(an_reader_capacity(stream.reader, 1), 8192);
    assert_int_equal(an_reader_capacity(stream.reader, 4096), 8192);
    assert_int_equal(an_reader_capacity(stream.reader, 4097), 12288);
    test_stream_close(&stream);
}

static void an_empty_file_ends_early(void **state)
{
    (void)state;
    char path[] = "/tmp/an-empty-XXXXXX";
    int fd = mkstemp(path);
    assert_return_code(fd, 0);
    test_file file = {.path = path};
    for (size_t e = 0; e < ENGINES; e++) {
        test_stream stream;
        test_stream_open(&stream, &file, (an_reader_engine)e, 1);
        expect_early_end(&stream, 0, 1);
        test_stream_close(&stream);
    }
    assert_return_code(close(fd), 0);
    assert_return_code(unlink(path), 0);
}

static void auto_follows_size_memory_and_cache(void **state)
{
    (void)state;
    assert_int_equal(an_reader_auto_choose(100, 1000, 0.0), AN_READER_URING);
    assert_int_equal(an_reader_auto_choose(100, 1000, 0.9), AN_READER_URING);
    assert_int_equal(an_reader_auto_choose(100, 1000, 1.0), AN_READER_MMAP);
    assert_int_equal(an_reader_auto_choose(1001, 1000, 0.5), AN_READER_URING_DIRECT);
}

/* On file systems that tell (not tmpfs): a file that left the page cache is not mapped, one that is in it is. */
static void auto_looks_at_the_page_cache(void **state)
{
    const test_file *file = *state;
    struct statfs info;
    assert_return_code(statfs(file->path, &info), 0);
    int fd = open(file->path, O_RDONLY);
    assert_return_code(fd, 0);
    assert_return_code(fsync(fd), 0);
    for (int warm = 0; warm < 2; warm++) {
        test_stream stream;
        assert_int_equal(posix_fadvise(fd, 0, 0, warm ? POSIX_FADV_WILLNEED : POSIX_FADV_DONTNEED), 0);
        for (uint64_t i = 0; warm && i < file->size; i += 4096)
            assert_int_equal(pread(fd, &(uint8_t){0}, 1, (off_t)i), 1);
        test_stream_open(&stream, file, AN_READER_AUTO, 8);
        bool mapped = an_reader_is_mapped(stream.reader);
        assert_true(warm == mapped || info.f_type == TMPFS_MAGIC);
        assert_non_null(strstr(an_reader_note(stream.reader), "auto: "));
        assert_non_null(
            strstr(an_reader_note(stream.reader), an_reader_engine_name(an_reader_engine_used(stream.reader))));
        test_stream_run(&stream, 50);
        test_stream_close(&stream);
    }
    assert_return_code(close(fd), 0);
}

/* ------------------------------------------------------------------------------------------------- the table ---- */

static void every_engine_has_a_name(void **state)
{
    (void)state;
    for (size_t e = 0; e < ENGINES; e++) {
        const char *name = an_reader_engine_name((an_reader_engine)e);
        assert_string_equal(name, an_reader_engine_names[e]);
        for (size_t other = 0; other < e; other++)
            assert_string_not_equal(name, an_reader_engine_names[other]);
    }
    assert_null(an_reader_engine_names[ENGINES]);
    assert_string_equal(an_reader_engine_name((an_reader_engine)ENGINES), "?");
}

/* What may take an engine's place needs nobody to take its own. */
static void fallbacks_end(void **state)
{
    (void)state;
    for (size_t e = 0; e < ENGINES; e++) {
        const an_reader_engine_row *row = an_reader_engine_row_of((an_reader_engine)e);
        const an_reader_engine_row *instead = an_reader_engine_row_of(row->instead);
        assert_int_equal(instead->instead, row->instead);
        assert_false(an_reader_engine_row_of(row->buffered)->direct);
        assert_ptr_equal(an_reader_engine_row_of(row->buffered)->ops, row->ops);
        assert_true(row->ops || e == AN_READER_AUTO);
    }
}

static void unknown_engines_are_refused(void **state)
{
    const test_file *file = *state;
    const int unknown[] = {(int)ENGINES, (int)ENGINES + 1, -1, 1000};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        an_reader *reader;
        const an_reader_options options = {.engine = (an_reader_engine)unknown[i], .depth = 4};
        assert_int_equal(an_reader_create(&reader, file->path, &options), AN_EINVAL);
        assert_null(reader);
        for (size_t e = 0; e < ENGINES; e++)
            assert_message(an_reader_engine_names[e]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_engine_gives_the_same_bytes),
        cmocka_unit_test(registered_buffers_give_the_same_bytes),
        cmocka_unit_test(full_depth_pushes_back),
        cmocka_unit_test(beyond_the_end_is_an_error),
        cmocka_unit_test(freed_at_any_moment),
        cmocka_unit_test(impossible_reads_are_refused),
        cmocka_unit_test(impossible_files_are_refused),
        cmocka_unit_test(direct_wants_aligned_buffers),
        cmocka_unit_test(an_empty_file_ends_early),
        cmocka_unit_test(auto_follows_size_memory_and_cache),
        cmocka_unit_test(auto_looks_at_the_page_cache),
        cmocka_unit_test(every_engine_has_a_name),
        cmocka_unit_test(fallbacks_end),
        cmocka_unit_test(unknown_engines_are_refused),
    };
    return cmocka_run_group_tests_name("reader", tests, test_file_setup, test_file_teardown);
}
