/* Part of bodies.h: weights between plain order and the form that a convolution computes with, and tensors between
 * frames and themselves (kernels.h). */
#ifndef AN_MODEL_CUDA_KERNELS_ARRANGE_H
#define AN_MODEL_CUDA_KERNELS_ARRANGE_H

#include "model/cuda/kernels/values.h"

/* The index of a value in memory, O x h x w x channels. */
AN_BODY uint64_t an_arrange_index(uint64_t o, int y, int x, int c, int h, int w, int channels)
{
    return ((o * (uint64_t)h + (uint64_t)y) * (uint64_t)w + (uint64_t)x) * (uint64_t)channels + (uint64_t)c;
}

AN_BODY void an_body_arrange(const an_arrange_args *a, uint64_t i)
{
    an_place p = an_place_of(i, a->rows, a->columns, a->form.channels);
    int side = a->form.side, group = (int)(p.n / (uint64_t)a->group_outputs);
    int pixel = p.c / a->channels - group, c = p.c % a->channels; /* of the block; of a dense form, only 0 is one */
    int y = p.y * side + pixel / side, x = p.x * side + pixel % side;
    float value = 0;
    if (pixel >= 0 && pixel < side * side && y < a->h && x < a->w)
        value = an_load(a->at.in[0], AN_STORED_F32, an_arrange_index(p.n, y, x, c, a->h, a->w, a->channels));
    an_store(a->at.out[0], a->stored, i, value);
}

AN_BODY void an_body_restore(const an_arrange_args *a, uint64_t i)
{
    an_place p = an_place_of(i, a->h, a->w, a->channels);
    int side = a->form.side, group = (int)(p.n / (uint64_t)a->group_outputs);
    int pixel = p.y % side * side + p.x % side, c = (pixel + group) * a->channels + p.c;
    uint64_t from = an_arrange_index(p.n, p.y / side, p.x / side, c, a->rows, a->columns, a->form.channels);
    an_store(a->at.out[0], a->stored, i, an_load(a->at.in[0], a->stored, from));
}

AN_BODY void an_frame_group(const an_frame_args *a, uint64_t i, an_stored stored, int count)
{
    float values[8];
    an_place p = an_place_of(i, a->h, a->w, a->channels / count);
    uint64_t within =
        an_arrange_index(p.n, p.y + a->pad, p.x + a->pad, p.c * count, a->frame_h, a->frame_w, a->channels);
    an_group_load(a->at.in[0], stored, a->back ? within : i * (uint64_t)count, count, values);
    an_group_put(a->at.out[0], stored, a->back ? i * (uint64_t)count : within, count, values, a->accumulate);
}

AN_BODY void an_frame_one(const an_frame_args *a, uint64_t i)
{
    an_place p = an_place_of(i, a->h, a->w, a->channels);
    uint64_t within = an_arrange_index(p.n, p.y + a->pad, p.x + a->pad, p.c, a->frame_h, a->frame_w, a->channels);
    float value = an_load(a->at.in[0], a->stored, a->back ? within : i);
    an_put(a->at.out[0], a->stored, a->back ? i : within, value, a->accumulate);
}

AN_BODY void an_body_frame(const an_frame_args *a, uint64_t i)
{
    if (a->group == 1)
        an_frame_one(a, i);
    else if (a->stored == AN_STORED_F32)
        an_frame_group(a, i, AN_STORED_F32, 4);
    else
        an_frame_group(a, i, AN_STORED_BF16, 8);
}

#endif
