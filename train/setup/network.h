/* The network that a configuration describes: config.network is a row of model/nets/nets.h, and the recipe's options
 * are handed to that row. Functions keep nothing and may be called by any thread. */
#ifndef AN_TRAIN_SETUP_NETWORK_H
#define AN_TRAIN_SETUP_NETWORK_H

#include "model/exec.h"
#include "model/graph/graph.h"
#include "train/setup/config.h"

/* AN_EINVAL names the option at fault. */
int an_network_build(const an_train_config *config, int classes, an_graph *out);

/* Appends a line for each option that is not at its initial value although it has no effect: the network does not read
 * it, or it acts beside another value of another option only. */
int an_network_idle_options(const an_train_config *config, an_buffer *out);

/* Options to run it with. threads: for all devices together. */
an_exec_options an_network_exec_options(const an_train_config *config, const char *devices, int threads, int batch,
                                        bool training);

/* How its parameters are updated at a rate. */
an_sgd an_network_sgd(const an_train_config *config, double rate);

#endif
