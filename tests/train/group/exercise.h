/* What one rank of a group does in tests: all collectives and the reducer, compared with what they must give. All
 * functions return a status with a message, and all ranks call them together. */
#ifndef AN_TESTS_TRAIN_GROUP_EXERCISE_H
#define AN_TESTS_TRAIN_GROUP_EXERCISE_H

#include "train/group/group.h"

int exercise_collectives(an_group *group);

/* Odd ranges in several buckets, which ranks queue in different orders; some steps. hash: of the sums' bits. */
int exercise_reducer(an_group *group, bool bf16, uint64_t *hash);

#endif
