/* AlexNet's row in the table of networks: its switches as options of a recipe. */
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/text/name_list.h"
#include "model/nets/alexnet.h"
#include "model/nets/nets.h"

static const struct {
    const char *name;
    unsigned bit;
} layers[] = {{"conv1", AN_ALEXNET_CONV1}, {"conv2", AN_ALEXNET_CONV2}, {"conv3", AN_ALEXNET_CONV3},
              {"conv4", AN_ALEXNET_CONV4}, {"conv5", AN_ALEXNET_CONV5}, {"fc6", AN_ALEXNET_FC6},
              {"fc7", AN_ALEXNET_FC7}};
#define LAYERS (sizeof layers / sizeof *layers)

enum {
    NORMALISED = AN_ALEXNET_CONV1 | AN_ALEXNET_CONV2 | AN_ALEXNET_CONV5,
    DROPPED = AN_ALEXNET_FC6 | AN_ALEXNET_FC7,
    /* conv1 reads the image, and fc8 tells the classes. */
    DISPENSABLE = AN_ALEXNET_CONV2 | AN_ALEXNET_CONV3 | AN_ALEXNET_CONV4 | AN_ALEXNET_CONV5 | DROPPED
};

static unsigned layer_find(const char *name, size_t length, unsigned allowed)
{
    for (size_t i = 0; i < LAYERS; i++)
        if (strlen(layers[i].name) == length && !memcmp(layers[i].name, name, length))
            return layers[i].bit & allowed;
    return 0;
}

/* "conv1, conv2" */
static int layers_name(unsigned set, an_buffer *out)
{
    int rc = AN_OK;
    for (size_t i = 0; i < LAYERS && !rc; i++)
        if (set & layers[i].bit)
            rc = an_buffer_printf(out, "%s%s", out->size ? ", " : "", layers[i].name);
    return rc;
}

static int layers_refuse(const char *option, const char *text, unsigned allowed)
{
    an_buffer names = {0};
    int rc = layers_name(allowed, &names);
    if (!rc)
        rc = an_error(AN_EINVAL, "--%s '%s': give layers out of %s, or none", option, text, (const char *)names.data);
    an_buffer_free(&names);
    return rc;
}

/* "conv1,conv2" or "none". allowed: what may be named. */
static int layers_parse(const char *option, const char *text, unsigned allowed, unsigned *out)
{
    *out = 0;
    if (!strcmp(text, "none"))
        return AN_OK;
    const char *rest = text, *name;
    size_t length;
    while (an_names_next(&rest, &name, &length)) {
        unsigned bit = layer_find(name, length, allowed);
        if (!bit)
            return layers_refuse(option, text, allowed);
        *out |= bit;
    }
    return AN_OK;
}

/* The same of layers that are normalised or left out. */
static int normalised_parse(const char *option, const char *text, const an_alexnet_options *own, unsigned *out)
{
    an_buffer names = {0};
    int rc = layers_parse(option, text, NORMALISED, out);
    unsigned odd = rc ? 0 : *out & ~(own->lrn_layers | own->without);
    if (!odd)
        return rc;
    rc = layers_name(odd, &names);
    if (!rc)
        rc = an_error(AN_EINVAL, "--%s '%s': %s is not normalised: name it in --lrn too", option, text,
                      (const char *)names.data);
    an_buffer_free(&names);
    return rc;
}

static int lists_parse(const an_net_options *options, an_alexnet_options *own)
{
    int rc = layers_parse("dropout-layers", options->dropout_layers, DROPPED, &own->dropout_layers);
    if (rc)
        return rc;
    rc = layers_parse("without", options->without, DISPENSABLE, &own->without);
    if (rc)
        return rc;
    rc = layers_parse("lrn", options->lrn, NORMALISED, &own->lrn_layers);
    if (rc)
        return rc;
    rc = normalised_parse("lrn-before-activation", options->lrn_before_activation, own, &own->lrn_first);
    if (rc)
        return rc;
    return normalised_parse("lrn-after-pool", options->lrn_after_pool, own, &own->lrn_after_pool);
}

static int build(const an_net_options *options, an_graph *out)
{
    an_alexnet_options own = {.classes = options->classes,
                              .input = options->crop,
                              .padding = options->padding,
                              .columns = options->columns,
                              .communicate = !options->no_communication,
                              .activation = options->activation,
                              .dropout = options->dropout,
                              .lrn_alpha = options->lrn_alpha,
                              .lrn_k = options->lrn_k,
                              .pool = options->pool,
                              .init_bias = options->init_bias};
    int rc = lists_parse(options, &own);
    if (rc)
        return rc;
    rc = an_alexnet_build(&own, out);
    if (rc)
        return rc;
    return an_net_deviate(out, options);
}

static const char *const reads[] = {
    "activation",     "dropout", "dropout-layers", "lrn",     "lrn-alpha",        "lrn-k",   "lrn-before-activation",
    "lrn-after-pool", "pool",    "padding",        "columns", "no-communication", "without", "init-deviations",
    "init-bias",      NULL};

const an_net_rules an_net_alexnet = {.reads = reads,
                                     .defaults = {.classes = 1000,
                                                  .crop = 224,
                                                  .activation = AN_ACTIVATION_RELU,
                                                  .dropout = 0.5,
                                                  .dropout_layers = "fc6,fc7",
                                                  .lrn = "conv1,conv2",
                                                  .lrn_before_activation = "none",
                                                  .lrn_after_pool = "none",
                                                  .lrn_alpha = 1e-4,
                                                  .lrn_k = 2,
                                                  .pool = 3,
                                                  .without = "none",
                                                  .init_deviations = "none",
                                                  .init_bias = 1},
                                     .build = build};
