#include "ingest/sources/labels/classes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

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
    free(classes->slots);
    memset(classes, 0, sizeof(*classes));
}

/* The slot of id: the one that leads to it, or the free one where it would stand. There must be slots. */
static uint32_t slot_of(const an_classes *classes, const char *id)
{
    uint32_t at = (uint32_t)XXH3_64bits(id, strlen(id)) & (classes->room - 1);
    while (classes->slots[at] && strcmp(classes->entries[classes->slots[at] - 1].id, id) != 0)
        at = (at + 1) & (classes->room - 1);
    return at;
}

int an_classes_find(const an_classes *classes, const char *id, uint32_t *label)
{
    uint32_t found = classes->room ? classes->slots[slot_of(classes, id)] : 0;
    if (!found)
        return AN_ENOTFOUND;
    *label = found - 1;
    return AN_OK;
}

static void fill_slots(an_classes *classes)
{
    memset(classes->slots, 0, classes->room * sizeof(*classes->slots));
    for (uint32_t i = 0; i < classes->count; i++)
        classes->slots[slot_of(classes, classes->entries[i].id)] = i + 1;
}

/* Make room for one more: half of the slots stay free. */
static int grow(an_classes *classes)
{
    if (classes->count < classes->room / 2)
        return AN_OK;
    uint32_t room = classes->room ? 2 * classes->room : 128;
    if (!room)
        return an_error(AN_EUNSUPPORTED, "more than %u classes", classes->count);
    an_class_entry *entries = realloc(classes->entries, room / 2 * sizeof(*entries));
    if (entries)
        classes->entries = entries;
    uint32_t *slots = entries ? malloc(room * sizeof(*slots)) : NULL;
    if (!slots)
        return an_error(AN_ENOMEM, "out of memory for classes");
    free(classes->slots);
    classes->slots = slots;
    classes->room = room;
    fill_slots(classes);
    return AN_OK;
}

int an_classes_add(an_classes *classes, const char *id, const char *name)
{
    uint32_t label;
    if (!an_classes_find(classes, id, &label))
        return an_error(AN_ECORRUPT, "class '%s' appears twice", id);
    int rc = grow(classes);
    if (rc)
        return rc;
    an_class_entry entry = {strdup(id), name ? strdup(name) : NULL, 0};
    if (!entry.id || (name && !entry.name)) {
        free(entry.id);
        free(entry.name);
        return an_error(AN_ENOMEM, "out of memory for classes");
    }
    classes->entries[classes->count++] = entry;
    classes->slots[slot_of(classes, id)] = classes->count;
    return AN_OK;
}

int an_classes_copy(an_classes *into, const an_classes *from)
{
    int rc = AN_OK;
    for (uint32_t i = 0; i < from->count && !rc; i++)
        rc = an_classes_add(into, from->entries[i].id, from->entries[i].name);
    return rc;
}

typedef struct {
    an_class_entry entry;
    uint32_t before;
} sorting;

static int by_id(const void *a, const void *b)
{
    return strcmp(((const sorting *)a)->entry.id, ((const sorting *)b)->entry.id);
}

int an_classes_sort(an_classes *classes, uint32_t *map)
{
    if (!classes->count)
        return AN_OK;
    sorting *sorted = malloc(classes->count * sizeof(*sorted));
    if (!sorted)
        return an_error(AN_ENOMEM, "out of memory for classes");
    for (uint32_t i = 0; i < classes->count; i++)
        sorted[i] = (sorting){classes->entries[i], i};
    qsort(sorted, classes->count, sizeof(*sorted), by_id);
    for (uint32_t i = 0; i < classes->count; i++) {
        classes->entries[i] = sorted[i].entry;
        map[sorted[i].before] = i;
    }
    free(sorted);
    fill_slots(classes);
    return AN_OK;
}

/* Cut a line into id and name. */
static const char *cut(char *line, const an_classes *known)
{
    uint32_t label;
    if (!known)
        return an_line_cut_id(line);
    return an_classes_find(known, line, &label) ? an_line_cut_first(line) : "";
}

int an_classes_read(an_classes *classes, const char *path, const an_classes *known)
{
    an_lines lines;
    char *line;
    int rc = an_lines_read(&lines, path);
    while (!rc && an_lines_next(&lines, &line)) {
        rc = an_line_check_mark(line);
        const char *name = rc ? "" : cut(line, known);
        if (!rc)
            rc = an_classes_add(classes, line, *name ? name : NULL);
        if (rc)
            an_error_prefix(rc, "'%s': line %u", path, lines.number);
    }
    if (!rc && !classes->count)
        rc = an_error(AN_ECORRUPT, "no classes in '%s': expected lines of class id, tab, name", path);
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
    return an_classes_read(classes, path, NULL);
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
