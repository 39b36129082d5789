/* Writes a run's checkpoints while training goes on: an_saver_begin takes a snapshot of the parameters, and a thread of
 * the saver's own puts it into a file, syncs and renames that, names the best one and removes old ones. One checkpoint
 * at a time is being written.
 *
 * If there is no memory for a snapshot or no thread, the saver still works, but an_saver_begin then writes the
 * checkpoint itself: an_saver_refusal says why.
 *
 * One thread, which drives the exec, calls these functions. While a checkpoint is being written, the run belongs to the
 * saver. */
#ifndef AN_TRAIN_LOOP_SAVER_H
#define AN_TRAIN_LOOP_SAVER_H

#include <limits.h>

#include "train/state/run.h"
#include "train/watch/tensorboard.h"

typedef struct an_saver an_saver;

/* What checkpoints are made of and where they go. Borrowed: it all must outlive the saver. */
typedef struct {
    an_exec *exec;
    an_run *run;
    an_tensorboard *board; /* NULL: none */
    const an_train_identity *identity;
    const an_train_input *input;
    int keep; /* the newest so many */
} an_saver_work;

int an_saver_create(an_saver **out, const an_saver_work *work);
/* Waits for a checkpoint that is being written; what became of it is lost unless an_saver_take has told it. NULL is
 * fine.
 */
void an_saver_free(an_saver *saver);
const char *an_saver_refusal(const an_saver *saver); /* NULL: checkpoints are written while training goes on */
uint64_t an_saver_memory(const an_saver *saver);     /* bytes of the host for the snapshot; 0 after a refusal */

typedef struct {
    an_train_state state;
    bool best;       /* it gets the name best.safetensors */
    bool parameters; /* their histograms go to the board */
} an_saver_job;

/* Begins a checkpoint of the parameters as they are. What became of the one before must have been taken. A failure is
 * the devices'. */
int an_saver_begin(an_saver *saver, const an_saver_job *job);

typedef struct {
    uint64_t step;
    char path[PATH_MAX];
    double seconds; /* from an_saver_begin until everything was done */
} an_saver_result;

/* Takes what became of the last checkpoint. wait: waits until it is written. AN_AGAIN: there is none, or it is not
 * written yet. A failure to write it is returned with its message; out->step is set then, too. */
int an_saver_take(an_saver *saver, bool wait, an_saver_result *out);

#endif
