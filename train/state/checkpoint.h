/* A checkpoint: one safetensors file that holds a run at a step.
 *
 * Tensors: every parameter by its name ("conv1.weight"), its momentum ("momentum.conv1.weight"), what is subtracted
 * from an image ("input.mean_image", side x side x 3, 0..255) and multiplied with after that ("input.scale", one
 * number): weights are of use only together with these two. Metadata: see checkpoint.c. Weights for others are the same
 * file without momentum. */
#ifndef AN_TRAIN_STATE_CHECKPOINT_H
#define AN_TRAIN_STATE_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "model/exec.h"
#include "train/state/schedule.h"

/* What changes from step to step, besides the tensors. */
typedef struct {
    uint64_t step;          /* steps done */
    uint64_t epochs_closed; /* epochs whose end (validation, schedule, best) has been dealt with */
    double best_top1;       /* highest validation top-1 share; 0 before the first */
    uint64_t best_step;
    an_schedule_state schedule;
} an_train_state;

/* What a checkpoint belongs to: compared, not restored. */
typedef struct {
    const char *recipe;   /* an_train_config_recipe's lines */
    const char *dataset;  /* path of the training set */
    uint64_t fingerprint; /* of the training set */
    const char *classes;  /* JSON array of class ids, in order of label */
    uint64_t total_steps;
    const char *machine; /* devices, threads and processor: sums are rounded in their order */
} an_train_identity;

/* How images become inputs. */
typedef struct {
    uint32_t side;
    float *mean_image; /* side x side x 3 */
    double scale;
} an_train_input;

typedef struct an_checkpoint an_checkpoint;

/* Write exec's parameters (and momentum if wanted) and the rest to path, atomically. AN_ECORRUPT if one is not finite:
 * a checkpoint is always good to go on from. */
int an_checkpoint_save(const char *path, an_exec *exec, bool momentum, const an_train_state *state,
                       const an_train_identity *identity, const an_train_input *input);

/* Open and verify: every offset, and the checksum over the whole file. AN_ECORRUPT names what is wrong. */
int an_checkpoint_open(an_checkpoint **out, const char *path);
void an_checkpoint_free(an_checkpoint *checkpoint); /* NULL is fine */

const char *an_checkpoint_path(const an_checkpoint *checkpoint);
const an_train_state *an_checkpoint_state(const an_checkpoint *checkpoint);
const an_train_identity *an_checkpoint_identity(const an_checkpoint *checkpoint); /* strings live as long */
int an_checkpoint_input(an_checkpoint *checkpoint, an_train_input *out);          /* caller frees out->mean_image */

/* Put the tensors into exec: names and shapes must match exactly (AN_EINVAL names the first that does not). */
int an_checkpoint_restore(an_checkpoint *checkpoint, an_exec *exec, bool momentum);

/* Parameters only, from any safetensors file. */
int an_checkpoint_load_weights(const char *path, an_exec *exec);

#endif
