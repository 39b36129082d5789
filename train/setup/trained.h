/* A trained network, ready to be used: its weights, its recipe, its classes and how images become its input. Comes from
 * a run's folder or from a file. */
#ifndef AN_TRAIN_SETUP_TRAINED_H
#define AN_TRAIN_SETUP_TRAINED_H

#include "train/setup/config.h"
#include "train/state/checkpoint.h"

typedef struct {
    an_checkpoint *checkpoint; /* also holds the class ids, the step and the path */
    an_train_config config;    /* the recipe it was made with */
    an_train_input input;
    int classes;
} an_trained;

/* From a run's best checkpoint (else the newest), or from a file that an-train wrote. Exactly one of run and weights
 * must be given: else AN_EINVAL. */
int an_trained_open(an_trained *out, const char *run, const char *weights);
void an_trained_close(an_trained *trained); /* zeroed is fine */

/* A network with these weights, for evaluation of batch images at a time. threads: on all devices together. The caller
 * frees it. */
int an_trained_exec(an_trained *trained, const char *devices, int batch, int threads, an_exec **out);

#endif
