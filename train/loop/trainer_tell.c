#include "train/loop/trainer_private.h"

#include "base/clock.h"
#include "base/error.h"

int an_trainer_tell_at(an_trainer *t, uint64_t step, an_train_event *event)
{
    event->step = step;
    event->total = t->session.total_steps;
    event->epoch = (double)step / (double)t->session.steps_per_epoch;
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

void an_trainer_window_start(an_trainer *t)
{
    an_device_time before;
    (void)device_time(t, &before); /* drops what belongs to the time before this window */
    t->window = (an_trainer_window){.start_ns = an_clock_ns()};
}

int an_trainer_tell_window(an_trainer *t)
{
    const an_trainer_window *w = &t->window;
    if (w->steps == 0)
        return AN_OK;
    double seconds = an_clock_seconds_since(w->start_ns), images = (double)w->images;
    an_train_event event = {.kind = AN_EVENT_TRAIN,
                            .loss = w->loss / (double)w->steps,
                            .top1 = (double)w->top1 / images,
                            .top5 = (double)w->top5 / images,
                            .rate = an_schedule_rate(&t->schedule, &t->state.schedule, t->state.step - 1),
                            .images_per_second = images / seconds,
                            .wait = (double)w->wait_ns * 1e-9 / seconds,
                            .seconds = seconds / (double)w->steps * (double)(t->session.total_steps - t->state.step)};
    tell_devices(t, &event);
    t->summary.loss = event.loss;
    t->summary.training_seconds += seconds;
    int rc = an_trainer_tell(t, &event);
    an_trainer_window_start(t);
    return rc;
}
