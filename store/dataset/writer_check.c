/* What an interrupted run has written is checked before it is continued, payloads included: reading it once takes
 * seconds where writing it took minutes, and a dataset that cannot be used would be found out only at the end. The
 * pages have been checked by then (lmdb_audit_private.h), so LMDB may read them. What lies beyond the counts, which the
 * writer is about to remove, is not looked at. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "store/dataset/layout_private.h"
#include "store/dataset/writer_private.h"

#define REMEDY "; remove it to start over"

static int damaged(const an_writer *w, const char *what)
{
    return an_error(AN_ECORRUPT, "'%s' is damaged: %s" REMEDY, w->partial, what);
}

/* The transaction must outlive the cursors, so it is not ended here as an_writer_fail does. */
static int cannot_read(const an_writer *w, int rc)
{
    return rc > 0 ? an_error_errno(rc, "cannot read '%s'", w->data) : damaged(w, mdb_strerror(rc));
}

/* Go through the first `count` items of a database, which must be numbered from 0. */
typedef struct {
    MDB_cursor *cursor;
    MDB_val key, value;
} items;

static int open_items(an_writer *w, MDB_dbi dbi, items *out)
{
    *out = (items){0};
    int rc = mdb_cursor_open(w->txn, dbi, &out->cursor);
    if (rc)
        out->cursor = NULL;
    return rc ? cannot_read(w, rc) : AN_OK;
}

static void close_items(items *list)
{
    if (list->cursor)
        mdb_cursor_close(list->cursor);
}

static int next_item(an_writer *w, items *list, uint64_t number, size_t key_size)
{
    int rc = mdb_cursor_get(list->cursor, &list->key, &list->value, MDB_NEXT);
    if (rc && rc != MDB_NOTFOUND)
        return cannot_read(w, rc);
    if (rc || list->key.mv_size != key_size || an_bytes_key(list->key.mv_data, key_size) != number)
        return damaged(w, "its entries are fewer than it says, or not numbered in order");
    return AN_OK;
}

static int check_record(an_writer *w, uint64_t number, const MDB_val *record, const MDB_val *name, uint64_t *sum)
{
    an_record parsed;
    int rc = an_record_parse(record->mv_data, record->mv_size, &parsed);
    if (!rc)
        rc = an_record_verify(&parsed);
    if (!rc && (name->mv_size < 4 || name->mv_size > UINT16_MAX || an_bytes_u32(name->mv_data) != parsed.header.label ||
                parsed.header.width != w->side || parsed.header.height != w->side))
        rc = an_error(AN_ECORRUPT, "its header contradicts its name's entry");
    if (rc)
        return an_error(AN_ECORRUPT, "'%s' is damaged: record %llu: %s" REMEDY, w->partial, (unsigned long long)number,
                        an_error_message());
    *sum += an_dataset_layout_header_sum(record->mv_data, number);
    w->names_sum += an_dataset_layout_name_sum(name->mv_data, name->mv_size, number);
    return AN_OK;
}

static int check_pairs(an_writer *w, items *records, items *names)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < w->count; i++) {
        int rc = next_item(w, records, i, 8);
        if (!rc)
            rc = next_item(w, names, i, 8);
        if (!rc)
            rc = check_record(w, i, &records->value, &names->value, &sum);
        if (rc)
            return rc;
    }
    return sum == w->headers ? AN_OK : damaged(w, "records were exchanged or repeated");
}

static int check_records(an_writer *w)
{
    items records, names = {0};
    int rc = open_items(w, w->records, &records);
    if (!rc)
        rc = open_items(w, w->names, &names);
    if (!rc)
        rc = check_pairs(w, &records, &names);
    close_items(&names);
    close_items(&records);
    return rc;
}

static int accept_reject(void *context, const char *name, const char *reason, uint64_t bytes)
{
    (void)context, (void)name, (void)reason, (void)bytes;
    return AN_OK;
}

static int check_rejects(an_writer *w)
{
    items list;
    int rc = open_items(w, w->rejected, &list);
    for (uint64_t i = 0; !rc && i < w->rejects; i++) {
        rc = next_item(w, &list, i, 8);
        if (!rc && list.value.mv_size > UINT16_MAX)
            rc = damaged(w, "an entry of the rejected inputs is too long");
        if (rc)
            break;
        rc = an_dataset_layout_reject(list.value.mv_data, list.value.mv_size, &w->scratch, accept_reject, NULL);
        if (rc)
            rc = damaged(w, an_error_message());
    }
    close_items(&list);
    return rc;
}

/* All of them: the run defines classes anew, but removes none. */
static int check_classes(an_writer *w)
{
    MDB_stat stat;
    items list;
    int rc = mdb_stat(w->txn, w->classes, &stat);
    if (rc)
        return an_writer_fail(w, rc);
    rc = open_items(w, w->classes, &list);
    for (uint64_t i = 0; !rc && i < stat.ms_entries; i++) {
        rc = next_item(w, &list, i, 4);
        if (!rc && !memchr(list.value.mv_data, '\0', list.value.mv_size))
            rc = damaged(w, "a class has no name");
    }
    close_items(&list);
    return rc;
}

/* AN_END: there is no such value. */
static int get_number(an_writer *w, const char *name, uint64_t *out)
{
    MDB_val key = {strlen(name), (void *)(uintptr_t)name}, value;
    int rc = mdb_get(w->txn, w->meta, &key, &value);
    if (rc)
        return rc == MDB_NOTFOUND ? AN_END : an_writer_fail(w, rc);
    *out = value.mv_size == 8 ? an_bytes_u64(value.mv_data) : 0;
    return AN_OK;
}

/* A run that was killed right before the rename left the checksum of everything else. */
static int check_checksum(an_writer *w)
{
    uint64_t checksum = 0, stored;
    int rc = get_number(w, AN_DATASET_LAYOUT_CHECKSUM, &stored);
    if (rc)
        return rc == AN_END ? AN_OK : rc;
    rc = an_writer_checksum(w, &checksum);
    if (rc)
        return rc;
    return checksum == stored ? AN_OK : damaged(w, "the checksum over index, names and classes does not match");
}

/* Every other one left this. Programs before it was stored did not: then names and statistics are believed. */
static int check_names_and_sums(an_writer *w)
{
    uint64_t stored;
    int rc = get_number(w, AN_DATASET_LAYOUT_WRITTEN, &stored);
    if (rc)
        return rc == AN_END ? AN_OK : rc;
    rc = an_writer_pack_sums(w);
    if (rc)
        return rc;
    uint64_t now = an_dataset_layout_written(w->names_sum, w->scratch.data, w->scratch.size);
    return now == stored ? AN_OK : damaged(w, "the checksum over names and statistics does not match");
}

int an_writer_check_written(an_writer *w)
{
    int rc = w->sums->images == w->count ? AN_OK : damaged(w, "its statistics are of other records");
    if (!rc)
        rc = check_checksum(w);
    if (!rc)
        rc = check_classes(w);
    if (!rc)
        rc = check_rejects(w);
    if (!rc)
        rc = check_records(w);
    return rc ? rc : check_names_and_sums(w);
}
