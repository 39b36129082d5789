/* The network that a configuration describes. */
#ifndef AN_TRAIN_NETWORK_H
#define AN_TRAIN_NETWORK_H

#include "model/graph.h"
#include "train/config.h"

typedef enum { AN_NETWORK_ALEXNET, AN_NETWORK_CIFAR } an_network_kind;

/* AN_EINVAL names the option at fault. */
int an_network_build(const an_train_config *config, int classes, an_graph *out);

#endif
