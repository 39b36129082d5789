/* Visits every record of a dataset with several threads, for commands that look at all of them. */
#ifndef AN_INGEST_COMMANDS_EACH_H
#define AN_INGEST_COMMANDS_EACH_H

#include <stdbool.h>
#include <stdint.h>

#include "store/codec.h"
#include "store/dataset/dataset.h"

/* What each thread has for itself. */
typedef struct {
    int thread; /* 0 .. threads - 1 */
    an_decoder *decoder;
    an_image image; /* for an_each_decode */
} an_each_worker;

/* Called for each index, in any order, from several threads at once. A non-zero return stops all of them. */
typedef int (*an_each_visit)(void *context, an_each_worker *worker, uint64_t index);

/* threads: 0: one for each processor. label: stands before the progress. Returns the first failure of visit, or
 * AN_STOPPED after a signal. */
int an_each_record(const an_dataset *dataset, int threads, const char *label, bool quiet, an_each_visit visit,
                   void *context);

/* Check record index's checksum and decode all of it into worker->image. AN_ECORRUPT says what is wrong. */
int an_each_decode(const an_dataset *dataset, an_each_worker *worker, uint64_t index, an_record *record);

#endif
