/* An open dataset. It is read without LMDB: lmdb_file.c walks the file, checks its structure and gives every value's
 * offset. What is needed later is kept as offsets into the memory map. Nothing changes after opening, so threads need
 * no lock. */
#include "store/dataset/dataset.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/error.h"
#include "store/dataset/dataset_private.h"
#include "store/dataset/headers.h"
#include "store/dataset/layout_private.h"
#include "store/dataset/lmdb_audit_private.h"
#include "store/dataset/manifest_private.h"

int an_dataset_damaged(const an_dataset *d, const char *what)
{
    return an_error(AN_ECORRUPT, "'%s' is damaged: %s", d->data, what);
}

static bool partial_exists(const an_dataset *d)
{
    char *partial;
    struct stat info;
    if (asprintf(&partial, "%s.partial", d->path) < 0)
        return false;
    bool exists = stat(partial, &info) == 0;
    free(partial);
    return exists;
}

static int check_folder(const an_dataset *d)
{
    struct stat info;
    if (stat(d->path, &info) == 0) {
        if (!S_ISDIR(info.st_mode))
            return an_error(AN_ECORRUPT,
                            "'%s' is no dataset: a dataset is a folder with a file " AN_DATASET_LAYOUT_DATA, d->path);
        if (stat(d->data, &info) && errno == ENOENT)
            return an_error(AN_ECORRUPT, "'%s' is no dataset: it has no file " AN_DATASET_LAYOUT_DATA, d->path);
        return AN_OK;
    }
    if (errno == ENOENT && partial_exists(d))
        return an_error(AN_ENOTFOUND,
                        "'%s' is unfinished ('%s.partial'): give the same an-ingest command again, or a "
                        "writer with the same options, to complete it",
                        d->path, d->path);
    return an_error_errno(errno, "cannot open dataset '%s'", d->path);
}

static int make_paths(an_dataset *d, const char *path)
{
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/')
        size--;
    d->path = strndup(path, size);
    if (!d->path || asprintf(&d->data, "%s/" AN_DATASET_LAYOUT_DATA, d->path) < 0) {
        d->data = NULL; /* asprintf leaves it undefined */
        return an_error(AN_ENOMEM, "out of memory: opening '%s'", path);
    }
    return AN_OK;
}

/* Each loader opens the file again, and the working directory may have changed until then. */
static int make_absolute(an_dataset *d)
{
    char *here = *d->data == '/' ? NULL : getcwd(NULL, 0); /* NULL: its folder was removed, or cannot be read */
    int size = asprintf(&d->absolute, "%s%s%s", here ? here : "", here ? "/" : "", d->data);
    free(here);
    if (size >= 0)
        return AN_OK;
    d->absolute = NULL; /* asprintf leaves it undefined */
    return an_error(AN_ENOMEM, "out of memory: opening '%s'", d->path);
}

static int open_all(an_dataset *d, const char *path)
{
    int rc = make_paths(d, path);
    if (!rc)
        rc = make_absolute(d);
    if (!rc)
        rc = check_folder(d);
    if (!rc)
        rc = an_lmdb_file_open(&d->file, d->data);
    if (!rc)
        rc = an_dataset_load_meta(d);
    if (!rc)
        rc = an_dataset_load_index(d);
    return rc ? rc : an_dataset_compute_fingerprint(d);
}

int an_dataset_open(an_dataset **out, const char *path)
{
    *out = NULL;
    an_dataset *d = calloc(1, sizeof *d);
    if (!d)
        return an_error(AN_ENOMEM, "out of memory: opening '%s'", path);
    int rc = open_all(d, path);
    if (rc)
        an_dataset_free(d);
    else
        *out = d;
    return rc;
}

void an_dataset_free(an_dataset *d)
{
    if (!d)
        return;
    for (uint32_t i = 0; d->classes && i < d->class_count; i++)
        free((void *)(uintptr_t)d->classes[i].id);
    an_statistics_free(&d->statistics);
    an_lmdb_file_close(&d->file);
    free(d->classes);
    free(d->index);
    free(d->names);
    free(d->rejects);
    free(d->manifest);
    free(d->path);
    free(d->data);
    free(d->absolute);
    free(d);
}

/* ----------------------------------------------------------------------------------------------- what it says ---- */

const char *an_dataset_path(const an_dataset *d)
{
    return d->path;
}

