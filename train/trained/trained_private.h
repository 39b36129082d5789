/* Shared by trained.c and trained_alone.c. */
#ifndef AN_TRAIN_TRAINED_TRAINED_PRIVATE_H
#define AN_TRAIN_TRAINED_TRAINED_PRIVATE_H

#include "train/trained/trained.h"

/* Open weights alone: source->weights with source->recipe. On failure out is the caller's to close. */
int an_trained_open_alone(an_trained *out, const an_trained_source *source);

#endif
