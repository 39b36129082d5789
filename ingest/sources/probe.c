#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/error.h"
#include "base/file.h"
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
    for (const struct dirent *entry; (entry = readdir(folder));) {
        struct stat status;
        if (entry->d_name[0] == '.' || fstatat(dirfd(folder), entry->d_name, &status, 0))
            continue;
        out->has_folders |= S_ISDIR(status.st_mode);
        out->has_tars |= an_source_ends_with(entry->d_name, ".tar");
    }
    closedir(folder);
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
    if (!plain && an_source_tar.matches(out))
        return an_error(AN_EUNSUPPORTED,
                        "'%s' is a compressed tar: unpack it to a plain tar, or pipe it: zcat '%s' | "
                        "an-ingest --classes-from ... - DESTINATION",
                        path, path);
    return AN_OK;
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
