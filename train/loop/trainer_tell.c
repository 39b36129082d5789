/* What a run tells: events while it lasts, and what it is at its beginning and was at its end. */
#include "train/loop/trainer_private.h"

#include <inttypes.h>
#include <math.h>

#include "base/clock.h"
#include "base/error.h"

int an_trainer_tell_at(an_trainer *t, uint64_t step, an_train_event *event)
{
    if (an_group_rank(t->group))
        return AN_OK;
    event->step = step;
    event->total = t->session.total_steps;
    event->time_ns = an_clock_wall_ns();
    event->epoch = an_epochs_at(&t->session.epochs, step);
    t->observer->tell(t->observer->context, event);
    int rc = t->metrics ? an_metrics_write(t->metrics, event) : AN_OK;
    return !rc && t->board ? an_board_event(t->board, event) : rc;
}

int an_trainer_tell(an_trainer *t, an_train_event *event)
{
    return an_trainer_tell_at(t, t->state.step, event);
}

int an_trainer_tell_text(an_trainer *t, an_event_kind kind, const char *text)
{
    return an_trainer_tell(t, &(an_train_event){.kind = kind, .text = text});
}

/* Time since the last call. False if the devices have no clock, and on failure: the next step reports that. */
static bool device_time(an_trainer *t, an_device_time *out)
{
    int rc = an_exec_device_time(t->session.exec, out);
    return !rc && out->total > 0;
}

static void window_begin(an_trainer *t)
{
    t->window = (an_trainer_window){.start_ns = an_clock_ns(), .processors_ns = an_clock_process_ns()};
}

void an_trainer_window_start(an_trainer *t)
{
    an_device_time before;
    (void)device_time(t, &before); /* drops what belongs to the time before this window */
    an_exec_device_pause(t->session.exec);
    window_begin(t);
}

bool an_trainer_starved(const an_trainer *t, an_starvation *starvation, char *text, size_t size)
{
    if (!an_starvation_found(starvation))
        return false;
    starvation->threads_most =
        an_train_loader_threads_most(t->session.processors, an_exec_on_processors(t->session.exec));
    starvation->jpegs = an_starvation_jpegs(t->session.data.training);
    starvation->decode = an_session_decodes(&t->session, t->session.data.training);
    starvation->devices_could = an_session_could_decode(&t->session);
    an_starvation_explain(starvation, text, size);
    return true;
}

/* Whether the devices starved during a period that ends here, of which nothing was told yet; text: what would help. */
static bool starves(an_trainer *t, const an_rank_window *own, char *text, size_t size)
{
    an_loader_stats stats;
    an_starvation found;
    an_loader_stats_get(t->loader, &stats);
    if (t->starvation_told || !an_starvation_add(&t->watch, own->seconds, own->waited, &stats, &found))
        return false;
    return an_trainer_starved(t, &found, text, size);
}

/* Of several ranks the one that waits longest is told, because all wait for it. */
static int tell_starvation(an_trainer *t, const an_rank_window *own, int count, char *text, size_t size)
{
    bool any = false;
    for (int i = 0; i < count; i++)
        any = any || t->windows[i].starved;
    if (!any)
        return AN_OK;
    t->starvation_told = true;
    int rc = t->failed ? AN_OK : an_trainer_gather_advice(t, own->waited / own->seconds, text, size);
    return rc ? rc : an_trainer_tell_text(t, AN_EVENT_WARNING, text);
}

static an_rank_window own_window(an_trainer *t)
{
    const an_trainer_window *w = &t->window;
    an_rank_window own = {.seconds = an_clock_seconds_since(w->start_ns),
                          .waited = (double)w->wait_ns * 1e-9,
                          .processors = (double)(an_clock_process_ns() - w->processors_ns) * 1e-9,
                          .samples = w->samples};
    uint64_t sent;
    an_group_reduced(t->group, &own.reduced, &sent);
    if (!device_time(t, &own.devices))
        own.devices = (an_device_time){0};
    an_device_time *sum = &t->summary.devices;
    *sum = (an_device_time){sum->idle + own.devices.idle, sum->copy + own.devices.copy, sum->total + own.devices.total};
    t->summary.training_seconds += own.seconds;
    return own;
}

/* Shares of the time of all ranks: of the worst one, and of sums a mean. */
static void compare_windows(const an_trainer *t, int count, an_train_event *event)
{
    event->device_idle = event->device_copy = -1;
    event->wait = -1;
    for (int i = 0; i < count; i++) {
        const an_rank_window *w = &t->windows[i];
        const an_device_time *time = &w->devices;
        if (w->waited / w->seconds > event->wait) {
            event->wait = w->waited / w->seconds;
            event->wait_rank = i;
        }
        if (time->total > 0 && time->idle / time->total > event->device_idle) {
            event->device_idle = time->idle / time->total;
            event->device_copy = time->copy / time->total;
            event->idle_rank = i;
        }
        event->reduce += w->reduced / w->seconds / count;
        event->samples += w->samples;
    }
    event->ranks = t->group ? an_group_world(t->group) : 0;
    event->wait_host = an_group_host(t->group, event->wait_rank);
    event->idle_host = an_group_host(t->group, event->idle_rank);
}

