/* The ImageNet development kit: a tar.gz with data/meta.mat (the synsets, a MATLAB struct array) and
 * data/ILSVRC2012_validation_ground_truth.txt (one ILSVRC2012_ID a line, in the order of the images' names). */
#include <archive.h>
#include <archive_entry.h>
#include <matio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary.h"
#include "ingest/sources/labels/lines_private.h"
#include "ingest/sources/labels/truth_private.h"

#define MEMBER_MAX ((int64_t)256 << 20)

typedef struct {
    uint32_t id; /* ILSVRC2012_ID */
    char *wnid, *words;
} synset;

typedef struct {
    synset *entries;
    size_t count;
} synsets;

static void synsets_free(synsets *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->entries[i].wnid);
        free(list->entries[i].words);
    }
    free(list->entries);
}

/* --- meta.mat -------------------------------------------------------------------------------------------------- */

/* A character array as UTF-8. matio gives 8-bit text, taken as it is, or 16-bit units, of which Latin-1 is understood.
 */
static char *text_of(const matvar_t *field)
{
    if (!field || field->class_type != MAT_C_CHAR || !field->data)
        return NULL;
    size_t unit = field->data_size == 2 ? 2 : 1, n = field->nbytes / unit, used = 0;
    char *out = malloc(2 * n + 1);
    for (size_t i = 0; out && i < n; i++) {
        uint16_t code = ((const uint8_t *)field->data)[i];
        if (unit == 2)
            memcpy(&code, (const uint8_t *)field->data + 2 * i, 2);
        if (unit == 2 && code >= 0x80)
            out[used++] = (char)(0xc0 | (code >> 6 & 3)), code = 0x80 | (code & 0x3f);
        out[used++] = (char)code;
    }
    if (out)
        out[used] = 0;
    return out;
}

static double number_of(const matvar_t *field)
{
    if (!field || !field->data || !field->nbytes)
        return -1;
    switch (field->data_type) {
    case MAT_T_DOUBLE:
        return *(const double *)field->data;
    case MAT_T_UINT8:
        return *(const uint8_t *)field->data;
    case MAT_T_INT16:
        return *(const int16_t *)field->data;
    case MAT_T_UINT16:
        return *(const uint16_t *)field->data;
    case MAT_T_INT32:
        return *(const int32_t *)field->data;
    default:
        return -1;
    }
}

/* A synset without children is a class; the others are groups of classes. */
static int add_synset(matvar_t *array, size_t i, synsets *out)
{
    double children = number_of(Mat_VarGetStructFieldByName(array, "num_children", i));
    double id = number_of(Mat_VarGetStructFieldByName(array, "ILSVRC2012_ID", i));
    if (children > 0)
        return AN_OK;
    synset one = {(uint32_t)id, text_of(Mat_VarGetStructFieldByName(array, "WNID", i)),
                  text_of(Mat_VarGetStructFieldByName(array, "words", i))};
    if (children < 0 || id < 1 || id > 1e6 || !one.wnid || !one.words) {
        free(one.wnid);
        free(one.words);
        return an_error(AN_ECORRUPT, "meta.mat: synset %zu lacks ILSVRC2012_ID, WNID, words or num_children", i + 1);
    }
    out->entries[out->count++] = one;
    return AN_OK;
}

/* Of a damaged array matio may read only a part, and then reads through null pointers when it is asked for fields. */
static bool has_fields(const matvar_t *array, size_t count)
{
    unsigned fields = Mat_VarGetNumberOfFields((matvar_t *)array);
    char *const *names = Mat_VarGetStructFieldnames(array);
    if (!array->data || !names || array->nbytes / sizeof(matvar_t *) < count)
        return false;
    for (unsigned i = 0; i < fields; i++)
        if (!names[i])
            return false;
    return true;
}

static int read_synsets(matvar_t *array, synsets *out)
{
    if (!array || array->class_type != MAT_C_STRUCT || array->rank != 2)
        return an_error(AN_ECORRUPT, "meta.mat holds no struct array 'synsets'");
    size_t count = array->dims[0] * array->dims[1];
    if (!has_fields(array, count))
        return an_error(AN_ECORRUPT, "meta.mat is damaged: fields of 'synsets' are missing");
    out->entries = calloc(count + 1, sizeof(*out->entries));
    if (!out->entries)
        return an_error(AN_ENOMEM, "out of memory for synsets");
    int rc = AN_OK;
    for (size_t i = 0; i < count && !rc; i++)
        rc = add_synset(array, i, out);
    if (!rc && !out->count)
        rc = an_error(AN_ECORRUPT, "meta.mat names no classes");
    return rc;
}

