#include "train/trainer.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/file.h"
#include "base/stop.h"
#include "train/board.h"
#include "train/evaluate.h"
#include "train/guard.h"
#include "train/run.h"
#include "train/session.h"

/* DESIGN: state.step alone says where a run is. Order, crops and dropout are functions of it (loader: epoch and step within;
 * exec: step), so a checkpoint after any step holds all that the next step depends on. The end of an epoch (validation,
 * schedule, best) happens at the top of the loop as long as state.epochs_closed says that it is due: a run stopped before or
 * within it repeats it whole. Numbers in events and summaries are not part of the state. */

typedef struct {
    uint64_t start_ns, steps, images;
    double loss;
    uint64_t top1, top5;
    uint64_t wait_ns;
} window; /* since the last line */

struct an_trainer {
    const an_train_config *config;
    const an_train_observer *observer;
    an_session session;
    an_loader *loader;
    an_run *run;         /* NULL without --run */
    an_metrics *metrics; /* the same */
    an_tensorboard *board; /* NULL without --tensorboard */
    an_schedule schedule;
    an_train_state state;
    an_train_identity identity;
    an_buffer recipe;
    an_guard guard;
    window window;
    uint64_t saved_step, validated_step;
    bool saved_any;
    char checkpoint[PATH_MAX];
    an_train_summary summary;
};

/* ---- Telling ---- */

static double epochs_done(const an_trainer *t)
{
    return (double)t->state.step / (double)t->session.steps_per_epoch;
}

static int tell(an_trainer *t, an_train_event *event)
{
    event->step = t->state.step;
    event->total = t->session.total_steps;
    event->epoch = epochs_done(t);
    t->observer->tell(t->observer->context, event);
    int rc = t->metrics ? an_metrics_write(t->metrics, event) : AN_OK;
    return rc == AN_OK && t->board ? an_board_event(t->board, event) : rc;
}

static int tell_text(an_trainer *t, an_event_kind kind, const char *text)
{
    return tell(t, &(an_train_event){.kind = kind, .text = text});
}

static void window_start(an_trainer *t)
{
    t->window = (window){.start_ns = an_clock_ns()};
}

static int tell_window(an_trainer *t)
{
    const window *w = &t->window;
    if (w->steps == 0)
        return AN_OK;
    double seconds = an_clock_seconds_since(w->start_ns), images = (double)w->images;
    an_train_event event = {.kind = AN_EVENT_TRAIN,
                            .loss = w->loss / (double)w->steps,
                            .top1 = (double)w->top1 / images,
                            .top5 = (double)w->top5 / images,
                            .rate = an_schedule_rate(&t->schedule, &t->state.schedule, t->state.step - 1),
                            .images_per_second = images / seconds,
                            .wait = (double)w->wait_ns * 1e-9 / seconds,
                            .seconds = seconds / (double)w->steps * (double)(t->session.total_steps - t->state.step)};
    t->summary.loss = event.loss;
    t->summary.training_seconds += seconds;
    int rc = tell(t, &event);
    window_start(t);
    return rc;
}

/* ---- Checkpoints ---- */

static int name_last_good(const an_trainer *t, int rc)
{
    char reason[AN_ERROR_MAX];
    snprintf(reason, sizeof(reason), "%s", an_error_message());
    const char *remedy = "try a third of --rate, or --input-scale unit";
    if (t->saved_any)
        return an_error(rc, "step %" PRIu64 ": %s; the last good checkpoint is '%s'; %s", t->state.step, reason,
                        t->checkpoint, remedy);
    return an_error(rc, "step %" PRIu64 ": %s; no checkpoint had been written; %s", t->state.step, reason, remedy);
}

