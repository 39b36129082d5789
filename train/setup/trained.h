/* A trained network for use: weights, how images become its inputs, and its classes, from a run folder or a file. */
#ifndef AN_TRAIN_SETUP_TRAINED_H
#define AN_TRAIN_SETUP_TRAINED_H

#include "train/setup/config.h"
#include "train/state/checkpoint.h"

typedef struct {
    an_checkpoint *checkpoint; /* holds the class ids and the path */
    an_train_config config;    /* the recipe it was made with */
    an_train_input input;
    int classes;
} an_trained;

/* From a run's best (else newest) checkpoint, or from a file that an-train wrote. Exactly one of run and weights is
 * given. */
int an_trained_open(an_trained *out, const char *run, const char *weights);
void an_trained_close(an_trained *trained); /* zeroed is fine */

/* The network with these weights, for evaluation. */
int an_trained_exec(an_trained *trained, const char *devices, int batch, int threads, an_exec **out);

#endif