/* How many processors' time all ranks took. */
static double processors_of(const an_trainer *t, int count)
{
    double seconds = 0;
    for (int i = 0; i < count; i++)
        seconds += t->windows[i].processors;
    return seconds;
}

static int tell_steps(an_trainer *t, double norm, double seconds, int count)
{
    const an_trainer_window *w = &t->window;
    double images = (double)w->images;
    an_train_event event = {.kind = AN_EVENT_TRAIN,
                            .loss = w->loss / (double)w->steps,
                            .top1 = (double)w->top1 / images,
                            .topk = (double)w->topk / images,
                            .k = (uint32_t)t->config->top,
                            .rate = an_schedule_rate(&t->schedule, &t->state.schedule, t->state.step - 1),
                            .gradient_norm = norm,
                            .images_per_second = images / seconds};
    an_pace_steps(&t->pace, w->steps, seconds);
    event.seconds = an_pace_left(&t->pace, t->session.total_steps - t->state.step, an_trainer_validations_left(t));
    compare_windows(t, count, &event);
    t->summary.loss = event.loss;
    t->summary.processor_seconds += processors_of(t, count);
    return an_trainer_tell(t, &event);
}

/* The norm of the last step's gradients; not a number where it is told to nobody, or lost with the run. It comes before
 * the time, because it may wait for the last step. */
static int norm_of(an_trainer *t, double *out)
{
    *out = NAN;
    return an_group_rank(t->group) || t->failed ? AN_OK : an_exec_gradient_norm(t->session.exec, out);
}

int an_trainer_tell_window(an_trainer *t)
{
    double norm;
    char advice[1200] = "";
    int count;
    if (t->window.steps == 0)
        return AN_OK;
    int rc = norm_of(t, &norm);
    if (rc)
        return rc;
    an_rank_window own = own_window(t);
    own.starved = starves(t, &own, advice, sizeof advice);
    rc = an_trainer_gather_windows(t, &own, &count);
    if (!rc)
        rc = tell_steps(t, norm, own.seconds, count);
    if (!rc)
        rc = tell_starvation(t, &own, count, advice, sizeof advice);
    window_begin(t);
    return rc;
}

void an_trainer_own_summary(an_trainer *t, an_train_summary *out)
{
    *out = t->summary;
    out->step = t->state.step;
    out->total_steps = t->session.total_steps;
    out->epochs = an_epochs_at(&t->session.epochs, t->state.step);
    if (t->state.best_top1 >= out->best_top1) {
        out->best_top1 = t->state.best_top1;
        out->best_step = t->state.best_step;
    }
    an_loader_stats_get(t->loader, &out->loader);
    an_starvation whole = {.seconds = out->training_seconds,
                           .waited = out->wait_seconds,
                           .held = out->saving_seconds,
                           .loader = out->loader};
    out->starvation = an_trainer_starved(t, &whole, t->starvation, sizeof t->starvation) ? t->starvation : NULL;
}

void an_trainer_summary(an_trainer *t, an_train_summary *out)
{
    an_trainer_own_summary(t, out);
    if (!t->group)
        return;
    out->wait_seconds = t->worst.wait_seconds;
    out->devices = t->worst.devices;
    out->loader = t->worst.loader;
    out->starvation = t->worst.starved ? t->worst_starvation : NULL;
}

int an_trainer_profile(an_trainer *t, an_buffer *out)
{
    return an_profile_print(&t->profile, t->session.share.batch, out);
}

int an_trainer_describe(an_trainer *t, an_buffer *out)
{
    int rc = an_session_describe(&t->session, out);
    if (!rc && t->saver && an_saver_memory(t->saver))
        rc =
            an_buffer_printf(out, "checkpoints %.0f MB of memory, from which they are written while training goes on\n",
                             (double)an_saver_memory(t->saver) * 1e-6);
    if (!rc && an_loader_note(t->loader))
        rc = an_buffer_printf(out, "            %s\n", an_loader_note(t->loader));
    if (rc)
        return rc;
    if (an_trainer_gives_up(t))
        return an_buffer_printf(out, "from        step %" PRIu64 ": nothing is left to do, --stop-after %d ended it\n",
                                t->state.step, t->config->stop_after);
    if (t->state.step >= t->session.total_steps)
        return an_buffer_printf(
            out, "from        step %" PRIu64 ": nothing is left to do, --epochs and --steps end at %" PRIu64 "\n",
            t->state.step, t->session.total_steps);
    double each = an_epochs_each(&t->session.epochs);
    return an_buffer_printf(out, "from        step %" PRIu64 " to %" PRIu64 ", %.*f an epoch\n", t->state.step,
                            t->session.total_steps, each == floor(each) ? 0 : 2, each);
}
