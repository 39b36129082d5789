#include "base/program/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"

int an_streams_open(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        /* The lowest free number is fd itself. It stays open in programs that this one executes: no O_CLOEXEC. */
        if (open("/dev/null", O_RDWR) < 0)
            return an_error_errno(errno, "standard stream %d is closed, and '/dev/null' cannot be opened instead", fd);
    }
    return AN_OK;
}
