#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "tests/base/scratch.h"

typedef struct {
    char folder[SCRATCH_MAX], path[SCRATCH_MAX + 64];
} place;

static int setup(void **state)
{
    static place here;
    scratch_make(here.folder);
    snprintf(here.path, sizeof here.path, "%s/file", here.folder);
    *state = &here;
    return 0;
}

static int teardown(void **state)
{
    place *here = *state;
    scratch_remove(here->folder);
    return 0;
}

static void assert_holds(const char *path, const char *text)
{
    an_buffer buffer = {0};
    assert_int_equal(an_file_read(path, 1 << 20, &buffer), AN_OK);
    assert_int_equal(buffer.size, strlen(text));
    assert_memory_equal(buffer.data, text, strlen(text));
    an_buffer_free(&buffer);
}

static void test_write_and_replace(void **state)
{
    place *here = *state;
    assert_int_equal(an_file_write_atomic(here->path, "one", 3), AN_OK);
    assert_holds(here->path, "one");
    assert_int_equal(an_file_write_atomic(here->path, "zwei", 4), AN_OK);
    assert_holds(here->path, "zwei");
    assert_int_equal(scratch_count(here->folder), 1); /* no temporary left */
}

static void test_nothing_shows_before_commit(void **state)
{
    place *here = *state;
    an_file_writer *writer;
    assert_int_equal(an_file_write_atomic(here->path, "old", 3), AN_OK);
    assert_int_equal(an_file_writer_open(&writer, here->path), AN_OK);
    assert_int_equal(an_file_writer_write(writer, "ne", 2), AN_OK);
    assert_holds(here->path, "old");
    assert_int_equal(an_file_writer_write(writer, "w", 1), AN_OK);
    assert_int_equal(an_file_writer_commit(writer), AN_OK);
    assert_holds(here->path, "new");
}

static void test_abort_leaves_nothing(void **state)
{
    place *here = *state;
    an_file_writer *writer;
    assert_int_equal(an_file_writer_open(&writer, here->path), AN_OK);
    assert_int_equal(an_file_writer_write(writer, "x", 1), AN_OK);
    an_file_writer_abort(writer);
    an_file_writer_abort(NULL);
    assert_int_equal(scratch_count(here->folder), 0);
}

static void test_missing_folder(void **state)
{
    place *here = *state;
    char path[SCRATCH_MAX + 100];
    snprintf(path, sizeof path, "%s/nowhere/file", here->folder);
    assert_int_equal(an_file_write_atomic(path, "x", 1), AN_ENOTFOUND);
    assert_non_null(strstr(an_error_message(), path));
    assert_int_equal(scratch_count(here->folder), 0);
}

/* A folder appears under the final name: the rename fails after everything was written. */
static void test_failed_rename_removes_the_temporary(void **state)
{
    place *here = *state;
    an_file_writer *writer;
    assert_int_equal(an_file_writer_open(&writer, here->path), AN_OK);
    assert_int_equal(mkdir(here->path, 0777), 0);
    assert_int_equal(an_file_writer_write(writer, "x", 1), AN_OK);
    assert_int_equal(an_file_writer_commit(writer), AN_EIO);
    assert_non_null(strstr(an_error_message(), here->path));
    assert_int_equal(scratch_count(here->folder), 1);
}

static void test_folder_is_refused(void **state)
{
    place *here = *state;
    assert_int_equal(an_file_write_atomic(here->folder, "x", 1), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), here->folder));
    assert_int_equal(scratch_count(here->folder), 0);
}

static void test_link_is_followed(void **state)
{
    place *here = *state;
    char link[sizeof here->path + 8];
    struct stat status;
    snprintf(link, sizeof link, "%s.link", here->path);
    assert_int_equal(an_file_write_atomic(here->path, "old", 3), AN_OK);
    assert_int_equal(symlink("file", link), 0);
    assert_int_equal(an_file_write_atomic(link, "new", 3), AN_OK);
    assert_holds(here->path, "new");
    assert_int_equal(lstat(link, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_int_equal(scratch_count(here->folder), 2);
}

/* As a device would: /dev/stdout must not become a file. */
static void test_pipe_is_written_in_place(void **state)
{
    place *here = *state;
    char got[8] = "";
    struct stat status;
    an_file_writer *writer;
    assert_int_equal(mkfifo(here->path, 0600), 0);
    int reader = open(here->path, O_RDWR | O_NONBLOCK);
    assert_true(reader >= 0);
    assert_int_equal(an_file_write_atomic(here->path, "abc", 3), AN_OK);
    assert_int_equal(read(reader, got, sizeof got), 3);
    assert_string_equal(got, "abc");
    assert_int_equal(an_file_writer_open(&writer, here->path), AN_OK);
    an_file_writer_abort(writer);
    assert_int_equal(lstat(here->path, &status), 0);
    assert_true(S_ISFIFO(status.st_mode));
    assert_int_equal(scratch_count(here->folder), 1);
    close(reader);
}

static void test_name_without_folder(void **state)
{
    place *here = *state;
    int before = open(".", O_RDONLY | O_DIRECTORY);
    assert_true(before >= 0);
    assert_int_equal(chdir(here->folder), 0);
    int rc = an_file_write_atomic("plain", "x", 1);
    assert_int_equal(fchdir(before), 0);
    close(before);
    assert_int_equal(rc, AN_OK);
    assert_int_equal(scratch_count(here->folder), 1);
}

static void test_read_appends_and_limits(void **state)
{
    place *here = *state;
    an_buffer buffer = {0};
    assert_int_equal(an_file_write_atomic(here->path, "12345", 5), AN_OK);
    assert_int_equal(an_buffer_append(&buffer, "a", 1), AN_OK);
    assert_int_equal(an_file_read(here->path, 5, &buffer), AN_OK);
    assert_int_equal(buffer.size, 6);
    assert_memory_equal(buffer.data, "a12345", 6);
    assert_int_equal(an_file_read(here->path, 4, &buffer), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), here->path));
    assert_int_equal(buffer.size, 6);
    assert_int_equal(an_file_read("/nowhere/at/all", 4, &buffer), AN_ENOTFOUND);
    assert_non_null(strstr(an_error_message(), "/nowhere/at/all"));
    assert_int_equal(an_file_read(here->folder, 4, &buffer), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "a folder"));
    an_buffer_free(&buffer);
}

