#include "train/setup/network.h"

#include <string.h>

#include "base/error.h"
#include "model/nets/nets.h"

/* The choices of --activation leave out "none", which would make a linear network. */
static an_activation activation(const an_train_config *config)
{
    return (an_activation)(config->activation + AN_ACTIVATION_RELU);
}

static int build(const an_train_config *config, int classes, an_graph *out)
{
    an_net_options options = {.classes = classes,
                              .crop = config->crop,
                              .activation = activation(config),
                              .dropout = config->dropout,
                              .dropout_layers = config->dropout_layers,
                              .lrn = config->lrn,
                              .lrn_before_activation = config->lrn_before_activation,
                              .lrn_after_pool = config->lrn_after_pool,
                              .lrn_alpha = config->lrn_alpha,
                              .lrn_k = config->lrn_k,
                              .pool = config->pool + 2, /* the choices of --pool: 2, 3 */
                              .padding = (an_alexnet_padding)config->padding,
                              .columns = (an_alexnet_columns)config->columns,
                              .no_communication = config->no_communication,
                              .without = config->without,
                              .init_deviations = config->init_deviations,
                              .init_bias = config->init_bias};
    return an_net_at(config->network)->rules->build(&options, out);
}

/* The smallest crop above config's with which the network can be built; 0 if the crop is not the fault. */
static int smallest_crop(const an_train_config *config, int classes)
{
    enum { FAR = 256 };
    an_train_config larger = *config;
    an_graph unused;
    while (++larger.crop <= FAR)
        if (!build(&larger, classes, &unused))
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

static const an_option *option_find(const char *name)
{
    const an_option *option = an_train_recipe_spec()->options;
    while (option->heading || (option->name && strcmp(option->name, name) != 0))
        option++;
    return option->name ? option : NULL;
}

static bool option_equal(const an_option *option, const an_train_config *one, const an_train_config *two)
{
    const void *a = (const char *)one + option->offset, *b = (const char *)two + option->offset;
    switch (option->type) {
    case AN_OPTION_FLAG:
        return *(const bool *)a == *(const bool *)b;
    case AN_OPTION_UINT64:
        return *(const uint64_t *)a == *(const uint64_t *)b;
    case AN_OPTION_DOUBLE:
        return *(const double *)a == *(const double *)b;
    case AN_OPTION_STRING:
        return strcmp(*(const char *const *)a, *(const char *const *)b) == 0;
    case AN_OPTION_INT:
    case AN_OPTION_CHOICE:
        break;
    }
    return *(const int *)a == *(const int *)b;
}

/* "--dropout is for AlexNet: it has no effect on --network cifar" */
static int idle_note(const char *option, const an_net *net, an_buffer *out)
{
    const char *between = "";
    int rc = an_buffer_printf(out, "--%s is for ", option);
    for (int i = 0; i < an_net_count() && !rc; i++)
        if (an_net_reads(an_net_at(i), option)) {
            rc = an_buffer_printf(out, "%s%s", between, an_net_at(i)->title);
            between = " and ";
        }
    if (rc)
        return rc;
    return an_buffer_printf(out, ": it has no effect on --network %s\n", net->name);
}

/* Options that say how weights begin have no effect where another rule says it. */
static int idle_init(const an_train_config *config, const an_train_config *usual, an_buffer *out)
{
    static const char *const names[] = {"init-deviations", "init-bias"};
    int rc = AN_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names && !rc && config->init != AN_INIT_PAPER; i++)
        if (an_net_reads(an_net_at(config->network), names[i]) && !option_equal(option_find(names[i]), config, usual))
            rc = an_buffer_printf(out, "--%s is for --init paper: it has no effect on another one\n", names[i]);
    return rc;
}

/* Whether a row of the table before this one reads the option too. */
static bool listed_before(int number, const char *option)
{
    for (int i = 0; i < number; i++)
        if (an_net_reads(an_net_at(i), option))
            return true;
    return false;
}

int an_network_idle_options(const an_train_config *config, an_buffer *out)
{
    an_train_config usual = {0};
    const an_net *net = an_net_at(config->network);
    int rc = an_options_init(an_train_recipe_spec(), &usual);
    for (int i = 0; i < an_net_count() && !rc; i++)
        for (const char *const *name = an_net_at(i)->rules->reads; *name && !rc; name++) {
            const an_option *option = option_find(*name);
            if (!option)
                return an_error(AN_EINTERNAL, "network %s reads --%s, which is no option of a recipe",
                                an_net_at(i)->name, *name);
            bool idle = !an_net_reads(net, *name) && !option_equal(option, config, &usual);
            if (idle && !listed_before(i, *name))
                rc = idle_note(*name, net, out);
        }
    return rc ? rc : idle_init(config, &usual, out);
}

an_exec_options an_network_exec_options(const an_train_config *config, const char *devices, int threads, int batch,
                                        bool training)
{
    return (an_exec_options){.devices = devices,
                             .batch = batch,
                             .threads = threads,
                             .training = training,
                             .seed = config->seed,
                             .precision = (an_precision)config->precision,
                             .direct = config->kernels != 0};
}

an_sgd an_network_sgd(const an_train_config *config, double rate)
{
    return (an_sgd){.rate = rate,
                    .momentum = config->momentum,
                    .decay = config->decay,
                    .bias_rate_scale = config->bias_rate,
                    .bias_decay = config->bias_decay,
                    .nesterov = config->nesterov,
                    .clip = config->clip,
                    .average = config->ema};
}
