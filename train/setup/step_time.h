/* How long a training step takes, as training takes it: images of the next step travel meanwhile, the host does not
 * wait for the update, and steps are replayed where devices record them. For --dry-run and --decode auto.
 *
 * The rate of the updates is 0, so parameters stay as they are; but a momentum is set to 0. Images and labels are the
 * caller's. One thread calls this. */
#ifndef AN_TRAIN_SETUP_STEP_TIME_H
#define AN_TRAIN_SETUP_STEP_TIME_H

#include "model/exec.h"

typedef struct {
    an_images images;
    const uint32_t *labels;
    uint32_t count;
} an_step_batch;

/* Seconds of a step, all of which take the same batch. Takes about 0.2 s, or five steps if these take longer. */
int an_step_time(an_exec *exec, const an_step_batch *batch, double *seconds);

#endif
