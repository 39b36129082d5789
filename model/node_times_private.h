/* How long each node of a network takes: on the host's clock or, where that is asked for and devices that queue their
 * work have one, on the devices' own. */
#ifndef AN_MODEL_NODE_TIMES_PRIVATE_H
#define AN_MODEL_NODE_TIMES_PRIVATE_H

#include "model/backend.h"

#define AN_NODE_PHASES 3 /* an_lanes_phase */

/* Each node's are written by one thread. */
typedef struct {
    const an_backend_api *api;
    an_op **ops;
    bool on_devices;
    uint64_t started[AN_GRAPH_NODES_MAX];
    double seconds[AN_GRAPH_NODES_MAX][AN_NODE_PHASES];
} an_node_times;

/* From now on, on the devices' clocks where they have any. */
void an_node_times_devices(an_node_times *times);

/* Around a node's work. */
int an_node_times_begin(an_node_times *times, int node, int phase);
int an_node_times_end(an_node_times *times, int node, int phase);
/* Once for each end, when the node's device is done; needed only for times on_devices. */
int an_node_times_take(an_node_times *times, int node, int phase);

void an_node_times_reset(an_node_times *times);

#endif
