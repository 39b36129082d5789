/* Choosing among kernels that compute the same. A kernel is a candidate only if it has passed its proof
 * (proof/proof.h) on this device, whether it was chosen before, is the libraries' favourite or one of many; those that
 * pass are measured, while a network is made. The choices are kept in the backend's an_choices, which the caller owns;
 * without, the first that passes is taken. What is not used although a library offers it, and choices that no longer
 * hold, are told in the backend's notes; kernels that are passed over because they sum less exactly, in its remarks.
 *
 * Measuring takes seconds for a network, so it stops early: a candidate that takes more than twice the time of the best
 * one is not measured further, and after AN_TUNE_STALE in a row that were no faster than the best, no more are tried.
 *
 * All calls come from the thread that makes the network; they wait for the compute stream. A candidate that its library
 * refuses drops out; a device that fails is an error. */
#ifndef AN_MODEL_CUDA_TUNE_H
#define AN_MODEL_CUDA_TUNE_H

#include "model/cuda/cuda.h"
#include "model/cuda/proof/proof.h"

#define AN_TUNE_CANDIDATES 8
#define AN_TUNE_STALE 4
#define AN_TUNE_OPERATION 256
#define AN_TUNE_KEY 512

/* Device memory of their own for kernels to run on. */
#define AN_TUNE_PARTS 5
typedef struct {
    void *memory, *workspace;
    size_t workspace_size;
    void *parts[AN_TUNE_PARTS]; /* NULL where a size is 0 */
} an_tune_scratch;
int an_tune_scratch_make(an_tune_scratch *scratch, const an_backend *cuda, const size_t sizes[AN_TUNE_PARTS],
                         const char *what);
/* Makes the workspace at least that large; it may move. */
int an_tune_scratch_reserve(an_tune_scratch *scratch, const an_backend *cuda, size_t size, const char *what);
/* Waits until the device no longer uses it. A zeroed one is fine. */
void an_tune_scratch_free(an_tune_scratch *scratch, const an_backend *cuda);

/* The candidates for an operation. run queues one of them once. */
typedef struct {
    const char *library;               /* "cuDNN" */
    char operation[AN_TUNE_OPERATION]; /* in words, with its shape and types */
    char key[AN_TUNE_KEY];             /* of the choice */
    const char *(*name)(const void *context, int candidate);
    int (*run)(void *context, int candidate);
    void *context;
    an_proof proof; /* begun: its operands are filled and its reference is queued */
    /* While candidates are proved: the microseconds of those that passed, and of the fastest (0: none); candidates
     * since then that were no faster. */
    double times[AN_TUNE_CANDIDATES], best;
    int stale;
    /* Candidates that did not pass; the first one's name, and why. */
    int refused;
    char reason[AN_PLAN_ENGINE_NAME + AN_PROOF_WHY + 8];
} an_tune_contest;
/* Candidates that are proved from now on are timed, too. an_tune_clock_free ends that; a zeroed contest is fine. */
int an_tune_clock_make(const an_backend *cuda, an_tune_contest *contest);
void an_tune_clock_free(an_tune_contest *contest);
/* Writes the key: the device and versions that a choice depends on, and the operation. */
int an_tune_key(const an_backend *cuda, an_tune_contest *contest);
/* What was chosen before; NULL: nothing, or the backend keeps no choices. */
const an_choice *an_tune_kept(const an_backend *cuda, const an_tune_contest *contest);
/* Tells that a choice no longer holds. */
int an_tune_kept_tell(const an_backend *cuda, const an_tune_contest *contest, const an_choice *kept);
/* Compares a candidate with the reference. One that fails is told; one that is too slow has not passed. */
int an_tune_prove(const an_backend *cuda, an_tune_contest *contest, int candidate, bool *passed);
/* The error if no candidate passes. */
int an_tune_none(const an_tune_contest *contest);
/* Finds the fastest of count candidates, all of which have passed, and enters it into the backend's choices. Each is
 * run several times. Among those that are equally fast within measuring noise, the first wins. */
int an_tune_decide(an_backend *cuda, const an_tune_contest *contest, int count, int *winner, double *microseconds);

/* tune_plan.c. Makes the plan that was chosen before, or is fastest now. AN_EUNSUPPORTED if none passes. */
int an_tune_plan(an_backend *cuda, an_plan *plan, const an_plan_spec *spec);

#endif
