/* A run's TensorBoard events: what they show and when. */
#ifndef AN_TRAIN_BOARD_H
#define AN_TRAIN_BOARD_H

#include "model/exec.h"
#include "train/metrics.h"
#include "train/tensorboard.h"

/* The scalars of an event, if it has any. */
int an_board_event(an_tensorboard *board, const an_train_event *event);

/* A histogram of every parameter, and the first layer's filters as a picture. */
int an_board_parameters(an_tensorboard *board, uint64_t step, an_exec *exec);

#endif
