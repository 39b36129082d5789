/* A training run: the loop, its checkpoints and its exact resumption. A trainer is used by one thread, which also
 * drives the network and calls the observer; the loader and the writing of checkpoints have threads of their own. */
#ifndef AN_TRAIN_LOOP_TRAINER_H
#define AN_TRAIN_LOOP_TRAINER_H

#include "augment/loader.h"
#include "train/group/group.h"
#include "train/setup/config.h"
#include "train/state/checkpoint.h"
#include "train/watch/metrics.h"

/* What is told at the end of a run. Times are in seconds, of this process only: earlier parts of a resumed run do not
 * count. Of several ranks, images, loss and processor_seconds are those of all, and wait_seconds, devices, loader and
 * starvation those of the rank that waited longest. */
typedef struct {
    uint64_t first_step, step, total_steps;
    double epochs; /* that step has made */
    uint64_t images;
    double seconds, training_seconds, validation_seconds;
    double saving_seconds;    /* this thread was held by checkpoints, the wait for the last one among them */
    double wait_seconds;      /* the network waited for a batch */
    double processor_seconds; /* that all threads together spent on processors while training */
    an_device_time devices;   /* while training, by the devices' own clocks; all 0 if they have none */
    an_loader_stats loader;
    const char *starvation; /* why the devices starved and what would help, or NULL; lives as long as the trainer */
    double loss;            /* as the last line told it: the mean over its steps */
    double best_top1;       /* highest validation top-1, 0..1; 0 if there was no validation */
    uint64_t best_step;
    const char *checkpoint; /* last one written, or NULL; lives as long as the trainer */
} an_train_summary;

typedef struct an_trainer an_trainer;

/* Open data and run folder, build the network, and load the checkpoint that --resume means. group: the ranks among
 * which the training is divided, all of which call the trainer's functions together; only rank 0 tells its observer and
 * uses the run folder. NULL: there is this process only. It must outlive the trainer. validations: sets to
 * validate on, NULL-terminated; NULL: none. observer must outlive the trainer, and so must what config points to. */
int an_trainer_create(an_trainer **out, const an_train_config *config, an_group *group, const char *training,
                      const char *const *validations, const an_train_observer *observer);
void an_trainer_free(an_trainer *trainer); /* NULL is fine */

/* Train to the end. If a stop is requested, the step is finished, a checkpoint written and AN_STOPPED returned. A
 * checkpoint that cannot be written ends the run after the step during which that is found. In any case the call
 * returns only when no checkpoint is being written any more. A loss that is not finite ends the run with AN_ECORRUPT:
 * the message names the layer where it began and the last good checkpoint. What ends the run of one rank ends that of
 * all, with the same code. */
int an_trainer_run(an_trainer *trainer);

/* The run of the group has failed elsewhere: an_trainer_run returns although images may never come. Any thread. */
void an_trainer_interrupt(an_trainer *trainer);

void an_trainer_summary(an_trainer *trainer, an_train_summary *out);

/* Append the table of an_profile_print; nothing without --profile. */
int an_trainer_profile(an_trainer *trainer, an_buffer *out);

/* Append an_session_describe, and from which step to which the run goes. */
int an_trainer_describe(an_trainer *trainer, an_buffer *out);

#endif
