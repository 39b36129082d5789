/* Finishing a dataset: checksum, sync, opening it once to see that it is sound, and the rename that publishes it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "store/dataset/dataset.h"
#include "store/dataset/layout_private.h"
#include "store/dataset/lmdb_file_private.h"
#include "store/dataset/writer_private.h"

typedef struct {
    an_lmdb_file file;
    an_dataset_layout_checksum *checksum;
} summing;

static int sum_item(void *context, const an_lmdb_item *item)
{
    summing *s = context;
    an_dataset_layout_checksum_add(s->checksum, &s->file, item);
    return AN_OK;
}

int an_writer_checksum(const an_writer *w, uint64_t *out)
{
    summing s;
    int rc = an_dataset_layout_checksum_create(&s.checksum);
    if (!rc)
        rc = an_lmdb_file_open(&s.file, w->data);
    if (!rc) {
        rc = an_lmdb_file_walk(&s.file, NULL, sum_item, &s);
        *out = an_dataset_layout_checksum_value(s.checksum);
        an_lmdb_file_close(&s.file);
    }
    an_dataset_layout_checksum_free(s.checksum);
    return rc;
}

/* LMDB may leave pages at the end unwritten that nothing refers to. Extended by these, the file is as long as its meta
 * page says, and a copy that was cut off can be told by its length. */
static int extend_file(an_writer *w)
{
    MDB_envinfo info;
    struct stat stat;
    int rc = mdb_env_info(w->env, &info);
    if (rc)
        return an_writer_fail(w, rc);
    off_t size = (off_t)((info.me_last_pgno + 1) * w->page_size);
    if (fstat(w->lock, &stat) || (stat.st_size < size && ftruncate(w->lock, size)))
        return an_writer_fail(w, errno);
    return AN_OK;
}

static int complete(an_writer *w)
{
    uint64_t checksum = 0;
    w->complete = true;
    int rc = an_writer_commit(w);
    if (!rc)
        rc = an_writer_checksum(w, &checksum);
    if (!rc)
        rc = an_writer_put_u64(w, AN_DATASET_LAYOUT_CHECKSUM, checksum);
    if (!rc)
        rc = an_writer_end(w);
    if (!rc)
        rc = extend_file(w);
    if (rc)
        return rc;
    rc = mdb_env_sync(w->env, 1);
    return rc ? an_writer_fail(w, rc) : an_file_sync_folder(w->partial);
}

/* Never publish what cannot be opened. */
static int try_open(const an_writer *w)
{
    an_dataset *dataset;
    int rc = an_dataset_open(&dataset, w->partial);
    if (!rc)
        an_dataset_free(dataset);
    return rc;
}

static int sync_parent(const an_writer *w)
{
    char *parent = NULL;
    if (asprintf(&parent, "%s/..", w->path) < 0)
        return an_error(AN_ENOMEM, "out of memory: finishing '%s'", w->path);
    int rc = an_file_sync_folder(parent);
    free(parent);
    return rc;
}

static int publish(const an_writer *w)
{
    int rc = renameat2(AT_FDCWD, w->partial, AT_FDCWD, w->path, RENAME_NOREPLACE);
    if (rc && errno == EINVAL) /* not every file system knows RENAME_NOREPLACE */
        rc = rename(w->partial, w->path);
    if (rc)
        return an_error_errno(errno, "cannot rename '%s' to '%s'", w->partial, w->path);
    return sync_parent(w);
}

int an_writer_finish(an_writer *w)
{
    int rc = complete(w);
    if (!rc)
        rc = try_open(w);
    if (!rc)
        rc = publish(w);
    an_writer_close(w);
    return rc;
}
