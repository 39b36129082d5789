/* Preloaded into a program: makes one call fail. Counts the calls that write to, sync, or rename files whose path holds
 * AN_FAULT_PATH, and those that open a file for reading whose path holds AN_FAULT_OPEN; the AN_FAULT_AT-th (from 1; 0:
 * none) returns AN_FAULT_ERRNO, and so do all after it if AN_FAULT_STICKY is set, as on a full disk. On exit the count
 * is written to the file AN_FAULT_COUNT, if set. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;

static bool is_watched(int fd)
{
    char link[64], path[4096];
    const char *watched = getenv("AN_FAULT_PATH");
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    if (!watched || n < 0)
        return false;
    path[n] = 0;
    return strstr(path, watched) != NULL;
}

static bool is_time(void)
{
    const char *at = getenv("AN_FAULT_AT"), *number = getenv("AN_FAULT_ERRNO");
    long now = atomic_fetch_add(&calls, 1) + 1, when = at ? atol(at) : 0;
    if (!when || (getenv("AN_FAULT_STICKY") ? now < when : now != when))
        return false;
    errno = number ? atoi(number) : EIO;
    return true;
}

__attribute__((destructor)) static void report(void)
{
    const char *path = getenv("AN_FAULT_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (file) {
        fprintf(file, "%ld\n", atomic_load(&calls));
        fclose(file);
    }
}

#define REAL(type, name)                                                                                               \
    static type real;                                                                                                  \
    if (!real)                                                                                                         \
    real = (type)(void (*)(void))dlsym(RTLD_NEXT, name)

typedef ssize_t (*write_type)(int, const void *, size_t);
typedef ssize_t (*pwrite_type)(int, const void *, size_t, off_t);
typedef ssize_t (*writev_type)(int, const struct iovec *, int);
typedef ssize_t (*pwritev_type)(int, const struct iovec *, int, off_t);
typedef int (*sync_type)(int);
typedef int (*truncate_type)(int, off_t);
typedef int (*rename_type)(const char *, const char *);

typedef int (*open_type)(const char *, int, ...);

static bool is_refused(const char *path, int flags)
{
    const char *watched = getenv("AN_FAULT_OPEN");
    return watched && (flags & O_ACCMODE) == O_RDONLY && strstr(path, watched) && is_time();
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        REAL(open_type, #name);                                                                                        \
        va_list arguments;                                                                                             \
        va_start(arguments, flags);                                                                                    \
        unsigned mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, unsigned) : 0;                               \
        va_end(arguments);                                                                                             \
        return is_refused(path, flags) ? -1 : real(path, flags, mode);                                                 \
    }

OPEN(open)
OPEN(open64)

ssize_t write(int fd, const void *data, size_t size)
{
    REAL(write_type, "write");
    return is_watched(fd) && is_time() ? -1 : real(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    REAL(pwrite_type, "pwrite");
    return is_watched(fd) && is_time() ? -1 : real(fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset)
{
    REAL(pwrite_type, "pwrite64");
    return is_watched(fd) && is_time() ? -1 : real(fd, data, size, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REAL(writev_type, "writev");
    return is_watched(fd) && is_time() ? -1 : real(fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    REAL(pwritev_type, "pwritev");
    return is_watched(fd) && is_time() ? -1 : real(fd, parts, count, offset);
}

int fsync(int fd)
{
    REAL(sync_type, "fsync");
    return is_watched(fd) && is_time() ? -1 : real(fd);
}

int fdatasync(int fd)
{
    REAL(sync_type, "fdatasync");
    return is_watched(fd) && is_time() ? -1 : real(fd);
}

int ftruncate(int fd, off_t size)
{
    REAL(truncate_type, "ftruncate");
    return is_watched(fd) && is_time() ? -1 : real(fd, size);
}

int rename(const char *from, const char *to)
{
    REAL(rename_type, "rename");
    const char *watched = getenv("AN_FAULT_PATH");
    return watched && strstr(from, watched) && is_time() ? -1 : real(from, to);
}
