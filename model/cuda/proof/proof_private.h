/* What the files of the proof share. */
#ifndef AN_MODEL_CUDA_PROOF_PROOF_PRIVATE_H
#define AN_MODEL_CUDA_PROOF_PROOF_PRIVATE_H

#include "model/cuda/proof/proof.h"

/* Which random numbers: of each operand, of the places, and of a result that is added to. */
typedef enum {
    AN_PROOF_SEED_FIRST = 1,
    AN_PROOF_SEED_SECOND,
    AN_PROOF_SEED_BIAS,
    AN_PROOF_SEED_PLACES,
    AN_PROOF_SEED_RESULT
} an_proof_seed;

/* Fills count values with random numbers between -scale and scale. */
int an_proof_fill(const an_proof *proof, void *to, an_stored stored, uint64_t count, an_proof_seed seed, double scale);
/* The scale of the second operand with which a sum of that many products has a variance of 1; that of the first is 1.
 */
double an_proof_scale(double products);
/* The root mean square of one product then. */
float an_proof_each(double products);
/* Sets rounding and growth by the table in proof.h. */
void an_proof_allow(an_proof *proof, an_cuda_precision precision, double products);
an_proof_point *an_proof_points(const an_proof *proof);

#endif
