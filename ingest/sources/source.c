#include "ingest/sources/source.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text/utf8.h"
#include "ingest/sources/archive/note.h"
#include "ingest/sources/source_private.h"

/* The first kind that matches is taken: the more particular ones stand first. */
static const an_source_kind *const kinds[] = {
    &an_source_stream, &an_source_dataset, &an_source_cifar10, &an_source_shards,
    &an_source_folder, &an_source_idx,     &an_source_tar,     &an_source_list,
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

size_t an_source_kind_count(void)
{
    return KINDS;
}

const char *an_source_kind_name(size_t i)
{
    return kinds[i]->name;
}

const char *an_source_kind_description(size_t i)
{
    return kinds[i]->description;
}

static const an_source_kind *kind_called(const char *name)
{
    for (size_t i = 0; i < KINDS; i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

static const an_source_kind *kind_of(const an_source_probe *found)
{
    for (size_t i = 0; i < KINDS; i++)
        if (kinds[i]->matches(found))
            return kinds[i];
    return NULL;
}

/* "no such kind of source: 'zip': use stream, dataset ..." or "'x' is no source of images: ..." */
static int refuse(const an_source_options *options)
{
    char names[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < KINDS && used < sizeof(names); i++)
        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "", kinds[i]->name);
    if (options->kind)
        return an_error(AN_EINVAL, "no such kind of source: '%s': use %s", options->kind, names);
    return an_error(AN_EUNSUPPORTED,
                    "'%s' is no source of images: it is none of %s (an-ingest --help says what each looks like)",
                    options->path, names);
}

static int unused(const char *option, const char *value, const an_source_kind *kind)
{
    return an_error(AN_EINVAL, "--%s '%s' has no effect on a source of the kind '%s': leave it out", option, value,
                    kind->name);
}

/* An option that would be ignored is a mistake. */
static int check_options(const an_source_kind *kind, const an_source_options *options)
{
    if (options->labels && !kind->labels)
        return unused("labels", options->labels, kind);
    if (options->devkit && !kind->devkit)
        return unused("devkit", options->devkit, kind);
    if (options->synsets && !kind->devkit)
        return unused("synsets", options->synsets, kind);
    if (options->synsets && !options->labels)
        return an_error(AN_EINVAL, "--synsets '%s' has no effect without --labels", options->synsets);
    if (options->labels && options->devkit)
        return an_error(AN_EINVAL, "--labels and --devkit both say the labels: give one of them");
    return AN_OK;
}

/* Folders that hold parts of a data set are no classes. */
static int note_splits(an_source *source)
{
    static const char *const splits[] = {"train", "training", "val", "valid", "validation", "test", "testing"};
    uint32_t found = 0, label;
    for (size_t i = 0; i < sizeof(splits) / sizeof(splits[0]); i++)
        found += !an_classes_find(&source->classes, splits[i], &label);
    if (!found || found < source->classes.count)
        return AN_OK;
    return an_note(&source->notes,
                   "the classes are called as if they were the splits of a data set: '%s'%s%s%s: give each of them as "
                   "a SOURCE of its own, and the second one with --classes-from",
                   source->classes.entries[0].id, found > 1 ? ", '" : "",
                   found > 1 ? source->classes.entries[1].id : "", found > 1 ? "'" : "");
}

int an_source_open(an_source **out, const an_source_options *options)
{
    an_source_probe found;
    int rc = an_source_look(&found, options->path);
    if (rc)
        return rc;
    /* Standard input is always a stream: it can be looked at only once. */
    bool named = options->kind && !found.standard_input;
    const an_source_kind *kind = named ? kind_called(options->kind) : kind_of(&found);
    if (!kind)
        return refuse(options);
    rc = check_options(kind, options);
    if (!rc)
        rc = kind->open(out, options);
    if (rc)
        return rc;
    rc = note_splits(*out);
    if (rc) {
        an_source_free(*out);
        *out = NULL;
    }
    return rc;
}

int an_source_check_shuffle(uint64_t items)
{
    if (items <= UINT32_MAX)
        return AN_OK;
    return an_error(AN_EUNSUPPORTED, "%llu items are too many to be shuffled, the limit is %u: use --order source",
                    (unsigned long long)items, UINT32_MAX);
}

void an_source_free(an_source *source)
{
    if (!source)
        return;
    an_classes_free(&source->classes);
    an_buffer_free(&source->notes);
    source->operations->free(source);
}

int an_source_next(an_source *source, an_item *item)
{
    return source->operations->next(source, item);
}

int an_source_skip(an_source *source, uint64_t items)
{
    return source->operations->skip(source, items);
}

#define NAMED_MAX 10u

int an_source_note_empty_classes(an_source *source, const uint64_t *images)
{
    const an_classes *classes = &source->classes;
    uint32_t empty = 0;
    for (uint32_t i = 0; i < classes->count; i++)
        empty += !images[i];
    if (!empty)
        return AN_OK;
    an_buffer names = {0};
    uint32_t named = 0;
    int rc = AN_OK;
    for (uint32_t i = 0; i < classes->count && named < NAMED_MAX && !rc; i++) {
        const char *id = classes->entries[i].id;
        if (!images[i])
            rc = an_buffer_printf(&names, "%s'%.*s'", named++ ? ", " : "", (int)an_utf8_cut(id, strlen(id), 100), id);
    }
    if (!rc)
        rc = an_note(&source->notes, "%u of %u classes have no image: %s%s", empty, classes->count,
                     (const char *)names.data, empty > named ? " and others" : "");
    an_buffer_free(&names);
    return rc;
}

int an_source_note_class_order(an_source *source, const an_classes *listed, const char *path)
{
    uint32_t label, highest = 0;
    for (uint32_t i = 0; i < listed->count; i++) {
        if (an_classes_find(&source->classes, listed->entries[i].id, &label))
            continue;
        if (label < highest)
            return an_note(&source->notes,
                           "'%s' lists the classes in another order than that of their names: give --classes-from '%s' "
                           "for labels in that order",
                           path, path);
        highest = label;
    }
    return AN_OK;
}
