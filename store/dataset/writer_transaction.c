/* LMDB's transactions: when they begin and end, how much room they have, and what their failures mean. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/bytes.h"
#include "base/error.h"
#include "store/dataset/layout_private.h"
#include "store/dataset/writer_private.h"

#define FLUSH_SIZE ((uint64_t)64 << 20) /* items in one transaction */
#define FULL_BELOW ((uint64_t)1 << 20)  /* with fewer bytes free, a disk counts as full */
#define MAP_STEP_MAX ((uint64_t)1 << 40)

/* On a full disk a write usually comes back short, which LMDB reports as EIO. */
static bool disk_is_full(const an_writer *w)
{
    struct statvfs info;
    return fstatvfs(w->lock, &info) == 0 && (uint64_t)info.f_bavail * info.f_frsize < FULL_BELOW;
}

int an_writer_fail(an_writer *w, int rc)
{
    if (w->txn)
        mdb_txn_abort(w->txn);
    w->txn = NULL;
    if (rc == EIO && disk_is_full(w))
        rc = ENOSPC;
    if (rc == ENOSPC || rc == EDQUOT)
        return an_error(AN_ENOSPC,
                        "cannot write '%s': %s; what was committed is kept: make room and give the "
                        "same command again, or a writer with the same options",
                        w->data, strerror(rc));
    if (rc > 0)
        return an_error_errno(rc, "cannot write '%s'", w->data);
    bool damaged = rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID;
    return an_error(damaged ? AN_ECORRUPT : AN_EINTERNAL, "cannot write '%s': %s", w->data, mdb_strerror(rc));
}

int an_writer_check(const an_writer *w)
{
    return w->txn ? AN_OK : an_error(AN_EIO, "cannot write '%s': an earlier write failed", w->data);
}

int an_writer_reserve(an_writer *w, MDB_dbi dbi, const void *key, size_t key_size, size_t size, bool append,
                      uint8_t **out)
{
    MDB_val k = {key_size, (void *)(uintptr_t)key}, v = {size, NULL};
    *out = NULL;
    int rc = mdb_put(w->txn, dbi, &k, &v, MDB_RESERVE | (append ? MDB_APPEND : 0u));
    if (rc)
        return an_writer_fail(w, rc);
    *out = v.mv_data;
    return AN_OK;
}

int an_writer_put_meta(an_writer *w, const char *key, const void *data, size_t size)
{
    uint8_t *out;
    int rc = an_writer_reserve(w, w->meta, key, strlen(key), size, false, &out);
    if (!rc)
        memcpy(out, data, size);
    return rc;
}

int an_writer_put_u32(an_writer *w, const char *key, uint32_t value)
{
    uint8_t bytes[4];
    an_bytes_put_u32(bytes, value);
    return an_writer_put_meta(w, key, bytes, sizeof bytes);
}

int an_writer_put_u64(an_writer *w, const char *key, uint64_t value)
{
    uint8_t bytes[8];
    an_bytes_put_u64(bytes, value);
    return an_writer_put_meta(w, key, bytes, sizeof bytes);
}

static int grow_map(an_writer *w, uint64_t size, uint64_t needed)
{
    while (size < needed)
        size += size < MAP_STEP_MAX ? size : MAP_STEP_MAX;
    int rc = mdb_env_set_mapsize(w->env, size);
    return rc ? an_writer_fail(w, rc) : AN_OK;
}

int an_writer_begin(an_writer *w, uint64_t need)
{
    MDB_envinfo info;
    int rc = mdb_env_info(w->env, &info);
    if (rc)
        return an_writer_fail(w, rc);
    w->room = need > FLUSH_SIZE ? need : FLUSH_SIZE;
    w->pending = 0;
    uint64_t needed = (info.me_last_pgno + 1) * w->page_size + w->room + w->reserve;
    rc = needed > info.me_mapsize ? grow_map(w, info.me_mapsize, needed) : AN_OK;
    if (rc)
        return rc;
    rc = mdb_txn_begin(w->env, NULL, 0, &w->txn);
    if (rc)
        w->txn = NULL;
    return rc ? an_writer_fail(w, rc) : AN_OK;
}

int an_writer_end(an_writer *w)
{
    MDB_txn *txn = w->txn;
    w->txn = NULL; /* LMDB frees it, also after a failure */
    int rc = mdb_txn_commit(txn);
    return rc ? an_writer_fail(w, rc) : AN_OK;
}

/* For keys of up to 8 bytes. A large item takes whole pages. A small one shares a page, but a page that was split may
 * stay half empty, and so may the branches above it: hence the factor. */
uint64_t an_writer_footprint(const an_writer *w, uint64_t size)
{
    return size > w->page_size / 4 ? (size + 2 * w->page_size) & ~(w->page_size - 1) : 4 * (size + 32);
}

int an_writer_make_room(an_writer *w, uint64_t need)
{
    int rc = an_writer_check(w);
    if (!rc && w->pending + need > w->room) {
        rc = an_writer_end(w);
        if (!rc)
            rc = an_writer_begin(w, need);
    }
    if (!rc)
        w->pending += need;
    return rc;
}

int an_writer_pack_sums(an_writer *w)
{
    w->scratch.size = 0;
    return an_statistics_sums_pack(w->sums, &w->scratch);
}

int an_writer_drop_meta(an_writer *w, const char *key)
{
    MDB_val k = {strlen(key), (void *)(uintptr_t)key};
    int rc = mdb_del(w->txn, w->meta, &k, NULL);
    return rc && rc != MDB_NOTFOUND ? an_writer_fail(w, rc) : AN_OK;
}

static int store_written(an_writer *w)
{
    if (w->complete)
        return an_writer_drop_meta(w, AN_DATASET_LAYOUT_WRITTEN);
    return an_writer_put_u64(w, AN_DATASET_LAYOUT_WRITTEN,
                             an_dataset_layout_written(w->names_sum, w->scratch.data, w->scratch.size));
}

static int store_state(an_writer *w)
{
    int rc = an_writer_pack_sums(w);
    if (!rc)
        rc = an_writer_put_meta(w, AN_DATASET_LAYOUT_SUMS, w->scratch.data, w->scratch.size);
    if (!rc)
        rc = store_written(w);
    if (!rc)
        rc = an_writer_put_u64(w, AN_DATASET_LAYOUT_COUNT, w->count);
    if (!rc)
        rc = an_writer_put_u64(w, AN_DATASET_LAYOUT_REJECTS, w->rejects);
    if (!rc)
        rc = an_writer_put_u64(w, AN_DATASET_LAYOUT_HEADERS, w->headers);
    return rc;
}

int an_writer_commit(an_writer *w)
{
    int rc = an_writer_check(w);
    if (!rc)
        rc = an_writer_drop_accepted(w);
    if (!rc)
        rc = store_state(w);
    if (!rc)
        rc = an_writer_end(w);
    return rc ? rc : an_writer_begin(w, 0);
}
