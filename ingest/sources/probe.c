#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/error.h"
#include "base/file.h"
#include "ingest/sources/archive/place.h"
#include "ingest/sources/source_private.h"

bool an_source_ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

bool an_source_holds(const an_source_probe *found, const char *name)
{
    an_buffer path = {0};
    int rc = found->folder ? an_buffer_printf(&path, "%s/%s", found->path, name) : AN_ENOTFOUND;
    bool holds = !rc && access((char *)path.data, F_OK) == 0;
    an_buffer_free(&path);
    return holds;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int an_source_each_file(const char *folder, int (*wanted)(const struct dirent *entry),
                        int (*visit)(void *context, const char *path, const char *name), void *context)
{
    struct dirent **found = NULL;
    an_buffer path = {0};
    int rc = AN_OK, count = scandir(folder, &found, wanted, by_name);
    if (count < 0)
        return an_error_errno(errno, "cannot read folder '%s'", folder);
    for (int i = 0; i < count; i++) {
        path.size = 0;
        if (!rc)
            rc = an_buffer_printf(&path, "%s/%s", folder, found[i]->d_name);
        if (!rc)
            rc = visit(context, (char *)path.data, found[i]->d_name);
        free(found[i]);
    }
    free(found);
    an_buffer_free(&path);
    return rc;
}

static int look_into(const char *path, an_source_probe *out)
{
    DIR *folder = opendir(path);
    if (!folder)
        return an_error_errno(errno, "cannot read folder '%s'", path);
    an_place_left_out left_out = {0};
    for (const struct dirent *entry; (entry = readdir(folder));) {
        struct stat status;
        if (entry->d_name[0] == '.' || an_place_is_system(entry->d_name, &left_out) ||
            fstatat(dirfd(folder), entry->d_name, &status, 0))
            continue;
        out->has_folders |= S_ISDIR(status.st_mode);
        out->has_tars |= an_source_ends_with(entry->d_name, ".tar");
    }
    closedir(folder);
    return AN_OK;
}

/* The number in a field of a tar's header: octal digits, with blanks around. */
static uint32_t octal(const uint8_t *field, size_t size)
{
    uint32_t value = 0;
    size_t i = 0;
    while (i < size && field[i] == ' ')
        i++;
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
        value = 8 * value + field[i] - '0';
    return value;
}

/* "ustar" stands in the headers of all tars but the oldest kind (tar --format=v7). What every header has is the sum of
 * its bytes, counted with blanks in the place of the sum itself. */
bool an_source_is_tar(const uint8_t *head, size_t size)
{
    uint32_t sum = 8 * ' ';
    if (size < 512 || !head[0])
        return false;
    for (size_t i = 0; i < 512; i++)
        sum += i < 148 || i >= 156 ? head[i] : 0;
    return memcmp(head + 257, "ustar", 5) == 0 || octal(head + 148, 8) == sum;
}

/* The first bytes of a file that libarchive can unpack (bzip2, xz, zstd ...). Leaves size 0 if it cannot. */
static int read_packed_head(const char *path, uint8_t *head, size_t room, size_t *size)
{
    struct archive_entry *entry;
    struct archive *file = archive_read_new();
    *size = 0;
    if (!file)
        return an_error(AN_ENOMEM, "out of memory looking at '%s'", path);
    archive_read_support_filter_bzip2(file);
    archive_read_support_filter_compress(file);
    archive_read_support_filter_gzip(file);
    archive_read_support_filter_lz4(file);
    archive_read_support_filter_lzip(file);
    archive_read_support_filter_lzma(file);
    archive_read_support_filter_xz(file);
    archive_read_support_filter_zstd(file);
    archive_read_support_format_raw(file);
    bool packed = archive_read_open_filename(file, path, 1 << 14) == ARCHIVE_OK && archive_filter_count(file) > 1;
    if (packed && archive_read_next_header(file, &entry) == ARCHIVE_OK) {
        la_ssize_t got = archive_read_data(file, head, room);
        *size = got > 0 ? (size_t)got : 0;
    }
    archive_read_free(file);
    return AN_OK;
}

static int read_head(const char *path, an_source_probe *out)
{
    gzFile file = gzopen(path, "rb");
    if (!file)
        return an_error_errno(errno, "cannot open source '%s'", path);
    int got = gzread(file, out->head, sizeof(out->head));
    out->head_size = got > 0 ? (size_t)got : 0;
    bool plain = gzdirect(file);
    gzclose_r(file);
    if (plain && an_source_is_tar(out->head, out->head_size))
        return AN_OK;
    uint8_t head[512];
    size_t size;
    int rc = read_packed_head(path, head, sizeof(head), &size);
    if (!rc && an_source_is_tar(head, size))
        rc = an_error(AN_EUNSUPPORTED,
                      "'%s' is a compressed tar: unpack it to a plain tar, or read it as a stream: "
                      "an-ingest --classes-from ... - DESTINATION < '%s'",
                      path, path);
    return rc;
}

int an_source_look(an_source_probe *out, const char *path)
{
    struct stat status;
    memset(out, 0, sizeof(*out));
    out->path = path;
    out->standard_input = strcmp(path, "-") == 0;
    if (out->standard_input)
        return AN_OK;
    if (stat(path, &status))
        return an_error_errno(errno, "cannot open source '%s'", path);
    out->folder = S_ISDIR(status.st_mode);
    out->size = (uint64_t)status.st_size;
    int fd, rc = out->folder ? AN_OK : an_file_open(&fd, path);
    if (rc)
        return rc;
    if (!out->folder)
        close(fd);
    return out->folder ? look_into(path, out) : read_head(path, out);
}
