/* A run's folder, shared by run.c (the folder, its lock, what follows a save), run_list.c (which checkpoints there
 * are), run_find.c (which of them to use) and run_check.c (whether a run may begin there). */
#ifndef AN_TRAIN_STATE_RUN_PRIVATE_H
#define AN_TRAIN_STATE_RUN_PRIVATE_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

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

/* "step-000001234.safetensors" to 1234. Any other way to write that step is not a checkpoint's name, and neither is a
 * step that no checkpoint could hold. */
bool an_run_parse_name(const char *name, uint64_t *step);

/* What an entry of the folder checkpoints/ is, links not followed; 0 if it is gone. */
int an_run_mode(int folder, const char *name, mode_t *out);

/* Call entry_take for each entry of checkpoints/ until one returns something else than AN_OK, which is returned. */
typedef int an_run_entry(an_run *run, int folder, const char *name, const void *context);
int an_run_walk(an_run *run, an_run_entry *entry_take, const void *context);

/* Fill the list from the folder. clean: also remove the temporary files of checkpoints that a killed run left. */
int an_run_list(an_run *run, bool clean);

int an_run_check_writable(an_run *run); /* the folder and checkpoints/: better now than after the first epoch */

/* Add a step to the list, in order. */
int an_run_list_add(an_run *run, uint64_t step);

#endif
