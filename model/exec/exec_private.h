/* What the files of exec share: exec.c makes and frees it, exec_run.c runs it, exec_update.c updates its parameters,
 * exec_reduce.c hands their gradients to a reducer, exec_parameters.c, exec_layers.c and exec_snapshot.c read it. */
#ifndef AN_MODEL_EXEC_EXEC_PRIVATE_H
#define AN_MODEL_EXEC_EXEC_PRIVATE_H

#include "model/backend.h"
#include "model/exec/lanes_private.h"

typedef struct {
    an_parameter public;
    int nodes[AN_GRAPH_DEVICES]; /* of the lowered graph, in order along O */
    int node_count;
} an_exec_parameter_place;

struct an_exec {
    an_exec_options options;
    an_graph graph; /* lowered */
    an_flow flow[AN_GRAPH_NODES_MAX];
    const an_backend_api *api;
    an_backend *devices[AN_GRAPH_DEVICES];
    int device_count;
    an_op *ops[AN_GRAPH_NODES_MAX];
    uint64_t op_memory[AN_GRAPH_NODES_MAX];
    an_reduction *reduction; /* NULL: there are no replicas */
    an_lanes *lanes;
    uint32_t part;    /* samples that devices take at once; the batch, if it is not divided */
    uint32_t *others; /* batch labels, and shares: room for what is mixed into a step's images */
    float *shares;
    an_targets targets;      /* of the step */
    uint32_t share_first;    /* an_exec_share */
    double share_total;      /* the same */
    double *class_weights;   /* classes */
    int loss;                /* number of the loss node */
    float *outputs;          /* batch x classes: room for probabilities that are checked but not asked for */
    int mean_side;           /* of the mean image that devices subtract; 1 if a colour or nothing is subtracted */
    size_t block_max;        /* bytes of an encoded batch at most; 0: there is no decoder */
    int64_t damaged;         /* an_exec_damaged */
    an_images prefetch;      /* announced by an_exec_prefetch, for the next step's job */
    uint32_t prefetch_count; /* 0: none are announced */
    bool stepped;            /* there are gradients, of the last step */
    bool normed;             /* the devices have taken their norm */
    bool exchanged;          /* averages are in the place of values: an_exec_average_use */
    an_exec_parameter_place parameters[2 * AN_GRAPH_NODES_MAX];
    int parameter_count;
};

void an_exec_parameters_list(an_exec *exec);

int an_exec_targets_check(const an_graph *graph, const an_exec_options *options);
/* What every batch must be: its size, labels, block and draws. */
int an_exec_batch_check(const an_exec *exec, const an_images *images, const uint32_t *labels, uint32_t count);
const an_image_draw *an_exec_draws(const an_images *images); /* NULL: the batch has none */
/* Sets exec->targets, which then point to labels, to those of a batch that was checked. AN_EINVAL if all of it weighs
 * 0. */
int an_exec_targets(an_exec *exec, const an_images *images, const uint32_t *labels, uint32_t count);

#endif
