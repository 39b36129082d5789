#include "tools/show/content/subjects.h"

#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "augment/loader.h"
#include "base/error.h"
#include "base/file.h"
#include "ingest/picture/picture.h"

#define FILE_MAX_BYTES ((size_t)1 << 30)

struct an_subjects {
    const an_viewer *viewer;
    const an_dataset *dataset; /* NULL: files */
    char **files;
    uint64_t *records;
    uint64_t count, capacity, at;
    an_picture *picture;
    an_decoder *decoder;
    an_buffer bytes;
};

void an_subject_free(an_subject *s)
{
    free(s->name);
    an_image_free(&s->image);
    *s = (an_subject){0};
}

void an_subjects_free(an_subjects *s)
{
    if (!s)
        return;
    for (uint64_t i = 0; s->files && i < s->count; i++)
        free(s->files[i]);
    free(s->files);
    free(s->records);
    an_picture_free(s->picture);
    an_decoder_free(s->decoder);
    an_buffer_free(&s->bytes);
    free(s);
}

uint64_t an_subjects_count(const an_subjects *subjects)
{
    return subjects->count;
}

static int file_add(an_subjects *s, const char *path)
{
    if (s->count == s->capacity) {
        uint64_t capacity = s->capacity ? 2 * s->capacity : 64;
        char **grown = realloc(s->files, capacity * sizeof(*grown));
        if (!grown)
            return an_error(AN_ENOMEM, "out of memory for a list of files");
        s->files = grown;
        s->capacity = capacity;
    }
    s->files[s->count] = strdup(path);
    return s->files[s->count++] ? AN_OK : an_error(AN_ENOMEM, "out of memory for a list of files");
}

static bool is_image_name(const char *name)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png"};
    const char *ending = strrchr(name, '.');
    for (size_t i = 0; ending && i < 3; i++)
        if (strcasecmp(ending, endings[i]) == 0)
            return true;
    return false;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* A path of the command line is taken whatever its name; below a folder only image files are. */
static int entry_add(an_subjects *s, const FTSENT *entry)
{
    switch (entry->fts_info) {
    case FTS_F:
        return entry->fts_level == 0 || is_image_name(entry->fts_name) ? file_add(s, entry->fts_path) : AN_OK;
    case FTS_DEFAULT:
        return entry->fts_level == 0 ? an_file_check_name(entry->fts_path) : AN_OK; /* it is none */
    case FTS_NS:
    case FTS_DNR:
    case FTS_ERR:
        return an_error_errno(entry->fts_errno, "cannot read '%s'", entry->fts_path);
    default:
        return AN_OK;
    }
}

