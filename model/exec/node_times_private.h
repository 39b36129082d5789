/* How long each node of a network takes, in each phase. Measured on the host's clock or, if asked for, on the clocks of
 * devices that queue their work. The functions are in lanes.c. */
#ifndef AN_MODEL_EXEC_NODE_TIMES_PRIVATE_H
#define AN_MODEL_EXEC_NODE_TIMES_PRIVATE_H

#include "model/backend.h"

#define AN_NODE_PHASES 3 /* an_lanes_phase */

/* Each node's entries are written by one thread, that of its device. */
typedef struct {
    const an_backend_api *api;
    an_op **ops;
    bool on_devices;
    uint64_t started[AN_GRAPH_NODES_MAX];
    double seconds[AN_GRAPH_NODES_MAX][AN_NODE_PHASES];
} an_node_times;

/* From now on measure on the devices' clocks, if they have any. */
void an_node_times_devices(an_node_times *times);

/* To be called before and after a node's work. */
int an_node_times_begin(an_node_times *times, int node, int phase);
int an_node_times_end(an_node_times *times, int node, int phase);
/* With on_devices: adds the time of one begin and end. Once for each end, after the device was waited for. */
int an_node_times_take(an_node_times *times, int node, int phase);

void an_node_times_reset(an_node_times *times);

#endif
