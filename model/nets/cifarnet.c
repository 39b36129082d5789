#include "model/nets/cifarnet.h"

#include <string.h>

#include "base/error.h"
#include "model/nets/nets.h"

an_cifar_options an_cifar_defaults(void)
{
    return (an_cifar_options){.classes = 10, .input = 32, .activation = AN_ACTIVATION_RELU};
}

int an_cifar_build(const an_cifar_options *options, an_graph *out)
{
    an_activation activation = options->activation;
    const an_node nodes[] = {
        {.name = "input", .kind = AN_OP_INPUT, .channels = 3, .height = options->input, .width = options->input},
        {.name = "conv1",
         .kind = AN_OP_CONV,
         .channels = 32,
         .kernel = 5,
         .stride = 1,
         .pad_before = 2,
         .pad_after = 2,
         .activation = activation,
         .init_deviation = 0.0001},
        {.name = "pool1", .kind = AN_OP_POOL, .kernel = 3, .stride = 2, .pad_after = 1},
        {.name = "conv2",
         .kind = AN_OP_CONV,
         .channels = 32,
         .kernel = 5,
         .stride = 1,
         .pad_before = 2,
         .pad_after = 2,
         .activation = activation,
         .init_deviation = 0.01},
        {.name = "pool2", .kind = AN_OP_POOL, .average = true, .kernel = 3, .stride = 2, .pad_after = 1},
        {.name = "conv3",
         .kind = AN_OP_CONV,
         .channels = 64,
         .kernel = 5,
         .stride = 1,
         .pad_before = 2,
         .pad_after = 2,
         .activation = activation,
         .init_deviation = 0.01},
        {.name = "pool3", .kind = AN_OP_POOL, .average = true, .kernel = 3, .stride = 2, .pad_after = 1},
        {.name = "fc10", .kind = AN_OP_DENSE, .channels = options->classes, .init_deviation = 0.01},
        {.name = "loss", .kind = AN_OP_LOSS},
    };
    if (options->classes < 1)
        return an_error(AN_EINVAL, "%d classes: it must be at least 1", options->classes);
    memset(out, 0, sizeof *out);
    for (int i = 0; i < (int)(sizeof nodes / sizeof *nodes); i++) {
        an_node node = nodes[i];
        node.input_count = i > 0;
        node.inputs[0] = i - 1;
        int rc = an_graph_add(out, &node);
        if (rc < 0)
            return rc;
    }
    return AN_OK;
}

static int build(const an_net_options *options, an_graph *out)
{
    int rc = an_cifar_build(
        &(an_cifar_options){.classes = options->classes, .input = options->crop, .activation = options->activation},
        out);
    if (rc)
        return rc;
    return an_net_deviate(out, options);
}

static const char *const reads[] = {"activation", "init-deviations", NULL};

const an_net_rules an_net_cifar = {
    .reads = reads,
    .defaults = {.classes = 10, .crop = 32, .activation = AN_ACTIVATION_RELU, .init_deviations = "none"},
    .build = build};