const char *an_dataset_file(const an_dataset *d)
{
    return d->absolute;
}

uint64_t an_dataset_count(const an_dataset *d)
{
    return d->count;
}

uint32_t an_dataset_side(const an_dataset *d)
{
    return d->side;
}

uint64_t an_dataset_file_size(const an_dataset *d)
{
    return d->file.size;
}

uint32_t an_dataset_record_max(const an_dataset *d)
{
    return d->record_max;
}

uint32_t an_dataset_class_count(const an_dataset *d)
{
    return d->class_count;
}

const an_class *an_dataset_class(const an_dataset *d, uint32_t label)
{
    return &d->classes[label];
}

const an_index_entry *an_dataset_index(const an_dataset *d)
{
    return d->index;
}

const an_statistics *an_dataset_statistics(const an_dataset *d)
{
    return &d->statistics;
}

const char *an_dataset_manifest(const an_dataset *d)
{
    return d->manifest;
}

uint64_t an_dataset_reject_count(const an_dataset *d)
{
    return d->reject_count;
}

static int check_index(const an_dataset *d, uint64_t index)
{
    return index < d->count ? AN_OK
                            : an_error(AN_EINVAL, "'%s' has %llu records: there is no record %llu", d->path,
                                       (unsigned long long)d->count, (unsigned long long)index);
}

int an_dataset_record_matches(const an_dataset *d, uint64_t index, const an_record_header *h)
{
    const an_index_entry *entry = &d->index[index];
    if (h->label != entry->label)
        return an_error(AN_ECORRUPT, "its header contradicts the index: label %u, where the index has %u", h->label,
                        entry->label);
    if (AN_RECORD_HEADER_SIZE + h->length != entry->length)
        return an_error(AN_ECORRUPT, "its header contradicts the index: %u bytes of payload, where the index has %u",
                        h->length, entry->length - AN_RECORD_HEADER_SIZE);
    if (h->width != d->side || h->height != d->side)
        return an_error(AN_ECORRUPT, "its header contradicts the index: %u x %u pixels, where all records have side %u",
                        h->width, h->height, d->side);
    return AN_OK;
}

int an_dataset_record(const an_dataset *d, uint64_t index, an_record *out)
{
    int rc = check_index(d, index);
    if (rc)
        return rc;
    const an_index_entry *entry = &d->index[index];
    rc = an_record_parse(d->file.data + entry->offset, entry->length, out);
    if (!rc)
        rc = an_dataset_record_matches(d, index, &out->header);
    return rc ? an_error_prefix(rc, "'%s', record %llu", d->path, (unsigned long long)index) : AN_OK;
}

int an_dataset_verify_headers(const an_dataset *d)
{
    an_dataset_headers *headers;
    int rc = an_dataset_headers_create(&headers, d);
    if (!rc)
        rc = an_dataset_headers_compare(headers, d->count);
    an_dataset_headers_free(headers);
    return rc;
}

static int accept_reject(void *context, const char *name, const char *reason, uint64_t bytes)
{
    (void)context, (void)name, (void)reason, (void)bytes;
    return AN_OK;
}

int an_dataset_verify_databases(const an_dataset *d)
{
    int rc = an_lmdb_file_audit(&d->file);
    if (rc)
        return rc;
    rc = an_manifest_check(d->manifest);
    if (rc)
        return an_dataset_damaged(d, "its manifest is no JSON object");
    rc = an_dataset_rejects(d, accept_reject, NULL);
    return rc ? an_error_prefix(rc, "'%s' is damaged", d->data) : AN_OK;
}

int an_dataset_name(const an_dataset *d, uint64_t index, const char **name, size_t *length)
{
    int rc = check_index(d, index);
    if (rc)
        return rc;
    *name = (const char *)d->file.data + (d->names[index] >> 16);
    *length = d->names[index] & UINT16_MAX;
    return AN_OK;
}

int an_dataset_rejects(const an_dataset *d,
                       int (*visit)(void *context, const char *name, const char *reason, uint64_t bytes), void *context)
{
    an_buffer scratch = {0};
    int rc = AN_OK;
    for (uint64_t i = 0; !rc && i < d->reject_count; i++)
        rc = an_dataset_layout_reject(d->file.data + (d->rejects[i] >> 16), d->rejects[i] & UINT16_MAX, &scratch, visit,
                                      context);
    an_buffer_free(&scratch);
    return rc;
}
