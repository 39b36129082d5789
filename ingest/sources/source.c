#include "ingest/sources/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/error.h"
#include "base/file.h"
#include "ingest/sources/source_private.h"

typedef struct {
    const char *path;
    bool folder;
    bool has_folders, has_tars, has_batches, has_dataset; /* of a folder: what is in it */
    uint64_t size;
    uint8_t head[512]; /* of a file, decompressed */
    size_t head_size;
} probe;

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool probe_cifar(const probe *what)
{
    return what->has_batches || (ends_with(what->path, ".bin") && what->size && what->size % 3073 == 0);
}

static bool probe_dataset(const probe *what)
{
    return what->has_dataset;
}

static bool probe_shards(const probe *what)
{
    return what->has_tars && !what->has_folders;
}

static bool probe_folder(const probe *what)
{
    return what->folder;
}

static bool probe_idx(const probe *what)
{
    return what->head_size >= 4 && memcmp(what->head, "\0\0\x08", 3) == 0;
}

static bool probe_tar(const probe *what)
{
    return what->head_size == 512 && memcmp(what->head + 257, "ustar", 5) == 0;
}

static bool probe_list(const probe *what)
{
    for (size_t i = 0; i < what->head_size; i++)
        if (what->head[i] < ' ' && !strchr("\t\r\n", what->head[i]))
            return false;
    return what->head_size > 0 && memchr(what->head, '\n', what->head_size);
}

static const struct {
    const char *kind;
    bool (*probe)(const probe *what);
    int (*open)(an_source **out, const an_source_options *options);
} kinds[] = {
    {"dataset", probe_dataset, an_source_dataset_open},
    {"cifar10", probe_cifar, an_source_cifar_open},
    {"shards", probe_shards, an_source_shards_open},
    {"folder", probe_folder, an_source_folder_open},
    {"idx", probe_idx, an_source_idx_open},
    {"tar", probe_tar, an_source_tar_open},
    {"list", probe_list, an_source_list_open},
};

static int look_into(const char *path, probe *out)
{
    DIR *folder = opendir(path);
    if (!folder)
        return an_error_errno(errno, "cannot read folder '%s'", path);
    for (const struct dirent *entry; (entry = readdir(folder));) {
        struct stat status;
        if (entry->d_name[0] == '.' || fstatat(dirfd(folder), entry->d_name, &status, 0))
            continue;
        out->has_folders |= S_ISDIR(status.st_mode);
        out->has_tars |= ends_with(entry->d_name, ".tar");
        out->has_dataset |= strcmp(entry->d_name, "data.mdb") == 0;
        out->has_batches |= strcmp(entry->d_name, "data_batch_1.bin") == 0;
    }
    closedir(folder);
    return AN_OK;
}

static int look_at(const char *path, probe *out)
{
    struct stat status;
    memset(out, 0, sizeof(*out));
    out->path = path;
    if (stat(path, &status))
        return an_error_errno(errno, "cannot open source '%s'", path);
    out->folder = S_ISDIR(status.st_mode);
    out->size = (uint64_t)status.st_size;
    if (out->folder)
        return look_into(path, out);
    gzFile file = gzopen(path, "rb");
    if (!file)
        return an_error_errno(errno, "cannot open source '%s'", path);
    int got = gzread(file, out->head, sizeof(out->head));
    out->head_size = got > 0 ? (size_t)got : 0;
    bool plain = gzdirect(file);
    gzclose_r(file);
    if (!plain && probe_tar(out))
        return an_error(AN_EUNSUPPORTED,
                        "'%s' is a compressed tar: unpack it to a plain tar, or pipe it: zcat '%s' | "
                        "an-ingest --classes-from ... - DESTINATION",
                        path, path);
    return AN_OK;
}

int an_source_open(an_source **out, const an_source_options *options)
{
    probe what;
    if (strcmp(options->path, "-") == 0)
        return an_source_stream_open(out, options);
    int rc = look_at(options->path, &what);
    if (rc)
        return rc;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (options->kind ? strcmp(options->kind, kinds[i].kind) == 0 : kinds[i].probe(&what))
            return kinds[i].open(out, options);
    if (options->kind)
        return an_error(AN_EINVAL, "no such kind of source: '%s'", options->kind);
    return an_error(AN_EUNSUPPORTED,
                    "'%s' is no source of images: expected class folders, tars, an IDX or CIFAR-10 file or a list",
                    options->path);
}

void an_source_free(an_source *source)
{
    if (!source)
        return;
    an_classes_free(&source->classes);
    source->operations->free(source);
}

int an_source_next(an_source *source, an_item *item)
{
    return source->operations->next(source, item);
}

int an_source_skip(an_source *source, uint64_t items)
{
    return source->operations->skip(source, items);
}

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
