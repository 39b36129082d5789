/* A run's folder, shared by run.c (the folder, its lock, what follows a save), run_list.c (which checkpoints there are)
 * and run_find.c (which of them to use). */
#ifndef AN_TRAIN_STATE_RUN_PRIVATE_H
#define AN_TRAIN_STATE_RUN_PRIVATE_H

#include <limits.h>
#include <stddef.h>

#include "train/state/run.h"

#define AN_RUN_CHECKPOINTS "checkpoints"
#define AN_RUN_SUFFIX ".safetensors"
#define AN_RUN_BEST "best" AN_RUN_SUFFIX

struct an_run {
    char *folder;
    int lock;        /* descriptor of the folder, holding the lock; -1: opened only to read */
    uint64_t *steps; /* of the checkpoints present, ascending */
    size_t count, capacity;
    char path[PATH_MAX]; /* what an_run_path returned last */
};

/* An an_run with an empty list of checkpoints. Touches no file; an_run_close frees it. */
int an_run_create(an_run **out, const char *folder);

/* Fill the list from the folder. clean: also remove the temporary files of checkpoints that a killed run left. */
int an_run_list(an_run *run, bool clean);

/* Add a step to the list, in order. */
int an_run_list_add(an_run *run, uint64_t step);

#endif
