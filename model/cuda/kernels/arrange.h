/* Part of bodies.h: weights between plain order and the form that a convolution computes with (kernels.h). */
#ifndef AN_MODEL_CUDA_KERNELS_ARRANGE_H
#define AN_MODEL_CUDA_KERNELS_ARRANGE_H

#include "model/cuda/kernels/values.h"

AN_BODY void an_body_arrange(const an_arrange_args *a, uint64_t i)
{
    an_place p = an_place_of(i, a->rows, a->columns, a->form.channels);
    int side = a->form.side, group = (int)(p.n / (uint64_t)a->group_outputs);
    int pixel = p.c / a->channels - group, c = p.c % a->channels; /* of the block; of a dense form, only 0 is one */
    int y = p.y * side + pixel / side, x = p.x * side + pixel % side;
    float value = 0;
    if (pixel >= 0 && pixel < side * side && y < a->h && x < a->w)
        value = an_load(a->at.in[0], AN_STORED_F32, an_place_index(p.n, y, x, c, a->h, a->w, a->channels));
    an_store(a->at.out[0], a->stored, i, value);
}

AN_BODY void an_body_restore(const an_arrange_args *a, uint64_t i)
{
    an_place p = an_place_of(i, a->h, a->w, a->channels);
    int side = a->form.side, group = (int)(p.n / (uint64_t)a->group_outputs);
    int pixel = p.y % side * side + p.x % side, c = (pixel + group) * a->channels + p.c;
    uint64_t from = an_place_index(p.n, p.y / side, p.x / side, c, a->rows, a->columns, a->form.channels);
    an_store(a->at.out[0], a->stored, i, an_load(a->at.in[0], a->stored, from));
}

#endif
