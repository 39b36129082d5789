/* A copy of all parameters, their momentum and their averages, if there are any, at one moment, in canonical order, for
 * writing a checkpoint while training goes on. Steps and updates that are called after an_snapshot_take do not change
 * what it holds.
 *
 * Processors copy during an_snapshot_take: each device's threads copy what they also update. GPUs queue the copy behind
 * their last update and go on: a kernel puts the values into canonical order, in a buffer on the device or, if the
 * device lacks the memory, in host memory; a stream of its own carries the buffer to the host.
 *
 * The snapshot owns its memory: 8 bytes for each parameter, 12 with averages, on the host (pinned with GPUs), and as
 * much on each GPU for its part. All of it is allocated, and touched, by an_snapshot_create. The exec must outlive the
 * snapshot and has one at a time.
 *
 * Threads: the thread that calls the exec's functions calls create, take and free. Between a take and the next take or
 * free, one other thread may call wait and get, if its caller orders these calls. Errors are those of the devices;
 * after a take or a wait that failed, the values are undefined until the next take. */
#ifndef AN_MODEL_SNAPSHOT_H
#define AN_MODEL_SNAPSHOT_H

#include "model/exec.h"

typedef struct an_snapshot an_snapshot;

/* AN_EINVAL if the exec was not made for training. If there is no memory: AN_ENOMEM or the device's error, and the exec
 * is as it was. */
int an_snapshot_create(an_snapshot **out, an_exec *exec);
void an_snapshot_free(an_snapshot *snapshot);             /* waits for a copy under way; NULL is fine */
uint64_t an_snapshot_memory(const an_snapshot *snapshot); /* bytes on the host */

/* Copies the parameters as the calls so far leave them. The last take must have been waited for, and its values no
 * longer be in use. */
int an_snapshot_take(an_snapshot *snapshot);
/* Returns when the values of the last take are there. */
int an_snapshot_wait(const an_snapshot *snapshot);
/* The values of the exec's parameter of that number; kind: AN_PARAMETER_VALUE, AN_PARAMETER_MOMENTUM or, if the exec
 * keeps averages, AN_PARAMETER_AVERAGE. They belong to
 * the snapshot and stay until the next take, or they are in room, which has space for the an_parameter.size floats: the
 * halves of a layer that is split over two devices are joined there. */
const float *an_snapshot_get(const an_snapshot *snapshot, int parameter, an_parameter_kind kind, float *room);

#endif
