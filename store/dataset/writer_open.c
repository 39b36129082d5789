/* Opening a writer: paths, the lock, then a new environment or the one that an interrupted run left. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "store/dataset/dataset.h"
#include "store/dataset/layout_private.h"
#include "store/dataset/lmdb_audit_private.h"
#include "store/dataset/manifest_private.h"
#include "store/dataset/writer_private.h"

#define RESERVE_SIZE                                                                                                   \
    ((uint64_t)16 << 20) /* for the pages between root and leaves, and the lists of free pages; the sums come on top   \
                          */
#define DROP_BATCH 1024  /* items removed in one transaction */
#define TRANSACTION_MAX (UINT64_MAX >> 1) /* with so many made, none of those to come can overflow */

/* A value of meta, valid until the next change in the transaction. size 0: of any size. */
static int get_meta(an_writer *w, const char *key, size_t size, MDB_val *out)
{
    MDB_val k = {strlen(key), (void *)(uintptr_t)key};
    int rc = mdb_get(w->txn, w->meta, &k, out);
    if (rc && rc != MDB_NOTFOUND)
        return an_writer_fail(w, rc);
    if (rc == MDB_NOTFOUND || (size && out->mv_size != size))
        return an_error(AN_ECORRUPT, "'%s' is damaged: '%s' is missing or has the wrong size; remove it to start over",
                        w->partial, key);
    return AN_OK;
}

static int get_meta_u64(an_writer *w, const char *key, uint64_t *out)
{
    MDB_val value;
    int rc = get_meta(w, key, 8, &value);
    if (!rc)
        *out = an_bytes_u64(value.mv_data);
    return rc;
}

static int make_paths(an_writer *w, const char *path)
{
    int rc = an_writer_make_paths(path, &w->path, &w->partial);
    if (!rc && asprintf(&w->data, "%s/" AN_DATASET_LAYOUT_DATA, w->partial) < 0) {
        w->data = NULL; /* asprintf leaves it undefined */
        rc = an_error(AN_ENOMEM, "out of memory: opening '%s'", path);
    }
    return rc;
}

/* Make the folders on the way, and .partial itself unless a run of this user has left it. */
static int make_partial(const an_writer *w)
{
    struct stat info;
    char *slash = strrchr(w->partial, '/');
    int rc = AN_OK;
    if (slash && slash > w->partial) {
        *slash = '\0';
        rc = an_file_make_folder(w->partial);
        *slash = '/';
    }
    if (rc)
        return rc;
    int failed = mkdir(w->partial, 0777) ? errno : 0;
    if (failed == EEXIST)
        failed = lstat(w->partial, &info) ? errno : 0;
    else if (!failed)
        return AN_OK; /* whatever owner the file system gives it */
    return failed ? an_error_errno(failed, "cannot make folder '%s'", w->partial)
                  : an_writer_check_ours(w->partial, &info);
}

