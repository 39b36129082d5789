#include "ingest/sources/labels/truth_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "ingest/sources/labels/lines_private.h"

void an_truth_free(an_truth *truth)
{
    free(truth->entries);
    an_buffer_free(&truth->texts);
    an_classes_free(&truth->classes);
    memset(truth, 0, sizeof(*truth));
}

int an_truth_add(an_truth *truth, const char *name, const char *label)
{
    if (truth->count == truth->capacity) {
        uint64_t capacity = truth->capacity ? 2 * truth->capacity : 1024;
        an_truth_entry *entries = realloc(truth->entries, capacity * sizeof(*entries));
        if (!entries)
            return an_error(AN_ENOMEM, "out of memory for labels");
        truth->entries = entries;
        truth->capacity = capacity;
    }
    an_truth_entry added = {truth->texts.size, truth->texts.size + strlen(name) + 1};
    int rc = an_buffer_append(&truth->texts, name, strlen(name) + 1);
    if (!rc)
        rc = an_buffer_append(&truth->texts, label, strlen(label) + 1);
    if (!rc)
        truth->entries[truth->count++] = added;
    return rc;
}

static const char *text(const an_truth *truth, uint64_t position)
{
    return (const char *)truth->texts.data + position;
}

static const char *last_part(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

static int by_name(const void *a, const void *b, void *context)
{
    return strcmp(text(context, ((const an_truth_entry *)a)->name), text(context, ((const an_truth_entry *)b)->name));
}

int an_truth_find(const an_truth *truth, const char *name, uint64_t position, const char **label)
{
    name = last_part(name);
    if (!truth->named) {
        if (position >= truth->count)
            return an_error(AN_ENOTFOUND, "no label for '%s': there are only %llu", name,
                            (unsigned long long)truth->count);
        *label = text(truth, truth->entries[position].label);
        return AN_OK;
    }
    uint64_t low = 0, high = truth->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        int order = strcmp(text(truth, truth->entries[middle].name), name);
        if (order == 0) {
            *label = text(truth, truth->entries[middle].label);
            return AN_OK;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return an_error(AN_ENOTFOUND, "no label for '%s'", name);
}

/* If *label is a number, replace it by the class id in that line of the synset list, counted from 1. */
static int through_synsets(const an_classes *synsets, const char **label)
{
    char *end;
    unsigned long number = strtoul(*label, &end, 10);
    if (!synsets->count || *end || end == *label)
        return AN_OK;
    if (number < 1 || number > synsets->count)
        return an_error(AN_EINVAL, "class %lu is not among the %u of the synset list", number, synsets->count);
    *label = synsets->entries[number - 1].id;
    return AN_OK;
}

static int read_labels(an_truth *truth, an_lines *lines, const an_classes *synsets)
{
    char *line;
    while (an_lines_next(lines, &line)) {
        const char *label = an_line_cut_last(line), *name = last_part(line);
        bool named = *label;
        if (!named)
            label = line, name = "";
        if (truth->count && named != truth->named)
            return an_error(AN_EINVAL, "line %u: some lines have an image name and some have none", lines->number);
        truth->named = named;
        int rc = through_synsets(synsets, &label);
        if (!rc)
            rc = an_truth_add(truth, name, label);
        if (rc)
            return an_error_prefix(rc, "line %u", lines->number);
    }
    return truth->count ? AN_OK : an_error(AN_EINVAL, "no labels in it");
}

int an_truth_read(an_truth *truth, const char *labels, const char *synsets)
{
    an_lines lines = {0};
    an_classes ids = {0};
    int rc = synsets ? an_classes_read(&ids, synsets) : AN_OK;
    if (!rc)
        rc = an_lines_read(&lines, labels);
    if (!rc) {
        rc = read_labels(truth, &lines, &ids);
        if (rc)
            an_error_prefix(rc, "'%s'", labels);
    }
    if (!rc && truth->named)
        qsort_r(truth->entries, truth->count, sizeof(*truth->entries), by_name, truth);
    an_lines_free(&lines);
    an_classes_free(&ids);
    return rc;
}

int an_truth_open(an_truth *truth, const char *labels, const char *synsets, const char *devkit)
{
    if (labels)
        return an_truth_read(truth, labels, synsets);
    return devkit ? an_truth_read_devkit(truth, devkit) : AN_OK;
}

int an_truth_check_count(const an_truth *truth, const char *path, uint64_t images)
{
    if (truth->named || truth->count == images)
        return AN_OK;
    return an_error(AN_EINVAL, "'%s' holds %llu files, but there are %llu labels", path, (unsigned long long)images,
                    (unsigned long long)truth->count);
}
