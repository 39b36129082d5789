/* On which devices a rank runs, of what --devices says. No threads, no state. */
#ifndef AN_TRAIN_REPLICAS_DEVICES_H
#define AN_TRAIN_REPLICAS_DEVICES_H

#include "train/group/group.h"

/* list: the devices of one process, such as "cuda:0,cuda:1"; such lists separated by semicolons, the first for the
 * first rank of each host; or "auto": one GPU for each rank of a host in turn, or "cpu" where there is none. The caller
 * frees *out: one list. AN_EINVAL if there are fewer lists than ranks on this host, but more than one. */
int an_replica_devices(const an_group *group, const char *list, char **out);

#endif
