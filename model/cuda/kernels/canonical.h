/* Part of bodies.h: weights from their order in memory to canonical order. Consecutive threads write consecutive
 * places; what they read lies apart, but the rest of each line that they touch is read by their neighbours soon after.
 */
#ifndef AN_MODEL_CUDA_KERNELS_CANONICAL_H
#define AN_MODEL_CUDA_KERNELS_CANONICAL_H

#include "model/cuda/kernels/values.h"

/* The place in memory, O x H x W x stored_i, of value number k of O x I x H x W. */
AN_BODY uint64_t an_canonical_place(const an_canonical_args *a, uint64_t k)
{
    uint32_t plane = (uint32_t)a->h * (uint32_t)a->w, filter = (uint32_t)a->i * plane;
    if (plane == 1 && a->i == a->stored_i)
        return k;
    uint32_t within = (uint32_t)(k % filter), channel = within / plane, pixel = within % plane;
    return (k / filter * plane + pixel) * (uint64_t)a->stored_i + channel;
}

AN_BODY void an_body_canonical(const an_canonical_args *a, uint64_t k)
{
    uint64_t place = an_canonical_place(a, k);
    an_store(a->at.out[0], AN_STORED_F32, k, an_load(a->at.in[0], AN_STORED_F32, place));
    an_store(a->at.out[1], AN_STORED_F32, k, an_load(a->at.in[1], AN_STORED_F32, place));
    if (a->at.in[2])
        an_store(a->at.out[2], AN_STORED_F32, k, an_load(a->at.in[2], AN_STORED_F32, place));
}

#endif
