/* Reading a dataset: a folder with an LMDB environment in data.mdb, written by an_writer (writer.h). Any number of
 * threads may use an open dataset at once, until one of them frees it. What the functions below return belongs to the
 * dataset and is valid until then. */
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

/* Open read-only: check version and completeness, and build the index in one pass over the file that reads no record's
 * page (labels come from the database of names). The checksum over everything but the records is compared, so damage
 * outside the records is found here. A dataset never changes once it has its name, so offsets stay valid. Errors name
 * the path and say what is there instead (no such folder, not LMDB, LMDB but not a dataset, unfinished ingest). */
int an_dataset_open(an_dataset **out, const char *path);
void an_dataset_free(an_dataset *dataset);

/* Appends the libraries that datasets need, "LMDB 0.9.24\nlibjpeg-turbo 2.1.5\n". */
int an_dataset_libraries(an_buffer *out);

const char *an_dataset_path(const an_dataset *dataset);
const char *an_dataset_file(const an_dataset *dataset); /* ".../data.mdb", absolute: also after chdir */
uint64_t an_dataset_count(const an_dataset *dataset);
uint32_t an_dataset_side(const an_dataset *dataset); /* every record is side x side */
uint64_t an_dataset_file_size(const an_dataset *dataset);
uint32_t an_dataset_record_max(const an_dataset *dataset); /* bytes of the longest record, header included */
uint32_t an_dataset_class_count(const an_dataset *dataset);
const an_class *an_dataset_class(const an_dataset *dataset, uint32_t label); /* label below the number of classes */
const an_index_entry *an_dataset_index(const an_dataset *dataset);           /* count entries */
const an_statistics *an_dataset_statistics(const an_dataset *dataset);
const char *an_dataset_manifest(const an_dataset *dataset); /* JSON text: source, options, program version */

/* The codec of all records, as the manifest says. False if it names none, or several. It is a claim: each record's
 * header says what the record is. */
bool an_dataset_codec(const an_dataset *dataset, an_codec *out);

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

/* The record, in the memory map: nothing is copied. Its header is checked, its payload is not (an_record_verify). */
int an_dataset_record(const an_dataset *dataset, uint64_t index, an_record *out);
/* For those who read and parse a record themselves: is it the one of the index? AN_ECORRUPT if its label, length or
 * size is another; the message does not name the record. index is below the number of records. */
int an_dataset_record_matches(const an_dataset *dataset, uint64_t index, const an_record_header *header);
/* The record's path in the source: length bytes, without a terminator. */
int an_dataset_name(const an_dataset *dataset, uint64_t index, const char **name, size_t *length);

/* Does every index lead to the record that was written under it? AN_ECORRUPT if not. Reads each record's first page. */
int an_dataset_verify_headers(const an_dataset *dataset);

/* What opening does not check because reading records does not need it: the pages as LMDB wants them when it writes,
 * the manifest, every entry of the rejected inputs. AN_ECORRUPT. Reads each record's first page. */
int an_dataset_verify_databases(const an_dataset *dataset);

/* Call visit for each input that ingest set aside. What it returns other than 0 ends the walk and is returned. */
int an_dataset_rejects(const an_dataset *dataset,
                       int (*visit)(void *context, const char *name, const char *reason, uint64_t bytes),
                       void *context);
uint64_t an_dataset_reject_count(const an_dataset *dataset);

#endif
