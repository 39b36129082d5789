/* Steps, updates and evaluations, and the checks before and after them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "model/exec_private.h"
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

/* NULL: the batch has none. */
static const an_image_draw *draws_of(const an_images *images)
{
    return images->block ? images->block : images->draws;
}

static bool block_fits(const an_exec *exec, const an_images *images, uint32_t count)
{
    return !images->block ||
           (images->block_size >= count * sizeof(an_image_draw) && images->block_size <= exec->block_max);
}

static int block_check(const an_exec *exec, const an_images *images, uint32_t count)
{
    if (block_fits(exec, images, count))
        return AN_OK;
    if (!exec->block_max)
        return an_error(AN_EINVAL, "a batch is encoded, but this network was made without a decoder");
    return an_error(AN_EINVAL, "an encoded batch of %u images in %zu bytes: it must be %zu to %zu", count,
                    images->block_size, count * sizeof(an_image_draw), exec->block_max);
}

/* Devices read the mean image at the place of each crop, which must lie inside it. */
static int draws_check(const an_exec *exec, const an_images *images, uint32_t count)
{
    const an_image_draw *draws = draws_of(images);
    if (exec->mean_side == 1 || !draws || an_exec_input_format(exec).dtype != AN_DTYPE_U8)
        return AN_OK;
    uint32_t room = (uint32_t)(exec->mean_side - exec->graph.input_side);
    for (uint32_t i = 0; i < count; i++)
        if (draws[i].x > room || draws[i].y > room)
            return an_error(AN_EINVAL, "image %u lies at %u, %u: a crop of %d leaves the mean image of %d pixels", i,
                            draws[i].x, draws[i].y, exec->graph.input_side, exec->mean_side);
    return AN_OK;
}

static int batch_check(const an_exec *exec, const an_images *images, const uint32_t *labels, uint32_t count)
{
    if (!count || count > (uint32_t)exec->options.batch)
        return an_error(AN_EINVAL, "%u samples: a step takes 1 to %d", count, exec->options.batch);
    for (uint32_t i = 0; labels && i < count; i++)
        if (labels[i] >= (uint32_t)exec->graph.classes)
            return an_error(AN_EINVAL, "label %u of sample %u: the network has %d classes", labels[i], i,
                            exec->graph.classes);
    int rc = block_check(exec, images, count);
    if (rc)
        return rc;
    return draws_check(exec, images, count);
}

static bool all_finite(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

/* Whether all of a node's output is finite. Fetches it from the device, so it is for explaining a failure only. */
static int node_finite(an_exec *exec, int number, uint32_t count, bool *finite)
{
    const an_node *node = &exec->graph.nodes[number];
    size_t size = (size_t)count * (size_t)node->channels * (size_t)node->height * (size_t)node->width;
    float *values = malloc(size * sizeof *values);
    if (!values)
        return an_error(AN_ENOMEM, "out of memory");
    int rc = exec->api->output_get(exec->ops[number], false, count, values);
    *finite = rc || all_finite(values, size);
    free(values);
    return rc;
}

/* AN_ECORRUPT with a message that begins with what was noticed and names the layer in which it began. */
static int not_finite(an_exec *exec, uint32_t count, const char *noticed)
{
    for (int i = 0; i < exec->graph.count; i++) {
        bool finite = true;
        int rc = node_finite(exec, i, count, &finite);
        if (rc)
            return rc;
        if (!finite)
            return an_error(AN_ECORRUPT, "%s: the first values that are not finite come from '%s'", noticed,
                            exec->graph.nodes[i].name);
    }
    return an_error(AN_ECORRUPT, "%s although every layer's output is finite", noticed);
}

/* What the decoder says of an encoded batch on each device that read it. The loss depends on all of them, so whoever
 * waited for it may ask. */
static int decoded_check(an_exec *exec)
{
    an_error_state first = {0};
    for (int i = 0; i < exec->graph.count && exec->block_max; i++) {
        uint32_t sample = 0;
        int rc = exec->graph.nodes[i].kind == AN_OP_INPUT ? exec->api->decoded(exec->ops[i], &sample) : AN_OK;
        if (!rc || first.code)
            continue;
        an_error_save(&first, rc);
        exec->damaged = sample;
    }
    return first.code ? an_error_restore(&first) : AN_OK;
}

static int result_take(an_exec *exec, uint32_t count, an_exec_result *out)
{
    char noticed[48];
    int rc = exec->api->result(exec->ops[exec->loss], out);
    if (rc)
        return rc;
    rc = decoded_check(exec);
    if (rc || isfinite(out->loss))
        return rc;
    snprintf(noticed, sizeof noticed, "loss is %g", out->loss);
    return not_finite(exec, count, noticed);
}

/* Without labels there is no loss that would show values that are not finite. */
static int outputs_check(an_exec *exec, uint32_t count, const float *probabilities)
{
    if (all_finite(probabilities, (size_t)count * (size_t)exec->graph.classes))
        return AN_OK;
    return not_finite(exec, count, "outputs are not finite");
}

/* What the outputs of a training step are compared with, from its labels and draws. The targets point to labels. */
static int targets_make(an_exec *exec, const an_images *images, const uint32_t *labels, uint32_t count)
{
    const an_image_draw *draws = draws_of(images);
    bool mixed = an_images_mix(draws, count);
    double total = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool this = mixed && an_image_mixes(&draws[i], i, count);
        double share = this ? (double)draws[i].share : 1;
        exec->others[i] = labels[this ? i ^ 1 : i];
        exec->shares[i] = (float)share;
        total += share * exec->class_weights[labels[i]] + (1 - share) * exec->class_weights[exec->others[i]];
    }
    exec->targets = (an_targets){
        .labels = labels, .others = mixed ? exec->others : NULL, .shares = mixed ? exec->shares : NULL, .total = total};
    return total > 0 ? AN_OK : an_error(AN_EINVAL, "all labels of the batch are of classes that weigh 0");
}

