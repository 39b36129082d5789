/* Running a lowered graph: one lane per device, each a thread of its own when there are several. */
#ifndef AN_MODEL_LANES_PRIVATE_H
#define AN_MODEL_LANES_PRIVATE_H

#include "model/backend.h"
#include "model/lower.h"
#include "model/replay_private.h"

typedef struct an_lanes an_lanes;

/* The parts of exec that lanes work on; must stay where they are while the lanes exist. */
typedef struct {
    const an_graph *graph;
    const an_flow *flow;
    const an_backend_api *api;
    an_op **ops;
    an_backend **devices;
    int device_count;
} an_lanes_work;

typedef enum { AN_LANES_FORWARD, AN_LANES_BACKWARD, AN_LANES_UPDATE } an_lanes_phase;
#define AN_LANES_PHASES 3

typedef struct {
    an_images images;
    an_run run;
    an_sgd sgd;
    bool phases[AN_LANES_PHASES]; /* done in this order */
    an_images next;               /* that a later job will bring, to be fetched behind the phases; or no pixels */
    uint32_t next_count;
    bool queue; /* devices that queue their work need not be done with it when the job ends, unless it fails */
    bool same;  /* all jobs that say so differ in images, labels and run.step only: they may be recorded */
} an_lanes_job;

/* Where there are several devices made of processors, each lane's thread (and what it starts) keeps to its own share.
 */
int an_lanes_create(an_lanes **out, const an_lanes_work *work);
void an_lanes_free(an_lanes *lanes); /* NULL is fine */

/* Run a job on all devices and wait for it, but for what job->queue allows. The first failure is returned, its message
 * naming the layer. */
int an_lanes_run(an_lanes *lanes, const an_lanes_job *job);

/* From now on times are those of the devices' own clocks, where they have any: each node's update is then queued by
 * itself, and each job ends when the devices are done with it. */
void an_lanes_profile(an_lanes *lanes);

an_replay *an_lanes_replay(an_lanes *lanes); /* of jobs that are the same */

/* Seconds spent in a node so far, and how often it ran forward; of what is replayed nothing is known. */
void an_lanes_time(const an_lanes *lanes, int node, double seconds[AN_LANES_PHASES], uint64_t *runs);
void an_lanes_time_reset(an_lanes *lanes);

#endif