static int save(an_trainer *t, bool best)
{
    if (!t->run)
        return AN_OK;
    uint64_t start = an_clock_ns();
    int rc = an_checkpoint_save(an_run_checkpoint_path(t->run, t->state.step), t->session.exec, true, &t->state,
                                &t->identity, &t->session.data.input);
    if (rc == AN_ECORRUPT)
        return name_last_good(t, rc);
    if (rc == AN_OK)
        rc = an_run_saved(t->run, t->state.step, best, t->config->keep);
    if (rc < 0)
        return rc;
    snprintf(t->checkpoint, sizeof(t->checkpoint), "%s", an_run_checkpoint_path(t->run, t->state.step));
    t->saved_step = t->state.step;
    t->saved_any = true;
    t->summary.checkpoint = t->checkpoint;
    double seconds = an_clock_seconds_since(start);
    t->summary.saving_seconds += seconds;
    return tell(t, &(an_train_event){.kind = AN_EVENT_SAVED, .text = t->checkpoint, .seconds = seconds});
}

/* ---- Validation ---- */

static bool can_validate(const an_trainer *t)
{
    return t->session.data.validation || t->session.data.subset;
}

static int validate(an_trainer *t, an_evaluation *out)
{
    uint64_t start = an_clock_ns();
    an_view_options options = {.dataset = t->session.data.subset ? t->session.data.training : t->session.data.validation,
                               .input = &t->session.data.input,
                               .subset = t->session.data.subset,
                               .subset_count = t->session.data.subset_count,
                               .crop = t->config->crop,
                               .batch = t->config->batch,
                               .threads = t->session.loader_threads,
                               .engine = t->config->engine,
                               .format = an_exec_input_format(t->session.exec)};
    int rc = an_evaluate_centre(t->session.exec, &options, NULL, out);
    double seconds = an_clock_seconds_since(start);
    t->summary.validation_seconds += seconds;
    if (rc != AN_OK)
        return out->diverged ? name_last_good(t, rc) : rc;
    an_train_event event = {.kind = AN_EVENT_VALIDATION,
                            .loss = out->loss,
                            .top1 = (double)out->top1 / (double)out->images,
                            .top5 = (double)out->top5 / (double)out->images,
                            .seconds = seconds};
    event.best = event.top1 > t->state.best_top1;
    if (event.best) {
        t->state.best_top1 = event.top1;
        t->state.best_step = t->state.step;
    }
    t->validated_step = t->state.step;
    return tell(t, &event);
}

/* Validation, and what the schedule makes of it. */
static int judge_epoch(an_trainer *t, bool *best)
{
    an_evaluation result;
    double before = t->state.best_top1;
    int rc = validate(t, &result);
    if (rc != AN_OK)
        return rc;
    an_schedule_observe(&t->schedule, &t->state.schedule, (double)result.top1 / (double)result.images);
    *best = t->state.best_top1 > before;
    return AN_OK;
}

/* The end of an epoch: its line, validation, a checkpoint. */
static int close_epoch(an_trainer *t)
{
    uint64_t epoch = t->state.step / t->session.steps_per_epoch;
    bool best = false;
    if (epoch % (uint64_t)t->config->validate_every != 0) {
        t->state.epochs_closed = epoch;
        return AN_OK;
    }
    int rc = tell_window(t);
    if (rc == AN_OK && can_validate(t))
        rc = judge_epoch(t, &best);
    if (rc != AN_OK)
        return rc;
    t->state.epochs_closed = epoch;
    rc = t->board ? an_board_parameters(t->board, t->state.step, t->session.exec) : AN_OK;
    if (rc == AN_OK)
        rc = save(t, best);
    window_start(t);
    return rc;
}

static bool epoch_is_due(const an_trainer *t)
{
    return t->state.step % t->session.steps_per_epoch == 0 && t->state.step / t->session.steps_per_epoch > t->state.epochs_closed;
}

/* ---- Steps ---- */