static int lock_data(an_writer *w)
{
    struct stat info;
    w->lock = open(w->data, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    if (w->lock < 0)
        return an_error_errno(errno, "cannot create '%s'", w->data);
    if (fstat(w->lock, &info) || !S_ISREG(info.st_mode))
        return an_error(AN_EINVAL, "'%s' is no regular file: remove it to start over", w->data);
    if (flock(w->lock, LOCK_EX | LOCK_NB) == 0)
        return AN_OK;
    if (errno == EWOULDBLOCK)
        return an_error(AN_EIO, "'%s' is being written by another process: wait for it or choose another destination",
                        w->partial);
    return an_error_errno(errno, "cannot lock '%s'", w->data);
}

/* LMDB trusts its pages, so what an interrupted run left is checked before LMDB opens it. */
static int check_leftover(const an_writer *w)
{
    struct stat info;
    if (fstat(w->lock, &info))
        return an_error_errno(errno, "cannot stat '%s'", w->data);
    if (info.st_size == 0)
        return AN_OK;
    an_lmdb_file file;
    int rc = an_lmdb_file_open(&file, w->data);
    if (rc)
        return rc;
    rc = an_lmdb_file_audit(&file);
    if (!rc && an_bytes_u64(file.meta + 128) > TRANSACTION_MAX)
        rc = an_error(AN_ECORRUPT, "'%s' is damaged: impossible number of transactions", w->data);
    an_lmdb_file_close(&file);
    return rc ? an_error_prefix(rc, "'%s' cannot be continued: remove it to start over", w->partial) : AN_OK;
}

static int open_environment(an_writer *w)
{
    int rc = mdb_env_create(&w->env);
    if (rc) {
        w->env = NULL;
        return an_writer_fail(w, rc);
    }
    rc = mdb_env_set_maxdbs(w->env, 5);
    if (!rc)
        rc = mdb_env_open(w->env, w->partial, MDB_NOLOCK, 0666);
    MDB_stat stat = {0};
    if (!rc)
        rc = mdb_env_stat(w->env, &stat);
    w->page_size = stat.ms_psize;
    return rc ? an_writer_fail(w, rc) : AN_OK;
}

static int open_databases(an_writer *w)
{
    const struct {
        const char *name;
        MDB_dbi *dbi;
    } all[] = {{AN_DATASET_LAYOUT_RECORDS, &w->records},
               {AN_DATASET_LAYOUT_NAMES, &w->names},
               {AN_DATASET_LAYOUT_CLASSES, &w->classes},
               {AN_DATASET_LAYOUT_REJECTED, &w->rejected},
               {AN_DATASET_LAYOUT_META, &w->meta}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int rc = mdb_dbi_open(w->txn, all[i].name, MDB_CREATE, all[i].dbi);
        if (rc)
            return an_writer_fail(w, rc);
    }
    return AN_OK;
}

static int start_fresh(an_writer *w, const char *manifest)
{
    int rc = an_writer_put_u32(w, AN_DATASET_LAYOUT_FORMAT, AN_DATASET_VERSION);
    if (!rc)
        rc = an_writer_put_u32(w, AN_DATASET_LAYOUT_SIDE, w->side);
    if (!rc)
        rc = an_writer_put_meta(w, AN_DATASET_LAYOUT_MANIFEST, manifest, strlen(manifest));
    return rc ? rc : an_writer_commit(w);
}

static int compare_manifests(an_writer *w, const char *manifest, const an_writer_mending *mending)
{
    MDB_val value;
    int rc = get_meta_u64(w, AN_DATASET_LAYOUT_REJECTS, &w->rejects);
    if (!rc)
        rc = get_meta_u64(w, AN_DATASET_LAYOUT_COUNT, &w->count);
    if (!rc)
        rc = get_meta(w, AN_DATASET_LAYOUT_MANIFEST, 0, &value);
    if (rc)
        return rc;
    char *before = strndup(value.mv_data, value.mv_size);
    if (!before)
        return an_error(AN_ENOMEM, "out of memory: reading the manifest of '%s'", w->partial);
    rc = an_manifest_compare(before, manifest);
    if (rc == AN_EINVAL && mending)
        rc = an_writer_adopt_mended(w, before, manifest, mending);
    free(before);
    if (rc == AN_EINVAL)
        return an_error_prefix(
            rc, "'%s' holds an interrupted run with other options or another source (give the same, or remove it)",
            w->partial);
    if (rc)
        return rc;
    return AN_OK;
}

static int check_same(an_writer *w, const char *manifest, const an_writer_mending *mending)
{
    MDB_val value;
    int rc = get_meta(w, AN_DATASET_LAYOUT_FORMAT, 4, &value);
    if (rc)
        return rc;
    if (an_bytes_u32(value.mv_data) != AN_DATASET_VERSION)
        return an_error(AN_EINVAL, "'%s' is of format %u, this program writes %d: remove it to start over", w->partial,
                        an_bytes_u32(value.mv_data), AN_DATASET_VERSION);
    rc = compare_manifests(w, manifest, mending);
    if (!rc)
        rc = get_meta(w, AN_DATASET_LAYOUT_SIDE, 4, &value);
    if (rc)
        return rc;
    if (an_bytes_u32(value.mv_data) != w->side)
        return an_error(AN_EINVAL, "'%s' holds records of side %u, not %u: remove it to start over", w->partial,
                        an_bytes_u32(value.mv_data), w->side);
    return AN_OK;
}

static int load_state(an_writer *w)
{
    MDB_val sums;
    int rc = get_meta_u64(w, AN_DATASET_LAYOUT_COUNT, &w->count);
    if (!rc)
        rc = get_meta_u64(w, AN_DATASET_LAYOUT_REJECTS, &w->rejects);
    if (!rc)
        rc = get_meta_u64(w, AN_DATASET_LAYOUT_HEADERS, &w->headers);
    if (!rc)
        rc = get_meta(w, AN_DATASET_LAYOUT_SUMS, 0, &sums);
    if (rc)
        return rc;
    rc = an_statistics_sums_unpack(w->sums, sums.mv_data, sums.mv_size);
    return rc ? an_error_prefix(rc, "'%s' cannot be continued: remove it to start over", w->partial) : AN_OK;
}

/* Remove items with keys from `first` on, the last one first, DROP_BATCH at most. *more: there may be further ones. */
static int drop_batch(an_writer *w, MDB_dbi dbi, uint64_t first, bool *more)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(w->txn, dbi, &cursor);
    if (rc)
        return an_writer_fail(w, rc);
    int left = DROP_BATCH;
    for (; left > 0; left--) {
        MDB_val key, value;
        rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
        if (rc || key.mv_size != 8 || an_bytes_key(key.mv_data, 8) < first)
            break;
        rc = mdb_cursor_del(cursor, 0);
        if (rc)
            break;
    }
    mdb_cursor_close(cursor);
    *more = left == 0;
    return rc && rc != MDB_NOTFOUND ? an_writer_fail(w, rc) : AN_OK;
}

