#include "train/setup/network.h"

#include <string.h>

#include "base/error.h"
#include "model/nets/alexnet.h"
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
    case AN_OPTION_LIST: /* is in no recipe */
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

/* Whether a row of the table before this one reads the option too. */
static bool listed_before(int number, const char *option)
{
    for (int i = 0; i < number; i++)
        if (an_net_reads(an_net_at(i), option))
            return true;
    return false;
}

static bool begins_as_in_paper(const an_train_config *config)
{
    return config->init == AN_INIT_PAPER;
}

static bool has_halves(const an_train_config *config)
{
    return config->columns == AN_ALEXNET_TWO_COLUMNS;
}

static bool jitters(const an_train_config *config)
{
    return config->jitter > 0;
}

static bool has_neighbours(const an_train_config *config)
{
    return config->batch > 1;
}

/* --overfit sets the schedule aside on purpose. */
static bool has_steps(const an_train_config *config)
{
    return config->schedule == AN_SCHEDULE_STEPS || config->overfit;
}

static bool has_plateau(const an_train_config *config)
{
    return config->schedule == AN_SCHEDULE_PLATEAU || config->overfit;
}

static bool divides(const an_train_config *config)
{
    return has_steps(config) || has_plateau(config);
}

static bool has_power(const an_train_config *config)
{
    return config->schedule == AN_SCHEDULE_POLY || config->overfit;
}

static bool has_lars(const an_train_config *config)
{
    return config->optimizer == AN_OPTIMIZER_LARS;
}

/* Options that act beside certain values of another one only. */
static const struct {
    const char *name;
    bool (*acts)(const an_train_config *);
    const char *beside, *otherwise;
} companions[] = {{"init-deviations", begins_as_in_paper, "--init paper", "on another one"},
                  {"init-bias", begins_as_in_paper, "--init paper", "on another one"},
                  {"no-communication", has_halves, "--columns two", "on one column"},
                  {"rate-epochs", has_steps, "--schedule steps", "on another one"},
                  {"rate-divisor", divides, "--schedule steps and plateau", "on another one"},
                  {"patience", has_plateau, "--schedule plateau", "on another one"},
                  {"rate-drops", has_plateau, "--schedule plateau", "on another one"},
                  {"trust", has_lars, "--optimizer lars", "on another one"},
                  {"power", has_power, "--schedule poly", "on another one"},
                  {"jitter-scaled", jitters, "a --jitter above 0", "without"},
                  {"jitter-epochs", jitters, "a --jitter above 0", "without"},
                  {"mixup", has_neighbours, "a --batch of 2 or more", "on a single image"},
                  {"cutmix", has_neighbours, "a --batch of 2 or more", "on a single image"}};
#define COMPANIONS (sizeof companions / sizeof *companions)

static int idle_companions(const an_train_config *config, const an_train_config *usual, an_buffer *out)
{
    int rc = AN_OK;
    for (size_t i = 0; i < COMPANIONS && !rc; i++) {
        const char *name = companions[i].name;
        bool elsewhere = listed_before(an_net_count(), name) && !an_net_reads(an_net_at(config->network), name);
        bool idle = !companions[i].acts(config) && !option_equal(option_find(name), config, usual);
        if (idle && !elsewhere)
            rc = an_buffer_printf(out, "--%s is for %s: it has no effect %s\n", name, companions[i].beside,
                                  companions[i].otherwise);
    }
    return rc;
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
    return rc ? rc : idle_companions(config, &usual, out);
}

an_exec_options an_network_exec_options(const an_train_config *config, const char *devices, int threads, int batch,
                                        bool training)
{
    return (an_exec_options){.devices = devices,
                             .batch = batch,
                             .threads = threads,
                             .training = training,
                             .top = (uint32_t)config->top,
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
                    .trust = has_lars(config) ? config->trust : 0,
                    .average = config->ema};
}
