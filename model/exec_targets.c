/* The targets of a batch, from its labels and the draws of its images. */
#include "model/exec_private.h"

const an_image_draw *an_exec_draws(const an_images *images)
{
    return images->block ? images->block : images->draws;
}

static bool is_mixed(const an_image_draw *draws, uint32_t i, uint32_t count)
{
    return draws && (i ^ 1) < count && draws[i].share < 1;
}

const an_targets *an_exec_targets(an_exec *exec, const an_images *images, const uint32_t *labels, uint32_t count)
{
    const an_image_draw *draws = an_exec_draws(images);
    bool mixed = false;
    if (!labels)
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        bool this = is_mixed(draws, i, count);
        exec->others[i] = labels[this ? i ^ 1 : i];
        exec->shares[i] = this ? draws[i].share : 1;
        mixed |= this;
    }
    exec->targets = (an_targets){
        .labels = labels, .others = mixed ? exec->others : NULL, .shares = mixed ? exec->shares : NULL, .total = count};
    return &exec->targets;
}
