#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/program/fault.h"
#include "base/thread.h"

#define SIZE 65536

/* In a child: its standard error goes into the pipe. */
static int child(int (*body)(const char *), const char *path, char *text, size_t size)
{
    int ends[2], status;
    assert_return_code(pipe(ends), 0);
    pid_t pid = fork();
    assert_return_code(pid, 0);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        an_fault_install("an-test");
        _exit(body(path));
    }
    close(ends[1]);
    ssize_t got = 0, more;
    while ((more = read(ends[0], text + got, size - 1 - (size_t)got)) > 0)
        got += more;
    text[got] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void *touch(void *last)
{
    return (void *)(uintptr_t) * (volatile const uint8_t *)last;
}

static int cut_while_mapped(const char *path)
{
    uint8_t *map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, STDIN_FILENO, 0);
    if (map == MAP_FAILED || map[SIZE - 1] != 0 || truncate(path, 10))
        return 98;
    touch(map + SIZE - 1);
    return 97;
}

static int cut_under_a_worker(const char *path)
{
    pthread_t thread;
    uint8_t *map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, STDIN_FILENO, 0);
    if (map == MAP_FAILED || truncate(path, 10) || an_thread_start(&thread, "worker", touch, map + SIZE - 1))
        return 98;
    pthread_join(thread, NULL);
    return 97;
}

static int no_file_involved(const char *path)
{
    (void)path;
    return raise(SIGBUS) ? 98 : raise(SIGBUS); /* sent, not faulted: the second one finds the default again */
}

static void expect_name(int (*body)(const char *))
{
    char path[] = "/tmp/an-fault-XXXXXX", text[512];
    int fd = mkstemp(path);
    assert_return_code(fd, 0);
    assert_return_code(ftruncate(fd, SIZE), 0);
    assert_return_code(dup2(fd, STDIN_FILENO), 0);
    int status = child(body, path, text, sizeof text);
    close(fd);
    unlink(path);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), an_error_exit_code(AN_EIO));
    assert_non_null(strstr(text, "an-test: error: '/tmp/an-fault-"));
    assert_non_null(strstr(text, "became shorter while it was in use"));
}

static void a_cut_file_is_named(void **state)
{
    (void)state;
    expect_name(cut_while_mapped);
    expect_name(cut_under_a_worker);
}

static void other_reasons_stay_what_they_are(void **state)
{
    (void)state;
    char text[512];
    int status = child(no_file_involved, NULL, text, sizeof text);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGBUS);
    assert_null(strstr(text, "an-test"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_file_is_named),
        cmocka_unit_test(other_reasons_stay_what_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
