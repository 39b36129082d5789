/* A small network of AlexNet's kind: two halves, crossings, every operation. */
#ifndef AN_TESTS_MODEL_SMALL_NET_H
#define AN_TESTS_MODEL_SMALL_NET_H

#include "model/graph/graph.h"

#define SMALL_SIDE 19
#define SMALL_CLASSES 5
#define SMALL_IMAGE (3 * SMALL_SIDE * SMALL_SIDE)

void an_small_net(an_graph *graph, an_activation activation);

#endif
