/* Steps and evaluations, and the checks before and after them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "model/exec/exec_private.h"
#include "model/exec/exec_reduce_private.h"

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
    const an_image_draw *draws = an_exec_draws(images);
    if (exec->mean_side == 1 || !draws || an_exec_input_format(exec).dtype != AN_DTYPE_U8)
        return AN_OK;
    uint32_t room = (uint32_t)(exec->mean_side - exec->graph.input_side);
    for (uint32_t i = 0; i < count; i++)
        if (draws[i].x > room || draws[i].y > room)
            return an_error(AN_EINVAL, "image %u lies at %u, %u: a crop of %d leaves the mean image of %d pixels", i,
                            draws[i].x, draws[i].y, exec->graph.input_side, exec->mean_side);
    return AN_OK;
}

int an_exec_batch_check(const an_exec *exec, const an_images *images, const uint32_t *labels, uint32_t count)
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

/* A batch that is run, as a whole or in parts. */
typedef struct {
    an_exec *exec;
    const an_images *images;
    const an_targets *targets; /* NULL: none */
    uint32_t count;
} batch;

/* The part of images from a sample on. */
static an_images images_from(const an_exec *exec, const an_images *images, uint32_t first)
{
    an_format format = an_exec_input_format(exec);
    size_t side = (size_t)exec->graph.input_side, size = side * side * (size_t)format.channels;
    an_images part = *images;
    if (!first)
        return part;
    part.pixels = (const char *)images->pixels + first * size * an_dtype_size(format.dtype);
    part.draws = images->draws ? images->draws + first : NULL;
    return part;
}

static uint32_t samples_from(const an_exec *exec, uint32_t count, uint32_t first)
{
    return count - first < exec->part ? count - first : exec->part;
}

/* Still divided by the total of the whole batch. */
static int part_labels(const batch *b, uint32_t first, uint32_t count)
{
    an_op *loss = b->exec->ops[b->exec->loss];
    if (!b->targets)
        return b->exec->api->labels(loss, NULL, count);
    an_targets part = *b->targets;
    part.labels += first;
    if (part.others) {
        part.others += first;
        part.shares += first;
    }
    return b->exec->api->labels(loss, &part, count);
}

static void result_add(an_exec_result *sum, const an_exec_result *part)
{
    sum->loss += part->loss;
    sum->top1 += part->top1;
    sum->topk += part->topk;
}

/* Sums of gradients begin with the first part and are complete with the last one. */
typedef struct {
    const an_exec *exec;
    bool begin, end;
} gathering;

static int device_gather(void *context, int device)
{
    const gathering *g = context;
    const an_exec *exec = g->exec;
    bool reduce = g->end && exec->reduction;
    int rc = AN_OK;
    for (int i = exec->graph.count - 1; i >= 0 && !rc; i--) {
        if (!exec->flow[i].learns || exec->graph.nodes[i].device != device)
            continue;
        rc = exec->api->gather(exec->ops[i], g->begin);
        if (!rc && reduce)
            rc = an_reduction_ready(exec->reduction, i);
    }
    return rc || !reduce ? rc : an_reduction_end(exec->reduction, device);
}

static int part_step(const batch *b, uint32_t first, uint64_t step, an_exec_result *out)
{
    an_exec *exec = b->exec;
    uint32_t count = samples_from(exec, b->count, first), next = first + count;
    bool whole = exec->part == (uint32_t)exec->options.batch;
    gathering gather = {exec, first == 0, next == b->count};
    an_lanes_job job = {.images = images_from(exec, b->images, first),
                        .run = {.step = step, .count = count, .first = exec->share_first + first, .training = true},
                        .phases = {[AN_LANES_FORWARD] = true, [AN_LANES_BACKWARD] = true},
                        .reduce = whole && exec->reduction,
                        .each = whole ? NULL : device_gather,
                        .context = &gather,
                        .queue = true,
                        .same = b->count == (uint32_t)exec->options.batch};
    if (next < b->count) {
        job.next = images_from(exec, b->images, next);
        job.next_count = samples_from(exec, b->count, next);
    } else if (exec->prefetch_count) {
        job.next = exec->prefetch;
        job.next_count = samples_from(exec, exec->prefetch_count, 0);
    }
    int rc = part_labels(b, first, count);
    if (rc)
        return rc;
    rc = an_lanes_run(exec->lanes, &job);
    if (rc)
        return rc;
    return result_take(exec, count, out);
}

static int step_check(const an_exec *exec, const uint32_t *labels)
{
    if (!exec->options.training)
        return an_error(AN_EINVAL, "a training step on a model made for evaluation");
    if (!labels)
        return an_error(AN_EINVAL, "a training step without labels");
    if (exec->exchanged)
        return an_error(AN_EINVAL, "a training step while averages are in use");
    return AN_OK;
}

int an_exec_step(an_exec *exec, const an_images *images, const uint32_t *labels, uint32_t count, uint64_t step,
                 an_exec_result *out)
{
    batch b = {.exec = exec, .images = images, .targets = &exec->targets, .count = count};
    int rc = an_exec_batch_check(exec, images, labels, count);
    if (!rc)
        rc = step_check(exec, labels);
    if (!rc)
        rc = an_exec_targets(exec, images, labels, count);
    if (!rc) /* of a step that was not followed by an update */
        rc = an_reduction_wait_all(exec->reduction);
    exec->damaged = -1;
    *out = (an_exec_result){0};
    for (uint32_t first = 0; !rc && first < count; first += exec->part) {
        an_exec_result part;
        exec->stepped = true;
        exec->normed = false;
        rc = part_step(&b, first, step, &part);
        if (!rc)
            result_add(out, &part);
    }
    exec->prefetch_count = 0; /* the last job had it */
    return rc;
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

static int part_evaluate(const batch *b, uint32_t first, float *probabilities, an_exec_result *out)
{
    an_exec *exec = b->exec;
    uint32_t count = samples_from(exec, b->count, first);
    an_lanes_job job = {.images = images_from(exec, b->images, first),
                        .run = {.count = count, .first = first},
                        .phases = {[AN_LANES_FORWARD] = true}};
    float *outputs = probabilities ? probabilities + (size_t)first * (size_t)exec->graph.classes : exec->outputs;
    int rc = part_labels(b, first, count);
    if (rc)
        return rc;
    rc = an_lanes_run(exec->lanes, &job);
    if (rc)
        return rc;
    if (probabilities || !b->targets)
        rc = exec->api->output_get(exec->ops[exec->loss], false, count, outputs);
    if (rc)
        return rc;
    if (b->targets)
        return result_take(exec, count, out);
    rc = decoded_check(exec);
    if (rc)
        return rc;
    return outputs_check(exec, count, outputs);
}

int an_exec_evaluate(an_exec *exec, const an_images *images, const uint32_t *labels, uint32_t count,
                     float *probabilities, an_exec_result *out)
{
    an_targets targets = {.labels = labels, .plain = true, .total = count};
    batch b = {exec, images, labels ? &targets : NULL, count};
    an_exec_result sum = {0};
    int rc = an_exec_batch_check(exec, images, labels, count);
    exec->damaged = -1;
    for (uint32_t first = 0; !rc && first < count; first += exec->part) {
        an_exec_result part = {0};
        rc = part_evaluate(&b, first, probabilities, &part);
        if (!rc)
            result_add(&sum, &part);
    }
    if (!rc && labels && out)
        *out = sum;
    return rc;
}
