#include "ingest/sources/labels/synsets_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "ingest/sources/labels/matlab_private.h"

enum { ID, WNID, WORDS, CHILDREN, FIELDS };
static const char *const names[FIELDS] = {"ILSVRC2012_ID", "WNID", "words", "num_children"};

void an_synsets_free(an_synsets *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->entries[i].wnid);
        free(list->entries[i].words);
    }
    free(list->entries);
    free(list->by_id);
    memset(list, 0, sizeof(*list));
}

const an_synset *an_synsets_find(const an_synsets *list, unsigned long id)
{
    uint32_t at = id <= list->id_max && list->by_id ? list->by_id[id] : 0;
    return at ? &list->entries[at - 1] : NULL;
}

/* A synset without children is a class; the others are groups of classes. *taken: it is a class. */
static int make_synset(const an_matlab_array fields[FIELDS], size_t number, an_synset *out)
{
    uint32_t children;
    if (!an_matlab_whole(&fields[CHILDREN], INT32_MAX, &children))
        return an_error(AN_ECORRUPT, "num_children of synset %zu is no whole number", number);
    if (children > 0)
        return AN_END;
    if (!an_matlab_whole(&fields[ID], AN_SYNSETS_ID_MAX, &out->id) || out->id < 1)
        return an_error(AN_ECORRUPT, "ILSVRC2012_ID of synset %zu is no whole number from 1 to %u", number,
                        AN_SYNSETS_ID_MAX);
    int rc = an_matlab_text(&out->wnid, &fields[WNID]);
    if (!rc)
        rc = an_matlab_text(&out->words, &fields[WORDS]);
    if (rc == AN_ENOTFOUND || (!rc && out->wnid[0] == 0))
        rc = an_error(AN_ECORRUPT, "WNID or words of synset %zu is no text", number);
    return rc;
}

static int read_synset(an_matlab_struct *array, const uint32_t at[FIELDS], size_t number, an_synsets *out)
{
    an_matlab_array fields[FIELDS] = {{0}}, field;
    for (uint32_t i = 0; i < array->fields; i++) {
        int rc = an_matlab_next(array, &field);
        if (rc)
            return rc;
        for (int k = 0; k < FIELDS; k++)
            if (at[k] == i)
                fields[k] = field;
    }
    an_synset one = {0};
    int rc = make_synset(fields, number, &one);
    if (!rc) {
        out->entries[out->count++] = one;
        return AN_OK;
    }
    free(one.wnid);
    free(one.words);
    return rc == AN_END ? AN_OK : rc;
}

static int by_wnid(const void *a, const void *b)
{
    return strcmp(((const an_synset *)a)->wnid, ((const an_synset *)b)->wnid);
}

static int sort(an_synsets *list)
{
    if (!list->count)
        return an_error(AN_ECORRUPT, "it names no classes");
    qsort(list->entries, list->count, sizeof(*list->entries), by_wnid);
    for (size_t i = 0; i < list->count; i++)
        list->id_max = list->entries[i].id > list->id_max ? list->entries[i].id : list->id_max;
    list->by_id = calloc((size_t)list->id_max + 1, sizeof(*list->by_id));
    if (!list->by_id)
        return an_error(AN_ENOMEM, "out of memory for synsets");
    for (size_t i = 0; i < list->count; i++) {
        uint32_t *slot = &list->by_id[list->entries[i].id];
        if (*slot)
            return an_error(AN_ECORRUPT, "two classes have ILSVRC2012_ID %u", list->entries[i].id);
        *slot = (uint32_t)i + 1;
    }
    return AN_OK;
}

static int read_all(an_synsets *out, const an_buffer *meta, an_buffer *unpacked)
{
    an_matlab_array variable;
    an_matlab_struct array;
    uint32_t at[FIELDS];
    int rc = an_matlab_find(meta, "synsets", unpacked, &variable);
    if (!rc)
        rc = an_matlab_struct_open(&array, &variable);
    if (rc)
        return rc;
    for (int k = 0; k < FIELDS; k++) {
        at[k] = an_matlab_field(&array, names[k]);
        if (at[k] == array.fields)
            return an_error(AN_ECORRUPT, "its synsets have no field '%s'", names[k]);
    }
    out->entries = calloc((size_t)array.count + 1, sizeof(*out->entries));
    if (!out->entries)
        return an_error(AN_ENOMEM, "out of memory for synsets");
    for (size_t i = 0; i < array.count && !rc; i++)
        rc = read_synset(&array, at, i + 1, out);
    return rc ? rc : sort(out);
}

int an_synsets_read(an_synsets *out, const an_buffer *meta)
{
    an_buffer unpacked = {0};
    memset(out, 0, sizeof(*out));
    int rc = read_all(out, meta, &unpacked);
    an_buffer_free(&unpacked);
    if (!rc)
        return AN_OK;
    an_synsets_free(out);
    return an_error_prefix(rc, "meta.mat");
}