/* Opening a named pipe would wait for ever: nobody writes to it. */
static void test_only_regular_files_are_opened(void **state)
{
    place *here = *state;
    char copy[sizeof here->path + 8], link[sizeof here->path + 8];
    an_buffer buffer = {0};
    int fd;
    const char *kind = NULL;
    snprintf(copy, sizeof copy, "%s.copy", here->path);
    snprintf(link, sizeof link, "%s.link", here->path);
    assert_int_equal(mkfifo(here->path, 0600), 0);
    assert_int_equal(symlink("file", link), 0);
    assert_int_equal(an_file_open(&fd, link), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "a named pipe"));
    assert_non_null(strstr(an_error_message(), link));
    assert_int_equal(an_file_read(here->path, 10, &buffer), AN_ECORRUPT);
    assert_int_equal(an_file_copy(here->path, copy), AN_ECORRUPT);
    assert_int_equal(an_file_open_kind("/dev/null", O_RDONLY, &kind), -1);
    assert_int_equal(errno, 0);
    assert_string_equal(kind, "a device");
    assert_int_equal(an_file_open_kind("/nowhere/at/all", O_RDONLY, &kind), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(remove(here->path), 0);
    assert_int_equal(an_file_write_atomic(here->path, "abc", 3), AN_OK);
    assert_int_equal(an_file_open(&fd, link), AN_OK);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(close(fd), 0);
    assert_int_equal(buffer.size, 0);
}

static void test_read_of_a_large_file(void **state)
{
    place *here = *state;
    size_t size = 300001;
    uint8_t *data = malloc(size);
    an_buffer buffer = {0};
    assert_non_null(data);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 7 % 251);
    assert_int_equal(an_file_write_atomic(here->path, data, size), AN_OK);
    assert_int_equal(an_file_read(here->path, size, &buffer), AN_OK);
    assert_int_equal(buffer.size, size);
    assert_memory_equal(buffer.data, data, size);
    an_buffer_free(&buffer);
    free(data);
}

static void test_pread(void **state)
{
    place *here = *state;
    char data[8] = "";
    assert_int_equal(an_file_write_atomic(here->path, "0123456789", 10), AN_OK);
    int fd = open(here->path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(an_file_pread(fd, data, 4, 6, here->path), AN_OK);
    assert_memory_equal(data, "6789", 4);
    assert_int_equal(an_file_pread(fd, data, 4, 7, here->path), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "3 of 4 bytes at offset 7"));
    assert_int_equal(an_file_pread(fd, data, 4, UINT64_MAX, here->path), AN_EIO);
    close(fd);
    assert_int_equal(an_file_pread(fd, data, 4, 0, here->path), AN_EIO);
    assert_non_null(strstr(an_error_message(), here->path));
}

static void test_make_folder(void **state)
{
    place *here = *state;
    char path[SCRATCH_MAX + 100];
    snprintf(path, sizeof path, "%s/a//b/c/", here->folder);
    assert_int_equal(an_file_make_folder(path), AN_OK);
    assert_int_equal(an_file_make_folder(path), AN_OK);
    assert_int_equal(an_file_sync_folder(path), AN_OK);
    assert_int_equal(an_file_write_atomic(here->path, "x", 1), AN_OK);
    snprintf(path, sizeof path, "%s/b", here->path);
    assert_int_equal(an_file_make_folder(path), AN_EIO);
    assert_non_null(strstr(an_error_message(), here->path));
    assert_int_equal(an_file_sync_folder(here->path), AN_EIO);
}

#define WRITERS 4

