#include "train/setup/network.h"

#include <string.h>

#include "base/error.h"
#include "model/nets/alexnet.h"
#include "model/nets/cifarnet.h"

static const struct {
    const char *name;
    unsigned bit;
} layers[] = {{"conv1", AN_ALEXNET_CONV1},
              {"conv2", AN_ALEXNET_CONV2},
              {"conv5", AN_ALEXNET_CONV5},
              {"fc6", AN_ALEXNET_FC6},
              {"fc7", AN_ALEXNET_FC7}};

static unsigned find_layer(const char *name, size_t length, unsigned allowed)
{
    for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++)
        if (strlen(layers[i].name) == length && memcmp(layers[i].name, name, length) == 0)
            return layers[i].bit & allowed;
    return 0;
}

/* "conv1,conv2" or "none". */
static int parse_layers(const char *option, const char *text, unsigned allowed, const char *names, unsigned *out)
{
    *out = 0;
    if (strcmp(text, "none") == 0)
        return AN_OK;
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ",");
        unsigned bit = find_layer(at, length, allowed);
        if (!bit)
            return an_error(AN_EINVAL, "--%s '%s': give layers out of %s, or none", option, text, names);
        *out |= bit;
        at += length;
        if (!*at)
            return AN_OK;
    }
}

/* The choices of --activation begin behind none, which would make a linear network. */
static an_activation activation(const an_train_config *config)
{
    return (an_activation)(config->activation + AN_ACTIVATION_RELU);
}

static int build_alexnet(const an_train_config *config, int classes, an_graph *out)
{
    an_alexnet_options options = an_alexnet_defaults();
    options.classes = classes;
    options.input = config->crop;
    options.padding = (an_alexnet_padding)config->padding;
    options.split = !config->one_column;
    options.communicate = !config->no_communication;
    options.activation = activation(config);
    options.dropout = config->dropout;
    options.lrn_alpha = config->lrn_alpha;
    options.pool = config->pool + 2; /* an_train_options: 2, 3 */
    int rc = parse_layers("dropout-layers", config->dropout_layers, AN_ALEXNET_FC6 | AN_ALEXNET_FC7, "fc6, fc7",
                          &options.dropout_layers);
    if (rc == AN_OK)
        rc = parse_layers("lrn", config->lrn, AN_ALEXNET_CONV1 | AN_ALEXNET_CONV2 | AN_ALEXNET_CONV5,
                          "conv1, conv2, conv5", &options.lrn_layers);
    return rc < 0 ? rc : an_alexnet_build(&options, out);
}

static int build_cifar(const an_train_config *config, int classes, an_graph *out)
{
    an_cifar_options options = an_cifar_defaults();
    options.classes = classes;
    options.input = config->crop;
    options.activation = activation(config);
    return an_cifar_build(&options, out);
}

static int build(const an_train_config *config, int classes, an_graph *out)
{
    return config->network == AN_NETWORK_CIFAR ? build_cifar(config, classes, out)
                                               : build_alexnet(config, classes, out);
}

/* The smallest crop above config's that leaves every layer something to see; 0 if the crop is not the fault. */
static int smallest_crop(const an_train_config *config, int classes)
{
    enum { FAR = 256 };
    an_train_config larger = *config;
    an_graph unused;
    while (++larger.crop <= FAR)
        if (build(&larger, classes, &unused) == AN_OK)
            return larger.crop;
    return 0;
}

int an_network_build(const an_train_config *config, int classes, an_graph *out)
{
    int rc = build(config, classes, out);
    if (rc != AN_EINVAL)
        return rc;
    an_error_state reason;
    an_error_save(&reason, rc);
    int enough = smallest_crop(config, classes);
    if (enough == 0)
        return an_error_restore(&reason);
    return an_error(AN_EINVAL, "--crop %d is too small for this network (%s): use --crop %d or more", config->crop,
                    reason.message, enough);
}

int an_network_idle_options(const an_train_config *config, an_buffer *out)
{
    an_train_config usual = {0};
    int rc = an_options_init(an_train_recipe_spec(), &usual);
    if (rc < 0 || config->network != AN_NETWORK_CIFAR)
        return rc;
    const struct {
        const char *name;
        bool changed;
    } options[] = {{"dropout", config->dropout != usual.dropout},
                   {"dropout-layers", strcmp(config->dropout_layers, usual.dropout_layers) != 0},
                   {"lrn", strcmp(config->lrn, usual.lrn) != 0},
                   {"lrn-alpha", config->lrn_alpha != usual.lrn_alpha},
                   {"pool", config->pool != usual.pool},
                   {"padding", config->padding != usual.padding},
                   {"one-column", config->one_column},
                   {"no-communication", config->no_communication}};
    for (size_t i = 0; rc >= 0 && i < sizeof(options) / sizeof(options[0]); i++)
        if (options[i].changed)
            rc = an_buffer_printf(out, "--%s is for AlexNet: it has no effect on --network cifar\n", options[i].name);
    return rc;
}

static int threads_per_device(int threads, const char *devices)
{
    int count = 1;
    for (const char *at = devices; *at; at++)
        count += *at == ',';
    return threads > count ? threads / count : 1;
}

an_exec_options an_network_exec_options(const an_train_config *config, const char *devices, int threads, int batch,
                                        bool training)
{
    return (an_exec_options){.devices = devices,
                             .batch = batch,
                             .threads = threads_per_device(threads, devices),
                             .training = training,
                             .seed = config->seed,
                             .precision = (an_precision)config->precision,
                             .direct = config->kernels != 0};
}
