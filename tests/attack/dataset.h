/* The small dataset that is attacked: every codec, large and small values, several databases of more than one page,
 * inputs set aside, free pages. One thread. */
#ifndef AN_TESTS_ATTACK_DATASET_H
#define AN_TESTS_ATTACK_DATASET_H

#include <stdbool.h>

#include "augment/loader.h"
#include "base/buffer.h"

int attack_dataset_make(const char *path);

/* Go on with path.partial, as an interrupted run that makes the same dataset, to the end. */
int attack_dataset_continue(const char *path);

/* Make the checksum over everything but the records right, in the file and in bytes, which hold the same. False if the
 * file's structure does not let the checksum be found. */
bool attack_dataset_repair(const char *data, an_buffer *bytes);

#endif
