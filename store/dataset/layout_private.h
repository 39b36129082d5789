/* Names and keys in a dataset's LMDB environment, and the checksums over it: what writing and reading a dataset share.
 * docs/record-format.md is the specification. */
#ifndef AN_STORE_DATASET_LAYOUT_PRIVATE_H
#define AN_STORE_DATASET_LAYOUT_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "store/dataset/lmdb_file_private.h"

#define AN_DATASET_LAYOUT_DATA "data.mdb" /* the file in the dataset's folder */

/* Databases. */
#define AN_DATASET_LAYOUT_RECORDS "records"   /* u64 index, big-endian -> record */
#define AN_DATASET_LAYOUT_NAMES "names"       /* the same -> u32 label, path in the source without terminator */
#define AN_DATASET_LAYOUT_CLASSES "classes"   /* u32 label, big-endian, dense -> id, 0, name */
#define AN_DATASET_LAYOUT_REJECTED "rejected" /* u64 ordinal, big-endian -> u64 bytes, name, 0, reason */
#define AN_DATASET_LAYOUT_META "meta"         /* text -> the values below */

/* Keys of meta; numbers are little-endian. */
#define AN_DATASET_LAYOUT_FORMAT "format"     /* u32, AN_DATASET_VERSION */
#define AN_DATASET_LAYOUT_MANIFEST "manifest" /* JSON text */
#define AN_DATASET_LAYOUT_SIDE "side"         /* u32, pixels */
#define AN_DATASET_LAYOUT_COUNT "count"       /* u64, records */
#define AN_DATASET_LAYOUT_REJECTS "rejects"   /* u64 */
#define AN_DATASET_LAYOUT_HEADERS "headers"   /* u64, an_dataset_layout_header_sum of all records, added up */
#define AN_DATASET_LAYOUT_SUMS "sums"         /* an_statistics_sums_pack */
#define AN_DATASET_LAYOUT_WRITTEN "written"   /* u64, an_dataset_layout_written; only while it is being written */
/* u64, an_dataset_layout_checksum; present only when the dataset is complete */
#define AN_DATASET_LAYOUT_CHECKSUM "checksum"

/* Bytes of a path in the source: a value that also holds a reason must stay below 64 KiB (an_span). */
#define AN_DATASET_LAYOUT_NAME_MAX 64000

/* Call visit with the parts of a value of the database `rejected`; scratch is overwritten. AN_ECORRUPT if the value is
 * damaged. */
typedef int (*an_dataset_layout_reject_visit)(void *context, const char *name, const char *reason, uint64_t bytes);
int an_dataset_layout_reject(const uint8_t *value, size_t size, an_buffer *scratch,
                             an_dataset_layout_reject_visit visit, void *context);

/* XXH3-64 of a record's header, with the record's index as the seed. The sum over all records, modulo 2^64, is stored:
 * if it is still the same, every index leads to the record that was written under it. A sum can be made in any order.
 */
uint64_t an_dataset_layout_header_sum(const uint8_t *header, uint64_t index);

/* The same of the value of a name. */
uint64_t an_dataset_layout_name_sum(const uint8_t *value, size_t size, uint64_t index);

/* What a run that goes on compares, because until a dataset is complete nothing else covers names and statistics: their
 * sum, and the value of `sums`. */
uint64_t an_dataset_layout_written(uint64_t name_sum, const uint8_t *sums, size_t size);

/* XXH3-64 over everything in the environment, except the records' values, which have checksums of their own, and the
 * checksum itself. What is hashed, for each database in the order of names and each item in the order of keys: u32 key
 * size, u32 value length, key, value; of a record all but the value. Add every item of a walk. */
typedef struct an_dataset_layout_checksum an_dataset_layout_checksum;
int an_dataset_layout_checksum_create(an_dataset_layout_checksum **out);
void an_dataset_layout_checksum_free(an_dataset_layout_checksum *checksum);
void an_dataset_layout_checksum_add(an_dataset_layout_checksum *checksum, const an_lmdb_file *file,
                                    const an_lmdb_item *item);
uint64_t an_dataset_layout_checksum_value(const an_dataset_layout_checksum *checksum);

#endif