static int train_batch(an_trainer *t, const an_batch *batch)
{
    an_exec_result result;
    int rc = an_exec_step(t->session.exec, batch->data, batch->labels, batch->count, t->state.step, &result);
    if (rc == AN_ECORRUPT)
        return name_last_good(t, rc);
    an_sgd sgd = {.rate = an_schedule_rate(&t->schedule, &t->state.schedule, t->state.step),
                  .momentum = t->config->momentum,
                  .decay = t->config->decay,
                  .bias_rate_scale = t->config->bias_rate,
                  .bias_decay = t->config->bias_decay};
    if (rc == AN_OK)
        rc = an_exec_update(t->session.exec, &sgd);
    if (rc < 0)
        return rc;
    t->window.loss += result.loss;
    t->window.top1 += result.top1;
    t->window.top5 += result.top5;
    t->window.images += batch->count;
    t->window.steps++;
    t->summary.images += batch->count;
    t->state.step++;
    if (!an_guard_observe(&t->guard, result.loss))
        return AN_OK;
    char text[1024];
    an_guard_explain(&t->guard, t->config->init == AN_INIT_PAPER, sgd.rate, text, sizeof(text));
    return tell_text(t, AN_EVENT_WARNING, text);
}

static int step(an_trainer *t)
{
    an_batch *batch;
    uint64_t start = an_clock_ns();
    int rc = an_loader_next(t->loader, &batch);
    if (rc < 0)
        return rc;
    uint64_t waited = an_clock_ns() - start;
    t->window.wait_ns += waited;
    t->summary.wait_seconds += (double)waited * 1e-9;
    rc = train_batch(t, batch);
    an_loader_release(t->loader, batch);
    if (rc == AN_OK && (t->state.step % (uint64_t)t->config->log_every == 0 || t->state.step == t->session.total_steps))
        rc = tell_window(t);
    return rc;
}

/* SIGUSR1, or the every N steps. At an epoch's end close_epoch saves. */
static int save_if_due(an_trainer *t)
{
    bool asked = an_stop_save_requested();
    bool due = t->config->save_every && t->state.step % (uint64_t)t->config->save_every == 0;
    if ((!asked && !due) || epoch_is_due(t) || (t->saved_any && t->saved_step == t->state.step))
        return AN_OK;
    int rc = tell_window(t);
    if (rc == AN_OK)
        rc = save(t, false);
    window_start(t);
    return rc;
}

/* After the last step: validate what an unfinished epoch left, without the schedule seeing it. */
static int finish(an_trainer *t)
{
    bool best = false;
    int rc = tell_window(t);
    if (rc == AN_OK && can_validate(t) && t->summary.images && t->validated_step != t->state.step) {
        an_evaluation result;
        double before = t->state.best_top1;
        rc = validate(t, &result);
        best = t->state.best_top1 > before;
    }
    if (rc == AN_OK && (best || t->saved_step != t->state.step || !t->saved_any))
        rc = save(t, best);
    return rc;
}

static int stop(an_trainer *t)
{
    int rc = tell_window(t);
    if (rc == AN_OK && !(t->saved_any && t->saved_step == t->state.step))
        rc = save(t, false);
    return rc == AN_OK ? AN_STOPPED : rc;
}

static int loop(an_trainer *t)
{
    int rc = AN_OK;
    while (rc == AN_OK) {
        if (an_stop_requested())
            return AN_STOPPED;
        if (epoch_is_due(t))
            rc = close_epoch(t);
        else if (t->state.step < t->session.total_steps)
            rc = step(t);
        else
            return finish(t);
        if (rc == AN_OK)
            rc = save_if_due(t);
    }
    return rc;
}

int an_trainer_run(an_trainer *t)
{
    uint64_t start = an_clock_ns();
    an_loader_stats_reset(t->loader);
    window_start(t);
    int rc = loop(t);
    if (rc == AN_STOPPED)
        rc = stop(t);
    t->summary.seconds = an_clock_seconds_since(start);
    return rc;
}

/* ---- Beginning ---- */

