#include "ingest/sources/archive/tar_stream_private.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

#define BLOCK ((size_t)64 << 10)
#define LOOK_MS 100 /* the longest wait before stopped is asked */

struct an_tar_stream {
    int fd;
    bool (*stopped)(void);
    uint8_t block[BLOCK];
    struct archive *outer, *inner; /* inner: the tar inside the tar that is being read, or NULL */
    an_buffer prefix;              /* path of the inner tar, with "/" at its end; "" */
    an_buffer path;                /* of the member that was given last */
    bool unended;
    int failed; /* errno of a read that the system refused; 0: none */
};

/* Whoever writes to a pipe may pause for as long as it likes, so the wait is cut into pieces. */
static la_ssize_t read_input(struct archive *outer, void *context, const void **out)
{
    an_tar_stream *s = context;
    struct pollfd input = {.fd = s->fd, .events = POLLIN};
    *out = s->block;
    while (!s->stopped || !s->stopped()) {
        int ready = poll(&input, 1, LOOK_MS);
        ssize_t got = ready > 0 ? read(s->fd, s->block, BLOCK) : ready;
        if (ready > 0 && got >= 0)
            return got;
        if (got < 0 && errno != EINTR && errno != EAGAIN) {
            s->failed = errno;
            archive_set_error(outer, errno, "%s", strerror(errno));
            return ARCHIVE_FATAL;
        }
    }
    archive_set_error(outer, EINTR, "interrupted");
    return ARCHIVE_FATAL;
}

/* What libarchive takes for damage is the system's failure if a read failed before. */
static int failure(const an_tar_stream *s, int rc)
{
    return rc < 0 && s->failed ? an_error_errno(s->failed, "cannot read standard input") : rc;
}

/* Compressions that libarchive unpacks itself. Of all that it knows, some are handed to whatever program of that name
 * there is in PATH: nothing that comes on standard input should start one. */
static void support_compressions(struct archive *outer)
{
    archive_read_support_filter_gzip(outer);
    archive_read_support_filter_bzip2(outer);
    archive_read_support_filter_compress(outer);
    archive_read_support_filter_lzma(outer);
    archive_read_support_filter_xz(outer);
    archive_read_support_filter_lz4(outer);
    archive_read_support_filter_zstd(outer);
}

static int open_outer(an_tar_stream *s)
{
    s->outer = archive_read_new();
    if (!s->outer)
        return an_error(AN_ENOMEM, "out of memory for a stream");
    support_compressions(s->outer);
    an_tar_entry_formats(s->outer);
    if (archive_read_open(s->outer, s, NULL, read_input, NULL) != ARCHIVE_OK)
        return failure(s, an_error(AN_ECORRUPT, "standard input is no tar: %s", archive_error_string(s->outer)));
    return AN_OK;
}

int an_tar_stream_open(an_tar_stream **out, int fd, bool (*stopped)(void))
{
    an_tar_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return an_error(AN_ENOMEM, "out of memory for a stream");
    s->fd = fd;
    s->stopped = stopped;
    int rc = an_buffer_printf(&s->prefix, "%s", "");
    if (!rc)
        rc = open_outer(s);
    if (rc)
        an_tar_stream_free(s);
    else
        *out = s;
    return rc;
}

void an_tar_stream_free(an_tar_stream *s)
{
    if (!s)
        return;
    if (s->inner)
        archive_read_free(s->inner);
    if (s->outer)
        archive_read_free(s->outer);
    an_buffer_free(&s->prefix);
    an_buffer_free(&s->path);
    free(s);
}

bool an_tar_stream_unended(const an_tar_stream *s)
{
    return s->unended;
}

static la_ssize_t read_outer(struct archive *inner, void *context, const void **out)
{
    size_t size;
    la_int64_t offset;
    an_tar_stream *s = context;
    int status = archive_read_data_block(s->outer, out, &size, &offset);
    if (status == ARCHIVE_EOF)
        return 0;
    if (status == ARCHIVE_OK || status == ARCHIVE_WARN)
        return (la_ssize_t)size;
    archive_set_error(inner, archive_errno(s->outer), "%s", archive_error_string(s->outer));
    return ARCHIVE_FATAL;
}

static int open_inner(an_tar_stream *s)
{
    const char *path = (const char *)s->path.data;
    s->inner = archive_read_new();
    if (!s->inner)
        return an_error(AN_ENOMEM, "out of memory for '%s'", path);
    an_tar_entry_formats(s->inner);
    archive_read_set_read_callback(s->inner, read_outer);
    archive_read_set_callback_data(s->inner, s);
    if (archive_read_open1(s->inner) != ARCHIVE_OK)
        return failure(s, an_error(AN_ECORRUPT, "'%s' is no tar: %s", path, archive_error_string(s->inner)));
    s->prefix.size = 0;
    return an_buffer_printf(&s->prefix, "%.*s/", (int)(s->path.size - strlen(".tar")), path);
}

static void close_inner(an_tar_stream *s)
{
    archive_read_free(s->inner);
    s->inner = NULL;
    s->prefix.size = 0;
    s->prefix.data[0] = 0;
}

/* The next header of the inner tar, or of the outer one when that is over. */
static int next_header(an_tar_stream *s, struct archive_entry **entry)
{
    bool unended = false;
    int rc = an_tar_entry_next(s->inner ? s->inner : s->outer, entry, &unended);
    if (rc == AN_END && s->inner) {
        s->unended |= unended;
        close_inner(s);
        rc = an_tar_entry_next(s->outer, entry, &unended);
    }
    s->unended |= unended;
    return failure(s, rc < 0 ? an_error_prefix(rc, "the tar on standard input is damaged or cut short") : rc);
}

static bool is_tar(const an_tar_stream *s)
{
    const char *path = (const char *)s->path.data, *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t length = strlen(base);
    return length > 4 && strcmp(base + length - 4, ".tar") == 0;
}

int an_tar_stream_next(an_tar_stream *s, an_tar_entry *out, size_t *boundary, an_place_left_out *left)
{
    struct archive_entry *entry;
    for (;;) {
        int rc = next_header(s, &entry);
        if (rc)
            return rc;
        rc = an_tar_entry_take(out, entry);
        if (!rc)
            rc = an_place_normalise(&s->path, (const char *)s->prefix.data, out->name, out->kind == AN_TAR_FOLDER);
        if (rc)
            return an_error_prefix(rc, "the tar on standard input");
        bool left_out = an_place_is_left_out((const char *)s->path.data, left);
        if (!s->path.size || left_out || out->kind == AN_TAR_FOLDER)
            continue;
        out->name = (const char *)s->path.data;
        *boundary = s->prefix.size;
        if (s->inner || out->kind != AN_TAR_FILE || !is_tar(s))
            return AN_OK;
        rc = open_inner(s);
        if (rc)
            return rc;
    }
}

int an_tar_stream_read(an_tar_stream *s, const an_tar_entry *entry, an_buffer *out)
{
    struct archive *from = s->inner ? s->inner : s->outer;
    out->size = 0;
    int rc = an_buffer_reserve(out, (size_t)entry->size + 1);
    if (rc)
        return rc;
    la_ssize_t got = archive_read_data(from, out->data, (size_t)entry->size);
    if (got < 0 || (uint64_t)got != entry->size)
        return failure(s,
                       an_error(AN_ECORRUPT, "the tar on standard input is damaged or cut short in '%s'", entry->name));
    out->size = (size_t)entry->size;
    out->data[out->size] = 0;
    return AN_OK;
}
