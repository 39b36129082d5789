/* What LMDB relies on when it goes on writing to a file, beyond what the walk of lmdb_file_private.h needs in order to
 * read it: no page is used twice, none that is in use counts as free, nodes do not overlap, and the pages of large
 * values say themselves how many they are. A file that breaks this can be read, but writing to it would destroy what it
 * holds, or crash: LMDB checks little. */
#ifndef AN_STORE_DATASET_LMDB_AUDIT_PRIVATE_H
#define AN_STORE_DATASET_LMDB_AUDIT_PRIVATE_H

#include <stdbool.h>

#include "store/dataset/lmdb_file_private.h"

/* The whole check. AN_ECORRUPT names the file and the page. Reads the first page of every large value. */
int an_lmdb_file_audit(const an_lmdb_file *file);

/* Between the audit and the walk that it rides on. */
typedef struct {
    const an_lmdb_file *file;
    uint64_t page_count; /* those that the bits of used stand for; the last ones may lie behind the end of the file */
    uint64_t *used;      /* a bit for each page */
} an_lmdb_audit;

/* Each returns NULL or what is wrong. The walk has checked that what they look at lies within page and file. */
const char *an_lmdb_audit_page(an_lmdb_audit *audit, uint64_t number, bool branch);
/* *pages: how many there must be; afterwards, how many there are. */
const char *an_lmdb_audit_value(an_lmdb_audit *audit, uint64_t first, uint64_t *pages);

/* an_lmdb_file_walk over everything with the calls above, then over the tree of free pages, whose items visit gets. */
int an_lmdb_file_walk_audited(const an_lmdb_file *file, an_lmdb_audit *audit, an_lmdb_visit visit);

#endif
