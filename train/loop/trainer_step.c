/* A step: its batch, forward and backward, the update; and what ranks tell each other after it, so that all go on
 * alike.
 */
#include <math.h>
#include <stdio.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/program/stop.h"
#include "train/loop/trainer_private.h"
#include "train/setup/network.h"

/* ---- What ranks tell each other ---- */

bool an_trainer_stop_wanted(const an_trainer *t)
{
    return t->group ? t->stop_wanted : an_stop_requested();
}

bool an_trainer_save_wanted(an_trainer *t)
{
    if (!t->group)
        return an_stop_save_requested();
    bool wanted = t->save_wanted;
    t->save_wanted = false;
    return wanted;
}

enum { LOSS, TOP1, TOPK, COUNT, STOP, SAVE, WRITTEN, VALUES };

/* Counts are exact as doubles, and only rank 0 writes checkpoints. */
static int agree(an_trainer *t, an_exec_result *result, uint32_t *count)
{
    if (!t->group)
        return AN_OK;
    double sums[VALUES] = {[LOSS] = result->loss,
                           [TOP1] = result->top1,
                           [TOPK] = result->topk,
                           [COUNT] = *count,
                           [STOP] = an_stop_requested(),
                           [SAVE] = an_stop_save_requested(),
                           [WRITTEN] = an_group_rank(t->group) ? 0 : (double)t->written};
    int rc = an_group_sum(t->group, sums, VALUES);
    if (rc)
        return rc;
    result->loss = sums[LOSS];
    result->top1 = (uint32_t)sums[TOP1];
    result->topk = (uint32_t)sums[TOPK];
    *count = (uint32_t)sums[COUNT];
    t->stop_wanted = t->stop_wanted || sums[STOP] > 0;
    t->save_wanted = t->save_wanted || sums[SAVE] > 0;
    return an_trainer_share_checkpoint(t, (uint64_t)sums[WRITTEN]);
}

/* Images of this step on all ranks. */
static uint64_t whole_count(const an_trainer *t)
{
    const an_epochs *epochs = &t->session.epochs;
    uint64_t left = epochs->images - an_epochs_offset(epochs, t->state.step);
    return epochs->last == AN_LAST_SHORT && left < epochs->batch ? left : epochs->batch;
}

static int share_set(an_trainer *t, const an_batch *batch)
{
    const an_train_share *share = &t->session.share;
    an_exec *exec = t->session.exec;
    if (!t->group)
        return AN_OK;
    double total = (double)whole_count(t);
    if (t->session.data.class_weights) {
        an_images images = an_train_images(batch);
        total = 0;
        int rc = batch->count ? an_exec_weight(exec, &images, batch->labels, batch->count, &total) : AN_OK;
        if (!rc)
            rc = an_group_sum(t->group, &total, 1);
        if (rc)
            return rc;
    }
    an_exec_share(exec, (uint32_t)(share->rank * share->batch), batch->count ? total : INFINITY);
    return AN_OK;
}

/* ---- The step ---- */

typedef struct {
    uint64_t place, record;
    an_image_draw draw;
} sample;

_Static_assert(sizeof(sample) == 2 * sizeof(uint64_t) + sizeof(an_image_draw), "nothing is hashed that is not set");

/* A sum, so that it is the same for any number of ranks. The place is that in the training's order, as if all its steps
 * were whole. */
static void count_samples(an_trainer *t, const an_batch *batch)
{
    const an_train_share *share = &t->session.share;
    uint64_t first = t->state.step * (uint64_t)t->config->batch + (uint64_t)share->rank * (uint64_t)share->batch;
    for (uint32_t i = 0; i < batch->count; i++) {
        sample s = {.place = first + i, .record = batch->indices[i], .draw = batch->draws[i]};
        t->window.samples += XXH3_64bits(&s, sizeof s);
    }
}

