/* What happens in a run, as events: told to the program, which prints them, and kept as JSON lines in metrics.jsonl.
 *
 * A reader of metrics.jsonl must expect what a killed or crashed run leaves, and what a later version adds:
 * - A line counts only if it is a JSON object with a whole number "step". All others are passed over, wherever they
 *   stand: the last one may end anywhere, without a newline, and a power failure may leave zeros.
 * - Unknown types and unknown names in an object are passed over. Lines of older versions lack "time" and "start".
 * - Bytes of a text that are not UTF-8 are escaped: see state/text.h.
 * Steps never fall from one line to the next, but for those of type "saved": a checkpoint is told when it is written,
 * and training has gone on meanwhile. Opening drops what lies after the step a run is resumed from, and damaged lines
 * with it, and a process's start at that step: this process's takes its place. A metrics file belongs to the thread
 * that trains. */
#ifndef AN_TRAIN_WATCH_METRICS_H
#define AN_TRAIN_WATCH_METRICS_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "train/watch/start.h"

typedef enum {
    AN_EVENT_START,      /* first in every process of a run, at the step that it goes on from; start: what it is */
    AN_EVENT_TRAIN,      /* every --log-every steps: means over the steps since the last such event */
    AN_EVENT_VALIDATION, /* after an epoch, and at the end */
    AN_EVENT_SAVED,      /* when a checkpoint is written; step: the one that it holds; text: its path */
    AN_EVENT_NOTE,       /* text */
    AN_EVENT_WARNING     /* text */
} an_event_kind;

typedef struct {
    an_event_kind kind;
    uint64_t step, total;    /* steps done, steps in all */
    double epoch;            /* epochs done, with fraction */
    double loss, top1, topk; /* shares 0..1 */
    uint32_t k;              /* of topk: images whose class is among the k most probable; 0: 5 */
    double rate;
    double gradient_norm; /* train: of the last step, before clipping; negative or not a number: not known */
    double images_per_second;
    double device_idle; /* share of the time, by the devices' own clocks, that they had no work; negative: no clock */
    double device_copy; /* the part of device_idle in which images were being copied to them */
    double wait;        /* share of the time spent waiting for data, 0..1 */
    uint64_t samples;   /* train: sum modulo 2^64 over the images trained on, see docs/training.md */
    int ranks;          /* train: of several ranks, wait and device_idle are those of the worst; 0: a single process */
    int wait_rank, idle_rank;          /* which those are, */
    const char *wait_host, *idle_host; /* and where */
    double reduce;  /* share of the time spent waiting for sums of gradients, a mean over ranks; 0 on devices that
                       queue their work */
    double seconds; /* train: left until the end, with validations (loop/pace.h); validation, saved: how long it took */
    double held;    /* saved: seconds that training stood still for it */
    bool best;      /* validation: the highest top-1 so far */
    const char *set;  /* validation: name of the set, any bytes, where there are several; else NULL */
    uint64_t time_ns; /* when it happened, since 1970, UTC; 0: not known */
    const char *text;
    const an_train_start *start;
} an_train_event;

/* Whether the norm is known, and finite: JSON has no other numbers. */
static inline bool an_train_event_has_norm(const an_train_event *event)
{
    return isfinite(event->gradient_norm) && event->gradient_norm >= 0;
}

typedef struct {
    void (*tell)(void *context, const an_train_event *event);
    void *context;
} an_train_observer;

uint32_t an_event_k(const an_train_event *event); /* k, or 5 */

/* One JSON object and a newline. */
int an_metrics_format(const an_train_event *event, an_buffer *out);

struct json_t;

/* A line of metrics.jsonl, without its newline, as an object, and its step; NULL if it does not count. A line of more
 * values than an event could ever have does not count either: it would take memory without bound. */
struct json_t *an_metrics_parse(const char *line, size_t length, uint64_t *step);

typedef struct an_metrics an_metrics;

/* The last step whose checkpoint a file tells of; 0 if none, or without a file. */
int an_metrics_last_saved(const char *path, uint64_t *out);

/* Open for appending. Lines of later steps, which an interrupted run wrote after its last checkpoint, and lines that do
 * not count are dropped first, so that the file reads as if the run had never been interrupted. */
int an_metrics_open(an_metrics **out, const char *path, uint64_t step);
int an_metrics_write(an_metrics *metrics, const an_train_event *event);
void an_metrics_close(an_metrics *metrics); /* NULL is fine */

#endif
