#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/temporary.h"

#define READ_CHUNK ((size_t)64 << 10)

struct an_file_writer {
    int fd;
    char *path, *temporary; /* temporary is NULL where path is written in place */
};

static const char *kind_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return "a folder";
    case S_IFIFO:
        return "a named pipe";
    case S_IFSOCK:
        return "a socket";
    default:
        return "a device";
    }
}

static int close_with(int fd, int errnum)
{
    (void)close(fd);
    errno = errnum;
    return -1;
}

/* Sockets, and named pipes that nobody reads, refuse to be opened like devices that are not there. */
static int explain(const char *path, int errnum, const char **kind)
{
    struct stat info;
    if (errnum == ENXIO && stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        *kind = kind_of(info.st_mode);
        errnum = 0;
    }
    errno = errnum;
    return -1;
}

int an_file_open_kind(const char *path, int flags, const char **kind)
{
    struct stat info;
    int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC, 0666);
    if (fd < 0)
        return explain(path, errno, kind);
    if (fstat(fd, &info))
        return close_with(fd, errno);
    if (!S_ISREG(info.st_mode)) {
        *kind = kind_of(info.st_mode);
        return close_with(fd, 0);
    }
    /* A file system in user space may see O_NONBLOCK in its files, too. */
    return fcntl(fd, F_SETFL, flags & (O_APPEND | O_DIRECT)) ? close_with(fd, errno) : fd;
}

static int not_regular(const char *path, const char *kind)
{
    return an_error(AN_ECORRUPT, "'%s' is %s, not a regular file", path, kind);
}

/* For writing: a link is followed if its target may be written, and nothing that takes its place meanwhile is. */
static int open_target(int *fd, const char *path, int flags, const char **kind)
{
    char *target;
    int rc = an_temporary_target(&target, path);
    if (rc)
        return rc;
    *fd = an_file_open_kind(target, flags | O_NOFOLLOW, kind);
    int errnum = errno;
    free(target);
    errno = errnum;
    return AN_OK;
}

int an_file_open_as(int *fd, const char *path, int flags)
{
    const char *kind = NULL;
    int rc = AN_OK;
    *fd = -1;
    if ((flags & O_ACCMODE) == O_RDONLY)
        *fd = an_file_open_kind(path, flags, &kind);
    else
        rc = open_target(fd, path, flags, &kind);
    if (rc)
        return rc;
    if (*fd >= 0)
        return AN_OK;
    return errno ? an_error_errno(errno, "cannot open '%s'", path) : not_regular(path, kind);
}

int an_file_open(int *fd, const char *path)
{
    return an_file_open_as(fd, path, O_RDONLY);
}

int an_file_check_name(const char *path)
{
    struct stat info;
    bool there = stat(path, &info) == 0;
    return there && !S_ISREG(info.st_mode) ? not_regular(path, kind_of(info.st_mode)) : AN_OK;
}

