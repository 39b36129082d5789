#include "train/loop/trainer_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/program/stop.h"
#include "train/loop/evaluate.h"
#include "train/setup/network.h"

/* DESIGN: state.step alone says where a run stands. Order, crops and dropout masks are functions of it (the loader
 * takes epoch and step within the epoch, exec takes the step), so a checkpoint after any step holds everything that the
 * next step depends on.
 *
 * An epoch is over when a step has taken its last image (base/epochs/epochs.h); where --last carries an epoch's rest
 * over, that step also takes the first images of the next epoch. The run's last step does so, too: it is a whole batch,
 * so that a run goes on with more --epochs as if it had had them from the start.
 *
 * An epoch is closed (validation, schedule, best checkpoint) at the top of the loop, whenever state.epochs_closed says
 * that this has not been done yet. A run that was stopped before or during it therefore repeats it whole.
 *
 * A checkpoint is written by another thread while the loop goes on (saver.h). The loop looks after each step whether it
 * is there; the run ends only when the last one is.
 *
 * Numbers that only appear in events and summaries are not part of the state. */

static an_guard_setting setting_of(const an_trainer *t, double rate)
{
    return (an_guard_setting){.paper_init = t->config->init == AN_INIT_PAPER,
                              .unit_inputs = an_train_config_scale(t->config) == AN_SCALE_UNIT,
                              .falls = t->config->schedule != AN_SCHEDULE_CONSTANT,
                              .overfit = t->config->overfit,
                              .rate = rate};
}

static int train_batch(an_trainer *t, const an_batch *batch)
{
    an_exec_result result;
    an_images images = an_train_images(batch);
    int rc = an_exec_step(t->session.exec, &images, batch->labels, batch->count, t->state.step, &result);
    if (an_exec_damaged(t->session.exec) >= 0)
        return an_train_name_damaged(t->session.exec, t->session.data.training, batch, rc);
    if (rc == AN_ECORRUPT)
        return an_trainer_name_last_good(t, rc);
    an_sgd sgd = an_network_sgd(t->config, an_schedule_rate(&t->schedule, &t->state.schedule, t->state.step));
    if (!rc)
        rc = an_exec_update(t->session.exec, &sgd);
    if (rc)
        return rc;
    t->window.loss += result.loss;
    t->window.top1 += result.top1;
    t->window.topk += result.topk;
    t->window.images += batch->count;
    t->window.steps++;
    t->summary.images += batch->count;
    t->state.step++;
    if (!an_guard_observe(&t->guard, result.loss))
        return AN_OK;
    char text[1024];
    an_guard_setting setting = setting_of(t, sgd.rate);
    an_guard_explain(&t->guard, &setting, text, sizeof(text));
    return an_trainer_tell_text(t, AN_EVENT_WARNING, text);
}

