/* A closed standard stream gets /dev/null, an open one stays. Each case runs in a child, whose streams it may close. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/program/streams.h"

static bool is_null_device(int fd)
{
    struct stat one, null;
    return fstat(fd, &one) == 0 && stat("/dev/null", &null) == 0 && one.st_rdev == null.st_rdev && S_ISCHR(one.st_mode);
}

/* Is all as promised after the streams in the set of bits `closed` were closed? The others are pipes before. */
static bool child_is_right(unsigned closed)
{
    int ends[2];
    if (pipe(ends))
        return false;
    for (int fd = 0; fd <= 2; fd++)
        if (dup2(ends[1], fd) < 0)
            return false;
    (void)close(ends[0]);
    (void)close(ends[1]);
    for (int fd = 0; fd <= 2; fd++)
        if (closed >> fd & 1)
            (void)close(fd);
    if (an_streams_open())
        return false;
    for (int fd = 0; fd <= 2; fd++)
        if (is_null_device(fd) != (closed >> fd & 1))
            return false;
    char byte;
    bool reads = !(closed & 1) || read(STDIN_FILENO, &byte, 1) == 0;
    bool writes = !(closed & 2) || write(STDOUT_FILENO, "x", 1) == 1;
    int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return reads && writes && next > STDERR_FILENO;
}

static void test_closed_streams_are_opened(void **state)
{
    (void)state;
    for (unsigned closed = 0; closed < 8; closed++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            _exit(child_is_right(closed) ? 0 : 1);
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status))
            fail_msg("closed streams (bits): %u", closed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_closed_streams_are_opened)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
