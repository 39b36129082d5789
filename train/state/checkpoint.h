/* A checkpoint: one safetensors file that holds everything a run needs to go on from a step.
 *
 * Tensors: every parameter under its name ("conv1.weight"), its momentum ("momentum.conv1.weight") and, where the run
 * keeps them, its average ("average.conv1.weight"); the mean that is
 * subtracted from an image ("input.mean_image", side x side x 3, 0..255) and the number by which the difference is then
 * multiplied ("input.scale"). Weights are of use only together with these two. The metadata is listed in
 * docs/training.md. An export of weights is the same file without momentum.
 *
 * All values are finite: neither saved nor loaded otherwise. A checkpoint is used by one thread. */
#ifndef AN_TRAIN_STATE_CHECKPOINT_H
#define AN_TRAIN_STATE_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "model/exec.h"
#include "model/snapshot.h"
#include "train/state/schedule.h"

#define AN_TRAIN_STEP_MAX (UINT64_MAX / 2)

/* What changes from step to step, besides the tensors. */
typedef struct {
    uint64_t step;          /* steps done; at most AN_TRAIN_STEP_MAX */
    uint64_t epochs_closed; /* epochs after whose end everything was done: validation, schedule, best checkpoint */
    double best_top1;       /* highest validation top-1, 0..1; 0 before the first validation */
    uint64_t best_step;
    an_schedule_state schedule;
} an_train_state;

/* What a checkpoint was made from. A run that is resumed compares it with its own; nothing of it is restored. */
typedef struct {
    const char *recipe;   /* lines "name = value", as in recipe.txt */
    const char *dataset;  /* path of the training set */
    uint64_t fingerprint; /* of the training set */
    const char *classes;  /* JSON array of class ids in the order of their labels, escaped as text.h says */
    uint64_t total_steps; /* of all epochs, which the schedule stretches over */
    const char *machine;  /* devices, threads and processor: they decide in which order sums are rounded */
} an_train_identity;

/* How images become inputs: (pixels - mean_image) * scale. */
typedef struct {
    uint32_t side;
    float *mean_image; /* side x side x 3 */
    double scale;
} an_train_input;

/* The parameters to save. */
typedef struct {
    an_exec *exec;
    const an_snapshot *snapshot; /* of exec and waited for: the values that it holds; NULL: those that exec has now */
    bool momentum;               /* save it as well, and averages if exec keeps them */
} an_checkpoint_parameters;

/* Point *out to the values of one of them, in room (space for an_parameter.size floats) or in the snapshot. */
int an_checkpoint_values(const an_checkpoint_parameters *from, int number, an_parameter_kind kind, float *room,
                         const float **out);

typedef struct an_checkpoint an_checkpoint;

/* Write parameters and the rest to path, atomically. AN_ECORRUPT names the first parameter that is not finite; path
 * then holds what it held. From a snapshot another thread may write while exec works on: of exec only an_exec_parameter
 * is called. */
int an_checkpoint_save(const char *path, const an_checkpoint_parameters *from, const an_train_state *state,
                       const an_train_identity *identity, const an_train_input *input);

/* Open a checkpoint and verify it: every offset, and the checksum over the whole file. AN_ECORRUPT names what is wrong,
 * AN_ENOTFOUND: there is no such file. */
int an_checkpoint_open(an_checkpoint **out, const char *path);
void an_checkpoint_free(an_checkpoint *checkpoint); /* NULL is fine */

const char *an_checkpoint_path(const an_checkpoint *checkpoint);
const an_train_state *an_checkpoint_state(const an_checkpoint *checkpoint);
const an_train_identity *an_checkpoint_identity(const an_checkpoint *checkpoint); /* its strings live as long */
int an_checkpoint_input(an_checkpoint *checkpoint, an_train_input *out);          /* caller frees out->mean_image */

/* Set exec's parameters. momentum: to go on with training, so their momentum as well, and their averages if exec keeps
 * them. Otherwise the parameters are set to their averages, if the file holds these. Each must be there with its exact
 * shape: AN_EINVAL names the first that is not, or that an export has no momentum. AN_ECORRUPT names the first that is
 * not finite. Other tensors of the file are ignored. */
int an_checkpoint_restore(an_checkpoint *checkpoint, an_exec *exec, bool momentum);

#endif
