/* Inputs that an interrupted run set aside, when the run goes on: they may have been mended since. Their entries are
 * numbered from 0, and what is said of them becomes valid with a commit only, together with the counts. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "store/dataset/layout_private.h"
#include "store/dataset/manifest_private.h"
#include "store/dataset/writer_private.h"

int an_writer_reject_again(an_writer *w, uint64_t number, const char *name, const char *reason, uint64_t bytes)
{
    return an_writer_put_reject(w, number, name, reason, bytes);
}

int an_writer_accept(an_writer *w, uint64_t number)
{
    return an_buffer_append(&w->accepted, &number, sizeof number);
}

static uint64_t accepted_count(const an_writer *w)
{
    return w->accepted.size / sizeof(uint64_t);
}

uint64_t an_writer_rejects(const an_writer *w)
{
    return w->rejects - accepted_count(w);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Copy the entry `from` into scratch. */
static int get_entry(an_writer *w, uint64_t from)
{
    uint8_t bytes[8];
    an_bytes_put_key(bytes, sizeof bytes, from);
    MDB_val key = {sizeof bytes, bytes}, value;
    int rc = mdb_get(w->txn, w->rejected, &key, &value);
    if (rc)
        return an_writer_fail(w, rc);
    w->scratch.size = 0;
    return an_buffer_append(&w->scratch, value.mv_data, value.mv_size);
}

/* Make scratch the entry `to`, which may be there already. */
static int put_entry(an_writer *w, uint64_t to)
{
    uint8_t key[8], *out;
    an_bytes_put_key(key, sizeof key, to);
    int rc = an_writer_reserve(w, w->rejected, key, sizeof key, w->scratch.size, false, &out);
    if (!rc)
        memcpy(out, w->scratch.data, w->scratch.size);
    return rc;
}

static int delete_entry(an_writer *w, uint64_t number)
{
    uint8_t bytes[8];
    an_bytes_put_key(bytes, sizeof bytes, number);
    MDB_val key = {sizeof bytes, bytes};
    int rc = mdb_del(w->txn, w->rejected, &key, NULL);
    return rc ? an_writer_fail(w, rc) : AN_OK;
}

/* Room for writing all entries anew, in this transaction or in a new one. */
static int make_room_for_all(an_writer *w)
{
    MDB_stat stat;
    int rc = an_writer_check(w);
    if (rc)
        return rc;
    rc = mdb_stat(w->txn, w->rejected, &stat);
    if (rc)
        return an_writer_fail(w, rc);
    return an_writer_make_room(w, 4 * w->page_size *
                                      (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages + 4));
}

int an_writer_drop_accepted(an_writer *w)
{
    uint64_t count = accepted_count(w), *accepted = (uint64_t *)(void *)w->accepted.data;
    if (!count)
        return AN_OK;
    qsort(accepted, count, sizeof *accepted, by_value);
    int rc = make_room_for_all(w);
    uint64_t to = accepted[0], next = 0;
    for (uint64_t from = to; from < w->rejects && !rc; from++) {
        if (next < count && accepted[next] == from) {
            next++;
            continue;
        }
        rc = get_entry(w, from);
        if (!rc)
            rc = put_entry(w, to++);
    }
    for (uint64_t number = to; number < w->rejects && !rc; number++)
        rc = delete_entry(w, number);
    if (rc)
        return rc;
    w->rejects = to;
    w->accepted.size = 0;
    return AN_OK;
}

int an_writer_adopt_mended(an_writer *w, const char *before, const char *manifest, const an_writer_mending *mending)
{
    char *then = NULL;
    int rc = mending->manifest_then(mending->context, w, before, &then);
    if (!rc)
        rc = an_manifest_compare(before, then);
    if (!rc)
        rc = an_writer_put_meta(w, AN_DATASET_LAYOUT_MANIFEST, manifest, strlen(manifest));
    free(then);
    return rc;
}
