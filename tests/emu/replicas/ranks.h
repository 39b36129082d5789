/* Ranks as threads of one process, each with its share of a batch on emulated GPUs, which the emulated NCCL adds up.
 * Failures end the test. */
#ifndef AN_TESTS_EMU_REPLICAS_RANKS_H
#define AN_TESTS_EMU_REPLICAS_RANKS_H

#include "model/exec.h"
#include "train/group/nccl_private.h"

#define RANKS_BATCH 8 /* of all ranks together */
#define RANKS_MAX 2

/* A training, the same for all of its ranks. */
typedef struct {
    const char *devices[RANKS_MAX]; /* of each rank; of who has the whole batch, the first */
    int world;
    an_precision precision;
    int parts;
    uint64_t bucket_bytes;
    double clip;
    bool walks; /* steps are not replayed */
} ranks_form;

typedef struct {
    const ranks_form *form;
    int rank;
    an_nccl_sum *sum; /* NULL: it has the whole batch to itself */
    an_exec *exec;
    void *pixels;
    size_t size;
    an_image_draw *draws;
    double loss; /* of the last step: this rank's part of the mean */
} rank_state;

/* The emulated NCCL, through the loader of the program. */
const an_nccl *ranks_nccl(void);
/* Makes the sum of each rank of a form. */
void ranks_sums(const ranks_form *form, an_nccl_sum **out);

/* The calling thread makes, uses and frees a rank. */
void rank_make(rank_state *r, const ranks_form *form, int rank, an_nccl_sum *sum);
void rank_free(rank_state *r); /* with its sum */
void rank_step(rank_state *r, uint64_t step);
void rank_update(rank_state *r);
uint64_t rank_checksum(rank_state *r);

#endif
