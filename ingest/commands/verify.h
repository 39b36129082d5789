/* an-ingest verify: is everything in a dataset what it was when it was written? */
#ifndef AN_INGEST_COMMANDS_VERIFY_H
#define AN_INGEST_COMMANDS_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "store/dataset/dataset.h"

typedef struct {
    uint64_t index;
    char *reason;
} an_verify_fault;

typedef struct {
    an_verify_fault *entries; /* by index */
    uint64_t count, capacity;
} an_verify_faults;

/* Check each record: header, label, name, checksum, and that it decodes. What opening a dataset checks (pages, classes,
 * counts) has been checked by then. AN_OK: looked at everything, faults lists the bad ones; the caller frees them. */
int an_verify(const an_dataset *dataset, int threads, bool quiet, an_verify_faults *faults);
void an_verify_faults_free(an_verify_faults *faults);

#endif
