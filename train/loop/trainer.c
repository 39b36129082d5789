#include "train/loop/trainer_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/program/stop.h"
#include "train/loop/evaluate.h"
#include "train/replicas/agree.h"

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

an_guard_setting an_trainer_guard_setting(const an_trainer *t, double rate)
{
    return (an_guard_setting){.paper_init = t->config->init == AN_INIT_PAPER,
                              .unit_inputs = an_train_config_scale(t->config) == AN_SCALE_UNIT,
                              .falls = t->config->schedule != AN_SCHEDULE_CONSTANT,
                              .overfit = t->config->overfit,
                              .rate = rate};
}

/* Replicas that no longer hold the same weights train something else, each for itself. */
#define COMPARE_STEPS 1000

static int step(an_trainer *t)
{
    int rc = an_trainer_step(t);
    if (!rc && t->state.step % COMPARE_STEPS == 0)
        rc = an_replicas_check_weights(t->group, t->session.exec, t->state.step);
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
    bool asked = an_trainer_save_wanted(t);
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
    an_guard_setting setting = an_trainer_guard_setting(t, t->config->rate);
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
        if (an_trainer_stop_wanted(t))
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

/* Returns rc, or the failure of another rank, if rc is none. */
static int end(an_trainer *t, int rc)
{
    int failed = rc < 0 ? rc : an_trainer_gather_summaries(t);
    if (failed < 0)
        rc = an_trainer_fail(t, failed);
    an_trainer_await(t, NULL);
    return rc;
}

int an_trainer_run(an_trainer *t)
{
    uint64_t start = an_clock_ns();
    an_loader_stats_reset(t->loader);
    an_trainer_window_start(t);
    an_trainer_await(t, t->loader);
    int rc = loop(t);
    if (rc == AN_STOPPED && !an_group_check(t->group))
        rc = stop(t);
    rc = an_trainer_fail(t, rc);
    if (rc < 0)
        rc = tell_rest(t, rc);
    rc = end(t, an_trainer_settle_last(t, rc));
    if (!rc && t->board)
        rc = an_board_end(t->board, t->state.step);
    if (rc == AN_STOPPED)
        rc = tell_stop(t);
    an_trainer_profile_take(t);
    t->summary.seconds = an_clock_seconds_since(start);
    return rc;
}

int an_trainer_create(an_trainer **out, const an_train_config *config, an_group *group, const char *training,
                      const char *const *validations, const an_train_observer *observer)
{
    an_trainer *t = calloc(1, sizeof(*t));
    an_rank_window *windows = calloc((size_t)an_group_world(group), sizeof(*windows));
    if (!t || !windows) {
        free(t);
        free(windows);
        return an_error(AN_ENOMEM, "out of memory for a trainer");
    }
    pthread_mutex_init(&t->lock, NULL);
    t->own = *config;
    t->config = &t->own;
    t->group = group;
    t->windows = windows;
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
    if (t->black.pixels)
        an_exec_images_free(t->session.exec, t->black.pixels, t->black.size);
    an_session_close(&t->session);
    pthread_mutex_destroy(&t->lock);
    free(t->windows);
    free(t);
}
