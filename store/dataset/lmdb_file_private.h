/* Reads an LMDB data file without LMDB, for two reasons. LMDB trusts its pages: a damaged or hostile file makes it
 * crash, where every page here is checked before it is used, and an error is returned. And LMDB does not say where in
 * the file a value lies, which the prefetcher must know. Format: LMDB 0.9 (data version 1), 64-bit, little-endian;
 * named databases of plain key/value pairs, without duplicates. The file must not change while it is open: a finished
 * dataset never does. Any number of threads may walk an open file. */
#ifndef AN_STORE_DATASET_LMDB_FILE_PRIVATE_H
#define AN_STORE_DATASET_LMDB_FILE_PRIVATE_H

#include <stdint.h>

typedef struct {
    const uint8_t *data; /* the whole file, mapped read-only */
    uint64_t size;
    uint32_t page_size;
    uint64_t last_page;  /* the last that LMDB has allocated; it need not have been written */
    const uint8_t *meta; /* of the newest committed transaction */
    const char *path;    /* for messages; the caller owns it */
} an_lmdb_file;

/* path must stay valid until the file is closed. AN_ENOTFOUND: no such file. AN_ECORRUPT: not LMDB, or cut off within
 * its first two pages. */
int an_lmdb_file_open(an_lmdb_file *out, const char *path);
void an_lmdb_file_close(an_lmdb_file *file); /* one that is all zeros is fine */

typedef struct {
    const char *database;
    const uint8_t *key;
    uint32_t key_size;
    uint32_t length;
    uint64_t offset;  /* of the value in the file; offset + length lies within it */
    uint64_t entries; /* items in this database, as it says itself; no more than the file has room for */
} an_lmdb_item;

/* Any return value but 0 ends the walk and is returned from it. */
typedef int (*an_lmdb_visit)(void *context, const an_lmdb_item *item);

/* Visit every item of all named databases, in the order of the databases' names and within each in the order of keys;
 * with `only`, of that database alone. The walk checks that pages lie within the file and are of the right kind, that
 * depth and numbers of pages are as declared, that nodes lie within their page, and that keys ascend and agree with the
 * branches above them. Overflow pages, which hold the large values, are not read. AN_ECORRUPT names the file and the
 * page. */
int an_lmdb_file_walk(const an_lmdb_file *file, const char *only, an_lmdb_visit visit, void *context);

#endif