int an_exec_step(an_exec *exec, const an_images *images, const uint32_t *labels, uint32_t count, uint64_t step,
                 an_exec_result *out)
{
    an_lanes_job job = {.images = *images,
                        .run = {.step = step, .count = count, .training = true},
                        .phases = {[AN_LANES_FORWARD] = true, [AN_LANES_BACKWARD] = true},
                        .next = exec->prefetch,
                        .next_count = exec->prefetch_count,
                        .queue = true,
                        .same = count == (uint32_t)exec->options.batch};
    int rc = batch_check(exec, images, labels, count);
    exec->prefetch_count = 0; /* the job has it now */
    exec->damaged = -1;
    if (rc)
        return rc;
    if (!exec->options.training || !labels)
        return an_error(AN_EINVAL, exec->options.training ? "a training step without labels"
                                                          : "a training step on a model made for evaluation");
    rc = targets_make(exec, images, labels, count);
    if (rc)
        return rc;
    rc = exec->api->labels(exec->ops[exec->loss], &exec->targets, count);
    if (rc)
        return rc;
    rc = an_lanes_run(exec->lanes, &job);
    if (rc)
        return rc;
    return result_take(exec, count, out);
}

void an_exec_prefetch(an_exec *exec, const an_images *images, uint32_t count)
{
    bool fits = count <= (uint32_t)exec->options.batch && block_fits(exec, images, count);
    exec->prefetch = *images;
    exec->prefetch_count = fits ? count : 0;
}

int64_t an_exec_damaged(const an_exec *exec)
{
    return exec->damaged;
}

int an_exec_update(an_exec *exec, const an_sgd *sgd)
{
    an_lanes_job job = {.sgd = *sgd, .phases = {[AN_LANES_UPDATE] = true}, .queue = true};
    if (!exec->options.training)
        return an_error(AN_EINVAL, "an update of a model made for evaluation");
    return an_lanes_run(exec->lanes, &job);
}

void an_exec_replay_set(an_exec *exec, bool wanted)
{
    an_lanes_replay(exec->lanes)->unwanted = !wanted;
}

bool an_exec_replays(const an_exec *exec)
{
    const an_replay *replay = an_lanes_replay(exec->lanes);
    return an_replay_due(replay, exec->api) && replay->recordings[AN_LANES_BACKWARD];
}

const char *an_exec_replay_refusal(const an_exec *exec)
{
    const an_replay *replay = an_lanes_replay(exec->lanes);
    return replay->refused ? replay->refusal : NULL;
}

int an_exec_wait(an_exec *exec)
{
    int rc = AN_OK;
    for (int i = 0; i < exec->device_count; i++) {
        int this = exec->api->synchronize(exec->devices[i]);
        rc = rc ? rc : this;
    }
    return rc;
}

int an_exec_evaluate(an_exec *exec, const an_images *images, const uint32_t *labels, uint32_t count,
                     float *probabilities, an_exec_result *out)
{
    an_lanes_job job = {.images = *images, .run = {.count = count}, .phases = {[AN_LANES_FORWARD] = true}};
    an_op *loss = exec->ops[exec->loss];
    an_targets targets = {.labels = labels, .plain = true, .total = count};
    an_exec_result result;
    float *outputs = probabilities ? probabilities : exec->outputs;
    int rc = batch_check(exec, images, labels, count);
    exec->damaged = -1;
    if (rc)
        return rc;
    rc = exec->api->labels(loss, labels ? &targets : NULL, count);
    if (rc)
        return rc;
    rc = an_lanes_run(exec->lanes, &job);
    if (rc)
        return rc;
    if (probabilities || !labels)
        rc = exec->api->output_get(loss, false, count, outputs);
    if (rc)
        return rc;
    if (labels)
        return result_take(exec, count, out ? out : &result);
    rc = decoded_check(exec);
    if (rc)
        return rc;
    return outputs_check(exec, count, outputs);
}
