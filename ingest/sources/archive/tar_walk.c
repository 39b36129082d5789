#include "ingest/sources/archive/tar_walk_private.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <unistd.h>

#include "base/error.h"

/* Between two headers lie a file's contents. Small reads fetch a header and little else. */
#define READ_SIZE 2048

typedef struct {
    int fd;
    const char *path;
    uint64_t start, position, end; /* offsets in the file that the tar lies in */
    uint8_t buffer[READ_SIZE];
} range;

static la_ssize_t read_range(struct archive *tar, void *context, const void **out)
{
    range *r = context;
    size_t want = r->end - r->position < READ_SIZE ? (size_t)(r->end - r->position) : READ_SIZE;
    ssize_t got;
    do
        got = pread(r->fd, r->buffer, want, (off_t)r->position);
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        archive_set_error(tar, errno, "cannot read");
        return ARCHIVE_FATAL;
    }
    r->position += (uint64_t)got;
    *out = r->buffer;
    return got;
}

static la_int64_t skip_range(struct archive *tar, void *context, la_int64_t request)
{
    (void)tar;
    range *r = context;
    uint64_t left = r->end - r->position, step = (uint64_t)request < left ? (uint64_t)request : left;
    r->position += step;
    return (la_int64_t)step;
}

static int damaged(const range *r, struct archive *tar)
{
    const char *why = archive_error_string(tar);
    return an_error(AN_ECORRUPT, "tar '%s' is damaged or cut short near byte %llu: %s", r->path,
                    (unsigned long long)r->position, why ? why : "unknown reason");
}

static int visit_entry(const range *r, struct archive *tar, struct archive_entry *entry, an_tar_visit visit,
                       void *context)
{
    const char *name = archive_entry_pathname(entry);
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry))
        return AN_OK;
    uint64_t offset = r->start + (uint64_t)archive_filter_bytes(tar, 0), size = (uint64_t)archive_entry_size(entry);
    if (!name || archive_entry_sparse_count(entry))
        return an_error(AN_EUNSUPPORTED, "tar '%s' holds a sparse or nameless file near byte %llu", r->path,
                        (unsigned long long)offset);
    if (archive_entry_size(entry) < 0 || offset > r->end || size > r->end - offset)
        return an_error(AN_ECORRUPT, "tar '%s' is cut short: '%s' reaches beyond its end", r->path, name);
    return visit(context, name, offset, size);
}

static int walk_entries(const range *r, struct archive *tar, an_tar_visit visit, void *context)
{
    struct archive_entry *entry;
    for (;;) {
        int status = archive_read_next_header(tar, &entry);
        if (status == ARCHIVE_EOF)
            return AN_OK;
        if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
            return damaged(r, tar);
        int rc = visit_entry(r, tar, entry, visit, context);
        if (rc)
            return rc;
    }
}

int an_tar_walk(int fd, const char *path, uint64_t offset, uint64_t size, an_tar_visit visit, void *context)
{
    range r = {.fd = fd, .path = path, .start = offset, .position = offset, .end = offset + size};
    struct archive *tar = archive_read_new();
    if (!tar)
        return an_error(AN_ENOMEM, "out of memory walking '%s'", path);
    archive_read_support_format_tar(tar);
    archive_read_support_format_empty(tar);
    archive_read_set_read_callback(tar, read_range);
    archive_read_set_skip_callback(tar, skip_range);
    archive_read_set_callback_data(tar, &r);
    int rc = archive_read_open1(tar) == ARCHIVE_OK ? walk_entries(&r, tar, visit, context) : damaged(&r, tar);
    archive_read_free(tar);
    return rc;
}
