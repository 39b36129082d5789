/* Choosing among kernels by running them on the device. */
#ifndef AN_MODEL_CUDA_TUNE_H
#define AN_MODEL_CUDA_TUNE_H

#include "model/cuda/cuda.h"

#define AN_TUNE_CANDIDATES 8
#define AN_TUNE_KEY 512

/* Starts a key with what a choice depends on besides the operation. */
int an_tune_key(const an_backend *cuda, char key[AN_TUNE_KEY], const char *operation);

/* Memory that holds ordinary numbers, for kernels to be tried on. */
typedef struct {
    void *memory;
    size_t size;
} an_tune_scratch;
#define AN_TUNE_PARTS 5
int an_tune_scratch_make(an_tune_scratch *scratch, const an_backend *cuda, const size_t sizes[AN_TUNE_PARTS],
                         void *parts[AN_TUNE_PARTS], const char *what);
void an_tune_scratch_free(an_tune_scratch *scratch); /* when the device is done with it; zeroed is fine */

/* The fastest of count candidates, each run several times; run queues one once, and one that fails drops out. Among
 * candidates that differ by less than the clock can tell the first one counts. Waits for the device. The result goes
 * into the backend's choices. */
typedef struct {
    const char *key;
    int count;
    const char *(*name)(const void *context, int candidate);
    int (*run)(void *context, int candidate);
    void *context;
} an_tune_contest;
int an_tune_decide(an_backend *cuda, const an_tune_contest *contest, int *winner, double *microseconds);

/* tune_plan.c: the plan of the choice that is known or is made now; without choices the heuristic's. */
int an_tune_plan(an_backend *cuda, an_plan *plan, const an_plan_spec *spec);

#endif