static void *write_often(void *argument)
{
    char path[SCRATCH_MAX + 100];
    snprintf(path, sizeof path, "%s", (const char *)argument);
    for (int i = 0; i < 10; i++)
        if (an_file_write_atomic(path, path, strlen(path)))
            return (void *)"failed";
    return NULL;
}

static void test_threads_write_their_files(void **state)
{
    place *here = *state;
    char paths[WRITERS][SCRATCH_MAX + 100];
    pthread_t threads[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%d", here->folder, i);
        assert_int_equal(pthread_create(&threads[i], NULL, write_often, paths[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        void *problem;
        assert_int_equal(pthread_join(threads[i], &problem), 0);
        assert_null(problem);
        assert_holds(paths[i], paths[i]);
    }
    assert_int_equal(scratch_count(here->folder), WRITERS);
}

static void test_copy(void **state)
{
    place *here = *state;
    char data[200000], copy[SCRATCH_MAX + 64];
    memset(data, 'x', sizeof data);
    data[sizeof data - 1] = '\0';
    snprintf(copy, sizeof copy, "%s/copy", here->folder);
    assert_int_equal(an_file_write_atomic(here->path, data, sizeof data - 1), AN_OK);
    assert_int_equal(an_file_write_atomic(copy, "old", 3), AN_OK);
    assert_int_equal(an_file_copy(here->path, copy), AN_OK);
    assert_holds(copy, data);
    assert_int_equal(an_file_copy("no such file", copy), AN_ENOTFOUND);
    assert_holds(copy, data);
    assert_int_equal(an_file_copy(here->folder, copy), AN_ECORRUPT);
    assert_holds(copy, data);
    assert_int_equal(scratch_count(here->folder), 2);
}

/* Names that a program chooses itself: a pipe there is no place to write to. */
static void test_own_names_are_regular_files(void **state)
{
    place *here = *state;
    char link[sizeof here->path + 8], source[sizeof here->path + 8];
    snprintf(link, sizeof link, "%s.link", here->path);
    snprintf(source, sizeof source, "%s.source", here->path);
    assert_int_equal(an_file_check_name(here->path), AN_OK);
    assert_int_equal(an_file_replace(source, "abc", 3), AN_OK);
    assert_int_equal(mkfifo(here->path, 0600), 0);
    assert_int_equal(symlink("file", link), 0);
    assert_int_equal(an_file_check_name(link), AN_ECORRUPT);
    assert_int_equal(an_file_replace(here->path, "x", 1), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), here->path));
    assert_non_null(strstr(an_error_message(), "a named pipe"));
    assert_int_equal(an_file_copy(source, here->path), AN_ECORRUPT);
    assert_int_equal(an_file_replace(here->folder, "x", 1), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "a folder"));
    assert_int_equal(unlink(here->path), 0);
    assert_int_equal(an_file_check_name(link), AN_OK); /* it leads nowhere, and is replaced */
    assert_int_equal(an_file_replace(here->path, "abc", 3), AN_OK);
    assert_int_equal(an_file_replace(link, "def", 3), AN_OK);
    assert_holds(here->path, "def");
}

/* Opening for writing does not wait for a reader either. */
static void test_open_for_appending(void **state)
{
    place *here = *state;
    int fd;
    assert_int_equal(mkfifo(here->path, 0600), 0);
    assert_int_equal(an_file_open_as(&fd, here->path, O_WRONLY | O_APPEND | O_CREAT), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "a named pipe"));
    assert_int_equal(unlink(here->path), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(an_file_open_as(&fd, here->path, O_WRONLY | O_APPEND | O_CREAT), AN_OK);
        assert_int_equal(fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK), O_APPEND);
        assert_int_equal(write(fd, "ab", 2), 2);
        assert_int_equal(close(fd), 0);
    }
    assert_holds(here->path, "abab");
}

/* connect() is the only way into a socket: open() says that there is no such device. */
static void test_socket_is_named(void **state)
{
    place *here = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd, listening = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(listening >= 0);
    assert_true(strlen(here->path) < sizeof address.sun_path);
    memcpy(address.sun_path, here->path, strlen(here->path));
    assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(an_file_open(&fd, here->path), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "a socket"));
    assert_int_equal(close(listening), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_write_and_replace),
        TEST(test_nothing_shows_before_commit),
        TEST(test_abort_leaves_nothing),
        TEST(test_missing_folder),
        TEST(test_failed_rename_removes_the_temporary),
        TEST(test_folder_is_refused),
        TEST(test_link_is_followed),
        TEST(test_pipe_is_written_in_place),
        TEST(test_name_without_folder),
        TEST(test_read_appends_and_limits),
        TEST(test_only_regular_files_are_opened),
        TEST(test_own_names_are_regular_files),
        TEST(test_open_for_appending),
        TEST(test_socket_is_named),
        TEST(test_read_of_a_large_file),
        TEST(test_pread),
        TEST(test_copy),
        TEST(test_make_folder),
        TEST(test_threads_write_their_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
