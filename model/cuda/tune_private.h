/* Choosing among kernels that compute the same by measuring them on the device, while a network is made. The choices
 * are kept in the backend's an_choices, which the caller owns. All calls come from the thread that makes the network;
 * they wait for the compute stream. A candidate that its library refuses drops out; a device that fails is an error. */
#ifndef AN_MODEL_CUDA_TUNE_PRIVATE_H
#define AN_MODEL_CUDA_TUNE_PRIVATE_H

#include "model/cuda/cuda_private.h"

#define AN_TUNE_CANDIDATES 8
#define AN_TUNE_KEY 512

/* Writes the key of a choice: the device and versions that it depends on, and the operation. */
int an_tune_key(const an_backend *cuda, char key[AN_TUNE_KEY], const char *operation);

/* Device memory filled with ordinary numbers, for kernels to run on. */
typedef struct {
    void *memory;
    size_t size;
} an_tune_scratch;
#define AN_TUNE_PARTS 5
int an_tune_scratch_make(an_tune_scratch *scratch, const an_backend *cuda, const size_t sizes[AN_TUNE_PARTS],
                         void *parts[AN_TUNE_PARTS], const char *what);
void an_tune_scratch_free(an_tune_scratch *scratch); /* once the device no longer uses it; a zeroed one is fine */

/* Finds the fastest of count candidates and enters it into the backend's choices. run queues one candidate once; each
 * is run several times. Among candidates that are equally fast within measuring noise, the first wins. */
typedef struct {
    const char *key;
    int count;
    const char *(*name)(const void *context, int candidate);
    int (*run)(void *context, int candidate);
    void *context;
} an_tune_contest;
int an_tune_decide(an_backend *cuda, const an_tune_contest *contest, int *winner, double *microseconds);

/* tune_plan.c. Makes the plan that was chosen before, or is fastest now; if the backend keeps no choices, the one that
 * the heuristic proposes first. */
int an_tune_plan(an_backend *cuda, an_plan *plan, const an_plan_spec *spec);

#endif
