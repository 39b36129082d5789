/* How fast each layer of a network learns: --freeze and --layer-rates. Functions keep nothing and may be called by any
 * thread. */
#ifndef AN_TRAIN_SETUP_LAYER_RATES_H
#define AN_TRAIN_SETUP_LAYER_RATES_H

#include "model/graph/graph.h"
#include "train/setup/config.h"

/* What the learning rate of each layer is multiplied with, by the layer's ordinal: an_exec_options.rate_scales. */
typedef struct {
    double scales[AN_GRAPH_NODES_MAX];
} an_layer_rates;

/* AN_EINVAL names the option, what is wrong with it, and the layers that the network has. */
int an_layer_rates_make(an_layer_rates *out, const an_train_config *config, const an_graph *graph);

/* Parameters of the layers that are not frozen. */
uint64_t an_layer_rates_learning(const an_layer_rates *rates, const an_graph *graph);

#endif
