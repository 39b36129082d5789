/* What a run shows in TensorBoard: which scalars for which event, and the parameters after a validation. */
#ifndef AN_TRAIN_WATCH_BOARD_H
#define AN_TRAIN_WATCH_BOARD_H

#include "train/state/checkpoint.h"
#include "train/watch/metrics.h"
#include "train/watch/tensorboard.h"

/* Write what an event has for TensorBoard: scalars, or the recipe of a run that starts. */
int an_board_event(an_tensorboard *board, const an_train_event *event);

/* The run has reached its end, at this step. */
int an_board_end(an_tensorboard *board, uint64_t step);

/* Write a histogram of every parameter, and the first layer's filters as a picture. From a snapshot another thread may
 * write while exec works on, as in an_checkpoint_save. */
int an_board_parameters(an_tensorboard *board, uint64_t step, const an_checkpoint_parameters *from);

#endif
