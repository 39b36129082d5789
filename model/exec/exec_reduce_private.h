/* An exec's gradients in the buckets of its reducer (model/reducer.h): which layers share a bucket, when it is queued,
 * and when it is waited for.
 *
 * Exec owns the reduction. The lanes call ready, end and wait as they walk: each device's thread for the nodes of its
 * own device. Between jobs the thread that drives exec calls wait_all. Failures are the reducer's. */
#ifndef AN_MODEL_EXEC_EXEC_REDUCE_PRIVATE_H
#define AN_MODEL_EXEC_EXEC_REDUCE_PRIVATE_H

#include "model/exec/lanes_private.h"

/* Makes the buckets and opens the reducer with them. *out is NULL without a reducer. AN_EUNSUPPORTED for devices that
 * queue their work and have no stream for reductions. */
int an_reduction_create(an_reduction **out, const an_lanes_work *work, const an_reducer *reducer);
/* Waits for buckets that are on their way, because their memory is freed next. NULL is fine. */
void an_reduction_free(an_reduction *reduction);

/* The node's gradient is there: queues its bucket if it was the last one in it. */
int an_reduction_ready(an_reduction *reduction, int node);
/* All buckets of a step are queued on the device, or on AN_LANES_ALL_DEVICES: what these do next waits for the sums. */
int an_reduction_end(an_reduction *reduction, int device);

/* On processors: wait until the sums of the bucket that has the node's gradient, or of all buckets, have taken their
 * place. They return at once if they have, or if nothing was queued. NULL is fine. */
int an_reduction_wait(an_reduction *reduction, int node);
int an_reduction_wait_all(an_reduction *reduction);

#endif
