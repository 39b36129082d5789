/* The networks that can be trained: a table with a row each. A row names its network for options and texts, says which
 * options mean something to it, and builds its graph from them.
 *
 * Adding one: its own file with an an_net_rules, a line in AN_NETS, its test, its documents. --network, help texts,
 * warnings about options without effect, an-show and tests walk the table. */
#ifndef AN_MODEL_NETS_NETS_H
#define AN_MODEL_NETS_NETS_H

#include "model/graph/graph.h"
#include "model/nets/alexnet.h"

/* symbol (also the name that --network takes; its rules are an_net_SYMBOL), title in sentences, line for the help. The
 * first row is what --network is by default. Recipes and checkpoints keep the name, so a row is never renamed. */
#define AN_NETS(ROW)                                                                                                   \
    ROW(alexnet, "AlexNet", "the network of the paper")                                                                \
    ROW(torchvision, "torchvision's AlexNet",                                                                          \
        "another AlexNet, of one column with fewer kernels and without "                                               \
        "normalisation, whose weights docs/torchvision_weights.py converts")                                           \
    ROW(cifar, "four-layer network", "the small four-layer network of the paper's Figure 1 (crop 32)")

/* All options that any network reads. A network ignores those that its rules do not list. */
typedef struct {
    int classes;
    int crop; /* side of the input */
    an_activation activation;
    double dropout;             /* probability; 0: none */
    const char *dropout_layers; /* "fc6,fc7", or "none" */
    const char *lrn;            /* "conv1,conv2", or "none"; so are the next two */
    const char *lrn_before_activation, *lrn_after_pool;
    double lrn_alpha, lrn_k;
    int pool; /* window */
    an_alexnet_padding padding;
    an_alexnet_columns columns;
    bool no_communication;
    const char *without;         /* "conv3,conv4", or "none" */
    const char *init_deviations; /* "conv3=0.03,fc6=0.005", or "none" */
    double init_bias;            /* of layers whose biases do not begin at 0 */
} an_net_options;

typedef struct {
    /* The options that mean something to the network, by their names on the command line ("lrn-alpha"), NULL last.
     * classes and crop, which every network reads, are not listed. */
    const char *const *reads;
    an_net_options defaults;
    int (*build)(const an_net_options *options, an_graph *out); /* AN_EINVAL names the option at fault */
} an_net_rules;

typedef struct {
    const char *name, *title, *help;
    const an_net_rules *rules;
} an_net;

#define AN_NET_DECLARE(symbol, title, help) extern const an_net_rules an_net_##symbol;
AN_NETS(AN_NET_DECLARE)

int an_net_count(void);
const an_net *an_net_at(int number); /* 0 to an_net_count() - 1, in the order of AN_NETS */
int an_net_find(const char *name);   /* its number, or AN_EINVAL naming what there is */
/* For a row's build: sets the deviations of initial weights that options name. AN_EINVAL: a layer that the graph does
 * not have, unless it is left out. */
int an_net_deviate(an_graph *graph, const an_net_options *options);
bool an_net_reads(const an_net *net, const char *option);

#endif
