/* Which checkpoint a run goes on from, and whether it may. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "train/loop/trainer_private.h"

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

int an_trainer_restore(an_trainer *t, an_checkpoint *c)
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

int an_trainer_open_checkpoint(an_trainer *t, an_checkpoint **out)
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
