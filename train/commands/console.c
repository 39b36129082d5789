#include "train/commands/console.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/program/log.h"
#include "base/program/print.h"

static void duration(double seconds, char *out, size_t size)
{
    uint64_t s = (uint64_t)(seconds + 0.5);
    if (s >= 86400)
        snprintf(out, size, "%" PRIu64 " d %02" PRIu64 " h", s / 86400, s / 3600 % 24);
    else if (s >= 3600)
        snprintf(out, size, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, size, "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
}

/* Whose share that is, if it is worth a word. */
static void print_rank(const an_train_event *e, double share, int rank, const char *host)
{
    if (e->ranks && share >= 0.001)
        an_print(" (rank %d on %s)", rank, host);
}

static void print_train(const an_train_event *e)
{
    char left[32];
    duration(e->seconds, left, sizeof(left));
    printf("step %6" PRIu64 "/%" PRIu64
           "  epoch %6.2f  loss %7.4f  top-1 %6.2f %%  rate %-8.3g  %8.1f images/s  wait %4.1f %%",
           e->step, e->total, e->epoch, e->loss, 100 * e->top1, e->rate, e->images_per_second, 100 * e->wait);
    print_rank(e, e->wait, e->wait_rank, e->wait_host);
    if (e->device_idle >= 0) {
        printf("  device idle %4.1f %%", 100 * e->device_idle);
        print_rank(e, e->device_idle, e->idle_rank, e->idle_host);
    }
    if (e->ranks && e->reduce > 0)
        printf("  reduce %4.1f %%", 100 * e->reduce);
    printf("  left %s\n", left);
}

static void print_validation(const an_train_event *e)
{
    an_print("step %6" PRIu64 "/%" PRIu64
             "  epoch %6.2f  validation%s%s: loss %.4f  top-1 %.2f %%  top-%u %.2f %%  in %.1f s%s\n",
             e->step, e->total, e->epoch, e->set ? " " : "", e->set ? e->set : "", e->loss, 100 * e->top1,
             an_event_k(e), 100 * e->topk, e->seconds, e->best ? "  (best)" : "");
}

static void print_json(const an_train_event *event)
{
    an_buffer line = {0};
    if (an_metrics_format(event, &line) < 0)
        an_log(AN_LOG_WARNING, "%s", an_error_message());
    else
        fwrite(line.data, 1, line.size, stdout);
    an_buffer_free(&line);
}

static void print_text(const an_train_event *event)
{
    switch (event->kind) {
    case AN_EVENT_START:
        break; /* an_trainer_describe says it in words */
    case AN_EVENT_TRAIN:
        print_train(event);
        break;
    case AN_EVENT_VALIDATION:
        print_validation(event);
        break;
    case AN_EVENT_SAVED:
        an_print("saved %s in %.1f s, of which training waited %.3f s\n", event->text, event->seconds, event->held);
        break;
    case AN_EVENT_NOTE:
        an_print("%s\n", event->text);
        break;
    case AN_EVENT_WARNING:
        break; /* shown by an_log, also when quiet */
    }
}

void an_console_tell(void *context, const an_train_event *event)
{
    const an_console *console = context;
    if (event->kind == AN_EVENT_WARNING)
        an_log(AN_LOG_WARNING, "%s", event->text);
    if (console->json)
        print_json(event);
    else if (!console->quiet)
        print_text(event);
    fflush(stdout);
}

/* What the devices waited for, by their own clocks: images that were being copied, or the host, which was late either
 * because it waited for the loader or because it queues work too slowly. */
static void print_devices(const an_device_time *time, const char *stage)
{
    double share = 100 / time->total, copy = share * time->copy;
    bool loader = strcmp(stage, "consumer") != 0;
    printf("devices     idle for %.2f %% of the training time by their own clock: %.2f %% for images on their way, "
           "%.2f %% "
           "for the host, with %s%s\n",
           share * time->idle, copy, share * time->idle - copy, loader ? "the loader behind: " : "batches ready",
           loader ? stage : "");
}

static void print_wait(const an_train_summary *s)
{
    char verdict[512];
    double share = s->training_seconds > 0 ? 100 * s->wait_seconds / s->training_seconds : 0;
    printf("data        the network waited %.2f s for images, %.2f %% of its training time\n", s->wait_seconds, share);
    const char *stage = an_loader_verdict(&s->loader, verdict, sizeof(verdict));
    printf("            %s\n", verdict);
    if (s->starvation)
        printf("            %s\n", s->starvation);
    if (s->devices.total > 0)
        print_devices(&s->devices, stage);
}

/* Of all threads, and how long the loader's workers were busy, waits for a processor included. */
static void print_processors(const an_train_summary *s)
{
    if (!s->images || !s->loader.samples || s->training_seconds <= 0)
        return;
    printf("processors  %.2f at work while training, %.1f us an image; the loader's workers were busy for %.1f us an "
           "image\n",
           s->processor_seconds / s->training_seconds, s->processor_seconds * 1e6 / (double)s->images,
           (double)s->loader.worker_busy_ns * 1e-3 / (double)s->loader.samples);
}

void an_console_summary(const an_console *console, const an_train_summary *s)
{
    if (console->quiet || console->json)
        return;
    char all[32], training[32], validation[32];
    duration(s->seconds, all, sizeof(all));
    duration(s->training_seconds, training, sizeof(training));
    duration(s->validation_seconds, validation, sizeof(validation));
    printf("\n");
    printf("done        step %" PRIu64 " of %" PRIu64 " (%.2f epochs), %" PRIu64 " of them now\n", s->step,
           s->total_steps, s->epochs, s->step - s->first_step);
    printf("time        %s: training %s, validation %s, checkpoints %.2f s\n", all, training, validation,
           s->saving_seconds);
    if (s->training_seconds > 0)
        printf("speed       %.1f images/s, %" PRIu64 " images\n", (double)s->images / s->training_seconds, s->images);
    if (s->images)
        print_wait(s);
    print_processors(s);
    if (s->best_top1 > 0)
        printf("best        top-1 %.2f %% at step %" PRIu64 "\n", 100 * s->best_top1, s->best_step);
    if (s->checkpoint)
        an_print("checkpoint  %s\n", s->checkpoint);
}
