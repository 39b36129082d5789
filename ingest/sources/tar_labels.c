/* Labels of a tar's files that are kept apart from them: --labels, --devkit. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "ingest/sources/tar_private.h"

static int by_member_name(const void *a, const void *b, void *context)
{
    const an_tar_source *s = context;
    return strcmp(an_tar_name(s, *(const uint64_t *)a), an_tar_name(s, *(const uint64_t *)b));
}

/* Add the i-th member, which is the position-th in the order of names. */
static int add_labelled(an_tar_source *s, uint64_t i, uint64_t position)
{
    const an_truth_entry *entry;
    uint32_t label;
    if (s->members.entries[i].kind == AN_MEMBER_REFUSED) /* it is set aside, whatever its label */
        return an_tar_add(s, i, "");
    int rc = an_truth_find(&s->truth, an_tar_name(s, i), position, &entry);
    const char *labels = s->options->labels;
    if (rc)
        return an_error_prefix(rc, "'%s'", labels ? labels : s->options->devkit);
    const char *class_id = an_truth_label(&s->truth, entry);
    rc = an_listing_class_at(s->listing, class_id, labels ? entry->line : 0, &label);
    return rc ? rc : an_tar_add(s, i, class_id);
}

int an_tar_add_by_truth(an_tar_source *s)
{
    uint64_t count = 0, *order = malloc((s->members.count + 1) * sizeof(*order));
    if (!order)
        return an_error(AN_ENOMEM, "out of memory for the list of '%s'", s->options->path);
    int rc = an_members_refuse_repeated(&s->members);
    for (uint64_t i = 0; i < s->members.count; i++)
        if (an_tar_is_input(&s->members.entries[i]))
            order[count++] = i;
    qsort_r(order, count, sizeof(*order), by_member_name, s);
    if (!rc)
        rc = an_truth_check_count(&s->truth, s->options->path, count);
    for (uint64_t i = 0; i < count && !rc; i++)
        rc = add_labelled(s, order[i], i);
    free(order);
    return rc;
}

static size_t length_of_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

/* A path in the folder that all files lie in; NULL if they lie in several, or in none. */
static const char *only_folder(const an_tar_source *s)
{
    const char *first = NULL;
    for (uint64_t i = 0; i < s->members.count; i++) {
        if (!an_tar_is_input(&s->members.entries[i]))
            continue;
        const char *name = an_tar_name(s, i);
        size_t length = length_of_folder(name);
        first = first ? first : name;
        if (!length || length != length_of_folder(first) || memcmp(name, first, length) != 0)
            return NULL;
    }
    return first;
}

int an_tar_is_flat_within(const an_tar_source *s, bool *flat)
{
    an_buffer id = {0};
    uint32_t label;
    const char *path = only_folder(s);
    *flat = false;
    if (!path)
        return AN_OK;
    int rc = an_buffer_printf(&id, "%.*s", (int)length_of_folder(path), path);
    if (!rc) {
        const char *folder = (const char *)id.data, *slash = strrchr(folder, '/');
        bool is_class = !an_classes_find(&s->truth.classes, slash ? slash + 1 : folder, &label);
        *flat = !is_class;
    }
    an_buffer_free(&id);
    return rc;
}
