/* The end of an epoch: validation, what the schedule makes of it, a checkpoint. */
#include "train/loop/trainer_private.h"

#include "base/clock.h"
#include "base/error.h"
#include "train/loop/evaluate.h"

bool an_trainer_can_validate(const an_trainer *t)
{
    return t->session.data.validation || t->session.data.subset;
}

void an_trainer_profile_take(an_trainer *t)
{
    if (t->profile.layers)
        an_profile_take(&t->profile, t->session.exec, t->state.step - t->profiled_step);
    t->profiled_step = t->state.step;
}

int an_trainer_validate(an_trainer *t, an_evaluation *out)
{
    uint64_t start = an_clock_ns();
    an_train_view_options options = {.dataset =
                                         t->session.data.subset ? t->session.data.training : t->session.data.validation,
                                     .input = &t->session.data.input,
                                     .subset = t->session.data.subset,
                                     .subset_count = t->session.data.subset_count,
                                     .crop = t->config->crop,
                                     .batch = t->config->batch,
                                     .threads = t->session.loader_threads,
                                     .engine = t->config->engine};
    an_trainer_profile_take(t); /* layers' times are shown for training only: taken before, dropped after */
    int rc = an_evaluate_centre(t->session.exec, &options, NULL, out);
    an_exec_layers_reset(t->session.exec);
    double seconds = an_clock_seconds_since(start);
    t->summary.validation_seconds += seconds;
    if (rc)
        return out->diverged ? an_trainer_name_last_good(t, rc) : rc;
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
    return an_trainer_tell(t, &event);
}

/* Validate and let the schedule see the result. best: it is the highest top-1 so far. */
static int judge_epoch(an_trainer *t, bool *best)
{
    an_evaluation result;
    double before = t->state.best_top1;
    int rc = an_trainer_validate(t, &result);
    if (rc)
        return rc;
    an_schedule_observe(&t->schedule, &t->state.schedule, (double)result.top1 / (double)result.images);
    *best = t->state.best_top1 > before;
    return AN_OK;
}

int an_trainer_close_epoch(an_trainer *t)
{
    uint64_t epoch = t->state.step / t->session.steps_per_epoch;
    bool best = false;
    if (epoch % (uint64_t)t->config->validate_every != 0) {
        t->state.epochs_closed = epoch;
        return AN_OK;
    }
    int rc = an_trainer_tell_window(t);
    if (!rc && an_trainer_can_validate(t))
        rc = judge_epoch(t, &best);
    if (rc)
        return rc;
    t->state.epochs_closed = epoch;
    rc = an_trainer_save(t, best, t->board);
    an_trainer_window_start(t);
    return rc;
}

bool an_trainer_epoch_is_due(const an_trainer *t)
{
    return t->state.step % t->session.steps_per_epoch == 0 &&
           t->state.step / t->session.steps_per_epoch > t->state.epochs_closed;
}
