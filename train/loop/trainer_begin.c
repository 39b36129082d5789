#include "train/loop/trainer_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/error.h"
#include "base/file.h"
#include "base/program/stop.h"
#include "train/state/engines.h"

static int refuse_other_recipe(const an_trainer *t, const an_checkpoint *c)
{
    an_buffer difference = {0};
    const an_train_identity *theirs = an_checkpoint_identity(c);
    an_buffer before = {0};
    int rc = an_train_recipe_complete(theirs->recipe, an_checkpoint_path(c), &before);
    if (!rc)
        rc = an_train_recipe_compare((const char *)before.data, (const char *)t->recipe.data, &difference);
    an_buffer_free(&before);
    if (rc == AN_END)
        rc = an_error(AN_EINVAL,
                      "'%s' was made with another recipe; give the same options, or another --run folder to "
                      "start anew:\n%.*s",
                      an_checkpoint_path(c), (int)difference.size - 1, (char *)difference.data);
    an_buffer_free(&difference);
    return rc;
}

/* A schedule cannot change its length. It is that of all epochs, but earlier versions took --steps for it, if that was
 * less: a run that one of them began goes on so, with the same --steps. */
static int adopt_length(an_trainer *t, const an_checkpoint *c)
{
    uint64_t theirs = an_checkpoint_identity(c)->total_steps, ours = t->schedule.total_steps;
    if (!an_schedule_has_length(&t->schedule) || theirs == ours)
        return AN_OK;
    if (theirs == t->config->steps) {
        t->schedule.total_steps = t->identity.total_steps = theirs;
        return AN_OK;
    }
    return an_error(AN_EINVAL,
                    "'%s' was on its way to %" PRIu64 " steps, and these --epochs make %" PRIu64 ": a schedule that "
                    "falls to 0 cannot change its length; --steps %" PRIu64 " ends the run where it was to end",
                    an_checkpoint_path(c), theirs, ours, theirs);
}

static int refuse_other_data(const an_trainer *t, const an_checkpoint *c)
{
    int rc = an_train_class_check(t->session.data.training, an_checkpoint_identity(c)->classes, an_checkpoint_path(c));
    if (rc)
        return rc;
    bool same;
    rc = an_dataset_fingerprint_matches(t->session.data.training, an_checkpoint_identity(c)->fingerprint, &same);
    if (rc || same)
        return rc;
    return an_error(AN_EINVAL,
                    "the training set '%s' has changed since '%s' was written from '%s': resume with the old one, "
                    "or start anew with --weights and another --run folder",
                    t->identity.dataset, an_checkpoint_path(c), an_checkpoint_identity(c)->dataset);
}

static int note_other_machine(an_trainer *t, const an_checkpoint *c)
{
    const an_train_identity *theirs = an_checkpoint_identity(c);
    char text[1024];
    if (strcmp(theirs->machine, t->identity.machine) == 0)
        return AN_OK;
    snprintf(
        text, sizeof(text),
        "the checkpoint was made with %s, now it is %s: sums are rounded in another order than in the undisturbed run",
        theirs->machine, t->identity.machine);
    return an_trainer_tell_text(t, AN_EVENT_WARNING, text);
}

static int restore(an_trainer *t, an_checkpoint *c)
{
    int rc = refuse_other_recipe(t, c);
    if (rc)
        return rc;
    rc = adopt_length(t, c);
    if (rc)
        return rc;
    rc = refuse_other_data(t, c);
    if (rc)
        return rc;
    if (t->run && an_run_newest_step(t->run) > an_checkpoint_state(c)->step)
        return an_error(AN_EINVAL,
                        "the run folder holds a later checkpoint than '%s': name another --run folder to go back",
                        an_checkpoint_path(c));
    rc = an_checkpoint_restore(c, t->session.exec, true);
    if (rc)
        return rc;
    t->state = *an_checkpoint_state(c);
    snprintf(t->checkpoint, sizeof(t->checkpoint), "%s", an_checkpoint_path(c));
    t->saved_any = true;
    t->saved_step = t->state.step;
    return note_other_machine(t, c);
}

static void skipped(void *context, const char *reason)
{
    char text[AN_ERROR_MAX + 64];
    snprintf(text, sizeof(text), "%s; going back to the checkpoint before it", reason);
    /* Cannot fail: metrics and TensorBoard, which are written to, are not open yet. */
    (void)an_trainer_tell_text(context, AN_EVENT_WARNING, text);
}

