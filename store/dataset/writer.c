/* DESIGN: how a dataset grows without ever being half of one.
 *
 * Everything goes into an LMDB environment in the folder "<path>.partial", which only an_writer_finish renames to path.
 * A lock on its data file keeps a second writer out; with that, LMDB's own lock file is not needed (MDB_NOLOCK), and a
 * finished dataset consists of data.mdb alone, readable from read-only media.
 *
 * One LMDB transaction is open at all times. an_writer_commit stores the counts and the statistics sums in it and
 * commits: only what these counts cover exists. Transactions end at other moments too (see an_writer_make_room): then
 * records lie beyond the counts, with no sums that match them. They are harmless, and a resumed run begins with
 * removing them.
 *
 * The map can only grow between transactions, so each begins with room for all that may come before its end: 64 MB of
 * items plus a reserve for what the commit itself writes. MDB_MAP_FULL is therefore a defect, not a condition. The same
 * limit bounds memory, since LMDB keeps what a transaction wrote until it is committed.
 *
 * After a failure (a full disk, say) the transaction is gone and every further call fails; .partial stands at its last
 * commit. */
#include "store/dataset/writer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "store/dataset/layout_private.h"
#include "store/dataset/writer_private.h"

uint64_t an_writer_count(const an_writer *w)
{
    return w->count;
}

uint64_t an_writer_position(const an_writer *w)
{
    return w->count + an_writer_rejects(w);
}

static int put_record(an_writer *w, const uint8_t key[8], an_record_header *header, const uint8_t *payload)
{
    uint8_t *out;
    int rc = an_writer_reserve(w, w->records, key, 8, AN_RECORD_HEADER_SIZE + (size_t)header->length, true, &out);
    if (rc)
        return rc;
    an_record_header_write(header, payload, out);
    memcpy(out + AN_RECORD_HEADER_SIZE, payload, header->length);
    w->headers += an_dataset_layout_header_sum(out, w->count);
    return AN_OK;
}

static int put_name(an_writer *w, const uint8_t key[8], uint32_t label, const char *name, size_t size)
{
    uint8_t *out;
    int rc = an_writer_reserve(w, w->names, key, 8, 4 + size, true, &out);
    if (rc)
        return rc;
    an_bytes_put_u32(out, label);
    memcpy(out + 4, name, size);
    w->names_sum += an_dataset_layout_name_sum(out, 4 + size, w->count);
    return AN_OK;
}

int an_writer_put(an_writer *w, an_record_header *header, const uint8_t *payload, const char *name)
{
    size_t name_size = strlen(name);
    if (header->width != w->side || header->height != w->side || header->length - 1 >= AN_RECORD_PAYLOAD_MAX)
        return an_error(AN_EINVAL, "cannot store '%s': %u x %u pixels in %u bytes, expected side %u", name,
                        header->width, header->height, header->length, w->side);
    if (name_size > AN_DATASET_LAYOUT_NAME_MAX)
        return an_error(AN_EINVAL, "cannot store '%.60s...': its name is longer than %d bytes", name,
                        AN_DATASET_LAYOUT_NAME_MAX);
    int rc = an_writer_make_room(w, an_writer_footprint(w, AN_RECORD_HEADER_SIZE + (uint64_t)header->length) +
                                        an_writer_footprint(w, 4 + name_size));
    if (rc)
        return rc;
    uint8_t key[8];
    an_bytes_put_key(key, sizeof key, w->count);
    rc = put_record(w, key, header, payload);
    if (!rc)
        rc = put_name(w, key, header->label, name, name_size);
    if (!rc)
        w->count++;
    return rc;
}

int an_writer_put_reject(an_writer *w, uint64_t number, const char *name, const char *reason, uint64_t bytes)
{
    size_t name_size = strnlen(name, AN_DATASET_LAYOUT_NAME_MAX), reason_size = strnlen(reason, AN_ERROR_MAX);
    int rc = an_writer_make_room(w, an_writer_footprint(w, 8 + name_size + 1 + reason_size));
    if (rc)
        return rc;
    uint8_t key[8], *out;
    bool last = number == w->rejects;
    an_bytes_put_key(key, sizeof key, number);
    rc = an_writer_reserve(w, w->rejected, key, sizeof key, 8 + name_size + 1 + reason_size, last, &out);
    if (rc)
        return rc;
    an_bytes_put_u64(out, bytes);
    memcpy(out + 8, name, name_size);
    out[8 + name_size] = '\0';
    memcpy(out + 8 + name_size + 1, reason, reason_size);
    w->rejects += last;
    return AN_OK;
}

