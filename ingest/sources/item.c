/* Items: loading their bytes, freeing them. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "ingest/sources/source.h"

static int load_range(int fd, const an_item *item, an_buffer *out)
{
    int rc = an_buffer_reserve(out, item->size);
    if (!rc)
        rc = an_file_pread(fd, out->data, item->size, item->offset, (const char *)item->path.data);
    if (!rc)
        out->size = item->size;
    return rc;
}

int an_item_load(const an_item *item, size_t limit, an_buffer *out)
{
    out->size = 0;
    if (!item->whole && item->size > limit)
        return an_error(AN_EUNSUPPORTED, "%llu bytes are more than the limit of %zu", (unsigned long long)item->size,
                        limit);
    if (item->kind == AN_ITEM_RECORD)
        return AN_OK;
    if (!item->path.size)
        return an_buffer_append(out, item->bytes.data, item->bytes.size);
    if (item->whole)
        return an_file_read((const char *)item->path.data, limit, out);
    if (item->fd >= 0)
        return load_range(item->fd, item, out);
    int fd = open((const char *)item->path.data, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return an_error_errno(errno, "cannot open '%s'", (const char *)item->path.data);
    int rc = load_range(fd, item, out);
    close(fd);
    return rc;
}

void an_item_free(an_item *item)
{
    an_buffer_free(&item->name);
    an_buffer_free(&item->path);
    an_buffer_free(&item->bytes);
}
