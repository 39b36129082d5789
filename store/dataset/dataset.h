/* Reading a dataset: an LMDB environment (a folder with data.mdb) that an_writer made. Thread-safe once open. */
#ifndef AN_STORE_DATASET_DATASET_H
#define AN_STORE_DATASET_DATASET_H

#include <stdbool.h>
#include <stdint.h>

#include "store/image/statistics.h"
#include "store/record.h"

#define AN_DATASET_VERSION 1

typedef struct {
    uint64_t offset; /* of the record's header in data.mdb */
    uint32_t length; /* header and payload */
    uint32_t label;
} an_index_entry;

typedef struct {
    const char *id;   /* "n01440764": the name used in the source */
    const char *name; /* "tench": for people; equals id if none was given */
    uint64_t count;   /* records */
} an_class;

typedef struct an_dataset an_dataset;

/* Open read-only, check version and completeness, build the index in one cursor pass without touching a record's pages
 * (labels come from the names database), and compare the checksum over all that is not a record: any damage outside the
 * records is found here. A published dataset never changes, so offsets stay valid. Errors name the path and say what is
 * there instead (no such folder, not LMDB, LMDB but not a dataset, unfinished ingest). */
int an_dataset_open(an_dataset **out, const char *path);
void an_dataset_free(an_dataset *dataset);

const char *an_dataset_path(const an_dataset *dataset);
const char *an_dataset_file(const an_dataset *dataset); /* ".../data.mdb" */
uint64_t an_dataset_count(const an_dataset *dataset);
uint32_t an_dataset_side(const an_dataset *dataset); /* every record is side x side */
uint64_t an_dataset_file_size(const an_dataset *dataset);
uint32_t an_dataset_record_max(const an_dataset *dataset); /* longest record, bytes */
uint32_t an_dataset_class_count(const an_dataset *dataset);
const an_class *an_dataset_class(const an_dataset *dataset, uint32_t label);
const an_index_entry *an_dataset_index(const an_dataset *dataset); /* count entries, owned by dataset */
const an_statistics *an_dataset_statistics(const an_dataset *dataset);
const char *an_dataset_manifest(const an_dataset *dataset); /* JSON text: source, options, program version */

/* Identifies the contents, for those who must know later whether the dataset is still the same: a checkpoint stores it,
 * and so does the manifest of a dataset that was made from this one. It changes with the records (all of their bytes
 * count, through the checksums in their headers), their names, labels and order, the classes' ids, the side and the
 * sums of pixels. It stays the same when the dataset is transcoded without loss, between jpeg and coef for instance.
 *
 * Its limits. It guards against mistakes, not against intent: another dataset has the same with a probability of one in
 * 2^32. Checksums and manifest are believed, not computed anew: an_record_verify compares a payload with its checksum.
 * A transcode stands for its source because its manifest says so: a JPEG that coef cannot hold is compressed anew on
 * the way, which shows nowhere, and neither would a program of one's own that writes other pixels under the manifest of
 * a transcode. The sums of a transcode are those of decoded pixels, the sums of its source may be those of pixels
 * before they were encoded: a training that goes on with the transcode subtracts a slightly different mean. */
uint64_t an_dataset_fingerprint(const an_dataset *dataset);

/* Is `stored` this dataset's fingerprint? *out is true also for the form that was stored before: it covers only the
 * manifest and each record's label and length, so it accepts changed pixels where they do not change a length (rgb and
 * yuv420). */
int an_dataset_fingerprint_matches(const an_dataset *dataset, uint64_t stored, bool *out);

/* The record through the memory map: zero-copy, valid until the dataset is freed. Header checked, payload not. */
int an_dataset_record(const an_dataset *dataset, uint64_t index, an_record *out);
/* Its path in the source (valid until free) . */
int an_dataset_name(const an_dataset *dataset, uint64_t index, const char **name, size_t *length);

/* Every index leads to the record that was written under it. Touches the first page of each record. */
int an_dataset_verify_headers(const an_dataset *dataset);

/* What ingest set aside: calls visit for each; a non-zero return ends the walk and is returned. */
int an_dataset_rejects(const an_dataset *dataset,
                       int (*visit)(void *context, const char *name, const char *reason, uint64_t bytes),
                       void *context);
uint64_t an_dataset_reject_count(const an_dataset *dataset);

#endif
