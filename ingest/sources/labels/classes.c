#include "ingest/sources/labels/classes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "ingest/sources/labels/lines_private.h"
#include "store/dataset/dataset.h"

void an_classes_free(an_classes *classes)
{
    for (uint32_t i = 0; i < classes->count; i++) {
        free(classes->entries[i].id);
        free(classes->entries[i].name);
    }
    free(classes->entries);
    free(classes->sorted);
    memset(classes, 0, sizeof(*classes));
}

/* First position in sorted whose id is equal to or greater than id. */
static uint32_t lower_bound(const an_classes *classes, const char *id)
{
    uint32_t low = 0, high = classes->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (strcmp(classes->entries[classes->sorted[middle]].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int an_classes_find(const an_classes *classes, const char *id, uint32_t *label)
{
    uint32_t at = lower_bound(classes, id);
    if (at == classes->count || strcmp(classes->entries[classes->sorted[at]].id, id) != 0)
        return AN_ENOTFOUND;
    *label = classes->sorted[at];
    return AN_OK;
}

static int grow(an_classes *classes)
{
    if (classes->count < classes->capacity)
        return AN_OK;
    uint32_t capacity = classes->capacity ? 2 * classes->capacity : 64;
    an_class_entry *entries = realloc(classes->entries, capacity * sizeof(*entries));
    if (entries)
        classes->entries = entries;
    uint32_t *sorted = realloc(classes->sorted, capacity * sizeof(*sorted));
    if (sorted)
        classes->sorted = sorted;
    if (!entries || !sorted)
        return an_error(AN_ENOMEM, "out of memory for classes");
    classes->capacity = capacity;
    return AN_OK;
}

int an_classes_add(an_classes *classes, const char *id, const char *name)
{
    uint32_t at = lower_bound(classes, id);
    if (at < classes->count && strcmp(classes->entries[classes->sorted[at]].id, id) == 0)
        return an_error(AN_EINVAL, "class '%s' appears twice", id);
    int rc = grow(classes);
    if (rc)
        return rc;
    an_class_entry entry = {strdup(id), name ? strdup(name) : NULL};
    if (!entry.id || (name && !entry.name)) {
        free(entry.id);
        free(entry.name);
        return an_error(AN_ENOMEM, "out of memory for classes");
    }
    memmove(classes->sorted + at + 1, classes->sorted + at, (classes->count - at) * sizeof(*classes->sorted));
    classes->sorted[at] = classes->count;
    classes->entries[classes->count++] = entry;
    return AN_OK;
}

int an_classes_copy(an_classes *into, const an_classes *from)
{
    int rc = AN_OK;
    for (uint32_t i = 0; i < from->count && !rc; i++)
        rc = an_classes_add(into, from->entries[i].id, from->entries[i].name);
    return rc;
}

int an_classes_sort(an_classes *classes, uint32_t *map)
{
    if (!classes->count)
        return AN_OK;
    an_class_entry *entries = malloc(classes->capacity * sizeof(*entries));
    if (!entries)
        return an_error(AN_ENOMEM, "out of memory for classes");
    for (uint32_t i = 0; i < classes->count; i++) {
        entries[i] = classes->entries[classes->sorted[i]];
        map[classes->sorted[i]] = i;
        classes->sorted[i] = i;
    }
    free(classes->entries);
    classes->entries = entries;
    return AN_OK;
}

int an_classes_read(an_classes *classes, const char *path)
{
    an_lines lines;
    char *line;
    int rc = an_lines_read(&lines, path);
    while (!rc && an_lines_next(&lines, &line)) {
        const char *name = an_line_cut_first(line);
        rc = an_classes_add(classes, line, *name ? name : NULL);
        if (rc)
            an_error_prefix(rc, "'%s', line %u", path, lines.number);
    }
    if (!rc && !classes->count)
        rc = an_error(AN_EINVAL, "no classes in '%s': expected lines of class id, tab, name", path);
    an_lines_free(&lines);
    return rc;
}

static int from_dataset(an_classes *classes, const char *path)
{
    an_dataset *dataset;
    int rc = an_dataset_open(&dataset, path);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < an_dataset_class_count(dataset) && !rc; i++) {
        const an_class *entry = an_dataset_class(dataset, i);
        rc = an_classes_add(classes, entry->id, strcmp(entry->id, entry->name) ? entry->name : NULL);
    }
    an_dataset_free(dataset);
    return rc;
}

int an_classes_from(an_classes *classes, const char *path)
{
    struct stat status;
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return from_dataset(classes, path);
    return an_classes_read(classes, path);
}

int an_classes_name(an_classes *classes, const an_classes *names, uint32_t *named)
{
    *named = 0;
    for (uint32_t i = 0; i < classes->count; i++) {
        uint32_t at;
        if (an_classes_find(names, classes->entries[i].id, &at) || !names->entries[at].name)
            continue;
        char *name = strdup(names->entries[at].name);
        if (!name)
            return an_error(AN_ENOMEM, "out of memory for class names");
        free(classes->entries[i].name);
        classes->entries[i].name = name;
        ++*named;
    }
    return AN_OK;
}