/* The batch of this step. Time spent waiting for it is counted. */
static int take_batch(an_trainer *t, an_batch *out)
{
    if (t->ahead.lease) {
        *out = t->ahead;
        t->ahead.lease = 0;
        return AN_OK;
    }
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
    if (t->state.step + 1 >= t->session.total_steps || an_loader_try_next(t->loader, &next))
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

static int step(an_trainer *t)
{
    an_batch batch;
    int rc = take_batch(t, &batch);
    if (rc)
        return rc;
    look_ahead(t);
    rc = train_batch(t, &batch);
    int released = an_loader_release(t->loader, &batch);
    if (!rc)
        rc = released;
    if (!rc)
        rc = tell_refusal(t);
    if (!rc)
        an_trainer_prime(t);
    if (!rc && (t->state.step % (uint64_t)t->config->log_every == 0 || t->state.step == t->session.total_steps))
        rc = an_trainer_tell_window(t);
    return rc;
}

/* Save after SIGUSR1 and every save_every steps. An epoch's end that is due comes first: it saves, too. */
static int save_if_due(an_trainer *t)
{
    if (an_trainer_epoch_is_due(t))
        return AN_OK;
    bool asked = an_stop_save_requested();
    bool due = t->config->save_every && t->state.step % (uint64_t)t->config->save_every == 0;
    if ((!asked && !due) || (t->saved_any && t->saved_step == t->state.step))
        return AN_OK;
    int rc = an_trainer_tell_window(t);
    if (!rc)
        rc = an_trainer_save(t, false, false);
    an_trainer_window_start(t);
    return rc;
}

/* What --overfit was meant to find out. */
static int tell_overfit(an_trainer *t)
{
    char text[512];
    if (!t->config->overfit || !t->summary.images)
        return AN_OK;
    an_guard_setting setting = setting_of(t, t->config->rate);
    bool sound = an_guard_judge_overfit(&setting, t->validated_top1, text, sizeof(text));
    return an_trainer_tell_text(t, sound ? AN_EVENT_NOTE : AN_EVENT_WARNING, text);
}

/* After the last step: validate if it did not end an epoch. Neither the schedule nor the state sees the result, so a
 * run that --steps ended here goes on as if it had not been. */
static int finish(an_trainer *t)
{
    bool best = false;
    int rc = an_trainer_tell_window(t);
    if (!rc && an_trainer_can_validate(t) && t->summary.images && t->validated_step != t->state.step) {
        an_evaluation result;
        rc = an_trainer_validate(t, &result, &best);
    }
    if (!rc)
        rc = tell_overfit(t);
    if (!rc && (best || t->saved_step != t->state.step || !t->saved_any))
        rc = an_trainer_save(t, best, false);
    return rc;
}

static int stop(an_trainer *t)
{
    int rc = an_trainer_tell_window(t);
    if (!rc && !(t->saved_any && t->saved_step == t->state.step))
        rc = an_trainer_save(t, false, false);
    return rc ? rc : AN_STOPPED;
}

/* Tell how a run that a signal stopped goes on. Returns AN_STOPPED, or a failure. */
static int tell_stop(an_trainer *t)
{
    const an_train_config *config = t->config;
    char text[256];
    const char *how = "nothing of it is kept: there was no --run FOLDER";
    if (config->run && !config->resume)
        how = "the same command with --resume auto continues";
    else if (config->run && strcmp(config->resume, "auto") == 0)
        how = "the same command continues";
    else if (config->run)
        how = "the same command with --resume auto, instead of from that file, continues";
    snprintf(text, sizeof(text), "stopped at step %" PRIu64 " of %" PRIu64 ": %s", t->state.step,
             t->session.total_steps, how);
    int rc = an_trainer_tell_text(t, AN_EVENT_NOTE, text);
    return rc ? rc : AN_STOPPED;
}

/* The steps since the last line, before a failure ends the run; returns that. */
static int tell_rest(an_trainer *t, int rc)
{
    an_error_state first;
    an_error_save(&first, rc);
    (void)an_trainer_tell_window(t); /* if that fails too, the first failure is what is told */
    return an_error_restore(&first);
}

static int loop(an_trainer *t)
{
    int rc = AN_OK;
    while (!rc) {
        if (an_stop_requested())
            return AN_STOPPED;
        if (an_trainer_epoch_is_due(t))
            rc = an_trainer_close_epoch(t);
        else if (!an_trainer_is_over(t))
            rc = step(t);
        else
            return finish(t);
        if (!rc)
            rc = save_if_due(t);
        if (!rc)
            rc = an_trainer_settle(t, false);
    }
    return rc;
}

int an_trainer_run(an_trainer *t)
{
    uint64_t start = an_clock_ns();
    an_loader_stats_reset(t->loader);
    an_trainer_window_start(t);
    int rc = loop(t);
    if (rc == AN_STOPPED)
        rc = stop(t);
    if (rc < 0)
        rc = tell_rest(t, rc);
    rc = an_trainer_settle_last(t, rc);
    if (!rc && t->board)
        rc = an_board_end(t->board, t->state.step);
    if (rc == AN_STOPPED)
        rc = tell_stop(t);
    an_trainer_profile_take(t);
    t->summary.seconds = an_clock_seconds_since(start);
    return rc;
}

int an_trainer_create(an_trainer **out, const an_train_config *config, const char *training,
                      const char *const *validations, const an_train_observer *observer)
{
    an_trainer *t = calloc(1, sizeof(*t));
    if (!t)
        return an_error(AN_ENOMEM, "out of memory for a trainer");
    t->own = *config;
    t->config = &t->own;
    t->observer = observer;
    int rc = an_trainer_prepare(t, training, validations);
    if (rc) {
        an_trainer_free(t);
        return rc;
    }
    *out = t;
    return AN_OK;
}

void an_trainer_free(an_trainer *t)
{
    if (!t)
        return;
    an_loader_free(t->loader);
    an_loader_free(t->viewer);
    an_saver_free(t->saver);
    an_metrics_close(t->metrics);
    an_tensorboard_close(t->board);
    an_run_close(t->run);
    an_buffer_free(&t->recipe);
    an_buffer_free(&t->machine);
    an_profile_close(&t->profile);
    an_session_close(&t->session);
    free(t);
}