/* Nothing of an earlier run is written over. Its checkpoints may also lie on a disk that is not mounted. */
static int check_fresh(an_trainer *t)
{
    uint64_t saved = 0;
    int rc = an_run_check_fresh(t->run);
    if (!rc)
        rc = an_metrics_last_saved(an_run_path(t->run, "metrics.jsonl"), &saved);
    if (rc || !saved)
        return rc;
    return an_error(AN_EINVAL,
                    "'%s/metrics.jsonl' tells of a checkpoint at step %" PRIu64 ", but there is none: bring the "
                    "checkpoints back, move the file away to start anew, or name another --run folder",
                    t->config->run, saved);
}

/* The checkpoint that --resume means; *out is NULL for a fresh start. */
static int open_checkpoint(an_trainer *t, an_checkpoint **out)
{
    const char *resume = t->config->resume;
    *out = NULL;
    if (resume && strcmp(resume, "auto") == 0) {
        int rc = an_run_newest(t->run, out, skipped, t);
        return rc || *out ? rc : check_fresh(t);
    }
    if (resume) {
        int rc = an_checkpoint_open(out, resume);
        bool elsewhere = t->run && !an_run_checkpoint_count(t->run);
        return !rc && elsewhere ? an_run_check_best(t->run, resume) : rc;
    }
    if (!t->run)
        return AN_OK;
    if (an_run_checkpoint_count(t->run))
        return an_error(AN_EINVAL, "'%s' already holds a run: go on with --resume auto, or name another --run folder",
                        t->config->run);
    return check_fresh(t);
}

/* --last auto goes on as the run was begun. */
static int adopt_last(an_trainer *t, const an_checkpoint *c)
{
    an_train_config theirs = {0};
    if (!c || t->config->last != AN_TRAIN_LAST_AUTO)
        return AN_OK;
    int rc = an_train_recipe_parse(&theirs, an_checkpoint_identity(c)->recipe, an_checkpoint_path(c));
    if (rc)
        return rc;
    t->own.last = theirs.last;
    an_session_count_steps(&t->session);
    return AN_OK;
}

/* Fresh weights, or those of the checkpoint that --resume means; c NULL: none. What is measured for --decode auto
 * clears the momentum, so it comes before a checkpoint brings its own, with random weights: the file of --weights may
 * be gone. */
static int begin(an_trainer *t, an_checkpoint *c)
{
    int rc = AN_OK;
    if (!c)
        rc = an_session_start_weights(&t->session);
    else if (an_session_measures_decoding(&t->session))
        rc = an_session_start_random(&t->session);
    if (!rc)
        rc = an_session_choose_decoding(&t->session, c ? an_checkpoint_state(c)->step : 0);
    if (!rc && c)
        rc = restore(t, c);
    if (!rc && t->run)
        rc = an_run_check_names(t->run, t->state.step, t->session.total_steps);
    return rc;
}

static int identify(an_trainer *t)
{
    t->own.class_weights = t->session.data.class_weights_name;
    int rc = an_train_config_recipe(t->config, &t->recipe);
    if (rc)
        return rc;
    rc = an_buffer_append(&t->recipe, "", 1);
    if (rc)
        return rc;
    rc = an_buffer_printf(&t->machine, "%d compute threads for '%s' on %s", t->session.compute_threads,
                          t->config->devices, an_cpu_describe());
    t->identity = (an_train_identity){.recipe = (const char *)t->recipe.data,
                                      .dataset = an_dataset_path(t->session.data.training),
                                      .fingerprint = an_dataset_fingerprint(t->session.data.training),
                                      .classes = t->session.data.class_ids,
                                      .total_steps = t->session.all_steps,
                                      .machine = (const char *)t->machine.data};
    return rc;
}

/* Open the files that a run adds to. Only now is it known from which step on: later lines of them are dropped. */
static int open_records(an_trainer *t)
{
    if (!t->run)
        return AN_OK;
    int rc = an_file_replace(an_run_path(t->run, "recipe.txt"), t->recipe.data, t->recipe.size - 1);
    if (rc)
        return rc;
    rc = an_engines_save(&t->session.choices, an_run_path(t->run, "engines.txt"));
    if (rc)
        return rc;
    rc = an_metrics_open(&t->metrics, an_run_path(t->run, "metrics.jsonl"), t->state.step);
    if (rc || !t->config->tensorboard)
        return rc;
    return an_tensorboard_open(&t->board, an_run_path(t->run, "tensorboard"), t->state.step);
}

