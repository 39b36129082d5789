/* Checkpoints: when one is begun and when it is there (saver.h). The trainer asks after each step, so that a checkpoint
 * is told, or its failure ends the run, soon after it happened. */
#include "train/loop/trainer_private.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "train/replicas/agree.h"

/* Extends the message of a failure that came from numbers that are not finite at a step. */
static int name_last_good(const an_trainer *t, uint64_t step, int rc)
{
    char reason[AN_ERROR_MAX];
    snprintf(reason, sizeof(reason), "%s", an_error_message());
    const char *remedy = "try a third of --rate, or --input-scale unit";
    if (t->checkpoint[0])
        return an_error(rc, "step %" PRIu64 ": %s; the last good checkpoint is '%s'; %s", step, reason, t->checkpoint,
                        remedy);
    return an_error(rc, "step %" PRIu64 ": %s; no checkpoint had been written; %s", step, reason, remedy);
}

int an_trainer_settle(an_trainer *t, bool wait)
{
    an_saver_result result;
    int rc = t->saver ? an_saver_take(t->saver, wait, &result) : AN_AGAIN;
    if (rc == AN_AGAIN)
        return AN_OK;
    if (rc == AN_ECORRUPT)
        return name_last_good(t, result.step, rc);
    if (rc)
        return rc;
    snprintf(t->checkpoint, sizeof(t->checkpoint), "%s", result.path);
    t->summary.checkpoint = t->checkpoint;
    t->written++;
    return an_trainer_tell_at(
        t, result.step,
        &(an_train_event){
            .kind = AN_EVENT_SAVED, .text = t->checkpoint, .seconds = result.seconds, .held = t->held_seconds});
}

int an_trainer_settle_last(an_trainer *t, int rc)
{
    an_error_state first;
    uint64_t start = an_clock_ns();
    if (rc < 0)
        an_error_save(&first, rc);
    int waited = an_trainer_settle(t, true);
    t->summary.saving_seconds += an_clock_seconds_since(start);
    if (rc < 0)
        return an_error_restore(&first);
    return waited ? waited : rc;
}

int an_trainer_name_last_good(an_trainer *t, int rc)
{
    return name_last_good(t, t->state.step, an_trainer_settle_last(t, rc));
}

/* Without a saver: this rank is not the one that writes. */
static int begin(an_trainer *t, bool best, bool parameters)
{
    if (!t->saver)
        return AN_OK;
    int rc = an_trainer_settle(t, true);
    if (rc)
        return rc;
    return an_saver_begin(t->saver, &(an_saver_job){.state = t->state, .best = best, .parameters = parameters});
}

int an_trainer_save(an_trainer *t, bool best, bool parameters)
{
    if (!t->config->run)
        return AN_OK;
    an_group_doing(t->group, AN_GROUP_SAVING);
    int rc = an_replicas_check_weights(t->group, t->session.exec, t->state.step);
    if (rc)
        return rc;
    uint64_t start = an_clock_ns();
    rc = begin(t, best, parameters);
    if (rc)
        return rc;
    t->saved_step = t->state.step;
    t->saved_any = true;
    t->held_seconds = an_clock_seconds_since(start);
    t->summary.saving_seconds += t->held_seconds;
    return an_trainer_settle(t, false);
}

int an_trainer_saver_make(an_trainer *t)
{
    char text[AN_ERROR_MAX + 96];
    if (!t->run)
        return AN_OK;
    int rc = an_saver_create(&t->saver, &(an_saver_work){.exec = t->session.exec,
                                                         .run = t->run,
                                                         .board = t->board,
                                                         .identity = &t->identity,
                                                         .input = &t->session.data.input,
                                                         .keep = t->config->keep});
    if (rc || !an_saver_refusal(t->saver))
        return rc;
    snprintf(text, sizeof(text), "training waits for each checkpoint until it is written: %s",
             an_saver_refusal(t->saver));
    return an_trainer_tell_text(t, AN_EVENT_WARNING, text);
}
