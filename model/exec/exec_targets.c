/* What the outputs of a training step are compared with, from the batch's labels and the draws of its images. */
#include <math.h>

#include "base/error.h"
#include "model/exec/exec_private.h"
#include "model/targets.h"

int an_exec_targets_check(const an_graph *graph, const an_exec_options *options)
{
    if (!(options->label_smoothing >= 0 && options->label_smoothing <= 1))
        return an_error(AN_EINVAL, "label smoothing of %g: it must be 0 to 1", options->label_smoothing);
    for (int c = 0; options->class_weights && c < graph->classes; c++)
        if (!isfinite(options->class_weights[c]) || options->class_weights[c] < 0)
            return an_error(AN_EINVAL, "class %d weighs %g: give a finite number, 0 or more", c,
                            options->class_weights[c]);
    return AN_OK;
}

const an_image_draw *an_exec_draws(const an_images *images)
{
    return images->block ? images->block : images->draws;
}

int an_exec_weight(an_exec *exec, const an_images *images, const uint32_t *labels, uint32_t count, double *out)
{
    int rc = an_exec_batch_check(exec, images, labels, count);
    if (rc)
        return rc;
    const an_image_draw *draws = an_exec_draws(images);
    *out = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool mixed = draws && an_image_mixes(&draws[i], i, count);
        double share = mixed ? (double)draws[i].share : 1;
        *out += share * exec->class_weights[labels[i]] + (1 - share) * exec->class_weights[labels[mixed ? i ^ 1 : i]];
    }
    return AN_OK;
}

void an_exec_share(an_exec *exec, uint32_t first, double total)
{
    exec->share_first = first;
    exec->share_total = total;
}

int an_exec_targets(an_exec *exec, const an_images *images, const uint32_t *labels, uint32_t count)
{
    const an_image_draw *draws = an_exec_draws(images);
    bool mixed = an_images_mix(draws, count);
    double total = exec->share_total;
    int rc = total > 0 ? AN_OK : an_exec_weight(exec, images, labels, count, &total);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < count; i++) {
        bool this = mixed && an_image_mixes(&draws[i], i, count);
        exec->others[i] = labels[this ? i ^ 1 : i];
        exec->shares[i] = this ? draws[i].share : 1;
    }
    exec->targets = (an_targets){
        .labels = labels, .others = mixed ? exec->others : NULL, .shares = mixed ? exec->shares : NULL, .total = total};
    if (total > 0)
        return AN_OK;
    return an_error(AN_EINVAL,
                    "all %u labels of the batch are of classes that weigh 0: use larger batches, or weights "
                    "above 0",
                    count);
}
