/* What the parts of the writer share: writer.c (what is written), writer_path.c (names), writer_classes.c
 * (classes that nobody named), writer_mend.c (inputs that are tried again), writer_open.c (opening, and going on after
 * an interruption), writer_check.c (whether what was written is sound), writer_transaction.c (LMDB's transactions) and
 * writer_finish.c (the end). */
#ifndef AN_STORE_DATASET_WRITER_PRIVATE_H
#define AN_STORE_DATASET_WRITER_PRIVATE_H

#include <lmdb.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "store/dataset/writer.h"

struct an_writer {
    char *path, *partial, *data; /* destination; folder written to; its data.mdb */
    int lock;                    /* descriptor of data, locked */
    MDB_env *env;
    MDB_txn *txn; /* NULL after a failure */
    MDB_dbi records, names, classes, rejected, meta;
    uint64_t page_size;
    uint64_t room;    /* bytes that this transaction's items may take */
    uint64_t pending; /* of these, taken */
    uint64_t reserve; /* bytes kept free in the map for what a commit itself writes */
    uint32_t side;
    an_statistics_sums *sums; /* the caller's */
    uint64_t count, rejects, headers, names_sum;
    bool complete;                               /* the next commit is the last */
    uint64_t expected_records, expected_rejects; /* seen by an_writer_expect so far */
    an_buffer accepted;                          /* uint64_t: entries of rejected that the next commit removes */
    an_buffer scratch;
};

/* path without slashes at its end, and the name of the folder that is written to. The caller frees both, also after a
 * failure. */
int an_writer_make_paths(const char *path, char **whole, char **partial);
int an_writer_check_absent(const char *path); /* AN_EINVAL if path exists */

/* What was found under the name of the folder that is written to must be a folder of this user, and no link: somebody
 * else who may write where it lies could have put it there. info: of lstat(2). */
int an_writer_check_ours(const char *partial, const struct stat *info);

/* Abort the transaction, set the message for an errno (positive) or a code of LMDB (negative), and return our code. */
int an_writer_fail(an_writer *writer, int rc);
int an_writer_check(const an_writer *writer); /* an error after an earlier failure */

/* Start a transaction with room for items of `need` bytes, or of 64 MB if that is more. */
int an_writer_begin(an_writer *writer, uint64_t need);
int an_writer_end(an_writer *writer); /* commit; none is open afterwards */

/* The bytes of the map that an item of this size takes at most. make_room sees that so many are free in the
 * transaction; for that it may end the transaction and begin another. */
uint64_t an_writer_footprint(const an_writer *writer, uint64_t size);
int an_writer_make_room(an_writer *writer, uint64_t need);

/* Put an item with an unwritten value of `size` bytes; the caller fills in *out before the next change. append: the key
 * is larger than all others. */
int an_writer_reserve(an_writer *writer, MDB_dbi dbi, const void *key, size_t key_size, size_t size, bool append,
                      uint8_t **out);

/* Is all that the counts cover sound, and what was written? For a run that goes on, once the state is loaded.
 * AN_ECORRUPT. */
int an_writer_check_written(an_writer *writer);
/* The checksum of the whole dataset, as it was committed last. */
int an_writer_checksum(const an_writer *writer, uint64_t *out);

/* Entry `number` of what was set aside: a new one at the end, or one in place of another. */
int an_writer_put_reject(an_writer *writer, uint64_t number, const char *name, const char *reason, uint64_t bytes);

/* Remove what an_writer_accept named; the entries behind move up. Only right before the counts are stored. */
int an_writer_drop_accepted(an_writer *writer);

/* The interrupted run's manifest differs from this one: put this one in its place if the source was only mended. */
int an_writer_adopt_mended(an_writer *writer, const char *before, const char *manifest,
                           const an_writer_mending *mending);

/* Values of the meta database. */
int an_writer_put_meta(an_writer *writer, const char *key, const void *data, size_t size);
int an_writer_put_u32(an_writer *writer, const char *key, uint32_t value);
int an_writer_put_u64(an_writer *writer, const char *key, uint64_t value);
int an_writer_drop_meta(an_writer *writer, const char *key); /* also if it is not there */
int an_writer_pack_sums(an_writer *writer);                  /* into scratch */

#endif