static int read_all(int fd, const char *path, size_t limit, an_buffer *out)
{
    size_t start = out->size;
    for (;;) {
        int rc = an_buffer_reserve(out, out->size + READ_CHUNK);
        if (rc)
            return an_error_prefix(rc, "cannot read '%s'", path);
        ssize_t got = read(fd, out->data + out->size, READ_CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return an_error_errno(errno, "cannot read '%s'", path);
        if (got == 0)
            return AN_OK;
        out->size += (size_t)got;
        if (out->size - start > limit)
            return an_error(AN_ECORRUPT, "'%s' is larger than the %zu bytes expected of it", path, limit);
    }
}

int an_file_read(const char *path, size_t limit, an_buffer *out)
{
    int fd;
    int rc = an_file_open(&fd, path);
    if (rc)
        return rc;
    size_t before = out->size;
    rc = read_all(fd, path, limit, out);
    if (rc)
        out->size = before;
    (void)close(fd); /* opened for reading: nothing to lose */
    return rc;
}

static int open_in_place(an_file_writer *writer, const char *path)
{
    struct stat status;
    int rc = an_temporary_target(&writer->path, path);
    if (rc)
        return rc;
    /* By the name that was given: links in /proc/self/fd lead to what has no name. */
    writer->fd = open(path, O_WRONLY | O_CLOEXEC);
    if (writer->fd < 0 || fstat(writer->fd, &status))
        return an_error_errno(errno, "cannot write '%s'", path);
    if (S_ISREG(status.st_mode))
        return an_error(AN_EIO, "cannot write '%s': it was exchanged meanwhile", path);
    return AN_OK;
}

static int create_temporary(an_file_writer *writer, const char *path)
{
    int rc = an_temporary_target(&writer->path, path);
    return rc ? rc : an_temporary_create(&writer->fd, &writer->temporary, writer->path);
}

static void writer_free(an_file_writer *writer)
{
    if (writer->fd >= 0)
        (void)close(writer->fd); /* what was written is thrown away */
    free(writer->path);
    free(writer->temporary);
    free(writer);
}

int an_file_writer_open(an_file_writer **out, const char *path)
{
    *out = NULL;
    an_file_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return an_error(AN_ENOMEM, "out of memory: writing '%s'", path);
    writer->fd = -1;
    struct stat status;
    bool there = stat(path, &status) == 0;
    int rc = there && S_ISDIR(status.st_mode)    ? an_error(AN_EINVAL, "'%s' is a folder: name a file", path)
             : there && !S_ISREG(status.st_mode) ? open_in_place(writer, path)
                                                 : create_temporary(writer, path);
    if (rc)
        writer_free(writer);
    else
        *out = writer;
    return rc;
}

int an_file_writer_write(an_file_writer *writer, const void *data, size_t size)
{
    const uint8_t *next = data;
    while (size > 0) {
        ssize_t done = write(writer->fd, next, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return an_error_errno(errno, "cannot write '%s'", writer->path);
        next += done;
        size -= (size_t)done;
    }
    return AN_OK;
}

/* fsync the folder that holds path, so that a rename in it survives a crash. */
static int sync_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return an_file_sync_folder(".");
    char *folder = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (!folder)
        return an_error(AN_ENOMEM, "out of memory: syncing the folder of '%s'", path);
    int rc = an_file_sync_folder(folder);
    free(folder);
    return rc;
}

static int finish(an_file_writer *writer)
{
    int failed = writer->temporary ? fsync(writer->fd) : 0, errnum = errno;
    if (close(writer->fd) && !failed) {
        failed = 1;
        errnum = errno;
    }
    writer->fd = -1;
    if (failed)
        return an_error_errno(errnum, "cannot write '%s'", writer->path);
    if (writer->temporary && rename(writer->temporary, writer->path))
        return an_error_errno(errno, "cannot rename '%s' to '%s'", writer->temporary, writer->path);
    return AN_OK;
}

int an_file_writer_commit(an_file_writer *writer)
{
    int rc = finish(writer);
    if (rc) {
        an_file_writer_abort(writer);
        return rc;
    }
    rc = writer->temporary ? sync_parent(writer->path) : AN_OK;
    writer_free(writer);
    return rc;
}

void an_file_writer_abort(an_file_writer *writer)
{
    if (!writer)
        return;
    if (writer->temporary)
        (void)unlink(writer->temporary);
    writer_free(writer);
}

int an_file_write_atomic(const char *path, const void *data, size_t size)
{
    an_file_writer *writer;
    int rc = an_file_writer_open(&writer, path);
    if (rc)
        return rc;
    rc = an_file_writer_write(writer, data, size);
    if (!rc)
        return an_file_writer_commit(writer);
    an_file_writer_abort(writer);
    return rc;
}

int an_file_replace(const char *path, const void *data, size_t size)
{
    int rc = an_file_check_name(path);
    return rc ? rc : an_file_write_atomic(path, data, size);
}

int an_file_pread(int fd, void *data, size_t size, uint64_t offset, const char *name)
{
    uint8_t *next = data;
    size_t left = size;
    while (left > 0) {
        ssize_t got = pread(fd, next, left, (off_t)(offset + (size - left)));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return an_error_errno(errno, "cannot read '%s' at offset %llu", name, (unsigned long long)offset);
        if (got == 0)
            return an_error(AN_ECORRUPT, "'%s' is truncated: %zu of %zu bytes at offset %llu", name, size - left, size,
                            (unsigned long long)offset);
        next += got;
        left -= (size_t)got;
    }
    return AN_OK;
}

int an_file_sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return an_error_errno(errno, "cannot open folder '%s'", path);
    int rc = fsync(fd) ? an_error_errno(errno, "cannot sync folder '%s'", path) : AN_OK;
    (void)close(fd);
    return rc;
}

static int make_one(const char *path)
{
    struct stat info;
    if (mkdir(path, 0777) == 0)
        return AN_OK;
    int errnum = errno;
    if (errnum == EEXIST && stat(path, &info) == 0)
        errnum = S_ISDIR(info.st_mode) ? 0 : ENOTDIR;
    return errnum ? an_error_errno(errnum, "cannot make folder '%s'", path) : AN_OK;
}

int an_file_make_folder(const char *path)
{
    char *copy = strdup(path);
    if (!copy)
        return an_error(AN_ENOMEM, "out of memory: making folder '%s'", path);
    int rc = AN_OK;
    for (char *end = copy; !rc && *end;) {
        end += strspn(end, "/");
        end += strcspn(end, "/");
        char kept = *end;
        *end = '\0';
        rc = make_one(copy);
        *end = kept;
    }
    free(copy);
    return rc;
}

static int copy_all(int fd, const char *from, an_file_writer *writer, uint8_t *block)
{
    for (;;) {
        ssize_t got = read(fd, block, READ_CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return an_error_errno(errno, "cannot read '%s'", from);
        if (got == 0)
            return AN_OK;
        int rc = an_file_writer_write(writer, block, (size_t)got);
        if (rc)
            return rc;
    }
}

int an_file_copy(const char *from, const char *to)
{
    an_file_writer *writer = NULL;
    int fd;
    int rc = an_file_check_name(to);
    if (!rc)
        rc = an_file_open(&fd, from);
    if (rc)
        return rc;
    uint8_t *block = malloc(READ_CHUNK);
    rc = block ? an_file_writer_open(&writer, to) : an_error(AN_ENOMEM, "out of memory: copying '%s'", from);
    if (!rc)
        rc = copy_all(fd, from, writer, block);
    if (rc)
        an_file_writer_abort(writer);
    else
        rc = an_file_writer_commit(writer);
    free(block);
    (void)close(fd);
    return rc;
}