static int files_find(an_subjects *s, char *const *paths)
{
    FTS *walk = fts_open(paths, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    if (!walk)
        return an_error_errno(errno, "cannot list files");
    int rc = AN_OK;
    errno = 0;
    for (FTSENT *entry; !rc && (entry = fts_read(walk)); errno = 0)
        rc = entry_add(s, entry);
    if (!rc && errno)
        rc = an_error_errno(errno, "cannot list files");
    fts_close(walk);
    if (!rc && s->count == 0)
        rc = an_error(AN_ENOTFOUND, "no image files (.jpg, .jpeg, .png) in '%s'", paths[0]);
    return rc;
}

static int subjects_create(an_subjects **out, const an_viewer *viewer)
{
    an_subjects *s = calloc(1, sizeof(*s));
    if (!s)
        return an_error(AN_ENOMEM, "out of memory for images");
    s->viewer = viewer;
    an_picture_options options = {.side = viewer->trained.input.side, .pixels_max = AN_PICTURE_PIXELS_MAX};
    int rc = an_picture_create(&s->picture, &options);
    if (!rc)
        rc = an_decoder_create(&s->decoder);
    if (rc < 0)
        an_subjects_free(s);
    else
        *out = s;
    return rc;
}

int an_subjects_of_files(an_subjects **out, const an_viewer *viewer, char *const *paths)
{
    an_subjects *s = NULL;
    int rc = subjects_create(&s, viewer);
    if (rc < 0)
        return rc;
    rc = files_find(s, paths);
    if (rc < 0)
        an_subjects_free(s);
    else
        *out = s;
    return rc;
}

static int records_parse(an_subjects *s, const char *text)
{
    uint64_t total = an_dataset_count(s->dataset), most = strlen(text) + 1;
    s->records = malloc(most * sizeof(*s->records));
    if (!s->records)
        return an_error(AN_ENOMEM, "out of memory for a list of records");
    for (const char *at = text;; at++) {
        char *end;
        uint64_t index = strtoull(at, &end, 10);
        if (end == at || (*end && *end != ',') || *at == '-')
            return an_error(AN_EINVAL, "--records '%s': give record numbers like 3,17,9", text);
        if (index >= total)
            return an_error(AN_EINVAL, "--records: '%s' has no record %" PRIu64 ", its last is %" PRIu64,
                            an_dataset_path(s->dataset), index, total - 1);
        s->records[s->count++] = index;
        at = end;
        if (!*at)
            return AN_OK;
    }
}

static int records_space(an_subjects *s, uint64_t count)
{
    uint64_t total = an_dataset_count(s->dataset);
    s->count = count < total ? count : total;
    s->records = malloc(s->count * sizeof(*s->records));
    if (!s->records)
        return an_error(AN_ENOMEM, "out of memory for a list of records");
    for (uint64_t i = 0; i < s->count; i++)
        s->records[i] = (uint64_t)((double)i * (double)total / (double)s->count);
    return AN_OK;
}

int an_subjects_of_records(an_subjects **out, const an_viewer *viewer, const an_dataset *dataset, const char *records,
                           uint64_t count)
{
    an_subjects *s = NULL;
    int rc = subjects_create(&s, viewer);
    if (rc < 0)
        return rc;
    s->dataset = dataset;
    rc = records ? records_parse(s, records) : records_space(s, count);
    if (rc < 0)
        an_subjects_free(s);
    else
        *out = s;
    return rc;
}

/* The folder that a file lies in, if it is named as a class. */
static int label_of(const an_viewer *viewer, const char *path)
{
    const char *end = strrchr(path, '/'), *start = end;
    if (!end)
        return -1;
    while (start > path && start[-1] != '/')
        start--;
    return an_viewer_class(viewer, start, (size_t)(end - start));
}

static int file_next(an_subjects *s, const char *path, an_subject *out)
{
    an_item item = {.kind = AN_ITEM_FILE, .fd = -1};
    an_picture_info info;
    out->name = strdup(path);
    out->label = label_of(s->viewer, path);
    s->bytes.size = 0;
    int rc = out->name ? an_file_read(path, FILE_MAX_BYTES, &s->bytes) : an_error(AN_ENOMEM, "out of memory");
    if (rc < 0)
        return rc;
    rc = an_picture_make(s->picture, &item, &s->bytes, &out->image, &info);
    return rc < 0 ? an_error_prefix(rc, "'%s'", path) : AN_OK;
}

int an_subject_record(const an_dataset *dataset, an_decoder *decoder, uint64_t index, an_image *out)
{
    an_record record;
    int rc = an_dataset_record(dataset, index, &record);
    if (!rc)
        rc = an_record_verify(&record);
    if (!rc)
        rc = an_image_set_size(out, record.header.width, record.header.height);
    if (!rc)
        rc = an_decoder_window(decoder, &record, 0, 0, out->width, out->height, out->pixels, (size_t)3 * out->width);
    return rc < 0 ? an_loader_name_error(dataset, rc, index) : AN_OK;
}

static int record_next(an_subjects *s, uint64_t index, an_subject *out)
{
    const char *name;
    size_t length;
    int rc = an_dataset_name(s->dataset, index, &name, &length);
    if (rc < 0)
        return rc;
    out->name = strndup(name, length);
    out->label = (int)an_dataset_index(s->dataset)[index].label;
    if (!out->name)
        return an_error(AN_ENOMEM, "out of memory");
    return an_subject_record(s->dataset, s->decoder, index, &out->image);
}

int an_subjects_next(an_subjects *s, an_subject *out)
{
    *out = (an_subject){0};
    if (s->at == s->count)
        return AN_END;
    uint64_t at = s->at++;
    out->index = s->dataset ? s->records[at] : at;
    int rc = s->dataset ? record_next(s, out->index, out) : file_next(s, s->files[at], out);
    if (rc < 0)
        an_subject_free(out);
    return rc;
}
