/* A dataset as a source. Its records are decoded, resized if the side differs, and encoded again; a record that already
 * has the wanted side and codec is copied. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/rng.h"
#include "ingest/sources/source_private.h"
#include "store/dataset/dataset.h"

typedef struct {
    an_source source; /* must be first: pointers to the two are cast into each other */
    an_dataset *dataset;
    uint32_t *order;  /* order[i]: record that is the i-th item; NULL: the order of the dataset */
    uint32_t *labels; /* labels[old label]: label in the new dataset */
    uint64_t next;
} dataset_source;

static void source_free(an_source *source)
{
    dataset_source *s = (dataset_source *)source;
    an_dataset_free(s->dataset);
    free(s->order);
    free(s->labels);
    free(s);
}

static int source_next(an_source *source, an_item *item)
{
    dataset_source *s = (dataset_source *)source;
    if (s->next == an_dataset_count(s->dataset))
        return AN_END;
    uint64_t index = s->order ? s->order[s->next] : s->next;
    const char *name;
    size_t length;
    int rc = an_dataset_name(s->dataset, index, &name, &length);
    if (!rc)
        rc = an_dataset_record(s->dataset, index, &item->record);
    if (rc)
        return an_error_prefix(rc, "record %llu", (unsigned long long)index);
    s->next++;
    item->kind = AN_ITEM_RECORD;
    item->label = s->labels[an_dataset_index(s->dataset)[index].label];
    item->size = item->record.header.length;
    item->name.size = 0;
    return an_buffer_printf(&item->name, "%.*s", (int)length, name);
}

static int source_skip(an_source *source, uint64_t items)
{
    dataset_source *s = (dataset_source *)source;
    if (items > an_dataset_count(s->dataset) - s->next)
        return an_error(AN_ECORRUPT, "the source has fewer records than were read from it before");
    s->next += items;
    return AN_OK;
}

static int shuffle(dataset_source *s, uint64_t seed)
{
    uint64_t count = s->source.items;
    int rc = an_source_check_shuffle(count);
    if (rc)
        return rc;
    s->order = malloc(count * sizeof(*s->order));
    if (!s->order)
        return an_error(AN_ENOMEM, "out of memory for the order of %llu records", (unsigned long long)count);
    an_rng rng = an_rng_make(seed, AN_RNG_INGEST, 0, 0);
    for (uint64_t i = 0; i < count; i++) {
        uint32_t other = an_rng_below(&rng, (uint32_t)i + 1);
        s->order[i] = s->order[other];
        s->order[other] = (uint32_t)i;
    }
    return AN_OK;
}

static int take_classes(dataset_source *s, const an_classes *given)
{
    uint32_t count = an_dataset_class_count(s->dataset);
    s->labels = malloc((count + 1) * sizeof(*s->labels));
    if (!s->labels)
        return an_error(AN_ENOMEM, "out of memory for classes");
    int rc = given ? an_classes_copy(&s->source.classes, given) : AN_OK;
    for (uint32_t i = 0; i < count && !rc; i++) {
        const an_class *one = an_dataset_class(s->dataset, i);
        s->labels[i] = i;
        if (!given)
            rc = an_classes_add(&s->source.classes, one->id, strcmp(one->id, one->name) ? one->name : NULL);
        else if (an_classes_find(given, one->id, &s->labels[i]))
            rc = an_error(AN_ECORRUPT, "class '%s' is not among the %u given classes", one->id, given->count);
    }
    return rc;
}

static int fill(dataset_source *s, const an_source_options *options)
{
    int rc = an_dataset_open(&s->dataset, options->path);
    if (rc)
        return rc;
    s->source.items = an_dataset_count(s->dataset);
    s->source.bytes = an_dataset_file_size(s->dataset);
    s->source.identity = an_dataset_fingerprint(s->dataset);
    rc = take_classes(s, options->classes);
    if (!rc && !s->source.items)
        rc = an_error(AN_ECORRUPT, "no records in '%s'", options->path);
    return rc || !options->shuffle ? rc : shuffle(s, options->seed);
}

static int open_dataset(an_source **out, const an_source_options *options)
{
    static const an_source_operations operations = {source_next, source_skip, source_free, NULL, NULL};
    dataset_source *s = calloc(1, sizeof(*s));
    if (!s)
        return an_error(AN_ENOMEM, "out of memory for a source");
    s->source.operations = &operations;
    s->source.kind = "dataset";
    int rc = fill(s, options);
    if (rc)
        an_source_free(&s->source);
    else
        *out = &s->source;
    return rc;
}

static bool matches(const an_source_probe *found)
{
    return an_source_holds(found, "data.mdb");
}

const an_source_kind an_source_dataset = {
    .name = "dataset",
    .description = "a dataset that an-ingest wrote",
    .matches = matches,
    .open = open_dataset,
};
