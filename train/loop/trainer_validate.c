/* The end of an epoch: validation, what the schedule makes of it, a checkpoint.
 *
 * DESIGN: validation finds its first images ready. Their loader, the viewer, is opened some steps before the first
 * validation, fills its slots beside the training's loader and then sleeps. It repeats its passes without end, so at
 * the end of one it fills its slots for the next and sleeps again until the next validation, after however many epochs.
 * It costs the memory of its slots from then on, which validation needs anyway, and no more decoding than
 * without. The training's loader does the same while validation runs, so training goes on at once as well.
 *
 * Further sets to validate on are only told. Their loaders are opened when their turn comes, so each of them begins
 * with a short wait, and no memory is kept for them.
 *
 * A pass shows the same images in the same order whenever it was loaded, so no result depends on this. */
#include "train/loop/trainer_private.h"

#include <inttypes.h>
#include <stdio.h>

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

static int set_count(const an_trainer *t)
{
    return t->session.data.set_count > 1 ? t->session.data.set_count : 1;
}

static const an_dataset *viewed(const an_trainer *t, int number)
{
    const an_train_data *data = &t->session.data;
    return data->subset ? data->training : data->sets[number].dataset;
}

static uint64_t view_images(const an_trainer *t, int number)
{
    const an_train_data *data = &t->session.data;
    return data->subset ? data->subset_count : an_dataset_count(viewed(t, number));
}

/* None, without a failure, for a rank that has no image of the set. */
static int open_view(const an_trainer *t, int number, an_loader **out)
{
    const an_train_data *data = &t->session.data;
    if (an_train_share_of(&t->session.share, view_images(t, number)) == 0)
        return AN_OK;
    an_train_view_options options = {.dataset = viewed(t, number),
                                     .input = &data->input,
                                     .subset = data->subset,
                                     .subset_count = data->subset_count,
                                     .crop = t->config->crop,
                                     .batch = t->session.share.batch,
                                     .rank = t->session.share.rank,
                                     .world = t->session.share.world,
                                     .threads = t->session.loader_threads,
                                     .engine = t->config->engine,
                                     .decode = an_session_decodes(&t->session, viewed(t, number)),
                                     .repeat = number == 0};
    return an_train_view_loader(&options, t->session.exec, out);
}

static void viewer_close(an_trainer *t)
{
    an_loader_free(t->viewer);
    t->viewer = NULL;
}

uint64_t an_trainer_next_validation(const an_trainer *t)
{
    uint64_t every = (uint64_t)t->config->validate_every, done = an_epochs_done(&t->session.epochs, t->state.step);
    uint64_t next = an_epochs_steps(&t->session.epochs, (done / every + 1) * every);
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
    (void)open_view(t, 0, &t->viewer); /* the validation tries again, and reports a failure */
}

/* One pass over all of it, of which each rank looks at its share. */
static int look_through(an_trainer *t, an_loader *loader, int number, an_evaluation *out)
{
    an_exec *exec = t->session.exec;
    if (!t->group)
        return an_evaluate_pass(exec, loader, viewed(t, number), out);
    an_trainer_await(t, loader);
    int rc =
        an_evaluate_divided(exec, t->group, &t->session.share, loader, viewed(t, number), view_images(t, number), out);
    an_trainer_await(t, t->loader);
    return rc;
}

/* One pass with the averages of the weights, where they are kept. They give way to the weights again whatever happens.
 */
static int pass(an_trainer *t, an_loader *loader, int number, an_evaluation *out)
{
    an_exec *exec = t->session.exec;
    an_error_state first;
    int rc = an_exec_averages(exec) ? an_exec_average_use(exec, true) : AN_OK;
    if (rc)
        return rc;
    rc = look_through(t, loader, number, out);
    if (!an_exec_averages(exec))
        return rc;
    if (rc < 0)
        an_error_save(&first, rc);
    int back = an_exec_average_use(exec, false);
    if (rc < 0)
        return an_error_restore(&first);
    return back ? back : rc;
}

/* One pass over the set that decides. */
static int evaluate_first(an_trainer *t, an_evaluation *out)
{
    int rc = t->viewer ? AN_OK : open_view(t, 0, &t->viewer);
    if (!rc)
        rc = pass(t, t->viewer, 0, out);
    bool over = t->state.step >= t->session.total_steps;
    if (rc || over) /* if it failed or was stopped, it stands within the pass */
        viewer_close(t);
    return rc;
}

static int evaluate_further(an_trainer *t, int number, an_evaluation *out)
{
    an_loader *loader = NULL;
    int rc = open_view(t, number, &loader);
    if (!rc)
        rc = pass(t, loader, number, out);
    an_loader_free(loader);
    return rc;
}

/* What a set's pass gave. */
typedef struct {
    an_evaluation result;
    double seconds;
} look;

static int look_at(an_trainer *t, int number, look *out)
{
    uint64_t start = an_clock_ns();
    *out = (look){0};
    int rc = number ? evaluate_further(t, number, &out->result) : evaluate_first(t, &out->result);
    out->seconds = an_clock_seconds_since(start);
    t->summary.validation_seconds += out->seconds;
    return rc && out->result.diverged ? an_trainer_name_last_good(t, rc) : rc;
}

static double top1_of(const look *l)
{
    return (double)l->result.top1 / (double)l->result.images;
}

