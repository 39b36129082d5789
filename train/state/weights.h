/* Weights to start a training from, or to use as they are, whoever wrote them: the newest or best checkpoint of a run's
 * folder, any checkpoint or export, or a safetensors file of another program that has the parameters' names and shapes.
 * Of the latter it need hold nothing else: no metadata, no checksum. One thread uses an an_weights. */
#ifndef AN_TRAIN_STATE_WEIGHTS_H
#define AN_TRAIN_STATE_WEIGHTS_H

#include "train/state/checkpoint.h"
#include "train/state/safetensors.h"

typedef struct an_weights an_weights;

/* path: a file, or a run's folder, of which an_run_weights chooses the checkpoint. Verifies the checksum, where there
 * is one. Failures are those of an_safetensors_open and an_run_weights. */
int an_weights_open(an_weights **out, const char *path);
void an_weights_free(an_weights *weights); /* NULL is fine */

const char *an_weights_path(const an_weights *weights);                              /* of the file */
const an_safetensor *an_weights_tensor(const an_weights *weights, const char *name); /* NULL if absent */
const char *an_weights_metadata(const an_weights *weights, const char *key);         /* NULL if absent */

bool an_weights_are_ours(const an_weights *weights); /* written by an-train, as the metadata says */
/* The same of the file at path. The checksum is not looked at. */
int an_weights_ask(const char *path, bool *ours);

/* The type of the first of exec's parameters that the file does not hold in float32, and that is converted; NULL: none.
 */
const char *an_weights_converted(const an_weights *weights, an_exec *exec);

/* Set exec's parameters, to the averages that a training kept where the file holds these, but for the layers in fresh
 * ("fc7,fc8"; "": none), which stay as they are. Nothing is set unless all others are there with their exact shapes:
 * AN_EINVAL says which do not fit, and that --fresh would let them be. fresh NULL: none, and a program that has no such
 * option. AN_ECORRUPT names the first that is not finite. Tensors of no parameter are ignored. */
int an_weights_load(an_weights *weights, an_exec *exec, const char *fresh);

/* How images were prepared for it. AN_END if the file does not tell. The caller frees out->mean_image. */
int an_weights_input(an_weights *weights, an_train_input *out);

#endif