static int compute(an_trainer *t, const an_batch *batch, an_exec_result *out)
{
    an_exec *exec = t->session.exec;
    int rc = share_set(t, batch);
    if (rc)
        return rc;
    if (!batch->count) {
        rc = an_exec_step(exec, &t->black.images, &t->black.label, 1, t->state.step, out);
        *out = (an_exec_result){0};
        return rc;
    }
    an_images images = an_train_images(batch);
    rc = an_exec_step(exec, &images, batch->labels, batch->count, t->state.step, out);
    if (an_exec_damaged(exec) >= 0)
        return an_train_name_damaged(exec, t->session.data.training, batch, rc);
    return rc == AN_ECORRUPT ? an_trainer_name_last_good(t, rc) : rc;
}

static int observe(an_trainer *t, double loss, double rate)
{
    char text[1024];
    if (!an_guard_observe(&t->guard, loss))
        return AN_OK;
    an_guard_setting setting = an_trainer_guard_setting(t, rate);
    an_guard_explain(&t->guard, &setting, text, sizeof(text));
    return an_trainer_tell_text(t, AN_EVENT_WARNING, text);
}

static int train_batch(an_trainer *t, const an_batch *batch)
{
    an_exec_result result;
    uint32_t count = batch->count;
    int rc = compute(t, batch, &result);
    if (rc)
        return rc;
    an_sgd sgd = an_network_sgd(t->config, an_schedule_rate(&t->schedule, &t->state.schedule, t->state.step));
    rc = an_exec_update(t->session.exec, &sgd);
    if (!rc)
        rc = agree(t, &result, &count);
    if (rc)
        return rc;
    count_samples(t, batch);
    t->window.loss += result.loss;
    t->window.top1 += result.top1;
    t->window.topk += result.topk;
    t->window.images += count;
    t->window.steps++;
    t->summary.images += count;
    t->state.step++;
    return observe(t, result.loss, sgd.rate);
}

/* The batch of this step. Time spent waiting for it is counted. */
static int take_batch(an_trainer *t, an_batch *out)
{
    if (t->ahead.lease) {
        *out = t->ahead;
        t->ahead.lease = 0;
        return AN_OK;
    }
    an_group_doing(t->group, AN_GROUP_LOADING);
    uint64_t start = an_clock_ns();
    int rc = an_loader_next(t->loader, out);
    uint64_t waited = an_clock_ns() - start;
    t->window.wait_ns += waited;
    t->summary.wait_seconds += (double)waited * 1e-9;
    return rc;
}

/* Send the next step's images to the device while this step computes, if they are ready. A failure of the loader is
 * reported when the batch is due: it stays. */
static void look_ahead(an_trainer *t)
{
    an_batch next;
    if (t->ahead.lease || t->state.step + 1 >= t->session.total_steps || an_loader_try_next(t->loader, &next))
        return;
    t->ahead = next;
    an_images images = an_train_images(&next);
    an_exec_prefetch(t->session.exec, &images, next.count);
}

/* Warn once if steps cannot be replayed as a graph. */
static int tell_refusal(an_trainer *t)
{
    char text[1024];
    const char *reason = t->refusal_told ? NULL : an_exec_replay_refusal(t->session.exec);
    if (!reason)
        return AN_OK;
    t->refusal_told = true;
    snprintf(text, sizeof(text), "steps are queued operation by operation, which takes the host longer: %s", reason);
    return an_trainer_tell_text(t, AN_EVENT_WARNING, text);
}

/* A step that ends an epoch may be too short to have an image for each rank. */
static bool takes_part(const an_trainer *t)
{
    return !t->group || an_train_share_of(&t->session.share, whole_count(t)) > 0;
}

int an_trainer_step(an_trainer *t)
{
    an_batch batch = {0};
    bool part = takes_part(t);
    int rc = part ? take_batch(t, &batch) : AN_OK;
    if (rc)
        return rc;
    an_group_doing(t->group, AN_GROUP_TRAINING);
    look_ahead(t);
    rc = train_batch(t, &batch);
    int released = part ? an_loader_release(t->loader, &batch) : AN_OK;
    if (!rc)
        rc = released;
    return rc ? rc : tell_refusal(t);
}
