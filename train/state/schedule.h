/* The learning rate as a function of the step and, for plateau, of the validations so far. Values without a thread or a
 * resource of their own. */
#ifndef AN_TRAIN_STATE_SCHEDULE_H
#define AN_TRAIN_STATE_SCHEDULE_H

#include <stdint.h>

#include "base/epochs/epochs.h"

#define AN_SCHEDULE_STEPS_MAX 16

typedef enum {
    AN_SCHEDULE_CONSTANT,
    AN_SCHEDULE_STEPS,   /* divided after given epochs, at the first step that begins in the next one */
    AN_SCHEDULE_PLATEAU, /* divided when validation stops improving (the paper) */
    AN_SCHEDULE_COSINE   /* from rate to 0 over the whole run */
} an_schedule_kind;

typedef struct {
    an_schedule_kind kind;
    double rate;
    double divisor;                    /* steps, plateau: 10 in the paper */
    int epochs[AN_SCHEDULE_STEPS_MAX]; /* steps: ascending */
    int epoch_count;
    int patience;   /* plateau: epochs without improvement before a division */
    int drops_max;  /* plateau: divisions at most; 3 in the paper */
    an_epochs span; /* steps: when an epoch begins */
    uint64_t total_steps;
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

double an_schedule_rate(const an_schedule *schedule, const an_schedule_state *state, uint64_t step);

/* Call after each validation with its top-1, 0..1. */
void an_schedule_observe(const an_schedule *schedule, an_schedule_state *state, double top1);

#endif
