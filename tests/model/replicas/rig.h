/* Replicas as threads of one process, for tests: a reducer that adds up in the order of ranks, and watches how exec
 * uses it. Between queue and wait a bucket's gradients are bytes of 0xff, which as floats are not numbers: whoever
 * reads them shows it, and whoever writes them is noticed.
 *
 * Any thread may call these functions, those that take a rank the threads of that rank only. */
#ifndef AN_TESTS_MODEL_REPLICAS_RIG_H
#define AN_TESTS_MODEL_REPLICAS_RIG_H

#include <stdbool.h>

#include "model/reducer.h"
#include "tests/model/small_net.h"

#define REPLICAS_MAX 4

typedef struct an_replicas an_replicas;

/* Failures of the rig itself end the test. */
an_replicas *an_replicas_make(int world, uint64_t bucket_bytes);
void an_replicas_free(an_replicas *replicas);
const an_reducer *an_replicas_reducer(an_replicas *replicas, int rank);
/* The sum over all ranks, which must all call this. NaN once one has failed. */
double an_replicas_sum(an_replicas *replicas, int rank, double own);
/* From now on everything that waits fails: with AN_ECORRUPT, "replicas: " and the reason. */
void an_replicas_fail(an_replicas *replicas, const char *reason);
void an_replicas_refuse(an_replicas *replicas, int bucket); /* the same as soon as somebody waits for the bucket */
const char *an_replicas_failure(an_replicas *replicas);     /* the first reason; NULL: none failed */

/* What exec gave to open. */
int an_replicas_buckets(an_replicas *replicas, int rank, const an_gradient_bucket **out);
uint64_t an_replicas_layout(an_replicas *replicas, int rank);
/* The buckets in the order of the calls of queue, since the last call of this function. */
int an_replicas_queued(an_replicas *replicas, int rank, const int **order);
/* Buckets that are queued and were not waited for. */
int an_replicas_pending(an_replicas *replicas, int rank);

/* A network with AlexNet's proportions, whose first convolution processors expand to 3x3 with padding. */
#define WIDE_SIDE 51
#define WIDE_IMAGE (3 * WIDE_SIDE * WIDE_SIDE)
an_small_net_make an_wide_net;

/* an_exec_options.rate_scales in which the layers of a list of names, "conv1 fc5", are frozen. */
void an_replicas_freeze(double scales[AN_GRAPH_NODES_MAX], const an_graph *graph, const char *frozen);

#endif
