/* Classes for labels that nobody named. Which labels there are stands in the database of names, also of those records
 * that an interrupted run wrote. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "store/dataset/layout_private.h"
#include "store/dataset/writer_private.h"

typedef struct {
    uint32_t label;
    size_t id; /* place of its id in texts */
} class_id;

typedef struct {
    an_buffer used, classed; /* a byte for each label: it has records; it has a class */
    an_buffer texts;         /* ids, each with a terminator */
    an_buffer ids;           /* class_id, of all classes */
} labels;

static void labels_free(labels *l)
{
    an_buffer_free(&l->used);
    an_buffer_free(&l->classed);
    an_buffer_free(&l->texts);
    an_buffer_free(&l->ids);
}

static bool has(const an_buffer *marks, size_t label)
{
    return label < marks->size && marks->data[label];
}

static int mark(an_buffer *marks, uint32_t label)
{
    size_t size = (size_t)label + 1;
    if (size > marks->size) {
        int rc = an_buffer_reserve(marks, size);
        if (rc)
            return rc;
        memset(marks->data + marks->size, 0, size - marks->size);
        marks->size = size;
    }
    marks->data[label] = 1;
    return AN_OK;
}

static int add_id(labels *l, uint32_t label, const char *id)
{
    class_id one = {.label = label, .id = l->texts.size};
    int rc = an_buffer_append(&l->texts, id, strlen(id) + 1);
    return rc ? rc : an_buffer_append(&l->ids, &one, sizeof one);
}

static int see_name(labels *l, const MDB_val *key, const MDB_val *value)
{
    (void)key;
    return mark(&l->used, an_bytes_u32(value->mv_data));
}

static int see_class(labels *l, const MDB_val *key, const MDB_val *value)
{
    uint32_t label = (uint32_t)an_bytes_key(key->mv_data, key->mv_size);
    int rc = mark(&l->classed, label);
    return rc ? rc : add_id(l, label, value->mv_data);
}

static int walk(an_writer *w, MDB_dbi dbi, int (*see)(labels *, const MDB_val *, const MDB_val *), labels *l)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(w->txn, dbi, &cursor), outcome = AN_OK;
    if (rc)
        return an_writer_fail(w, rc);
    while (!outcome && !(rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)))
        outcome = see(l, &key, &value);
    mdb_cursor_close(cursor);
    return !outcome && rc != MDB_NOTFOUND ? an_writer_fail(w, rc) : outcome;
}

static int check_gaps(const labels *l)
{
    size_t count = l->used.size > l->classed.size ? l->used.size : l->classed.size;
    for (size_t i = 0; i < count; i++)
        if (!has(&l->used, i) && !has(&l->classed, i))
            return an_error(
                AN_EINVAL,
                "label %zu has neither images nor a class, but label %zu has: name its class, or use labels "
                "that count from 0 without gaps",
                i, count - 1);
    return AN_OK;
}

static bool is_unnamed(const labels *l, size_t label)
{
    return has(&l->used, label) && !has(&l->classed, label);
}

/* By id; texts is the same for both. */
static int compare(const void *a, const void *b, void *texts)
{
    return strcmp((const char *)texts + ((const class_id *)a)->id, (const char *)texts + ((const class_id *)b)->id);
}

/* Every class of the dataset-to-be is in ids. */
static int check_twins(labels *l)
{
    class_id *ids = (class_id *)(void *)l->ids.data;
    size_t count = l->ids.size / sizeof *ids;
    if (count)
        qsort_r(ids, count, sizeof *ids, compare, l->texts.data);
    for (size_t i = 1; i < count; i++)
        if (!compare(&ids[i - 1], &ids[i], l->texts.data))
            return an_error(AN_EINVAL, "classes %" PRIu32 " and %" PRIu32 " have the same id '%s': give each its own",
                            ids[i - 1].label < ids[i].label ? ids[i - 1].label : ids[i].label,
                            ids[i - 1].label < ids[i].label ? ids[i].label : ids[i - 1].label,
                            (const char *)l->texts.data + ids[i].id);
    return AN_OK;
}

/* Call see for each label that gets its number. */
static int number(labels *l, int (*see)(void *context, uint32_t label, const char *id), void *context)
{
    int rc = AN_OK;
    for (size_t i = 0; !rc && i < l->used.size; i++) {
        char id[24];
        snprintf(id, sizeof id, "%zu", i);
        if (is_unnamed(l, i))
            rc = see(context, (uint32_t)i, id);
    }
    return rc;
}

static int plan(void *context, uint32_t label, const char *id)
{
    return add_id(context, label, id);
}

static int define(void *context, uint32_t label, const char *id)
{
    return an_writer_class(context, label, id, id);
}

int an_writer_number_classes(an_writer *w)
{
    labels l = {0};
    int rc = an_writer_check(w);
    if (rc)
        return rc;
    rc = walk(w, w->names, see_name, &l);
    if (!rc)
        rc = walk(w, w->classes, see_class, &l);
    if (!rc)
        rc = check_gaps(&l);
    if (!rc)
        rc = number(&l, plan, &l);
    if (!rc)
        rc = check_twins(&l);
    if (!rc)
        rc = number(&l, define, w); /* no cursor is open: this may end the transaction */
    labels_free(&l);
    return rc;
}
