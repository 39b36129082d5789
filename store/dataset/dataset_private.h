/* What the parts of an open dataset share: dataset.c (the handle), load.c (reading the file) and fingerprint.c. */
#ifndef AN_STORE_DATASET_DATASET_PRIVATE_H
#define AN_STORE_DATASET_DATASET_PRIVATE_H

#include "store/dataset/dataset.h"
#include "store/dataset/lmdb_file_private.h"

/* Where a value of less than 64 KiB lies in the file: offset << 16 | length. A process can map less than 2^48 bytes, so
 * the offset fits. */
typedef uint64_t an_span;

struct an_dataset {
    char *path, *data; /* the folder, its data.mdb */
    char *absolute;    /* data.mdb, wherever the working directory goes */
    an_lmdb_file file;
    uint32_t side;
    uint64_t count, reject_count, headers, checksum;
    uint32_t class_count, record_max;
    char *manifest;
    an_index_entry *index;
    an_span *names, *rejects;
    an_class *classes; /* id and name share one allocation, which starts at id */
    an_statistics statistics;
    uint64_t labelled, sums; /* XXH3-64 of labels and names in order, and of the sums of pixels */
    uint64_t fingerprint;
};

int an_dataset_damaged(const an_dataset *dataset, const char *what); /* AN_ECORRUPT, naming the file */

/* In this order, once the file is open. */
int an_dataset_load_meta(an_dataset *dataset);
int an_dataset_load_index(an_dataset *dataset);
int an_dataset_compute_fingerprint(an_dataset *dataset); /* into fingerprint */

#endif
