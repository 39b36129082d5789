#include "ingest/sources/archive/tar_entry_private.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>

#include "base/error.h"

static an_tar_kind kind_of(struct archive_entry *entry)
{
    if (archive_entry_hardlink(entry) && archive_entry_size(entry) == 0)
        return AN_TAR_HARD_LINK;
    switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
        return archive_entry_sparse_count(entry) ? AN_TAR_SPARSE : AN_TAR_FILE;
    case AE_IFDIR:
        return AN_TAR_FOLDER;
    case AE_IFLNK:
        return AN_TAR_SYMBOLIC_LINK;
    case 0: /* a hard link that has its bytes with it */
        return archive_entry_hardlink(entry) ? AN_TAR_FILE : AN_TAR_SPECIAL;
    default:
        return AN_TAR_SPECIAL;
    }
}

int an_tar_entry_take(an_tar_entry *out, struct archive_entry *entry)
{
    memset(out, 0, sizeof(*out));
    out->name = archive_entry_pathname(entry);
    out->kind = kind_of(entry);
    if (out->kind == AN_TAR_HARD_LINK)
        out->target = archive_entry_hardlink(entry);
    else if (out->kind == AN_TAR_SYMBOLIC_LINK)
        out->target = archive_entry_symlink(entry);
    if (out->kind == AN_TAR_FILE || out->kind == AN_TAR_SPARSE)
        out->size = (uint64_t)archive_entry_size(entry);
    if (!out->name || archive_entry_size(entry) < 0)
        return an_error(AN_ECORRUPT, "a header without a name or with an impossible size");
    return AN_OK;
}

void an_tar_entry_formats(struct archive *tar)
{
    archive_read_support_format_tar(tar);
    archive_read_support_format_empty(tar);
    archive_read_set_format_option(tar, "tar", "read_concatenated_archives", "1");
}

/* A complete tar ends with blocks of zeros. Without them nothing follows the last member's contents. */
int an_tar_entry_next(struct archive *tar, struct archive_entry **entry, bool *unended)
{
    bool first = archive_file_count(tar) == 0;
    if (!first && archive_read_data_skip(tar) < ARCHIVE_WARN)
        return an_error(AN_ECORRUPT, "%s", archive_error_string(tar));
    int64_t end = archive_filter_bytes(tar, 0);
    int status = archive_read_next_header(tar, entry);
    if (status == ARCHIVE_EOF) {
        *unended = !first && archive_filter_bytes(tar, 0) == end;
        return AN_END;
    }
    if (status == ARCHIVE_OK || status == ARCHIVE_WARN)
        return AN_OK;
    const char *why = archive_error_string(tar);
    return an_error(AN_ECORRUPT, "%s", why ? why : "unknown reason");
}
