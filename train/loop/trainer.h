/* A training run: the loop, its checkpoints and its exact resumption. The calling thread drives the network; the loader
 * works in threads of its own. */
#ifndef AN_TRAIN_LOOP_TRAINER_H
#define AN_TRAIN_LOOP_TRAINER_H

#include "augment/loader.h"
#include "train/setup/config.h"
#include "train/state/checkpoint.h"
#include "train/watch/metrics.h"

/* What the end of a run has to tell. Times in seconds of this process's part of the run. */
typedef struct {
    uint64_t first_step, step, total_steps;
    uint64_t steps_per_epoch, images;
    double seconds, training_seconds, validation_seconds, saving_seconds;
    double wait_seconds;    /* the network waited for a batch */
    an_device_time devices; /* while training, on their own clock; 0: they have none */
    an_loader_stats loader;
    double loss;      /* mean of the last window */
    double best_top1; /* share; 0: never validated */
    uint64_t best_step;
    const char *checkpoint; /* last one written, or NULL; lives as long as the trainer */
} an_train_summary;

typedef struct an_trainer an_trainer;

/* Open data and run folder, build network and plans, restore if asked to. config and observer must outlive the trainer.
 */
int an_trainer_create(an_trainer **out, const an_train_config *config, const char *training, const char *validation,
                      const an_train_observer *observer);
void an_trainer_free(an_trainer *trainer); /* NULL is fine */

/* Train to the end: AN_OK. Stop requested: the step is finished, a checkpoint written, AN_STOPPED returned. A loss that
 * is not finite ends the run with AN_ECORRUPT, the layer and the last good checkpoint named. */
int an_trainer_run(an_trainer *trainer);

void an_trainer_summary(an_trainer *trainer, an_train_summary *out);

/* With --profile: the table of an_profile_print; else nothing. */
int an_trainer_profile(an_trainer *trainer, an_buffer *out);

/* an_session_describe, and where the run stands. */
int an_trainer_describe(an_trainer *trainer, an_buffer *out);

#endif
