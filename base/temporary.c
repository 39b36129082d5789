#include "base/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"

static const char *folder(void)
{
    const char *wanted = getenv("TMPDIR");
    return wanted && *wanted ? wanted : "/tmp";
}

int an_temporary_open(int *fd)
{
    char path[4096];
    *fd = open(folder(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (*fd >= 0)
        return AN_OK;
    snprintf(path, sizeof(path), "%.4000s/an-temporary-XXXXXX", folder()); /* a file system without O_TMPFILE */
    *fd = mkostemp(path, O_CLOEXEC);
    if (*fd < 0)
        return an_error_errno(errno, "cannot make a temporary file in '%s' (TMPDIR chooses another folder)", folder());
    unlink(path);
    return AN_OK;
}

int an_temporary_write(int fd, const void *data, size_t size)
{
    for (const char *at = data; size > 0;) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno != EINTR)
            return an_error_errno(errno, "cannot write a temporary file in '%s' (TMPDIR chooses another folder)",
                                  folder());
        at += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return AN_OK;
}
