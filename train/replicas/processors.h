/* How many of the host's processors a rank has for its threads. */
#ifndef AN_TRAIN_REPLICAS_PROCESSORS_H
#define AN_TRAIN_REPLICAS_PROCESSORS_H

#include "train/group/group.h"

/* Those that the process may use, divided by the ranks of its host that may use the same ones; at least 1. All ranks
 * call it together. If the launcher has bound the rank to a small part of the host, a line of notes says so. */
int an_replica_processors(an_group *group, int *out, an_buffer *notes);

#endif