static int tell_look(an_trainer *t, int number, const look *l, bool best)
{
    an_train_event event = {.kind = AN_EVENT_VALIDATION,
                            .loss = l->result.loss,
                            .top1 = top1_of(l),
                            .topk = (double)l->result.topk / (double)l->result.images,
                            .k = l->result.k,
                            .seconds = l->seconds,
                            .best = best,
                            .set = set_count(t) > 1 ? t->session.data.sets[number].name : NULL};
    if (best) {
        t->summary.best_top1 = event.top1;
        t->summary.best_step = t->state.step;
    }
    return an_trainer_tell(t, &event);
}

/* All sets are told together: a run that is stopped before validates again, and tells none twice. */
int an_trainer_validate(an_trainer *t, an_evaluation *out, bool *best)
{
    look looks[AN_TRAIN_SETS_MAX];
    double seconds = 0;
    int rc = AN_OK;
    an_group_doing(t->group, AN_GROUP_VALIDATING);
    an_trainer_profile_take(t); /* layers' times are shown for training only: taken before, dropped after */
    for (int i = 0; i < set_count(t) && !rc; i++) {
        rc = look_at(t, i, &looks[i]);
        seconds += looks[i].seconds;
    }
    an_pace_validation(&t->pace, seconds);
    an_exec_layers_reset(t->session.exec);
    *out = looks[0].result;
    if (rc)
        return rc;
    t->validated_step = t->state.step;
    t->validated_top1 = top1_of(&looks[0]);
    *best = t->validated_top1 > t->state.best_top1;
    for (int i = 0; i < set_count(t) && !rc; i++)
        rc = tell_look(t, i, &looks[i], i == 0 && *best);
    return rc;
}

/* Validate at the end of an epoch: the schedule sees the result, and the state keeps the best one. */
static int judge_epoch(an_trainer *t, bool *best)
{
    an_evaluation result;
    int rc = an_trainer_tell_window(t);
    if (rc || !an_trainer_can_validate(t))
        return rc;
    rc = an_trainer_validate(t, &result, best);
    if (rc)
        return rc;
    double top1 = (double)result.top1 / (double)result.images;
    an_schedule_observe(&t->schedule, &t->state.schedule, top1);
    if (*best) {
        t->state.best_top1 = top1;
        t->state.best_step = t->state.step;
    }
    return AN_OK;
}

static uint64_t epochs_done(const an_trainer *t, uint64_t step)
{
    return an_epochs_done(&t->session.epochs, step);
}

/* Validations at the ends of epochs since the best one. */
static uint64_t in_vain(const an_trainer *t)
{
    uint64_t every = (uint64_t)t->config->validate_every;
    return t->state.epochs_closed / every - epochs_done(t, t->state.best_step) / every;
}

uint64_t an_trainer_validations_left(const an_trainer *t)
{
    uint64_t every = (uint64_t)t->config->validate_every, last = t->session.total_steps;
    uint64_t epochs = epochs_done(t, last);
    bool at_an_end = epochs > epochs_done(t, last - 1) && epochs % every == 0;
    if (!an_trainer_can_validate(t))
        return 0;
    return epochs / every - t->state.epochs_closed / every + !at_an_end;
}

bool an_trainer_gives_up(const an_trainer *t)
{
    return t->config->stop_after && in_vain(t) >= (uint64_t)t->config->stop_after;
}

bool an_trainer_is_over(const an_trainer *t)
{
    return t->state.step >= t->session.total_steps || an_trainer_gives_up(t);
}

/* What followed from an epoch's end: the rate fell, or the run ends. divisions: of the rate, before. */
static int tell_consequences(an_trainer *t, int divisions)
{
    char text[256];
    int now = an_schedule_divisions(&t->schedule, &t->state.schedule, t->state.step), rc = AN_OK;
    if (now != divisions) {
        an_schedule_tell(&t->schedule, divisions, now, t->state.epochs_closed, text, sizeof(text));
        rc = an_trainer_tell_text(t, AN_EVENT_NOTE, text);
    }
    if (rc || !an_trainer_gives_up(t))
        return rc;
    snprintf(text, sizeof(text),
             "stopped early at step %" PRIu64 " of %" PRIu64 ": %" PRIu64
             " validations in a row did not reach a top-1 above %.2f %%, of step %" PRIu64,
             t->state.step, t->session.total_steps, in_vain(t), 100 * t->state.best_top1, t->state.best_step);
    return an_trainer_tell_text(t, AN_EVENT_NOTE, text);
}

int an_trainer_close_epoch(an_trainer *t)
{
    uint64_t epoch = epochs_done(t, t->state.step);
    int divisions = an_schedule_divisions(&t->schedule, &t->state.schedule, t->state.step - 1);
    bool judged = epoch % (uint64_t)t->config->validate_every == 0, best = false;
    int rc = judged ? judge_epoch(t, &best) : AN_OK;
    if (rc)
        return rc;
    t->state.epochs_closed = epoch;
    rc = tell_consequences(t, divisions);
    if (rc || !judged)
        return rc;
    rc = an_trainer_save(t, best, t->board);
    an_trainer_window_start(t);
    return rc;
}

bool an_trainer_epoch_is_due(const an_trainer *t)
{
    return an_epochs_done(&t->session.epochs, t->state.step) > t->state.epochs_closed;
}