static int refuse_other_recipe(const an_trainer *t, const an_checkpoint *c)
{
    an_buffer difference = {0};
    const an_train_identity *theirs = an_checkpoint_identity(c);
    int rc = an_train_recipe_compare(theirs->recipe, (const char *)t->recipe.data, &difference);
    if (rc == AN_END)
        rc = an_error(AN_EINVAL, "'%s' was made with another recipe; give the same options, or another --run folder to "
                      "start anew:\n%.*s", an_checkpoint_path(c), (int)difference.size - 1, (char *)difference.data);
    else if (rc == AN_OK && t->schedule.kind == AN_SCHEDULE_COSINE && theirs->total_steps != t->session.total_steps)
        rc = an_error(AN_EINVAL, "'%s' was on its way to %" PRIu64 " steps, now it is %" PRIu64 ": a cosine schedule cannot "
                      "change its length", an_checkpoint_path(c), theirs->total_steps, t->session.total_steps);
    an_buffer_free(&difference);
    return rc;
}

static int refuse_other_data(const an_trainer *t, const an_checkpoint *c)
{
    int rc = an_train_class_check(t->session.data.training, an_checkpoint_identity(c)->classes, an_checkpoint_path(c));
    if (rc < 0)
        return rc;
    if (an_checkpoint_identity(c)->fingerprint == t->identity.fingerprint)
        return AN_OK;
    return an_error(AN_EINVAL, "the training set '%s' has changed since '%s' was written from '%s': resume with the old one, "
                    "or start anew with --weights and another --run folder", t->identity.dataset, an_checkpoint_path(c),
                    an_checkpoint_identity(c)->dataset);
}

static int note_other_machine(an_trainer *t, const an_checkpoint *c)
{
    const an_train_identity *theirs = an_checkpoint_identity(c);
    char text[512];
    if (theirs->compute_threads == t->identity.compute_threads && !strcmp(theirs->processor, t->identity.processor))
        return AN_OK;
    snprintf(text, sizeof(text), "the checkpoint was made with %d compute threads on %s, now it is %d on %s: rounding may "
             "differ from the undisturbed run", theirs->compute_threads, theirs->processor, t->identity.compute_threads,
             t->identity.processor);
    return tell_text(t, AN_EVENT_WARNING, text);
}

static int restore(an_trainer *t, an_checkpoint *c)
{
    int rc = refuse_other_recipe(t, c);
    if (rc == AN_OK)
        rc = refuse_other_data(t, c);
    if (rc == AN_OK && t->run && an_run_newest_step(t->run) > an_checkpoint_state(c)->step)
        rc = an_error(AN_EINVAL, "the run folder holds a later checkpoint than '%s': name another --run folder to go back",
                      an_checkpoint_path(c));
    if (rc == AN_OK)
        rc = an_checkpoint_restore(c, t->session.exec, true);
    if (rc < 0)
        return rc;
    t->state = *an_checkpoint_state(c);
    snprintf(t->checkpoint, sizeof(t->checkpoint), "%s", an_checkpoint_path(c));
    t->saved_any = true;
    t->saved_step = t->state.step;
    return note_other_machine(t, c);
}

static void damaged(void *context, const char *reason)
{
    char text[AN_ERROR_MAX + 64];
    snprintf(text, sizeof(text), "%s; going back to the checkpoint before it", reason);
    /* Nothing is written yet: metrics are opened after the step is known. */
    (void)tell_text(context, AN_EVENT_WARNING, text);
}

static int open_checkpoint(an_trainer *t, an_checkpoint **out)
{
    const char *resume = t->config->resume;
    if (!resume) {
        if (t->run && an_run_checkpoint_count(t->run))
            return an_error(AN_EINVAL, "'%s' already holds a run: go on with --resume auto, or name another --run folder",
                            t->config->run);
        return AN_ENOTFOUND;
    }
    if (strcmp(resume, "auto") != 0)
        return an_checkpoint_open(out, resume);
    if (an_run_checkpoint_count(t->run) == 0)
        return AN_ENOTFOUND;
    return an_run_newest(t->run, out, damaged, t);
}

