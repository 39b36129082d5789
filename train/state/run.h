/* The folder of a run:
 *     recipe.txt                      the options that decide the weights, readable by --recipe
 *     engines.txt                     the kernels chosen by measuring, see engines.h; only from GPUs
 *     metrics.jsonl                   see metrics.h
 *     checkpoints/step-000001234.safetensors   the newest few
 *     best.safetensors                the one with the highest validation top-1: a second name of a checkpoint
 * One program at a time trains in a folder: it is locked. Other programs may read it meanwhile.
 *
 * A file in checkpoints/ counts as a checkpoint only if its name is exactly what an_run_checkpoint_path makes of its
 * step, and only if it is a file or a symbolic link. All other files there belong to somebody else: they are neither
 * opened nor renamed nor deleted, and beside those that could be a run's no run starts anew. An an_run is used by one
 * thread at a time. */
#ifndef AN_TRAIN_STATE_RUN_H
#define AN_TRAIN_STATE_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "train/state/checkpoint.h"

typedef struct an_run an_run;

/* Make or open the folder and lock it. Temporary files of checkpoints that a killed run left are removed. AN_EINVAL if
 * another an-train is using the folder, AN_EIO if nothing can be written there. */
int an_run_open(an_run **out, const char *folder);
void an_run_close(an_run *run); /* NULL is fine */

/* Whether a run may start at step 0 in a folder whose checkpoints are none. AN_EINVAL names what is left of another
 * run: best.safetensors, or anything in checkpoints/ that is called step-* or *.safetensors*. All other files are
 * nobody's business: a run that ended before its first checkpoint leaves recipe.txt and metrics.jsonl. */
int an_run_check_fresh(an_run *run);
int an_run_check_best(an_run *run, const char *from); /* best.safetensors alone, unless a run goes on from that file */

/* AN_ECORRUPT if a folder, a pipe or a device bears a name that a run from step first to step last may write. */
int an_run_check_names(an_run *run, uint64_t first, uint64_t last);
/* The same for one checkpoint, before it is written, with AN_EIO. */
int an_run_check_step(an_run *run, uint64_t step);

/* Path of a file in the folder; valid until the next call. */
const char *an_run_path(an_run *run, const char *name);

uint64_t an_run_checkpoint_count(const an_run *run);
uint64_t an_run_newest_step(const an_run *run); /* of the newest checkpoint, sound or not; 0 if there is none */

/* Open the newest sound checkpoint; *out is NULL if the folder holds no checkpoint. One that is damaged or holds
 * another step than its name says, or a link that leads to no file, is passed over: skipped is called with the reason.
 * Once an older sound one is found, those passed over are renamed to "<name>.damaged" ("<name>.damaged-2" and so on if
 * there is one), so that they never count as newest again. Without a sound one nothing is renamed: AN_ECORRUPT if all
 * are damaged, AN_EIO if some lead to no file. Any other failure to open the newest (no permission, a bad disk) is
 * returned at once, with the file named: it is no reason to start from older weights. */
int an_run_newest(an_run *run, an_checkpoint **out, void (*skipped)(void *context, const char *reason), void *context);

/* Path for a checkpoint at step; valid until the next call. */
const char *an_run_checkpoint_path(an_run *run, uint64_t step);

/* Call after a checkpoint was written: gives it the name best.safetensors if it is the best, and deletes all but the
 * newest keep. */
int an_run_saved(an_run *run, uint64_t step, bool best, int keep);

/* The checkpoint whose weights to use: best.safetensors, else the newest sound one. For programs that only read the
 * run: takes no lock and changes nothing. */
int an_run_weights(an_checkpoint **out, const char *folder);

#endif
