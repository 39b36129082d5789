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

static int open_view(const an_trainer *t, int number, an_loader **out)
{
    const an_train_data *data = &t->session.data;
    an_train_view_options options = {.dataset = viewed(t, number),
                                     .input = &data->input,
                                     .subset = data->subset,
                                     .subset_count = data->subset_count,
                                     .crop = t->config->crop,
                                     .batch = t->config->batch,
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

/* One pass over the set that decides. */
static int evaluate_first(an_trainer *t, an_evaluation *out)
{
    int rc = t->viewer ? AN_OK : open_view(t, 0, &t->viewer);
    if (!rc)
        rc = an_evaluate_pass(t->session.exec, t->viewer, viewed(t, 0), out);
    bool over = t->state.step == t->session.total_steps;
    if (rc || over) /* if it failed or was stopped, it stands within the pass */
        viewer_close(t);
    return rc;
}

static int evaluate_further(an_trainer *t, int number, an_evaluation *out)
{
    an_loader *loader = NULL;
    int rc = open_view(t, number, &loader);
    if (!rc)
        rc = an_evaluate_pass(t->session.exec, loader, viewed(t, number), out);
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

static int tell_look(an_trainer *t, int number, const look *l)
{
    double images = (double)l->result.images;
    an_train_event event = {.kind = AN_EVENT_VALIDATION,
                            .loss = l->result.loss,
                            .top1 = (double)l->result.top1 / images,
                            .top5 = (double)l->result.top5 / images,
                            .seconds = l->seconds,
                            .set = set_count(t) > 1 ? t->session.data.sets[number].name : NULL};
    event.best = number == 0 && event.top1 > t->state.best_top1;
    if (event.best) {
        t->state.best_top1 = event.top1;
        t->state.best_step = t->state.step;
    }
    return an_trainer_tell(t, &event);
}

/* All sets are told together: a run that is stopped before validates again, and tells none twice. */
int an_trainer_validate(an_trainer *t, an_evaluation *out)
{
    look looks[AN_TRAIN_SETS_MAX];
    int rc = AN_OK;
    an_trainer_profile_take(t); /* layers' times are shown for training only: taken before, dropped after */
    for (int i = 0; i < set_count(t) && !rc; i++)
        rc = look_at(t, i, &looks[i]);
    an_exec_layers_reset(t->session.exec);
    *out = looks[0].result;
    if (rc)
        return rc;
    t->validated_step = t->state.step;
    for (int i = 0; i < set_count(t) && !rc; i++)
        rc = tell_look(t, i, &looks[i]);
    return rc;
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
    uint64_t epoch = an_epochs_done(&t->session.epochs, t->state.step);
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
    return an_epochs_done(&t->session.epochs, t->state.step) > t->state.epochs_closed;
}
