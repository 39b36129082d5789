/* Whether every index of a dataset leads to the record that was written under it. Records that were exchanged or
 * repeated in the file are each sound, and their labels and lengths may be those of the index. What finds them is the
 * sum of hashes over all headers, each with its index, that the dataset holds (docs/record-format.md). It can be made
 * in any order, so whoever reads all records anyway gets the check for a few nanoseconds each: the loader and `verify`.
 *
 * The caller owns the object, which refers to the dataset. Threads: an_dataset_headers_hash may be called by any at any
 * time; the caller sees to it that only one at a time is in the other functions. */
#ifndef AN_STORE_DATASET_HEADERS_H
#define AN_STORE_DATASET_HEADERS_H

#include <stdint.h>

#include "store/dataset/dataset.h"

typedef struct an_dataset_headers an_dataset_headers;

int an_dataset_headers_create(an_dataset_headers **out, const an_dataset *dataset);
void an_dataset_headers_free(an_dataset_headers *headers); /* NULL is fine */

/* header: AN_RECORD_HEADER_SIZE bytes, as read for this index. */
uint64_t an_dataset_headers_hash(const uint8_t *header, uint64_t index);
/* Count the record in. One that was counted before is left out, so epochs may repeat records. */
void an_dataset_headers_add(an_dataset_headers *headers, uint64_t index, uint64_t hash);

/* Compare if at most missing_max records were not counted in yet; their headers are then taken from the file, a page of
 * it for each. AN_ECORRUPT if an index leads to another record. AN_OK if none does, if more records are missing, or if
 * an earlier call has compared. */
int an_dataset_headers_compare(an_dataset_headers *headers, uint64_t missing_max);

#endif
