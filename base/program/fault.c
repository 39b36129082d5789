#include "base/program/fault.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

static const char *fault_program = "";
static atomic_flag reported = ATOMIC_FLAG_INIT;

/* All functions below but an_fault_install run in a signal handler: they use system calls and static memory only. */

static void say(const char *text)
{
    size_t length = strlen(text);
    while (length > 0) {
        ssize_t written = write(STDERR_FILENO, text, length);
        if (written <= 0)
            return; /* standard error is closed or full */
        text += written;
        length -= (size_t)written;
    }
}

/* Read a line, one byte a call: speed does not matter at the end of a process. A line that does not fit is cut. */
static bool next_line(int fd, char *line, size_t size)
{
    size_t length = 0;
    char byte;
    while (read(fd, &byte, 1) == 1 && byte != '\n')
        if (length < size - 1)
            line[length++] = byte;
    line[length] = '\0';
    return length > 0;
}

static const char *hex_number(const char *text, uintptr_t *out)
{
    static const char digits[] = "0123456789abcdef";
    const char *digit;
    *out = 0;
    while (*text && (digit = strchr(digits, *text))) {
        *out = *out * 16 + (uintptr_t)(digit - digits);
        text++;
    }
    return text;
}

/* The file that is mapped at an address: "7f00-7f80 r--s 00000000 08:01 123   /data/train/data.mdb". */
static const char *file_at(uintptr_t address)
{
    static char line[PATH_MAX + 128];
    const char *path = NULL;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && !path && next_line(fd, line, sizeof line)) {
        uintptr_t from, to;
        const char *rest = hex_number(line, &from);
        hex_number(*rest ? rest + 1 : rest, &to);
        if (address >= from && address < to)
            path = strchr(line, '/');
    }
    if (fd >= 0)
        (void)close(fd); /* opened for reading: nothing to lose */
    return path;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    while (atomic_flag_test_and_set(&reported))
        (void)pause(); /* another thread is reporting and will end the process */
    const char *path = info->si_code == BUS_ADRERR ? file_at((uintptr_t)info->si_addr) : NULL;
    if (path) {
        say(fault_program);
        say(": error: '");
        say(path);
        say("' became shorter while it was in use, or its disk failed: check both and start again\n");
        _exit(an_error_exit_code(AN_EIO));
    }
    (void)signal(number, SIG_DFL); /* no file: on return the access faults again, now without a handler */
}

void an_fault_install(const char *program)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    fault_program = program;
    (void)sigaction(SIGBUS, &action, NULL); /* fails only for signals that do not exist */
}
