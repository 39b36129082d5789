/* an-ingest verify: finds the records of a dataset that are not what was written. */
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
    an_verify_fault *entries; /* sorted by index */
    uint64_t count, capacity;
} an_verify_faults;

/* Check that each record's header agrees with the index, that its checksum is right and that it decodes; then that each
 * record is the one that was written under its index; then the file's pages, the manifest and the rejected inputs. What
 * opening a dataset checks (names, classes, counts and their checksum) has been checked by then. AN_OK: faults lists
 * the bad records, perhaps none. AN_ECORRUPT: something else is damaged, or records have been exchanged. The caller
 * frees faults in any case. */
int an_verify(const an_dataset *dataset, int threads, bool quiet, an_verify_faults *faults);
void an_verify_faults_free(an_verify_faults *faults);

#endif
