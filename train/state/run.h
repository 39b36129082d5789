/* The folder of a run:
 *     recipe.txt                      what decides the weights, readable by --recipe
 *     engines.txt                     the kernels chosen by measuring, see engines.h; only from GPUs
 *     metrics.jsonl                   see metrics.h
 *     checkpoints/step-000001234.safetensors   the newest few
 *     best.safetensors                the one with the highest validation top-1 (a second name of a checkpoint)
 * One program at a time: the folder is locked. */
#ifndef AN_TRAIN_STATE_RUN_H
#define AN_TRAIN_STATE_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "train/state/checkpoint.h"

typedef struct an_run an_run;

/* Make or open the folder, lock it, remove what a killed run left half-written. */
int an_run_open(an_run **out, const char *folder);
void an_run_close(an_run *run); /* NULL is fine */

/* Path of a file in the folder; valid until the next call. */
const char *an_run_path(an_run *run, const char *name);

uint64_t an_run_checkpoint_count(const an_run *run);

uint64_t an_run_newest_step(const an_run *run); /* of the newest file, sound or not; 0 if none */

/* The newest checkpoint that is sound. For each damaged one before it, skipped is called with the reason; it is renamed
 * to
 * "<name>.damaged", so that it never crowds out a sound one. AN_ENOTFOUND if there is none at all; AN_ECORRUPT if there
 * are some and every one is damaged. */
int an_run_newest(an_run *run, an_checkpoint **out, void (*skipped)(void *context, const char *reason), void *context);

/* Path for a checkpoint at step; valid until the next call. */
const char *an_run_checkpoint_path(an_run *run, uint64_t step);

/* After a checkpoint was written: give it the name best.safetensors if it is the best, and drop all but the newest
 * keep. */
int an_run_saved(an_run *run, uint64_t step, bool best, int keep);

/* The checkpoint to use weights of: best.safetensors, else the newest sound one. For programs that only read the run.
 */
int an_run_weights(an_checkpoint **out, const char *folder);

#endif
