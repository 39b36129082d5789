/* The network of the paper and its switches. alexnet_row.c reads them from the options of a recipe. */
#include "model/nets/alexnet.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

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
                                .columns = AN_ALEXNET_TWO_COLUMNS,
                                .communicate = true,
                                .activation = AN_ACTIVATION_RELU,
                                .dropout = 0.5,
                                .dropout_layers = AN_ALEXNET_FC6 | AN_ALEXNET_FC7,
                                .lrn_layers = AN_ALEXNET_CONV1 | AN_ALEXNET_CONV2,
                                .lrn_alpha = 1e-4,
                                .lrn_k = 2,
                                .pool = 3,
                                .init_bias = 1};
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

static bool has(unsigned layers, unsigned layer)
{
    return (layers & layer) != 0;
}

/* A convolution, unless it is left out, without what follows it. channels: of the paper's network. */
static int conv_add(builder *b, unsigned layer, const char *name, an_node node, bool both)
{
    const an_alexnet_options *o = b->options;
    if (has(o->without, layer))
        return AN_OK;
    bool half = o->columns == AN_ALEXNET_HALF_COLUMN && layer != AN_ALEXNET_CONV5;
    node.kind = AN_OP_CONV;
    node.channels /= half ? 2 : 1;
    node.activation = has(o->lrn_layers & o->lrn_first, layer) ? AN_ACTIVATION_NONE : o->activation;
    node.init_deviation = 0.01;
    return layer_add(b, name, node, both);
}

/* One whose outputs have the size of its inputs. */
static int inner_add(builder *b, unsigned layer, const char *name, int channels, int kernel, bool biased, bool both)
{
    return conv_add(b, layer, name,
                    (an_node){.channels = channels,
                              .kernel = kernel,
                              .stride = 1,
                              .pad_before = kernel / 2,
                              .pad_after = kernel / 2,
                              .init_bias = biased ? b->options->init_bias : 0},
                    both);
}

static int conv1_add(builder *b)
{
    int side = b->options->input;
    bool overhang = b->options->padding == AN_ALEXNET_OVERHANG;
    if (overhang && side < 11)
        return an_error(AN_EINVAL, "conv1: input side %d is smaller than its window of 11", side);
    an_node node = {.channels = 96,
                    .kernel = 11,
                    .stride = 4,
                    .pad_before = overhang ? 0 : 2,
                    .pad_after = overhang ? (4 - (side - 11) % 4) % 4 : 2};
    b->last[1] = b->last[0]; /* both halves see the image */
    return conv_add(b, AN_ALEXNET_CONV1, "conv1", node, false);
}

static int lrn_add(builder *b, const char *name)
{
    const an_alexnet_options *o = b->options;
    an_node node = {.kind = AN_OP_LRN, .lrn_size = 5, .lrn_alpha = o->lrn_alpha, .lrn_beta = 0.75, .lrn_k = o->lrn_k};
    return layer_add(b, name, node, false);
}

/* What follows conv1, conv2 and conv5, whose number is the digit: normalisation if the layer has it, and pooling. An
 * activation that normalisation comes before stands behind the pooling, where it has a quarter of the work: rising
 * functions and maxima may trade places. */
static int pool_add(builder *b, unsigned layer, int digit)
{
    const an_alexnet_options *o = b->options;
    char lrn[16], pool[16], activation[16];
    unsigned normalised = o->lrn_layers & ~o->without;
    bool late = has(o->lrn_after_pool, layer);
    snprintf(lrn, sizeof lrn, "lrn%d", digit);
    snprintf(pool, sizeof pool, "pool%d", digit);
    snprintf(activation, sizeof activation, "activation%d", digit);
    int rc = has(normalised, layer) && !late ? lrn_add(b, lrn) : AN_OK;
    if (rc)
        return rc;
    rc = layer_add(b, pool, (an_node){.kind = AN_OP_POOL, .kernel = o->pool, .stride = 2}, false);
    if (rc)
        return rc;
    rc = has(normalised, layer) && late ? lrn_add(b, lrn) : AN_OK;
    if (rc || !has(normalised & o->lrn_first, layer))
        return rc;
    return layer_add(b, activation, (an_node){.kind = AN_OP_ACTIVATION, .activation = o->activation}, false);
}

static int hidden_add(builder *b, unsigned layer, const char *name, const char *dropout)
{
    const an_alexnet_options *o = b->options;
    an_node dense = {.kind = AN_OP_DENSE,
                     .channels = 4096,
                     .activation = o->activation,
                     .init_deviation = 0.01,
                     .init_bias = o->init_bias};
    if (has(o->without, layer))
        return AN_OK;
    int rc = layer_add(b, name, dense, o->communicate);
    if (rc || o->dropout == 0 || !has(o->dropout_layers, layer))
        return rc;
    return layer_add(b, dropout, (an_node){.kind = AN_OP_DROPOUT, .dropout = o->dropout}, false);
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
    if (has(options->without, AN_ALEXNET_CONV1))
        return an_error(AN_EINVAL, "a network without conv1, which reads the image");
    return AN_OK;
}

static int convolutions_add(builder *b)
{
    bool both = b->options->communicate;
    int rc = conv1_add(b);
    if (rc)
        return rc;
    rc = pool_add(b, AN_ALEXNET_CONV1, 1);
    if (rc)
        return rc;
    rc = inner_add(b, AN_ALEXNET_CONV2, "conv2", 256, 5, true, false);
    if (rc)
        return rc;
    rc = pool_add(b, AN_ALEXNET_CONV2, 2);
    if (rc)
        return rc;
    rc = inner_add(b, AN_ALEXNET_CONV3, "conv3", 384, 3, false, both);
    if (rc)
        return rc;
    rc = inner_add(b, AN_ALEXNET_CONV4, "conv4", 384, 3, true, false);
    if (rc)
        return rc;
    rc = inner_add(b, AN_ALEXNET_CONV5, "conv5", 256, 3, true, false);
    if (rc)
        return rc;
    return pool_add(b, AN_ALEXNET_CONV5, 5);
}

int an_alexnet_build(const an_alexnet_options *options, an_graph *out)
{
    builder b = {.graph = out, .options = options, .halves = options->columns == AN_ALEXNET_TWO_COLUMNS ? 2 : 1};
    int rc = options_check(options);
    if (rc)
        return rc;
    memset(out, 0, sizeof *out);
    rc = input_add(&b);
    if (rc)
        return rc;
    rc = convolutions_add(&b);
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
