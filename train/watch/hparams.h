/* The recipe of a run in TensorBoard's HPARAMS tab, beside the last values of its scalars. */
#ifndef AN_TRAIN_WATCH_HPARAMS_H
#define AN_TRAIN_WATCH_HPARAMS_H

#include "train/watch/start.h"
#include "train/watch/tensorboard.h"

/* A process of the run starts. Of several in one folder TensorBoard shows the first: they have the same recipe. */
int an_hparams_start(an_tensorboard *board, uint64_t step, uint64_t time_ns, const an_train_start *start);

/* The run has reached its last step. One that is stopped or fails says nothing: what is said once cannot be taken back
 * when the run is resumed. */
int an_hparams_end(an_tensorboard *board, uint64_t step, uint64_t time_ns);

#endif
