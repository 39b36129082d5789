/* an-train as one of several ranks: joins them, hands what their group notices to the trainer and the user, and ends
 * together with them. All functions are called by the main thread. */
#ifndef AN_TRAIN_COMMANDS_RANKS_PRIVATE_H
#define AN_TRAIN_COMMANDS_RANKS_PRIVATE_H

#include <pthread.h>

#include "train/loop/trainer.h"

typedef struct {
    an_group *group;      /* NULL: a single process */
    char *devices;        /* of this rank; config points to it */
    pthread_mutex_t lock; /* of the next one, which the group's thread uses */
    an_trainer *trainer;
} an_train_ranks;

/* Before options are parsed: standard output of all but rank 0 leads nowhere from now on. *speaks: this is rank 0. */
int an_train_ranks_hush(bool *speaks);

/* rc: what became of the options. Joins the others even if they are wrong, so that only one rank tells it. Fits config
 * to the rank: its devices, and that only rank 0 prints. Returns rc, or a failure to join; an_train_ranks_close is due
 * in any case. */
int an_train_ranks_open(an_train_ranks *out, an_train_config *config, int rc);

/* Whose loaders to interrupt when the run fails elsewhere; NULL: nobody's any more. */
void an_train_ranks_watch(an_train_ranks *ranks, an_trainer *trainer);

/* Leaves the others, after a failure with rc after telling them. Prints the message where this rank is to. Returns the
 * exit code. */
int an_train_ranks_close(an_train_ranks *ranks, int rc);

#endif
