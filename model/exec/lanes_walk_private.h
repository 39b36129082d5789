/* What the two files of lanes share: lanes.c owns the threads and hands out jobs, lanes_walk.c does a job's work on one
 * device or on all. */
#ifndef AN_MODEL_EXEC_LANES_WALK_PRIVATE_H
#define AN_MODEL_EXEC_LANES_WALK_PRIVATE_H

#include <pthread.h>

#include "base/error.h"
#include "model/exec/lanes_private.h"
#include "model/exec/node_times_private.h"

typedef struct {
    an_lanes *lanes;
    int device;
    bool started;
    pthread_t thread;
} an_lane;

struct an_lanes {
    an_lanes_work work;
    an_lane all[AN_GRAPH_DEVICES];
    an_replay replay;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under lock */
    const an_lanes_job *job;
    uint64_t number; /* of the job, from 1; 0: there was none yet */
    int busy;        /* lanes at work on the job */
    bool closing, failed;
    an_error_state error;                                                         /* the job's first failure */
    uint64_t forward_done[AN_GRAPH_NODES_MAX], backward_done[AN_GRAPH_NODES_MAX]; /* the last job that did the node */
    /* Each node's entry is written by its own lane only, and read between jobs. */
    an_node_times times;
    uint64_t runs[AN_GRAPH_NODES_MAX];
};

bool an_lanes_threaded(const an_lanes *lanes);
/* All phases of a job on one device, or on AN_LANES_ALL_DEVICES. Called by the device's lane, or by the caller's thread
 * if there are no lanes. */
int an_lanes_device_run(an_lanes *lanes, int device, const an_lanes_job *job);

#endif