static int tell_lines(an_trainer *t, an_buffer *lines)
{
    int rc = an_buffer_append(lines, "", 1);
    for (char *rest = (char *)lines->data, *line; !rc && (line = strsep(&rest, "\n")) && rest;)
        rc = an_trainer_tell_text(t, AN_EVENT_WARNING, line);
    return rc;
}

static int make_guard(an_trainer *t)
{
    const an_train_data *data = &t->session.data;
    const an_index_entry *index = an_dataset_index(data->training);
    uint64_t count = data->subset ? data->subset_count : an_dataset_count(data->training);
    uint64_t *of_class = calloc((size_t)data->classes, sizeof(*of_class));
    if (!of_class)
        return an_error(AN_ENOMEM, "out of memory for %d classes", data->classes);
    for (uint64_t i = 0; i < count; i++)
        of_class[index[data->subset ? data->subset[i] : i].label]++;
    t->guard = an_guard_make(data->classes, an_guard_guessing(of_class, data->classes));
    free(of_class);
    return AN_OK;
}

/* What needs a validation set: stopping early, and schedule plateau, whose rate never falls without. */
static int check_validation(an_trainer *t)
{
    char text[256];
    if (an_trainer_can_validate(t))
        return AN_OK;
    if (t->config->stop_after)
        return an_error(AN_EINVAL, "--stop-after %d needs a validation set: name one behind the training set",
                        t->config->stop_after);
    if (t->schedule.kind != AN_SCHEDULE_PLATEAU || t->schedule.drops_max == 0)
        return AN_OK;
    snprintf(text, sizeof(text),
             "schedule plateau divides the rate when validation stops improving, but there is no validation set: the "
             "rate stays at %g; name a set, or give --schedule steps, cosine or constant",
             t->schedule.rate);
    return an_trainer_tell_text(t, AN_EVENT_WARNING, text);
}

/* What the run is, which depends on the checkpoint that it goes on from, and its first weights. */
static int start(an_trainer *t)
{
    an_checkpoint *c = NULL;
    int rc = open_checkpoint(t, &c);
    if (!rc)
        rc = adopt_last(t, c);
    if (!rc)
        rc = identify(t);
    if (!rc)
        rc = an_train_config_schedule(t->config, &t->session.epochs, t->session.all_steps, &t->schedule);
    if (!rc)
        rc = check_validation(t);
    if (!rc)
        rc = begin(t, c);
    an_checkpoint_free(c);
    return rc;
}

/* Of a run that began now with the weights of a file. */
static int tell_origin(an_trainer *t)
{
    if (t->saved_any || !t->session.origin.size)
        return AN_OK;
    int rc = an_trainer_tell_text(t, AN_EVENT_NOTE, (const char *)t->session.origin.data);
    return rc ? rc : tell_lines(t, &t->session.doubts);
}

int an_trainer_prepare(an_trainer *t, const char *training, const char *const *validations)
{
    an_stop_at_once(true); /* reading data and weights, and measuring kernels, takes long and leaves nothing behind */
    int rc = an_session_open(&t->session, t->config, training, validations);
    if (rc)
        return rc;
    rc = tell_lines(t, &t->session.notes);
    if (rc)
        return rc;
    rc = t->config->run ? an_run_open(&t->run, t->config->run) : AN_OK;
    if (rc)
        return rc;
    rc = start(t);
    if (rc)
        return rc;
    rc = make_guard(t);
    if (rc)
        return rc;
    t->watch = (an_starvation_watch){.period = AN_STARVATION_PERIOD};
    t->summary.first_step = t->profiled_step = t->state.step;
    rc = an_session_loader(&t->session, t->state.step, &t->loader);
    if (rc)
        return rc;
    an_stop_at_once(false);
    rc = open_records(t);
    if (rc)
        return rc;
    rc = an_trainer_tell_start(t);
    if (rc)
        return rc;
    rc = tell_origin(t);
    if (rc)
        return rc;
    rc = an_trainer_saver_make(t);
    if (rc || !t->config->profile)
        return rc;
    return an_profile_open(&t->profile, t->session.exec);
}
