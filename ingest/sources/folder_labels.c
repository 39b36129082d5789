/* Labels of a folder's files that are kept apart from them: --labels, --devkit. Which folders the files lie in does not
 * matter, but tells files of one name apart. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "ingest/sources/folder_private.h"

typedef struct {
    uint64_t name, size; /* name: position in the walk's names */
} found_file;

/* Note that there is a class folder of this name, if it is one. */
static int visit_candidate(an_folder_walk *w, const char *name, uint32_t label, int depth)
{
    struct stat status;
    bool left_out;
    (void)label, (void)depth;
    int rc = an_folder_look_at(w, name, &status);
    if (rc || !S_ISDIR(status.st_mode))
        return rc;
    rc = an_folder_check(w, name, &left_out);
    if (rc || left_out)
        return rc;
    w->last_folder.size = 0;
    w->folders++;
    return an_buffer_printf(&w->last_folder, "%s", name);
}

int an_folder_open_truth(an_folder_walk *w, bool *flat)
{
    const an_source_options *options = w->options;
    uint32_t label;
    int rc = an_truth_open(&w->truth, options->labels, options->synsets, options->devkit);
    *flat = options->labels != NULL;
    if (rc || !options->devkit || *flat)
        return rc;
    /* Validation images may have been unpacked with their folder: then it is the only one, and no class. */
    an_place_left_out left_out = w->left_out;
    rc = an_folder_each(w, "", visit_candidate, 0, 1);
    w->left_out = left_out;
    bool is_class = !rc && w->folders && !an_classes_find(&w->truth.classes, (char *)w->last_folder.data, &label);
    *flat = w->folders <= 1 && !is_class;
    return rc;
}

static int visit_file(an_folder_walk *w, const char *name, uint32_t label, int depth)
{
    struct stat status;
    bool left_out;
    int rc = an_folder_look_at(w, name, &status);
    if (rc)
        return rc;
    if (!S_ISDIR(status.st_mode)) {
        found_file file = {w->names.size, (uint64_t)status.st_size};
        rc = an_buffer_append(&w->files, &file, sizeof(file));
        return rc ? rc : an_buffer_append(&w->names, name, strlen(name) + 1);
    }
    rc = an_folder_check(w, name, &left_out);
    if (rc || left_out)
        return rc;
    rc = an_folder_enter(w, name, &status, depth);
    return rc ? rc : an_folder_each(w, name, visit_file, label, depth + 1);
}

static int by_file_name(const void *a, const void *b, void *names)
{
    return strcmp((const char *)names + ((const found_file *)a)->name,
                  (const char *)names + ((const found_file *)b)->name);
}

static int add_file(an_folder_walk *w, const found_file *file, uint64_t position)
{
    const char *name = (const char *)w->names.data + file->name;
    const an_truth_entry *entry;
    uint32_t label;
    const char *labels = w->options->labels;
    int rc = an_truth_find(&w->truth, name, position, &entry);
    if (rc)
        return an_error_prefix(rc, "'%s'", labels ? labels : w->options->devkit);
    rc = an_listing_class_at(w->listing, an_truth_label(&w->truth, entry), labels ? entry->line : 0, &label);
    return rc ? rc : an_listing_add(w->listing, name, label, AN_LISTING_OWN_FILE, 0, file->size);
}

int an_folder_add_flat(an_folder_walk *w)
{
    struct stat status;
    int rc = an_folder_look_at(w, "", &status);
    if (!rc)
        rc = an_folder_enter(w, "", &status, 0);
    if (!rc)
        rc = an_folder_each(w, "", visit_file, 0, 1);
    found_file *files = (found_file *)w->files.data;
    uint64_t count = w->files.size / sizeof(*files);
    if (!rc && count)
        qsort_r(files, count, sizeof(*files), by_file_name, w->names.data);
    for (uint64_t i = 0; i < count && !rc; i++)
        rc = add_file(w, &files[i], i);
    return rc ? rc : an_truth_check_count(&w->truth, w->root, count);
}
