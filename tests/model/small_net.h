/* A small network of AlexNet's kind: two halves, crossings, every operation. */
#ifndef AN_TESTS_MODEL_SMALL_NET_H
#define AN_TESTS_MODEL_SMALL_NET_H

#include "model/graph/graph.h"

#define SMALL_SIDE 19
#define SMALL_CLASSES 5
#define SMALL_IMAGE (3 * SMALL_SIDE * SMALL_SIDE)

typedef void an_small_net_make(an_graph *graph, an_activation activation);
an_small_net_make an_small_net;
/* Another, in which layers stand in other orders: conv1, normalisation, pooling, activation; and pooling, normalisation
 * and dropout behind conv3. */
an_small_net_make an_small_net_reordered;

#endif
