/* torchvision's AlexNet (torchvision.models.alexnet): the network of Krizhevsky, "One weird trick for parallelizing
 * convolutional neural networks", 2014, as torchvision states it: one column of 64, 192, 384, 256 and 256 kernels, no
 * normalisation, two zeros around the image, and dropout in front of fc6 and fc7 rather than behind them. torchvision
 * averages what pool5 gives to 6 x 6; at crops of 224 it is 6 x 6. Initial weights are the paper's. */
#include "model/nets/torchvision.h"

#include <string.h>

#include "base/error.h"
#include "model/nets/nets.h"

#define DEVIATION 0.01

static an_node conv(const char *name, int channels, int kernel, int pad, const an_torchvision_options *o)
{
    an_node node = {.kind = AN_OP_CONV,
                    .channels = channels,
                    .kernel = kernel,
                    .stride = 1,
                    .pad_before = pad,
                    .pad_after = pad,
                    .activation = o->activation,
                    .init_deviation = DEVIATION};
    strcpy(node.name, name);
    return node;
}

static an_node biased(an_node node, const an_torchvision_options *o)
{
    node.init_bias = o->init_bias;
    return node;
}

static an_node pool(const char *name)
{
    an_node node = {.kind = AN_OP_POOL, .kernel = 3, .stride = 2};
    strcpy(node.name, name);
    return node;
}

static an_node dense(const char *name, int channels, an_activation activation)
{
    an_node node = {.kind = AN_OP_DENSE, .channels = channels, .activation = activation, .init_deviation = DEVIATION};
    strcpy(node.name, name);
    return node;
}

static an_node dropout(const char *name, const an_torchvision_options *o)
{
    an_node node = {.kind = AN_OP_DROPOUT, .dropout = o->dropout};
    strcpy(node.name, name);
    return node;
}

static int options_check(const an_torchvision_options *options)
{
    if (options->classes < 1)
        return an_error(AN_EINVAL, "%d classes: it must be at least 1", options->classes);
    if (options->dropout < 0 || options->dropout >= 1)
        return an_error(AN_EINVAL, "dropout of %g: it must be at least 0 and below 1", options->dropout);
    return AN_OK;
}

an_torchvision_options an_torchvision_defaults(void)
{
    return (an_torchvision_options){
        .classes = 1000, .input = 224, .activation = AN_ACTIVATION_RELU, .dropout = 0.5, .init_bias = 1};
}

int an_torchvision_build(const an_torchvision_options *o, an_graph *out)
{
    int rc = options_check(o);
    if (rc)
        return rc;
    an_node nodes[] = {
        {.name = "input", .kind = AN_OP_INPUT, .channels = 3, .height = o->input, .width = o->input},
        conv("conv1", 64, 11, 2, o),
        pool("pool1"),
        biased(conv("conv2", 192, 5, 2, o), o),
        pool("pool2"),
        conv("conv3", 384, 3, 1, o),
        biased(conv("conv4", 256, 3, 1, o), o),
        biased(conv("conv5", 256, 3, 1, o), o),
        pool("pool5"),
        dropout("dropout5", o),
        biased(dense("fc6", 4096, o->activation), o),
        dropout("dropout6", o),
        biased(dense("fc7", 4096, o->activation), o),
        dense("fc8", o->classes, AN_ACTIVATION_NONE),
        {.name = "loss", .kind = AN_OP_LOSS},
    };
    nodes[1].stride = 4;
    memset(out, 0, sizeof *out);
    for (int i = 0; i < (int)(sizeof nodes / sizeof *nodes); i++) {
        if (nodes[i].kind == AN_OP_DROPOUT && o->dropout == 0)
            continue;
        nodes[i].input_count = out->count > 0;
        nodes[i].inputs[0] = out->count - 1;
        rc = an_graph_add(out, &nodes[i]);
        if (rc < 0)
            return rc;
    }
    return AN_OK;
}

static int build(const an_net_options *options, an_graph *out)
{
    int rc = an_torchvision_build(&(an_torchvision_options){.classes = options->classes,
                                                            .input = options->crop,
                                                            .activation = options->activation,
                                                            .dropout = options->dropout,
                                                            .init_bias = options->init_bias},
                                  out);
    if (rc)
        return rc;
    return an_net_deviate(out, options);
}

static const char *const reads[] = {"activation", "dropout", "init-deviations", "init-bias", NULL};

const an_net_rules an_net_torchvision = {.reads = reads,
                                         .defaults = {.classes = 1000,
                                                      .crop = 224,
                                                      .activation = AN_ACTIVATION_RELU,
                                                      .dropout = 0.5,
                                                      .init_deviations = "none",
                                                      .init_bias = 1},
                                         .build = build};
