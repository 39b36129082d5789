/* The learning rate as a function of the step and, for plateau, of the validations so far. Values without a thread or a
 * resource of their own. */
#ifndef AN_TRAIN_STATE_SCHEDULE_H
#define AN_TRAIN_STATE_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/epochs/epochs.h"

#define AN_SCHEDULE_STEPS_MAX 16

typedef enum {
    AN_SCHEDULE_CONSTANT,
    AN_SCHEDULE_STEPS,   /* divided after given epochs, at the first step that begins in the next one */
    AN_SCHEDULE_PLATEAU, /* divided when validation stops improving (the paper) */
    AN_SCHEDULE_COSINE,  /* from rate to 0 over the whole run, as half a cosine */
    AN_SCHEDULE_POLY     /* the same as a power of the share that is left: rate * (1 - step / total_steps)^power */
} an_schedule_kind;

typedef struct {
    an_schedule_kind kind;
    double rate;
    double divisor;                    /* steps, plateau: 10 in the paper */
    int epochs[AN_SCHEDULE_STEPS_MAX]; /* steps: ascending */
    int epoch_count;
    int patience;          /* plateau: epochs without improvement before a division */
    int drops_max;         /* plateau: divisions at most; 3 in the paper */
    double power;          /* poly */
    an_epochs span;        /* steps: when an epoch begins */
    uint64_t total_steps;  /* cosine, poly: over how many steps the rate falls, wherever the run may stop before */
    uint64_t warmup_steps; /* the first steps multiply the rate by 1/n, 2/n, ... n/n; 0: no warm-up */
} an_schedule;

/* What plateau remembers, part of every checkpoint. All zeros at the start of a run. */
typedef struct {
    double best; /* highest validation top-1 share so far */
    int waited;  /* validations since it rose or the rate was divided */
    int drops;   /* divisions so far */
} an_schedule_state;

/* Parse "30,60,80" into epochs. AN_EINVAL unless these are ascending positive whole numbers, at most
 * AN_SCHEDULE_STEPS_MAX. */
int an_schedule_parse_epochs(an_schedule *schedule, const char *text);

/* The rate of a step, counted from 0: the kind's, and during the warm-up a share of that. */
double an_schedule_rate(const an_schedule *schedule, const an_schedule_state *state, uint64_t step);

/* How often the rate has been divided before a step; 0 for kinds that do not divide it. */
int an_schedule_divisions(const an_schedule *schedule, const an_schedule_state *state, uint64_t step);

/* Write what happened when the number of divisions rose from before to now. after: the epoch that ended. */
void an_schedule_tell(const an_schedule *schedule, int before, int now, uint64_t after, char *text, size_t size);

/* Whether the rate depends on total_steps, which a run then cannot change. */
bool an_schedule_has_length(const an_schedule *schedule);

/* Call after each validation with its top-1, 0..1. */
void an_schedule_observe(const an_schedule *schedule, an_schedule_state *state, double top1);

#endif
