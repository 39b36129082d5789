/* Reading a dataset that an-ingest or liban_writer wrote: a folder with one LMDB file of square images.
 *
 * Ownership. liban_dataset_open gives the caller a dataset, which liban_dataset_free gives up. Loaders keep what they
 * need, so the dataset may be freed before them. Strings and payloads belong to the dataset and are valid until it is
 * freed. Threads. Any number of threads may use a dataset at once. */
#ifndef LIBAN_DATASET_H
#define LIBAN_DATASET_H

#include <an/common.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct liban_dataset liban_dataset;

/* Open read-only and build the index. LIBAN_ENOTFOUND and LIBAN_EIO: the path cannot be read; LIBAN_ECORRUPT: it is
 * damaged, or no dataset; LIBAN_EUNSUPPORTED: of another version. The message says what was found instead. */
LIBAN_API int liban_dataset_open(liban_dataset **out, const char *path);
LIBAN_API void liban_dataset_free(liban_dataset *dataset); /* NULL is fine */

LIBAN_API const char *liban_dataset_path(const liban_dataset *dataset);
LIBAN_API uint64_t liban_dataset_count(const liban_dataset *dataset); /* records */
LIBAN_API uint32_t liban_dataset_side(const liban_dataset *dataset);  /* pixels: every record is side x side */

/* What the ingest noted, as JSON text: source, options, version of the program. */
LIBAN_API const char *liban_dataset_manifest(const liban_dataset *dataset);

/* Identifies the contents: equal for equal records, labels, names and order; the same for a lossless transcode. */
LIBAN_API uint64_t liban_dataset_fingerprint(const liban_dataset *dataset);

LIBAN_API uint32_t liban_dataset_class_count(const liban_dataset *dataset);

typedef struct {
    const char *id;   /* "n01440764": the name used in the source */
    const char *name; /* "tench": for people; equals id if none was given */
    uint64_t count;   /* records of this class */
} liban_class;

LIBAN_API int liban_dataset_class(const liban_dataset *dataset, uint32_t label, liban_class *out); /* LIBAN_EINVAL */

/* Of the pixels of all records, in RGB order, on the scale of 0 to 255. */
typedef struct {
    double mean[3], deviation[3];
    double eigenvalue[3];     /* of the colours' covariance, descending */
    double eigenvector[3][3]; /* eigenvector[i] belongs to eigenvalue[i] */
    const float *mean_image;  /* side x side x 3 */
} liban_statistics;

LIBAN_API void liban_dataset_statistics(const liban_dataset *dataset, liban_statistics *out);

typedef struct {
    uint32_t label;
    const char *codec; /* "jpeg", "coef", "yuv420", "rgb" */
    const char *name;  /* path in the source: name_length bytes, not terminated */
    size_t name_length;
    const void *payload; /* the encoded image, in the memory map */
    size_t payload_size; /* bytes */
} liban_record;

/* index: 0 to count - 1, else LIBAN_EINVAL. The record's header is checked, its payload is not. */
LIBAN_API int liban_dataset_record(const liban_dataset *dataset, uint64_t index, liban_record *out);

/* The labels of all records, without reading them: count elements. */
LIBAN_API void liban_dataset_labels(const liban_dataset *dataset, int64_t *out);

/* Compare the record's payload with its checksum, and decode it: side x side RGB bytes, rows of side * 3 bytes without
 * padding, to out, which has room for size bytes (LIBAN_EINVAL if that is too little). LIBAN_ECORRUPT. */
LIBAN_API int liban_dataset_pixels(const liban_dataset *dataset, uint64_t index, uint8_t *out, size_t size);

#ifdef __cplusplus
}
#endif

#endif
