/* The ImageNet development kit: a tar.gz with data/meta.mat (the synsets, a MATLAB struct array) and
 * data/ILSVRC2012_validation_ground_truth.txt (one ILSVRC2012_ID a line, in the order of the images' names). */
#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "ingest/sources/labels/lines_private.h"
#include "ingest/sources/labels/synsets_private.h"
#include "ingest/sources/labels/truth_private.h"

/* A devkit's members are below 1 MB, and its bytes below 3 MB when they are unpacked. */
#define MEMBER_MAX ((int64_t)64 << 20)
#define UNPACKED_MAX ((int64_t)1 << 30)

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static int read_member(struct archive *tar, struct archive_entry *entry, an_buffer *out)
{
    int64_t size = archive_entry_size(entry);
    if (size < 0 || size > MEMBER_MAX)
        return an_error(AN_ECORRUPT, "'%s' is larger than %d MB", archive_entry_pathname(entry),
                        (int)(MEMBER_MAX >> 20));
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
        /* What is passed over is unpacked, too. */
        if (archive_filter_bytes(tar, 0) > UNPACKED_MAX || archive_entry_size(entry) > UNPACKED_MAX)
            return an_error(AN_EUNSUPPORTED, "it unpacks to more than %d MB, which no devkit does",
                            (int)(UNPACKED_MAX >> 20));
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

/* The class in a line of the ground truth; NULL: there is none. */
static const char *wnid_in(const an_synsets *list, const char *line)
{
    const an_synset *synset = line[strspn(line, "0123456789")] ? NULL : an_synsets_find(list, strtoul(line, NULL, 10));
    return synset ? synset->wnid : NULL;
}

static int fill(an_truth *truth, const an_synsets *list, const an_buffer *ground_truth)
{
    an_lines lines;
    char *line;
    int rc = an_lines_parse(&lines, ground_truth->data, ground_truth->size);
    for (size_t i = 0; i < list->count && !rc; i++)
        rc = an_classes_add(&truth->classes, list->entries[i].wnid, list->entries[i].words);
    while (!rc && an_lines_next(&lines, &line)) {
        const char *wnid = wnid_in(list, line);
        rc = wnid
                 ? an_truth_add(truth, "", wnid, lines.number)
                 : an_error(AN_ECORRUPT, "ground truth, line %u: '%.100s' is no class of meta.mat", lines.number, line);
    }
    an_lines_free(&lines);
    return rc;
}

int an_truth_read_devkit(an_truth *truth, const char *path)
{
    an_buffer meta = {0}, ground_truth = {0};
    an_synsets list = {0};
    int rc = open_archive(path, &meta, &ground_truth);
    if (!rc)
        rc = an_synsets_read(&list, &meta);
    if (!rc)
        rc = fill(truth, &list, &ground_truth);
    an_buffer_free(&meta);
    an_buffer_free(&ground_truth);
    an_synsets_free(&list);
    return rc ? an_error_prefix(rc, "devkit '%s'", path) : AN_OK;
}