static int drop_from(an_writer *w, MDB_dbi dbi, uint64_t first)
{
    bool more = true;
    int rc = AN_OK;
    while (!rc && more) {
        rc = drop_batch(w, dbi, first, &more);
        if (!rc)
            rc = an_writer_end(w);
        if (!rc)
            rc = an_writer_begin(w, 0);
    }
    return rc;
}

/* A run that was killed between its last commit and the rename left a dataset that is marked as complete: remove the
 * mark. */
static int reopen_finished(an_writer *w)
{
    return an_writer_drop_meta(w, AN_DATASET_LAYOUT_CHECKSUM);
}

static int resume(an_writer *w, const char *manifest, const an_writer_mending *mending)
{
    int rc = check_same(w, manifest, mending);
    if (!rc)
        rc = load_state(w);
    if (!rc)
        rc = an_writer_check_written(w);
    if (!rc)
        rc = reopen_finished(w);
    if (!rc)
        rc = drop_from(w, w->records, w->count);
    if (!rc)
        rc = drop_from(w, w->names, w->count);
    return rc ? rc : drop_from(w, w->rejected, w->rejects);
}

static int begin_or_resume(an_writer *w, const char *manifest, const an_writer_mending *mending)
{
    MDB_stat stat;
    int rc = an_writer_begin(w, 0);
    if (rc)
        return rc;
    MDB_dbi main;
    rc = mdb_dbi_open(w->txn, NULL, 0, &main);
    if (!rc)
        rc = mdb_stat(w->txn, main, &stat);
    if (rc)
        return an_writer_fail(w, rc);
    rc = open_databases(w);
    if (rc)
        return rc;
    return stat.ms_entries ? resume(w, manifest, mending) : start_fresh(w, manifest);
}

static int open_all(an_writer *w, const char *path, const char *manifest, const an_writer_mending *mending)
{
    int rc = an_manifest_check(manifest);
    if (!rc)
        rc = an_writer_pack_sums(w);
    w->reserve = RESERVE_SIZE + 2 * w->scratch.size;
    if (!rc)
        rc = make_paths(w, path);
    if (!rc)
        rc = an_writer_check_path(path);
    if (!rc)
        rc = make_partial(w);
    if (!rc)
        rc = lock_data(w);
    if (!rc)
        rc = an_writer_check_absent(w->path); /* again: another writer may have finished before we had the lock */
    if (!rc)
        rc = check_leftover(w);
    if (!rc)
        rc = open_environment(w);
    return rc ? rc : begin_or_resume(w, manifest, mending);
}

int an_writer_open_mended(an_writer **out, const char *path, const char *manifest, uint32_t side,
                          an_statistics_sums *sums, const an_writer_mending *mending)
{
    *out = NULL;
    an_writer *w = calloc(1, sizeof *w);
    if (!w)
        return an_error(AN_ENOMEM, "out of memory: opening '%s'", path);
    w->lock = -1;
    w->side = side;
    w->sums = sums;
    int rc = open_all(w, path, manifest, mending);
    if (rc)
        an_writer_close(w);
    else
        *out = w;
    return rc;
}

int an_writer_open(an_writer **out, const char *path, const char *manifest, uint32_t side, an_statistics_sums *sums)
{
    return an_writer_open_mended(out, path, manifest, side, sums, NULL);
}
