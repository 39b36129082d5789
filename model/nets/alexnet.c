#include "model/nets/alexnet.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "model/nets/nets.h"

#define CLASSES_MAX (1 << 20)

/* The network under construction: the last node of each half. Without a split only half 0 exists. */
typedef struct {
    an_graph *graph;
    const an_alexnet_options *options;
    int halves;
    int last[2];
} builder;

an_alexnet_options an_alexnet_defaults(void)
{
    return (an_alexnet_options){.classes = 1000,
                                .input = 224,
                                .split = true,
                                .communicate = true,
                                .activation = AN_ACTIVATION_RELU,
                                .dropout = 0.5,
                                .dropout_layers = AN_ALEXNET_FC6 | AN_ALEXNET_FC7,
                                .lrn_layers = AN_ALEXNET_CONV1 | AN_ALEXNET_CONV2,
                                .lrn_alpha = 1e-4,
                                .pool = 3};
}

/* Add a layer: a node on each device. both: each half reads the outputs of both halves, otherwise of its own only.
 * node.channels is the number of the whole layer. */
static int layer_add(builder *b, const char *name, an_node node, bool both)
{
    int added[2];
    snprintf(node.name, sizeof node.name, "%s", name);
    node.channels /= b->halves;
    for (int half = 0; half < b->halves; half++) {
        node.device = half;
        node.input_count = both ? b->halves : 1;
        node.inputs[0] = both ? b->last[0] : b->last[half];
        node.inputs[1] = both ? b->last[1] : 0;
        added[half] = an_graph_add(b->graph, &node);
        if (added[half] < 0)
            return added[half];
    }
    memcpy(b->last, added, sizeof added);
    return AN_OK;
}

static int conv_add(builder *b, const char *name, int channels, int kernel, int pad, double bias, bool both)
{
    return layer_add(b, name,
                     (an_node){.kind = AN_OP_CONV,
                               .channels = channels,
                               .kernel = kernel,
                               .stride = 1,
                               .pad_before = pad,
                               .pad_after = pad,
                               .activation = b->options->activation,
                               .init_deviation = 0.01,
                               .init_bias = bias},
                     both);
}

static int conv1_add(builder *b)
{
    int side = b->options->input;
    bool overhang = b->options->padding == AN_ALEXNET_OVERHANG;
    if (overhang && side < 11)
        return an_error(AN_EINVAL, "conv1: input side %d is smaller than its window of 11", side);
    an_node node = {.kind = AN_OP_CONV,
                    .channels = 96,
                    .kernel = 11,
                    .stride = 4,
                    .pad_before = overhang ? 0 : 2,
                    .pad_after = overhang ? (4 - (side - 11) % 4) % 4 : 2,
                    .activation = b->options->activation,
                    .init_deviation = 0.01};
    b->last[1] = b->last[0]; /* both halves see the image */
    return layer_add(b, "conv1", node, false);
}

/* What follows a convolution in the layers that have it: normalisation, then pooling. */
static int lrn_pool_add(builder *b, unsigned layer, const char *lrn, const char *pool)
{
    an_node node = {.kind = AN_OP_LRN, .lrn_size = 5, .lrn_alpha = b->options->lrn_alpha, .lrn_beta = 0.75, .lrn_k = 2};
    int rc = b->options->lrn_layers & layer ? layer_add(b, lrn, node, false) : AN_OK;
    if (rc)
        return rc;
    return layer_add(b, pool, (an_node){.kind = AN_OP_POOL, .kernel = b->options->pool, .stride = 2}, false);
}

static int hidden_add(builder *b, unsigned layer, const char *name, const char *dropout)
{
    an_node dense = {.kind = AN_OP_DENSE,
                     .channels = 4096,
                     .activation = b->options->activation,
                     .init_deviation = 0.01,
                     .init_bias = 1};
    int rc = layer_add(b, name, dense, b->options->communicate);
    if (rc || b->options->dropout == 0 || !(b->options->dropout_layers & layer))
        return rc;
    return layer_add(b, dropout, (an_node){.kind = AN_OP_DROPOUT, .dropout = b->options->dropout}, false);
}

/* The classes and the loss live on device 0 and see both halves. */
static int output_add(builder *b)
{
    an_node dense = {.name = "fc8",
                     .kind = AN_OP_DENSE,
                     .channels = b->options->classes,
                     .inputs = {b->last[0], b->last[1]},
                     .input_count = b->halves,
                     .init_deviation = 0.01};
    int logits = an_graph_add(b->graph, &dense);
    if (logits < 0)
        return logits;
    int loss =
        an_graph_add(b->graph, &(an_node){.name = "loss", .kind = AN_OP_LOSS, .inputs = {logits}, .input_count = 1});
    return loss < 0 ? loss : AN_OK;
}

static int input_add(builder *b)
{
    an_node node = {
        .name = "input", .kind = AN_OP_INPUT, .channels = 3, .height = b->options->input, .width = b->options->input};
    b->last[0] = an_graph_add(b->graph, &node);
    return b->last[0] < 0 ? b->last[0] : AN_OK;
}

