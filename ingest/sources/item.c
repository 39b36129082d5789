/* Items: loading their bytes, freeing them. Messages do not name the file: they become reasons in the dataset, which
 * holds the item's name already and must not depend on where the source lies. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "ingest/sources/source.h"

#define READ_CHUNK ((size_t)64 << 10)

/* Does the error mean that this one file is unusable? The others (EMFILE, EIO, EACCES, ESTALE ...) are failures of the
 * system: they would hit other files as well, and may be gone the next time. */
static bool is_about_the_file(int errnum)
{
    switch (errnum) {
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case ENXIO: /* a socket, for example */
    case ENODEV:
        return true;
    default:
        return false;
    }
}

static int failed(int errnum, const char *what)
{
    int rc = an_error_errno(errnum, "%s", what);
    return is_about_the_file(errnum) ? AN_ENOTFOUND : rc;
}

static int too_large(size_t limit)
{
    return an_error(AN_ECORRUPT, "larger than the limit of %zu bytes", limit);
}

static int read_to_end(int fd, size_t limit, an_buffer *out)
{
    struct stat status;
    if (fstat(fd, &status) == 0 && status.st_size > 0 && (uint64_t)status.st_size > limit)
        return too_large(limit);
    for (;;) {
        int rc = an_buffer_reserve(out, out->size + READ_CHUNK);
        if (rc)
            return rc;
        ssize_t got = read(fd, out->data + out->size, READ_CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return failed(errno, "cannot read it");
        if (got == 0)
            return AN_OK;
        out->size += (size_t)got;
        if (out->size > limit)
            return too_large(limit);
    }
}

static int read_range(int fd, const an_item *item, an_buffer *out)
{
    int rc = an_buffer_reserve(out, item->size);
    if (rc)
        return rc;
    while (out->size < item->size) {
        ssize_t got = pread(fd, out->data + out->size, item->size - out->size, (off_t)(item->offset + out->size));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return an_error_errno(errno, "cannot read '%s'", (const char *)item->path.data);
        if (got == 0)
            return an_error(AN_ECORRUPT, "truncated: only %zu of %llu bytes are there", out->size,
                            (unsigned long long)item->size);
        out->size += (size_t)got;
    }
    return AN_OK;
}

static int load_file(const an_item *item, size_t limit, an_buffer *out)
{
    const char *kind = NULL;
    int fd = an_file_open_kind((const char *)item->path.data, O_RDONLY, &kind);
    if (fd < 0 && !errno)
        return an_error(AN_ENOTFOUND, "%s, not a regular file", kind);
    if (fd < 0)
        return failed(errno, "cannot open it");
    int rc = read_to_end(fd, limit, out);
    close(fd);
    return rc;
}

/* Load from a file that holds many items. If it cannot be opened, that is not the fault of this item. */
static int load_range(const an_item *item, an_buffer *out)
{
    if (item->fd >= 0)
        return read_range(item->fd, item, out);
    int fd;
    int rc = an_file_open(&fd, (const char *)item->path.data);
    if (rc)
        return AN_EIO;
    rc = read_range(fd, item, out);
    close(fd);
    return rc;
}

int an_item_load(const an_item *item, size_t limit, an_buffer *out)
{
    out->size = 0;
    if (item->refusal.size)
        return an_error(AN_ECORRUPT, "%s", (const char *)item->refusal.data);
    if (!item->whole && item->size > limit)
        return an_error(AN_EUNSUPPORTED, "%llu bytes are more than the limit of %zu", (unsigned long long)item->size,
                        limit);
    if (item->kind == AN_ITEM_RECORD)
        return AN_OK;
    if (!item->path.size)
        return an_buffer_append(out, item->bytes.data, item->bytes.size);
    return item->whole ? load_file(item, limit, out) : load_range(item, out);
}

void an_item_free(an_item *item)
{
    an_buffer_free(&item->name);
    an_buffer_free(&item->path);
    an_buffer_free(&item->bytes);
    an_buffer_free(&item->refusal);
}
