/* Every write and sync of a small run fails once: LMDB calls the functions below instead of libc's, because a program's
 * symbols come before those of its libraries. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "tests/store/dataset/support.h"
#include "tests/store/message.h"

static struct {
    int calls, fail_at; /* counted from 1; 0: never */
    bool lasting;       /* all calls from fail_at on */
    int number;         /* errno; 0: a short write, which LMDB takes for EIO */
} fault;

static bool fails(void)
{
    fault.calls++;
    return fault.fail_at && (fault.lasting ? fault.calls >= fault.fail_at : fault.calls == fault.fail_at);
}

static ssize_t refuse(ssize_t partial)
{
    errno = fault.number;
    return fault.number ? -1 : partial;
}

/* By their symbols: <unistd.h> may map these names to others. */
ssize_t faulty_pwrite(int fd, const void *data, size_t size, int64_t offset) __asm__("pwrite");
ssize_t faulty_writev(int fd, const struct iovec *vectors, int count) __asm__("writev");
int faulty_fdatasync(int fd) __asm__("fdatasync");
int faulty_fsync(int fd) __asm__("fsync");

ssize_t faulty_pwrite(int fd, const void *data, size_t size, int64_t offset)
{
    return fails() ? refuse((ssize_t)size / 2) : syscall(SYS_pwrite64, fd, data, size, offset);
}

ssize_t faulty_writev(int fd, const struct iovec *vectors, int count)
{
    return fails() ? refuse((ssize_t)vectors[0].iov_len / 2) : syscall(SYS_writev, fd, vectors, count);
}

int faulty_fdatasync(int fd)
{
    (void)fd; /* nothing here depends on the disk */
    return fault.number && fails() ? (int)refuse(0) : 0;
}

int faulty_fsync(int fd)
{
    (void)fd;
    return fault.number && fails() ? (int)refuse(0) : 0;
}

enum { COUNT = 16, COMMIT_EVERY = 8 };

static int put_all(an_writer *writer, an_statistics_sums *sums)
{
    int rc = AN_OK;
    for (uint64_t i = an_writer_count(writer); !rc && i < COUNT; i++) {
        rc = test_try_put(writer, sums, &test_small, i);
        if (!rc && i % COMMIT_EVERY == COMMIT_EVERY - 1)
            rc = an_writer_commit(writer);
    }
    return rc;
}

/* The code of the first failure, with its message left in place. */
static int run(const char *path)
{
    an_statistics_sums sums;
    an_writer *writer;
    assert_int_equal(an_statistics_sums_init(&sums, TEST_SIDE), AN_OK);
    int rc = an_writer_open(&writer, path, TEST_MANIFEST, TEST_SIDE, &sums);
    if (!rc) {
        test_classes(writer);
        rc = put_all(writer, &sums);
        if (rc)
            an_writer_close(writer);
        else
            rc = an_writer_finish(writer);
    }
    an_statistics_sums_free(&sums);
    return rc;
}

static void fail_and_resume(void **state, int at, int number, bool lasting)
{
    const char *path = test_path(state, "set");
    fault.calls = 0;
    fault.fail_at = at;
    fault.number = number;
    fault.lasting = lasting;
    int rc = run(path);
    assert_message(path);
    if (number == 0) { /* LMDB says EIO, or ENOSPC while it creates the file */
        assert_true(rc == AN_EIO || rc == AN_ENOSPC);
    } else {
        assert_int_equal(rc, number == ENOSPC ? AN_ENOSPC : AN_EIO);
        assert_message(strerror(number));
    }
    fault.fail_at = 0;
    if (access(path, F_OK)) /* otherwise only the last sync, after the rename, failed */
        assert_int_equal(run(path), AN_OK);
    test_dataset_check(path, &test_small, COUNT, 0);
    test_remove_all(path);
}

static int count_calls(void **state)
{
    fault.fail_at = 0;
    fault.calls = 0;
    fault.number = EIO;
    assert_int_equal(run(test_path(state, "set")), AN_OK);
    test_remove_all(test_path(state, "set"));
    return fault.calls;
}

static void every_failing_write_is_reported_and_resumable(void **state)
{
    static const int errors[] = {ENOSPC, EIO};
    for (size_t e = 0; e < 2; e++)
        for (int lasting = 0; lasting < 2; lasting++) {
            int calls = count_calls(state);
            assert_true(calls > 15);
            for (int at = 1; at <= calls; at++)
                fail_and_resume(state, at, errors[e], lasting);
        }
}

static void short_writes_are_reported_and_resumable(void **state)
{
    fault.number = 0;
    fault.calls = fault.fail_at = 0;
    assert_int_equal(run(test_path(state, "set")), AN_OK);
    int calls = fault.calls;
    test_remove_all(test_path(state, "set"));
    for (int at = 1; at <= calls; at++)
        fail_and_resume(state, at, 0, false);
}

static void a_failed_writer_says_so(void **state)
{
    an_statistics_sums sums;
    an_writer *writer = test_writer_open(test_path(state, "set"), &sums);
    fault.fail_at = fault.calls + 1;
    fault.number = ENOSPC;
    fault.lasting = true;
    test_put(writer, &sums, &test_small, 0);
    assert_int_equal(an_writer_commit(writer), AN_ENOSPC);
    assert_message("make room and give the same command again, or a writer with the same options");
    assert_int_equal(an_writer_commit(writer), AN_EIO);
    assert_message("an earlier write failed");
    assert_int_equal(test_try_put(writer, &sums, &test_small, 1), AN_EIO);
    assert_int_equal(an_writer_reject(writer, "a", "b", 1), AN_EIO);
    assert_int_equal(an_writer_class(writer, 0, "a", "b"), AN_EIO);
    assert_int_equal(an_writer_finish(writer), AN_EIO);
    fault.fail_at = 0;
    an_statistics_sums_free(&sums);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, test_folder_setup, test_folder_teardown)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(every_failing_write_is_reported_and_resumable),
        IN_FOLDER(short_writes_are_reported_and_resumable),
        IN_FOLDER(a_failed_writer_says_so),
    };
    return cmocka_run_group_tests_name("writer_faults", tests, NULL, NULL);
}
