/* The end of an epoch: validation, what the schedule makes of it, a checkpoint.
 *
 * DESIGN: validation finds its first images ready. Their loader, the viewer, is opened some steps before the first
 * validation, fills its slots beside the training's loader and then sleeps. It repeats its passes without end, so at
 * the end of one it fills its slots for the next and sleeps again until the next validation, after however many epochs.
 * It costs the memory of its slots from then on, which validation needs anyway, and no more decoding than
 * without. The training's loader does the same while validation runs, so training goes on at once as well.
 *
 * A pass shows the same images in the same order whenever it was loaded, so no result depends on this. */
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

static const an_dataset *viewed(const an_trainer *t)
{
    const an_train_data *data = &t->session.data;
    return data->subset ? data->training : data->validation;
}

static int viewer_open(an_trainer *t)
{
    const an_train_data *data = &t->session.data;
    an_train_view_options options = {.dataset = viewed(t),
                                     .input = &data->input,
                                     .subset = data->subset,
                                     .subset_count = data->subset_count,
                                     .crop = t->config->crop,
                                     .batch = t->config->batch,
                                     .threads = t->session.loader_threads,
                                     .engine = t->config->engine,
                                     .decode = an_session_decodes(&t->session, viewed(t)),
                                     .repeat = true};
    return an_train_view_loader(&options, t->session.exec, &t->viewer);
}

static void viewer_close(an_trainer *t)
{
    an_loader_free(t->viewer);
    t->viewer = NULL;
}

uint64_t an_trainer_next_validation(const an_trainer *t)
{
    uint64_t between = t->session.steps_per_epoch * (uint64_t)t->config->validate_every;
    uint64_t next = (t->state.step / between + 1) * between;
    return next < t->session.total_steps ? next : t->session.total_steps;
}

/* Steps before a validation at which its loader is opened: some tenths of a second on the fastest GPUs, time enough to
 * fill its slots beside the training's. */
#define AHEAD 100

void an_trainer_prime(an_trainer *t)
{
    if (t->viewer_tried || !an_trainer_can_validate(t) || an_trainer_next_validation(t) > t->state.step + AHEAD)
        return;
    t->viewer_tried = true;
    (void)viewer_open(t); /* the validation tries again, and reports a failure */
}

/* One pass with the averages of the weights, where they are kept. They give way to the weights again whatever happens.
 */
static int pass(an_trainer *t, an_evaluation *out)
{
    an_exec *exec = t->session.exec;
    an_error_state first;
    int rc = an_exec_averages(exec) ? an_exec_average_use(exec, true) : AN_OK;
    if (rc)
        return rc;
    rc = an_evaluate_pass(exec, t->viewer, viewed(t), out);
    if (!an_exec_averages(exec))
        return rc;
    if (rc < 0)
        an_error_save(&first, rc);
    int back = an_exec_average_use(exec, false);
    if (rc < 0)
        return an_error_restore(&first);
    return back ? back : rc;
}

/* One pass over the validation set. */
static int evaluate(an_trainer *t, an_evaluation *out)
{
    *out = (an_evaluation){0};
    int rc = t->viewer ? AN_OK : viewer_open(t);
    if (!rc)
        rc = pass(t, out);
    bool over = t->state.step == t->session.total_steps;
    if (rc || over) /* if it failed or was stopped, it stands within the pass */
        viewer_close(t);
    return rc;
}

int an_trainer_validate(an_trainer *t, an_evaluation *out)
{
    uint64_t start = an_clock_ns();
    an_trainer_profile_take(t); /* layers' times are shown for training only: taken before, dropped after */
    int rc = evaluate(t, out);
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
