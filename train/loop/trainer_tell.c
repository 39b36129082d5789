/* What a run tells: events while it lasts, and what it is at its beginning and was at its end. */
#include "train/loop/trainer_private.h"

#include <inttypes.h>
#include <math.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"

int an_trainer_tell_at(an_trainer *t, uint64_t step, an_train_event *event)
{
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

/* Fill in the window's shares, negative if they are not known, and add the times to the run's. */
static void tell_devices(an_trainer *t, an_train_event *event)
{
    an_device_time time;
    an_device_time *sum = &t->summary.devices;
    event->device_idle = event->device_copy = -1;
    if (!device_time(t, &time))
        return;
    *sum = (an_device_time){sum->idle + time.idle, sum->copy + time.copy, sum->total + time.total};
    event->device_idle = time.idle / time.total;
    event->device_copy = time.copy / time.total;
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
        an_train_loader_threads_most(an_thread_cpu_count(), an_exec_on_processors(t->session.exec));
    starvation->jpegs = an_starvation_jpegs(t->session.data.training);
    starvation->decode = an_session_decodes(&t->session, t->session.data.training);
    starvation->devices_could = an_session_could_decode(&t->session);
    an_starvation_explain(starvation, text, size);
    return true;
}

/* Warn once if the devices starved, with what would help. */
static int tell_starvation(an_trainer *t, double seconds, double waited)
{
    an_loader_stats stats;
    an_starvation found;
    char text[1024];
    an_loader_stats_get(t->loader, &stats);
    if (t->starvation_told || !an_starvation_add(&t->watch, seconds, waited, &stats, &found))
        return AN_OK;
    t->starvation_told = an_trainer_starved(t, &found, text, sizeof text);
    return t->starvation_told ? an_trainer_tell_text(t, AN_EVENT_WARNING, text) : AN_OK;
}

int an_trainer_tell_window(an_trainer *t)
{
    const an_trainer_window *w = &t->window;
    double norm;
    if (w->steps == 0)
        return AN_OK;
    int rc = an_exec_gradient_norm(t->session.exec, &norm); /* before the time: it may wait for the last step */
    if (rc)
        return rc;
    double seconds = an_clock_seconds_since(w->start_ns), waited = (double)w->wait_ns * 1e-9;
    double images = (double)w->images;
    an_train_event event = {.kind = AN_EVENT_TRAIN,
                            .loss = w->loss / (double)w->steps,
                            .top1 = (double)w->top1 / images,
                            .topk = (double)w->topk / images,
                            .k = (uint32_t)t->config->top,
                            .rate = an_schedule_rate(&t->schedule, &t->state.schedule, t->state.step - 1),
                            .gradient_norm = norm,
                            .images_per_second = images / seconds,
                            .wait = waited / seconds};
    an_pace_steps(&t->pace, w->steps, seconds);
    event.seconds = an_pace_left(&t->pace, t->session.total_steps - t->state.step, an_trainer_validations_left(t));
    tell_devices(t, &event);
    t->summary.loss = event.loss;
    t->summary.training_seconds += seconds;
    t->summary.processor_seconds += (double)(an_clock_process_ns() - w->processors_ns) * 1e-9;
    rc = an_trainer_tell(t, &event);
    if (!rc)
        rc = tell_starvation(t, seconds, waited);
    window_begin(t);
    return rc;
}

void an_trainer_summary(an_trainer *t, an_train_summary *out)
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

int an_trainer_profile(an_trainer *t, an_buffer *out)
{
    return an_profile_print(&t->profile, t->config->batch, out);
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
