/* The network that a configuration describes. */
#ifndef AN_TRAIN_SETUP_NETWORK_H
#define AN_TRAIN_SETUP_NETWORK_H

#include "model/exec.h"
#include "model/graph/graph.h"
#include "train/setup/config.h"

typedef enum { AN_NETWORK_ALEXNET, AN_NETWORK_CIFAR } an_network_kind;

/* AN_EINVAL names the option at fault. */
int an_network_build(const an_train_config *config, int classes, an_graph *out);

/* Appends a line for each option that was changed although the network has nothing it could act on. */
int an_network_idle_options(const an_train_config *config, an_buffer *out);

/* Options to run it with: threads in all, shared by the devices. */
an_exec_options an_network_exec_options(const an_train_config *config, const char *devices, int threads, int batch,
                                        bool training);

#endif
