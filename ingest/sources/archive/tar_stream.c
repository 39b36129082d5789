#include "ingest/sources/archive/tar_stream_private.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define MEMBER_MAX ((int64_t)1 << 30)
#define BLOCK ((size_t)64 << 10)

struct an_tar_stream {
    struct archive *outer, *inner; /* inner: the tar inside the tar that is being read, or NULL */
    an_buffer inner_name;          /* without ".tar" */
};

static int open_outer(an_tar_stream *s, int fd)
{
    s->outer = archive_read_new();
    if (!s->outer)
        return an_error(AN_ENOMEM, "out of memory for a stream");
    archive_read_support_filter_all(s->outer);
    archive_read_support_format_tar(s->outer);
    if (archive_read_open_fd(s->outer, fd, BLOCK) != ARCHIVE_OK)
        return an_error(AN_ECORRUPT, "standard input is no tar: %s", archive_error_string(s->outer));
    return AN_OK;
}

int an_tar_stream_open(an_tar_stream **out, int fd)
{
    an_tar_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return an_error(AN_ENOMEM, "out of memory for a stream");
    int rc = open_outer(s, fd);
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
    an_buffer_free(&s->inner_name);
    free(s);
}

const char *an_tar_stream_inner(const an_tar_stream *s)
{
    return s->inner ? (const char *)s->inner_name.data : NULL;
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

static int open_inner(an_tar_stream *s, const char *name)
{
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    s->inner = archive_read_new();
    if (!s->inner)
        return an_error(AN_ENOMEM, "out of memory for '%s'", name);
    archive_read_support_format_tar(s->inner);
    archive_read_support_format_empty(s->inner);
    archive_read_set_read_callback(s->inner, read_outer);
    archive_read_set_callback_data(s->inner, s);
    if (archive_read_open1(s->inner) != ARCHIVE_OK)
        return an_error(AN_ECORRUPT, "'%s' is no tar: %s", name, archive_error_string(s->inner));
    s->inner_name.size = 0;
    return an_buffer_printf(&s->inner_name, "%.*s", (int)(strlen(base) - strlen(".tar")), base);
}

/* The next header of the inner tar, or of the outer one when that is over. */
static int next_header(an_tar_stream *s, struct archive_entry **entry)
{
    int status = archive_read_next_header(s->inner ? s->inner : s->outer, entry);
    if (status == ARCHIVE_EOF && s->inner) {
        archive_read_free(s->inner);
        s->inner = NULL;
        status = archive_read_next_header(s->outer, entry);
    }
    if (status == ARCHIVE_EOF)
        return AN_END;
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
        return an_error(AN_ECORRUPT, "the tar on standard input is damaged or cut short: %s",
                        archive_error_string(s->inner ? s->inner : s->outer));
    return AN_OK;
}

int an_tar_stream_next(an_tar_stream *s, const char **name, int64_t *size)
{
    struct archive_entry *entry;
    for (;;) {
        int rc = next_header(s, &entry);
        if (rc)
            return rc;
        *name = archive_entry_pathname(entry);
        *size = archive_entry_size(entry);
        const char *slash = *name ? strrchr(*name, '/') : NULL, *base = slash ? slash + 1 : *name;
        size_t length = base ? strlen(base) : 0;
        if (!length || base[0] == '.' || archive_entry_filetype(entry) != AE_IFREG)
            continue;
        if (s->inner || length <= 4 || strcmp(base + length - 4, ".tar") != 0)
            return AN_OK;
        rc = open_inner(s, *name);
        if (rc)
            return rc;
    }
}

int an_tar_stream_read(an_tar_stream *s, const char *name, int64_t size, an_buffer *out)
{
    struct archive *from = s->inner ? s->inner : s->outer;
    if (size < 0 || size > MEMBER_MAX)
        return an_error(AN_EUNSUPPORTED, "'%s' is larger than %lld bytes", name, (long long)MEMBER_MAX);
    out->size = 0;
    int rc = an_buffer_reserve(out, (size_t)size + 1);
    if (rc)
        return rc;
    la_ssize_t got = archive_read_data(from, out->data, (size_t)size);
    if (got != size)
        return an_error(AN_ECORRUPT, "the tar on standard input is damaged or cut short in '%s'", name);
    out->size = (size_t)size;
    out->data[size] = 0;
    return AN_OK;
}
