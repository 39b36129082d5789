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

int an_file_open_kind(const char *path, const char **kind)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fstat(fd, &info))
        return close_with(fd, errno);
    if (!S_ISREG(info.st_mode)) {
        *kind = kind_of(info.st_mode);
        return close_with(fd, 0);
    }
    /* A file system in user space may see O_NONBLOCK in its files, too. */
    return fcntl(fd, F_SETFL, 0) ? close_with(fd, errno) : fd;
}

int an_file_open(int *fd, const char *path)
{
    const char *kind = NULL;
    *fd = an_file_open_kind(path, &kind);
    if (*fd >= 0)
        return AN_OK;
    if (!errno)
        return an_error(AN_ECORRUPT, "'%s' is %s, not a regular file", path, kind);
    return an_error_errno(errno, "cannot open '%s'", path);
}

static int too_large(const char *path, size_t limit)
{
    return an_error(AN_ECORRUPT, "'%s' is larger than the %zu bytes expected of it", path, limit);
}

/* The size is asked first: much of a file that is too large would be read for nothing. Files of the kernel have none,
 * so that what is read counts. */
static int read_all(int fd, const char *path, size_t limit, an_buffer *out)
{
    size_t start = out->size;
    struct stat status;
    if (fstat(fd, &status) == 0 && status.st_size > 0 && (uint64_t)status.st_size > limit)
        return too_large(path, limit);
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
            return too_large(path, limit);
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

/* Where a symbolic link leads, so that the file is replaced and not the link. */
static char *target_of(const char *path)
{
    struct stat status;
    char *target = lstat(path, &status) == 0 && S_ISLNK(status.st_mode) ? realpath(path, NULL) : NULL;
    return target ? target : strdup(path);
}

static int open_in_place(an_file_writer *writer, const char *path)
{
    writer->path = strdup(path);
    if (!writer->path)
        return an_error(AN_ENOMEM, "out of memory: writing '%s'", path);
    writer->fd = open(path, O_WRONLY | O_CLOEXEC);
    return writer->fd < 0 ? an_error_errno(errno, "cannot write '%s'", path) : AN_OK;
}

static int create_temporary(an_file_writer *writer, const char *path)
{
    writer->path = target_of(path);
    if (!writer->path || asprintf(&writer->temporary, "%s.tmp-%ld", writer->path, (long)getpid()) < 0) {
        writer->temporary = NULL; /* asprintf leaves it undefined */
        return an_error(AN_ENOMEM, "out of memory: writing '%s'", path);
    }
    writer->fd = open(writer->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (writer->fd < 0)
        return an_error_errno(errno, "cannot create '%s'", writer->temporary);
    return AN_OK;
}

static void writer_free(an_file_writer *writer)
{
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
    if (writer->fd >= 0)
        (void)close(writer->fd); /* what was written is thrown away */
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
    int rc = an_file_open(&fd, from);
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