int an_writer_reject(an_writer *w, const char *name, const char *reason, uint64_t bytes)
{
    return an_writer_put_reject(w, w->rejects, name, reason, bytes);
}

int an_writer_rejects_visit(an_writer *w,
                            int (*visit)(void *context, const char *name, const char *reason, uint64_t bytes),
                            void *context)
{
    int rc = an_writer_check(w);
    MDB_cursor *cursor;
    if (rc)
        return rc;
    rc = mdb_cursor_open(w->txn, w->rejected, &cursor);
    if (rc)
        return an_writer_fail(w, rc);
    MDB_val key, value;
    int outcome = AN_OK;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (; !rc && !outcome; rc = outcome ? 0 : mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
        outcome = an_dataset_layout_reject(value.mv_data, value.mv_size, &w->scratch, visit, context);
    mdb_cursor_close(cursor);
    return rc && rc != MDB_NOTFOUND ? an_writer_fail(w, rc) : outcome;
}

/* The entry with this number; *size is 0 when there is none. */
static int get_numbered(an_writer *w, MDB_dbi dbi, uint64_t number, const uint8_t **data, size_t *size)
{
    uint8_t bytes[8];
    an_bytes_put_key(bytes, sizeof bytes, number);
    MDB_val key = {sizeof bytes, bytes}, value = {0, NULL};
    int rc = mdb_get(w->txn, dbi, &key, &value);
    *data = value.mv_data;
    *size = rc == MDB_NOTFOUND ? 0 : value.mv_size;
    return rc && rc != MDB_NOTFOUND ? an_writer_fail(w, rc) : AN_OK;
}

int an_writer_expect(an_writer *w, uint32_t label, const char *name)
{
    const uint8_t *record, *reject;
    size_t record_size, reject_size, length = strlen(name), kept = strnlen(name, AN_DATASET_LAYOUT_NAME_MAX);
    int rc = an_writer_check(w);
    if (!rc)
        rc = get_numbered(w, w->names, w->expected_records, &record, &record_size);
    if (!rc)
        rc = get_numbered(w, w->rejected, w->expected_rejects, &reject, &reject_size);
    if (rc)
        return rc;
    if (record_size == 4 + length && an_bytes_u32(record) == label && memcmp(record + 4, name, length) == 0) {
        w->expected_records++;
        return AN_OK;
    }
    if (reject_size > 8 + kept && memcmp(reject + 8, name, kept) == 0 && reject[8 + kept] == '\0') {
        w->expected_rejects++;
        return AN_OK;
    }
    bool named = record_size > 4;
    return an_error(AN_EINVAL,
                    "input %llu of the source is '%s' of class %u, where the interrupted run read '%.*s' of class %u: "
                    "give it the same source, or remove '%s' to start anew",
                    (unsigned long long)(w->expected_records + w->expected_rejects), name, label,
                    named ? (int)(record_size - 4) : 10, named ? (const char *)record + 4 : "other data",
                    named ? an_bytes_u32(record) : 0, w->partial);
}

int an_writer_class(an_writer *w, uint32_t label, const char *id, const char *name)
{
    size_t id_size = strlen(id), name_size = strlen(name);
    if (id_size + name_size > AN_DATASET_LAYOUT_NAME_MAX)
        return an_error(AN_EINVAL, "class %u: its name is longer than %d bytes", label, AN_DATASET_LAYOUT_NAME_MAX);
    int rc = an_writer_make_room(w, an_writer_footprint(w, id_size + 1 + name_size));
    if (rc)
        return rc;
    uint8_t key[4], *out;
    an_bytes_put_key(key, sizeof key, label);
    rc = an_writer_reserve(w, w->classes, key, sizeof key, id_size + 1 + name_size, false, &out);
    if (rc)
        return rc;
    memcpy(out, id, id_size + 1);
    memcpy(out + id_size + 1, name, name_size);
    return AN_OK;
}

void an_writer_close(an_writer *w)
{
    if (!w)
        return;
    if (w->txn)
        mdb_txn_abort(w->txn);
    if (w->env)
        mdb_env_close(w->env);
    if (w->lock >= 0)
        (void)close(w->lock);
    an_buffer_free(&w->scratch);
    an_buffer_free(&w->accepted);
    free(w->path);
    free(w->partial);
    free(w->data);
    free(w);
}