/* matio opens files by name only: give it a temporary one. */
static int read_meta(const an_buffer *bytes, synsets *out)
{
    char path[64];
    int fd, rc = an_temporary_open(&fd);
    if (rc)
        return rc;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    rc = an_temporary_write(fd, bytes->data, bytes->size);
    mat_t *file = rc ? NULL : Mat_Open(path, MAT_ACC_RDONLY);
    if (!rc && !file)
        rc = an_error(AN_ECORRUPT, "meta.mat is no MATLAB file");
    if (file) {
        matvar_t *array = Mat_VarRead(file, "synsets");
        rc = read_synsets(array, out);
        Mat_VarFree(array);
        Mat_Close(file);
    }
    close(fd);
    return rc;
}

/* --- archive --------------------------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static int read_member(struct archive *tar, struct archive_entry *entry, an_buffer *out)
{
    int64_t size = archive_entry_size(entry);
    if (size < 0 || size > MEMBER_MAX)
        return an_error(AN_ECORRUPT, "'%s' is impossibly large", archive_entry_pathname(entry));
    int rc = an_buffer_reserve(out, (size_t)size + 1);
    if (rc)
        return rc;
    la_ssize_t got = archive_read_data(tar, out->data, (size_t)size);
    if (got != size)
        return an_error(AN_ECORRUPT, "cannot read '%s': %s", archive_entry_pathname(entry),
                        got < 0 ? archive_error_string(tar) : "cut short");
    out->size = (size_t)size;
    return AN_OK;
}

static int read_members(struct archive *tar, an_buffer *meta, an_buffer *truth)
{
    struct archive_entry *entry;
    int status, rc = AN_OK;
    while (!rc && (status = archive_read_next_header(tar, &entry)) != ARCHIVE_EOF) {
        if (status < ARCHIVE_WARN)
            return an_error(AN_ECORRUPT, "%s", archive_error_string(tar));
        const char *name = archive_entry_pathname(entry);
        if (name && ends_with(name, "/meta.mat"))
            rc = read_member(tar, entry, meta);
        else if (name && ends_with(name, "_validation_ground_truth.txt"))
            rc = read_member(tar, entry, truth);
    }
    if (!rc && (!meta->size || !truth->size))
        rc = an_error(AN_ECORRUPT, "no meta.mat and validation ground truth inside");
    return rc;
}

static int open_archive(const char *path, an_buffer *meta, an_buffer *truth)
{
    int fd;
    int rc = an_file_open(&fd, path);
    if (rc)
        return rc;
    struct archive *tar = archive_read_new();
    if (!tar) {
        close(fd);
        return an_error(AN_ENOMEM, "out of memory reading '%s'", path);
    }
    archive_read_support_filter_gzip(tar);
    archive_read_support_format_tar(tar);
    rc = archive_read_open_fd(tar, fd, 1 << 16) == ARCHIVE_OK ? read_members(tar, meta, truth)
                                                              : an_error(AN_ECORRUPT, "%s", archive_error_string(tar));
    archive_read_free(tar);
    close(fd);
    return rc;
}

/* --- together -------------------------------------------------------------------------------------------------- */

static int by_wnid(const void *a, const void *b)
{
    return strcmp(((const synset *)a)->wnid, ((const synset *)b)->wnid);
}

static const char *wnid_of(const synsets *list, unsigned long id)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->entries[i].id == id)
            return list->entries[i].wnid;
    return NULL;
}

static int fill(an_truth *truth, synsets *list, const an_buffer *ground_truth)
{
    an_lines lines;
    char *line;
    qsort(list->entries, list->count, sizeof(*list->entries), by_wnid);
    int rc = an_lines_parse(&lines, ground_truth->data, ground_truth->size);
    for (size_t i = 0; i < list->count && !rc; i++)
        rc = an_classes_add(&truth->classes, list->entries[i].wnid, list->entries[i].words);
    while (!rc && an_lines_next(&lines, &line)) {
        const char *wnid = line[strspn(line, "0123456789")] ? NULL : wnid_of(list, strtoul(line, NULL, 10));
        rc = wnid ? an_truth_add(truth, "", wnid, lines.number)
                  : an_error(AN_ECORRUPT, "ground truth, line %u: '%s' is no class of meta.mat", lines.number, line);
    }
    an_lines_free(&lines);
    return rc;
}

int an_truth_read_devkit(an_truth *truth, const char *path)
{
    an_buffer meta = {0}, ground_truth = {0};
    synsets list = {0};
    int rc = open_archive(path, &meta, &ground_truth);
    if (!rc)
        rc = read_meta(&meta, &list);
    if (!rc)
        rc = fill(truth, &list, &ground_truth);
    an_buffer_free(&meta);
    an_buffer_free(&ground_truth);
    synsets_free(&list);
    return rc ? an_error_prefix(rc, "devkit '%s'", path) : AN_OK;
}