/* Fresh weights, or those of the checkpoint that --resume means. */
static int begin(an_trainer *t)
{
    an_checkpoint *c = NULL;
    bool explicit_file = t->config->resume && strcmp(t->config->resume, "auto") != 0;
    int rc = open_checkpoint(t, &c);
    if (rc == AN_ENOTFOUND && !explicit_file)
        return an_session_start_weights(&t->session);
    if (rc == AN_OK)
        rc = restore(t, c);
    an_checkpoint_free(c);
    return rc;
}

static int identify(an_trainer *t)
{
    int rc = an_train_config_recipe(t->config, &t->recipe);
    if (rc == AN_OK)
        rc = an_buffer_append(&t->recipe, "", 1);
    t->identity = (an_train_identity){.recipe = (const char *)t->recipe.data,
                                      .dataset = an_dataset_path(t->session.data.training),
                                      .fingerprint = an_dataset_fingerprint(t->session.data.training),
                                      .classes = t->session.data.class_ids,
                                      .total_steps = t->session.total_steps,
                                      .compute_threads = t->session.compute_threads,
                                      .processor = an_cpu_describe()};
    return rc;
}

/* The step is known: now the run's files may be written. */
static int open_records(an_trainer *t)
{
    if (!t->run)
        return AN_OK;
    int rc = an_file_write_atomic(an_run_path(t->run, "recipe.txt"), t->recipe.data, t->recipe.size - 1);
    if (rc == AN_OK)
        rc = an_metrics_open(&t->metrics, an_run_path(t->run, "metrics.jsonl"), t->state.step);
    if (rc == AN_OK && t->config->tensorboard)
        rc = an_tensorboard_open(&t->board, an_run_path(t->run, "tensorboard"), t->state.step);
    return rc;
}

static int prepare(an_trainer *t, const char *training, const char *validation)
{
    int rc = an_session_open(&t->session, t->config, training, validation);
    if (rc == AN_OK)
        rc = identify(t);
    if (rc == AN_OK)
        rc = an_train_config_schedule(t->config, t->session.steps_per_epoch, t->session.total_steps, &t->schedule);
    if (rc == AN_OK && t->config->run)
        rc = an_run_open(&t->run, t->config->run);
    if (rc == AN_OK)
        rc = begin(t);
    if (rc == AN_OK)
        rc = an_session_loader(&t->session, t->state.step, &t->loader);
    if (rc == AN_OK)
        rc = open_records(t);
    t->guard = an_guard_make(t->session.data.classes);
    t->summary.first_step = t->state.step;
    return rc;
}

int an_trainer_create(an_trainer **out, const an_train_config *config, const char *training, const char *validation,
                      const an_train_observer *observer)
{
    an_trainer *t = calloc(1, sizeof(*t));
    if (!t)
        return an_error(AN_ENOMEM, "out of memory for a trainer");
    t->config = config;
    t->observer = observer;
    int rc = prepare(t, training, validation);
    if (rc < 0) {
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
    an_metrics_close(t->metrics);
    an_tensorboard_close(t->board);
    an_run_close(t->run);
    an_buffer_free(&t->recipe);
    an_session_close(&t->session);
    free(t);
}

void an_trainer_summary(an_trainer *t, an_train_summary *out)
{
    *out = t->summary;
    out->step = t->state.step;
    out->total_steps = t->session.total_steps;
    out->steps_per_epoch = t->session.steps_per_epoch;
    out->best_top1 = t->state.best_top1;
    out->best_step = t->state.best_step;
    an_loader_stats_get(t->loader, &out->loader);
}

int an_trainer_describe(an_trainer *t, an_buffer *out)
{
    int rc = an_session_describe(&t->session, out);
    if (rc == AN_OK && an_loader_note(t->loader))
        rc = an_buffer_printf(out, "            %s\n", an_loader_note(t->loader));
    if (rc == AN_OK)
        rc = an_buffer_printf(out, "from        step %" PRIu64 " to %" PRIu64 ", %" PRIu64 " an epoch\n", t->state.step,
                              t->session.total_steps, t->session.steps_per_epoch);
    return rc;
}
