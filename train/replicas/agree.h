/* What all ranks of a training must have in common: what they were told, their weights, and the kernels that rank 0
 * chose. All ranks call these functions together, each from the thread that trains; without a group they do nothing.
 * Failures are the group's, or what the function says. */
#ifndef AN_TRAIN_REPLICAS_AGREE_H
#define AN_TRAIN_REPLICAS_AGREE_H

#include "model/choices.h"
#include "model/exec.h"
#include "train/group/group.h"

/* lines: "name = value\n" each, the same names in the same order on all ranks that agree. AN_EINVAL on all ranks alike
 * names the first rank whose lines are not those of rank 0, its host, and its first line that differs. */
int an_replicas_compare(an_group *group, const char *lines);

/* Give all ranks the choices of rank 0, which they must not have made yet. */
int an_replicas_spread_choices(an_group *group, an_choices *choices);

/* Give all ranks the parameters of rank 0. moments: their momentum as well, and their averages if exec keeps them. */
int an_replicas_spread_parameters(an_group *group, an_exec *exec, bool moments);

/* AN_ECORRUPT on all ranks alike, which names those that hold other weights than rank 0 after this step. */
int an_replicas_check_weights(an_group *group, an_exec *exec, uint64_t step);

#endif
