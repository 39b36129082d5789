/* What the parts of the dataset share: dataset.c (the handle) and dataset_load.c (reading it in). */
#ifndef AN_STORE_DATASET_DATASET_PRIVATE_H
#define AN_STORE_DATASET_DATASET_PRIVATE_H

#include "store/dataset/dataset.h"
#include "store/dataset/lmdb_file.h"

/* A value of less than 64 KiB: offset << 16 | length. Addresses end at 47 bits, so the offset fits. */
typedef uint64_t an_span;

struct an_dataset {
    char *path, *data; /* the folder, its data.mdb */
    an_lmdb_file file;
    uint32_t side;
    uint64_t count, reject_count, headers, checksum;
    uint32_t class_count, record_max;
    char *manifest;
    an_index_entry *index;
    an_span *names, *rejects;
    an_class *classes; /* id and name lie in one allocation that starts at id */
    an_statistics statistics;
    uint64_t fingerprint;
};

int an_dataset_damaged(const an_dataset *dataset, const char *what); /* AN_ECORRUPT, naming the file */

/* In this order, once the file is open. */
int an_dataset_load_meta(an_dataset *dataset);
int an_dataset_load_index(an_dataset *dataset);
int an_dataset_compute_fingerprint(an_dataset *dataset);

#endif
