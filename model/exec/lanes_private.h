/* Runs jobs (steps, updates, evaluations) on a lowered graph. Several CPU devices have a thread each, their lane;
 * otherwise the caller's thread does all the work (the design stands in lanes.c). Exec owns the lanes, and one thread
 * calls these functions. Errors name the layer. */
#ifndef AN_MODEL_EXEC_LANES_PRIVATE_H
#define AN_MODEL_EXEC_LANES_PRIVATE_H

#include "model/backend.h"
#include "model/exec/replay_private.h"
#include "model/graph/lower.h"

typedef struct an_lanes an_lanes;
typedef struct an_reduction an_reduction; /* exec_reduce_private.h */

#define AN_LANES_ALL_DEVICES (-1)

/* The parts of exec that lanes work on. Borrowed: they must outlive the lanes and stay where they are. */
typedef struct {
    const an_graph *graph;
    const an_flow *flow;
    const an_backend_api *api;
    an_op **ops;
    an_backend **devices;
    int device_count;
    an_reduction *reduction; /* NULL: there are no replicas */
} an_lanes_work;

typedef enum { AN_LANES_FORWARD, AN_LANES_BACKWARD, AN_LANES_UPDATE } an_lanes_phase;
#define AN_LANES_PHASES 3

typedef struct {
    an_images images;
    an_run run;
    an_sgd sgd;
    double factor;                          /* of the gradients in an update; as in an_backend_api */
    bool phases[AN_LANES_PHASES];           /* which to do; always in this order */
    bool reduce;                            /* gradients are complete behind backward: hand them to the reduction */
    int (*each)(void *context, int device); /* called after the phases, for each device by its lane; NULL: nothing is */
    void *context;
    an_images next;      /* images of a later job, to be sent to the devices after the phases */
    uint32_t next_count; /* 0: there are none */
    bool queue;          /* do not wait at the end for devices that queue their work, unless the job fails */
    bool same;           /* jobs with this set differ only in images, labels and run.step, so they may be recorded */
} an_lanes_job;

/* Lanes' threads, and the threads that those start, each keep to their own share of the processors. */
int an_lanes_create(an_lanes **out, const an_lanes_work *work);
void an_lanes_free(an_lanes *lanes); /* NULL is fine */

/* Runs a job on all devices and waits for it, as far as job->queue asks. Returns the first failure. */
int an_lanes_run(an_lanes *lanes, const an_lanes_job *job);

/* From now on times come from the devices' own clocks, where they have any. Each node's update is then queued by
 * itself, and each job waits at its end for the devices. */
void an_lanes_profile(an_lanes *lanes);

an_replay *an_lanes_replay(an_lanes *lanes); /* the recordings of jobs that are the same; owned by the lanes */

/* Seconds spent in a node so far, and how often it ran forward. Replayed steps are not counted. */
void an_lanes_time(const an_lanes *lanes, int node, double seconds[AN_LANES_PHASES], uint64_t *runs);
void an_lanes_time_reset(an_lanes *lanes);

#endif
