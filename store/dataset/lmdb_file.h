/* An LMDB data file read without LMDB: every page that is followed is checked first, so that a damaged or hostile file
 * gives an error where LMDB, which trusts its pages, would crash; and every value comes with its offset in the file,
 * which LMDB does not tell. Format: LMDB 0.9 (data version 1), 64-bit, little-endian; named databases of plain
 * key/value pairs (no duplicates). The file must not change while it is open: published datasets never do. */
#ifndef AN_STORE_DATASET_LMDB_FILE_H
#define AN_STORE_DATASET_LMDB_FILE_H

#include <stdint.h>

typedef struct {
    const uint8_t *data; /* the whole file, mapped read-only */
    uint64_t size;
    uint32_t page_size;
    uint64_t last_page;  /* that LMDB has handed out; it may not have been written */
    const uint8_t *meta; /* of the newest committed transaction */
    const char *path;    /* the caller's; for messages */
} an_lmdb_file;

/* path must outlive the file. AN_ENOTFOUND: no such file; AN_ECORRUPT: not LMDB, or cut short within its first pages.
 */
int an_lmdb_file_open(an_lmdb_file *out, const char *path);
void an_lmdb_file_close(an_lmdb_file *file); /* a zeroed one is fine */

typedef struct {
    const char *database;
    const uint8_t *key;
    uint32_t key_size;
    uint32_t length;
    uint64_t offset;  /* of the value in the file; offset + length lies within it */
    uint64_t entries; /* in this database, as it claims; bounded by the file's size */
} an_lmdb_item;

/* Return non-zero to end the walk with that code. */
typedef int (*an_lmdb_visit)(void *context, const an_lmdb_item *item);

/* Walk all named databases (or `only` one; the others are then not looked at) in the order of their names, their items
 * in the order of their keys. Checks on the way: pages within the file and of the right kind, depth and page counts as
 * declared, nodes within their page, keys ascending and in agreement with the branches above. Pages of values that have
 * pages to themselves are not touched. AN_ECORRUPT names the file and the page. */
int an_lmdb_file_walk(const an_lmdb_file *file, const char *only, an_lmdb_visit visit, void *context);

#endif