static int options_check(const an_alexnet_options *options)
{
    if (options->classes < 1 || options->classes > CLASSES_MAX)
        return an_error(AN_EINVAL, "%d classes: it must be 1 to %d", options->classes, CLASSES_MAX);
    if (options->dropout < 0 || options->dropout >= 1)
        return an_error(AN_EINVAL, "dropout of %g: it must be at least 0 and below 1", options->dropout);
    if (options->pool != 2 && options->pool != 3)
        return an_error(AN_EINVAL, "pooling window of %d: it must be 2 or 3", options->pool);
    return AN_OK;
}

int an_alexnet_build(const an_alexnet_options *options, an_graph *out)
{
    builder b = {.graph = out, .options = options, .halves = options->split ? 2 : 1};
    int rc = options_check(options);
    if (rc)
        return rc;
    memset(out, 0, sizeof *out);
    rc = input_add(&b);
    if (rc)
        return rc;
    rc = conv1_add(&b);
    if (rc)
        return rc;
    rc = lrn_pool_add(&b, AN_ALEXNET_CONV1, "lrn1", "pool1");
    if (rc)
        return rc;
    rc = conv_add(&b, "conv2", 256, 5, 2, 1, false);
    if (rc)
        return rc;
    rc = lrn_pool_add(&b, AN_ALEXNET_CONV2, "lrn2", "pool2");
    if (rc)
        return rc;
    rc = conv_add(&b, "conv3", 384, 3, 1, 0, options->communicate);
    if (rc)
        return rc;
    rc = conv_add(&b, "conv4", 384, 3, 1, 1, false);
    if (rc)
        return rc;
    rc = conv_add(&b, "conv5", 256, 3, 1, 1, false);
    if (rc)
        return rc;
    rc = lrn_pool_add(&b, AN_ALEXNET_CONV5, "lrn5", "pool5");
    if (rc)
        return rc;
    rc = hidden_add(&b, AN_ALEXNET_FC6, "fc6", "dropout6");
    if (rc)
        return rc;
    rc = hidden_add(&b, AN_ALEXNET_FC7, "fc7", "dropout7");
    if (rc)
        return rc;
    return output_add(&b);
}

static const struct {
    const char *name;
    unsigned bit;
} layers[] = {{"conv1", AN_ALEXNET_CONV1},
              {"conv2", AN_ALEXNET_CONV2},
              {"conv5", AN_ALEXNET_CONV5},
              {"fc6", AN_ALEXNET_FC6},
              {"fc7", AN_ALEXNET_FC7}};

static unsigned layer_find(const char *name, size_t length, unsigned allowed)
{
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (strlen(layers[i].name) == length && !memcmp(layers[i].name, name, length))
            return layers[i].bit & allowed;
    return 0;
}

/* "conv1,conv2" or "none". names: what is allowed, for the message. */
static int layers_parse(const char *option, const char *text, unsigned allowed, const char *names, unsigned *out)
{
    *out = 0;
    if (!strcmp(text, "none"))
        return AN_OK;
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ",");
        unsigned bit = layer_find(at, length, allowed);
        if (!bit)
            return an_error(AN_EINVAL, "--%s '%s': give layers out of %s, or none", option, text, names);
        *out |= bit;
        at += length;
        if (!*at)
            return AN_OK;
    }
}

static int build(const an_net_options *options, an_graph *out)
{
    an_alexnet_options own = {.classes = options->classes,
                              .input = options->crop,
                              .padding = options->padding,
                              .split = !options->one_column,
                              .communicate = !options->no_communication,
                              .activation = options->activation,
                              .dropout = options->dropout,
                              .lrn_alpha = options->lrn_alpha,
                              .pool = options->pool};
    int rc = layers_parse("dropout-layers", options->dropout_layers, AN_ALEXNET_FC6 | AN_ALEXNET_FC7, "fc6, fc7",
                          &own.dropout_layers);
    if (rc)
        return rc;
    rc = layers_parse("lrn", options->lrn, AN_ALEXNET_CONV1 | AN_ALEXNET_CONV2 | AN_ALEXNET_CONV5,
                      "conv1, conv2, conv5", &own.lrn_layers);
    if (rc)
        return rc;
    return an_alexnet_build(&own, out);
}

static const char *const reads[] = {"activation", "dropout",    "dropout-layers",   "lrn", "lrn-alpha", "pool",
                                    "padding",    "one-column", "no-communication", NULL};

const an_net_rules an_net_alexnet = {.reads = reads,
                                     .defaults = {.classes = 1000,
                                                  .crop = 224,
                                                  .activation = AN_ACTIVATION_RELU,
                                                  .dropout = 0.5,
                                                  .dropout_layers = "fc6,fc7",
                                                  .lrn = "conv1,conv2",
                                                  .lrn_alpha = 1e-4,
                                                  .pool = 3},
                                     .build = build};
