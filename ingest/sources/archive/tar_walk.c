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

static int damaged(const range *r)
{
    return an_error_prefix(AN_ECORRUPT, "tar '%s' is damaged or cut short near byte %llu", r->path,
                           (unsigned long long)r->position);
}

static int visit_entry(const range *r, struct archive *tar, struct archive_entry *entry, an_tar_visit visit,
                       void *context)
{
    an_tar_entry found;
    int rc = an_tar_entry_take(&found, entry);
    if (rc)
        return damaged(r);
    found.offset = r->start + (uint64_t)archive_filter_bytes(tar, 0);
    bool here = found.kind == AN_TAR_FILE;
    if (here && (found.offset > r->end || found.size > r->end - found.offset))
        return an_error(AN_ECORRUPT, "tar '%s' is cut short: '%s' reaches beyond its end", r->path, found.name);
    return visit(context, &found);
}

static int walk_entries(const range *r, struct archive *tar, an_tar_visit visit, void *context, bool *unended)
{
    struct archive_entry *entry;
    for (;;) {
        int rc = an_tar_entry_next(tar, &entry, unended);
        if (rc)
            return rc == AN_END ? AN_OK : damaged(r);
        rc = visit_entry(r, tar, entry, visit, context);
        if (rc)
            return rc;
    }
}

int an_tar_walk(int fd, const char *path, uint64_t offset, uint64_t size, an_tar_visit visit, void *context,
                bool *unended)
{
    range r = {.fd = fd, .path = path, .start = offset, .position = offset, .end = offset + size};
    struct archive *tar = archive_read_new();
    *unended = false;
    if (!tar)
        return an_error(AN_ENOMEM, "out of memory walking '%s'", path);
    an_tar_entry_formats(tar);
    archive_read_set_read_callback(tar, read_range);
    archive_read_set_skip_callback(tar, skip_range);
    archive_read_set_callback_data(tar, &r);
    int rc;
    if (archive_read_open1(tar) == ARCHIVE_OK) {
        rc = walk_entries(&r, tar, visit, context, unended);
    } else {
        an_error(AN_ECORRUPT, "%s", archive_error_string(tar));
        rc = damaged(&r);
    }
    archive_read_free(tar);
    return rc;
}
