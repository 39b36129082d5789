/* The operands and the reference of a product of matrices. */
#include "base/error.h"
#include "model/cuda/library/check.h"
#include "model/cuda/proof/proof_private.h"

static int operands_fill(const an_proof *proof, const an_proof_matrices *p, an_stored stored)
{
    int rc = an_proof_fill(proof, p->a, stored, (uint64_t)(p->m * p->k), AN_PROOF_SEED_FIRST, 1);
    if (!rc)
        rc = an_proof_fill(proof, p->b, stored, (uint64_t)(p->k * p->n), AN_PROOF_SEED_SECOND,
                           an_proof_scale((double)p->k));
    if (!rc && p->bias)
        rc = an_proof_fill(proof, p->bias, p->stored_d, (uint64_t)p->m, AN_PROOF_SEED_BIAS, 1);
    if (!rc && p->adds) /* the reference adds to it, too */
        rc = an_proof_fill(proof, p->d, p->stored_d, (uint64_t)(p->m * p->n), AN_PROOF_SEED_RESULT, 1);
    return rc;
}

int an_proof_product(an_proof *proof, const an_proof_matrices *p)
{
    an_stored stored = p->precision == AN_CUDA_BF16 ? AN_STORED_BF16 : AN_STORED_F32;
    int rc = operands_fill(proof, p, stored);
    if (rc)
        return rc;
    proof->result = p->d;
    proof->stored = p->stored_d;
    proof->values = (uint64_t)(p->m * p->n);
    proof->gaps = 0;
    proof->adds = p->adds;
    proof->slack = 0;
    an_proof_allow(proof, p->precision, (double)p->k);
    an_proof_product_args args = {.at = {.out = {an_proof_points(proof)},
                                         .in = {p->a, p->b, p->bias, p->adds ? p->d : NULL},
                                         .items = AN_PROOF_PLACES},
                                  .m = p->m,
                                  .n = p->n,
                                  .k = p->k,
                                  .turn_a = p->turn_a,
                                  .turn_b = p->turn_b,
                                  .relu = p->relu,
                                  .seed = AN_PROOF_SEED_PLACES,
                                  .each = an_proof_each((double)p->k),
                                  .stored = stored,
                                  .stored_d = p->stored_d};
    return an_cuda_check(an_kernel_proof_product(&args, proof->stream), "start the kernel 'proof_product'");
}
