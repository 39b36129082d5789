#include "train/loop/trainer_private.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"

static double epochs_done(const an_trainer *t)
{
    return (double)t->state.step / (double)t->session.steps_per_epoch;
}

int an_trainer_tell(an_trainer *t, an_train_event *event)
{
    event->step = t->state.step;
    event->total = t->session.total_steps;
    event->epoch = epochs_done(t);
    t->observer->tell(t->observer->context, event);
    int rc = t->metrics ? an_metrics_write(t->metrics, event) : AN_OK;
    return !rc && t->board ? an_board_event(t->board, event) : rc;
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

void an_trainer_window_start(an_trainer *t)
{
    an_device_time before;
    (void)device_time(t, &before); /* drops what belongs to the time before this window */
    t->window = (an_trainer_window){.start_ns = an_clock_ns()};
}

bool an_trainer_starved(const an_trainer *t, an_starvation *starvation, char *text, size_t size)
{
    if (!an_starvation_found(starvation))
        return false;
    starvation->threads_most =
        an_train_loader_threads_most(an_thread_cpu_count(), an_exec_on_processors(t->session.exec));
    starvation->jpegs = an_starvation_jpegs(t->session.data.training);
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
    if (w->steps == 0)
        return AN_OK;
    double seconds = an_clock_seconds_since(w->start_ns), waited = (double)w->wait_ns * 1e-9;
    double images = (double)w->images;
    an_train_event event = {.kind = AN_EVENT_TRAIN,
                            .loss = w->loss / (double)w->steps,
                            .top1 = (double)w->top1 / images,
                            .top5 = (double)w->top5 / images,
                            .rate = an_schedule_rate(&t->schedule, &t->state.schedule, t->state.step - 1),
                            .images_per_second = images / seconds,
                            .wait = waited / seconds,
                            .seconds = seconds / (double)w->steps * (double)(t->session.total_steps - t->state.step)};
    tell_devices(t, &event);
    t->summary.loss = event.loss;
    t->summary.training_seconds += seconds;
    int rc = an_trainer_tell(t, &event);
    if (!rc)
        rc = tell_starvation(t, seconds, waited);
    an_trainer_window_start(t);
    return rc;
}

int an_trainer_name_last_good(const an_trainer *t, int rc)
{
    char reason[AN_ERROR_MAX];
    snprintf(reason, sizeof(reason), "%s", an_error_message());
    const char *remedy = "try a third of --rate, or --input-scale unit";
    if (t->saved_any)
        return an_error(rc, "step %" PRIu64 ": %s; the last good checkpoint is '%s'; %s", t->state.step, reason,
                        t->checkpoint, remedy);
    return an_error(rc, "step %" PRIu64 ": %s; no checkpoint had been written; %s", t->state.step, reason, remedy);
}

int an_trainer_save(an_trainer *t, bool best)
{
    if (!t->run)
        return AN_OK;
    uint64_t start = an_clock_ns();
    int rc = an_checkpoint_save(an_run_checkpoint_path(t->run, t->state.step), t->session.exec, true, &t->state,
                                &t->identity, &t->session.data.input);
    if (rc == AN_ECORRUPT)
        return an_trainer_name_last_good(t, rc);
    if (!rc)
        rc = an_run_saved(t->run, t->state.step, best, t->config->keep);
    if (rc)
        return rc;
    snprintf(t->checkpoint, sizeof(t->checkpoint), "%s", an_run_checkpoint_path(t->run, t->state.step));
    t->saved_step = t->state.step;
    t->saved_any = true;
    t->summary.checkpoint = t->checkpoint;
    double seconds = an_clock_seconds_since(start);
    t->summary.saving_seconds += seconds;
    return an_trainer_tell(t, &(an_train_event){.kind = AN_EVENT_SAVED, .text = t->checkpoint, .seconds = seconds});
}
