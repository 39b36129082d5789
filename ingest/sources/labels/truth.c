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

int an_truth_add(an_truth *truth, const char *name, const char *label, uint32_t line)
{
    if (truth->count == truth->capacity) {
        uint64_t capacity = truth->capacity ? 2 * truth->capacity : 1024;
        an_truth_entry *entries = realloc(truth->entries, capacity * sizeof(*entries));
        if (!entries)
            return an_error(AN_ENOMEM, "out of memory for labels");
        truth->entries = entries;
        truth->capacity = capacity;
    }
    an_truth_entry added = {truth->texts.size, truth->texts.size + strlen(name) + 1, line, false};
    int rc = an_buffer_append(&truth->texts, name, strlen(name) + 1);
    if (!rc)
        rc = an_buffer_append(&truth->texts, label, strlen(label) + 1);
    if (!rc)
        truth->entries[truth->count++] = added;
    return rc;
}

const char *an_truth_label(const an_truth *truth, const an_truth_entry *entry)
{
    return (const char *)truth->texts.data + entry->label;
}

/* --- finding --------------------------------------------------------------------------------------------------- */

static const char *name_of(const an_truth *truth, uint64_t i)
{
    return (const char *)truth->texts.data + truth->entries[i].name;
}

static const char *last_part(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

/* By the last part of the names, so that all of one file name stand together; then by the whole names. */
static int compare(const char *a, const char *b)
{
    int order = strcmp(last_part(a), last_part(b));
    return order ? order : strcmp(a, b);
}

static int by_name(const void *a, const void *b, void *context)
{
    const char *texts = context;
    const an_truth_entry *left = a, *right = b;
    int order = compare(texts + left->name, texts + right->name);
    return order ? order : (left->line > right->line) - (left->line < right->line);
}

static int compare_last_parts(const char *a, const char *b)
{
    return strcmp(last_part(a), last_part(b));
}

/* First entry that is equal to or greater than name. */
static uint64_t lower_bound(const an_truth *truth, const char *name, int (*order)(const char *a, const char *b))
{
    uint64_t low = 0, high = truth->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (order(name_of(truth, middle), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Is one of the paths the end of the other, from a folder on? */
static bool is_end_of(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    const char *longer = n > m ? a : b, *shorter = n > m ? b : a;
    size_t more = n > m ? n - m : m - n;
    return strcmp(longer + more, shorter) == 0 && (!more || longer[more - 1] == '/');
}

/* The entry among those from first to end, which have the file name of name, that is meant for it: the only one that is
 * an end of it or of which it is the end, else the only one at all. NULL: none, or several. */
static an_truth_entry *choose(const an_truth *truth, uint64_t first, uint64_t end, const char *name)
{
    an_truth_entry *found = NULL;
    uint64_t fitting = 0;
    for (uint64_t i = first; i < end; i++) {
        if (!is_end_of(name_of(truth, i), name))
            continue;
        found = &truth->entries[i];
        fitting++;
    }
    if (!fitting && end - first == 1)
        return &truth->entries[first];
    return fitting == 1 ? found : NULL;
}

/* Each entry is for one image: where folders were left out of the names, two may have the same. */
static int take(an_truth_entry *entry, const char *name)
{
    if (entry->used)
        return an_error(AN_ECORRUPT,
                        "line %u fits '%s', but also another image before: write the folders of the images in front "
                        "of their names",
                        entry->line, name);
    entry->used = true;
    return AN_OK;
}

int an_truth_find(an_truth *truth, const char *name, uint64_t position, const an_truth_entry **entry)
{
    if (!truth->named && position >= truth->count)
        return an_error(AN_ECORRUPT, "no label for '%s': there are only %llu", name, (unsigned long long)truth->count);
    if (!truth->named) {
        *entry = &truth->entries[position];
        return AN_OK;
    }
    uint64_t same = lower_bound(truth, name, compare);
    if (same < truth->count && strcmp(name_of(truth, same), name) == 0) {
        *entry = &truth->entries[same];
        return take(&truth->entries[same], name);
    }
    uint64_t first = lower_bound(truth, name, compare_last_parts), end = first;
    while (end < truth->count && strcmp(last_part(name_of(truth, end)), last_part(name)) == 0)
        end++;
    an_truth_entry *found = choose(truth, first, end, name);
    *entry = found;
    if (found)
        return take(found, name);
    if (first == end)
        return an_error(AN_ECORRUPT, "no label for '%s'", name);
    return an_error(AN_ECORRUPT, "no label for '%s': line %u and others name such a file in other folders", name,
                    truth->entries[first].line);
}

/* --- reading --------------------------------------------------------------------------------------------------- */

/* If *label is a number, replace it by the class id in that line of the synset list, counted from 1. */
static int through_synsets(const an_classes *synsets, const char **label)
{
    char *end;
    unsigned long number = strtoul(*label, &end, 10);
    if (!synsets->count || *end || end == *label)
        return AN_OK;
    if (number < 1 || number > synsets->count)
        return an_error(AN_ECORRUPT, "class %lu is not among the %u of the synset list", number, synsets->count);
    *label = synsets->entries[number - 1].id;
    return AN_OK;
}

/* The name of an image as sources write it. */
static const char *plain_name(const char *name)
{
    while (name[0] == '.' && name[1] == '/')
        name += 1 + strspn(name + 1, "/");
    return name;
}

static int read_line(an_truth *truth, char *line, uint32_t number, const an_classes *synsets)
{
    int rc = an_line_check_mark(line);
    if (!rc && an_line_is_ambiguous(line))
        rc = an_error(AN_ECORRUPT, "'%.200s' has several tabs or blanks: expected image name, tab, class", line);
    if (rc)
        return rc;
    const char *label = an_line_cut_last(line), *name = plain_name(line);
    bool named = *label;
    if (!named)
        label = line, name = "";
    if (truth->count && named != truth->named)
        return an_error(AN_ECORRUPT, "some lines have an image name and some have none");
    truth->named = named;
    rc = through_synsets(synsets, &label);
    return rc ? rc : an_truth_add(truth, name, label, number);
}

/* Sort by name. A name that comes again with the same class counts once; with another class it is refused. */
static int sort(an_truth *truth)
{
    if (!truth->named)
        return AN_OK;
    qsort_r(truth->entries, truth->count, sizeof(*truth->entries), by_name, truth->texts.data);
    uint64_t kept = 0;
    for (uint64_t i = 1; i < truth->count; i++) {
        const an_truth_entry *before = &truth->entries[kept], *now = &truth->entries[i];
        if (strcmp(name_of(truth, kept), name_of(truth, i)) != 0) {
            truth->entries[++kept] = *now;
            continue;
        }
        if (strcmp(an_truth_label(truth, before), an_truth_label(truth, now)) != 0)
            return an_error(AN_ECORRUPT, "'%s' has class '%s' in line %u, but '%s' in line %u", name_of(truth, i),
                            an_truth_label(truth, before), before->line, an_truth_label(truth, now), now->line);
    }
    truth->count = kept + 1;
    return AN_OK;
}

static int read_labels(an_truth *truth, an_lines *lines, const an_classes *synsets)
{
    char *line;
    while (an_lines_next(lines, &line)) {
        int rc = read_line(truth, line, lines->number, synsets);
        if (rc)
            return an_error_prefix(rc, "line %u", lines->number);
    }
    return truth->count ? sort(truth) : an_error(AN_ECORRUPT, "no labels in it");
}

int an_truth_read(an_truth *truth, const char *labels, const char *synsets)
{
    an_lines lines = {0};
    an_classes ids = {0};
    int rc = synsets ? an_classes_read(&ids, synsets, NULL) : AN_OK;
    if (!rc)
        rc = an_lines_read(&lines, labels);
    if (!rc) {
        rc = read_labels(truth, &lines, &ids);
        if (rc)
            an_error_prefix(rc, "'%s'", labels);
    }
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
    return an_error(AN_ECORRUPT, "'%s' holds %llu files, but there are %llu labels", path, (unsigned long long)images,
                    (unsigned long long)truth->count);
}
