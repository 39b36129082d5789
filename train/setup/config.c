#include "train/setup/config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* Steps that AlexNet takes to learn some fifty images by heart, with some to spare (docs/training.md). */
#define OVERFIT_STEPS 300
#define OVERFIT_VALIDATE_STEPS 100

static bool overfit_implies(const an_train_config *config, an_option_origin origin)
{
    return origin < config->origins.overfit;
}

/* Epochs that make so many steps, rounded up. */
static int epochs_of(const an_train_config *config, int steps)
{
    return (int)ceil((double)steps * fmin(1, (double)config->batch / config->overfit));
}

void an_train_config_imply(an_train_config *config)
{
    if (!config->overfit)
        return;
    if (overfit_implies(config, config->origins.batch) && config->batch > config->overfit)
        config->batch = config->overfit;
    if (overfit_implies(config, config->origins.schedule))
        config->schedule = AN_SCHEDULE_CONSTANT;
    if (overfit_implies(config, config->origins.epochs))
        config->epochs = epochs_of(config, OVERFIT_STEPS);
    if (overfit_implies(config, config->origins.validate_every))
        config->validate_every = epochs_of(config, OVERFIT_VALIDATE_STEPS);
    if (overfit_implies(config, config->origins.save_every))
        config->save_every = 0;
}

/* A run that ends when the rate would fall for the first time has a schedule for nothing. */
static int check_stop_after(const an_train_config *config)
{
    bool falls = config->schedule == AN_SCHEDULE_PLATEAU && config->rate_drops > 0;
    if (!config->stop_after || !falls || config->stop_after > config->patience)
        return AN_OK;
    return an_error(AN_EINVAL,
                    "--stop-after %d ends the run before schedule plateau divides the rate, after --patience %d: give "
                    "it more, or --schedule constant",
                    config->stop_after, config->patience);
}

static int check_parts(const an_train_config *config)
{
    int parts = config->accumulate, multiple = 2 * parts;
    if (parts > 1 && config->batch % multiple)
        return an_error(AN_EINVAL,
                        "--accumulate %d divides --batch %d into no equal parts of an even number of images: use "
                        "--batch %d, or other parts",
                        parts, config->batch, (config->batch + multiple - 1) / multiple * multiple);
    if (parts > 1 && config->decode == AN_DECODE_DEVICE)
        return an_error(AN_EINVAL, "--accumulate takes batches apart, which --decode device keeps in one block: use "
                                   "--decode host");
    return AN_OK;
}

static int check_updates(const an_train_config *config)
{
    if (config->rate == 0)
        return an_error(AN_EINVAL, "--rate 0 learns nothing: give a rate above 0, such as 0.01");
    if (config->nesterov && config->momentum == 0)
        return an_error(AN_EINVAL,
                        "--nesterov changes nothing with --momentum 0: give a momentum above 0, such as 0.9");
    if (config->optimizer == AN_OPTIMIZER_LARS && config->trust == 0)
        return an_error(AN_EINVAL, "--optimizer lars changes no weights with --trust 0: give a trust above 0, such as "
                                   "0.001, or --optimizer sgd");
    if (config->warmup_epochs > config->epochs)
        return an_error(AN_EINVAL,
                        "--warmup-epochs %g are more than --epochs %d, so the rate would never be the schedule's: give "
                        "fewer, or more epochs",
                        config->warmup_epochs, config->epochs);
    return AN_OK;
}

int an_train_config_check(const an_train_config *config)
{
    if (config->resume && !config->run && strcmp(config->resume, "auto") == 0)
        return an_error(AN_EINVAL, "--resume auto looks for checkpoints in --run FOLDER: name the folder");
    if (config->tensorboard && !config->run)
        return an_error(AN_EINVAL, "--tensorboard writes into --run FOLDER: name the folder");
    if (config->resume && config->weights && strcmp(config->resume, "auto") != 0)
        return an_error(AN_EINVAL,
                        "--resume FILE and --weights exclude each other: both say where the weights come from");
    if (config->fresh && !config->weights)
        return an_error(AN_EINVAL, "--fresh %s is for --weights FILE: without it all layers begin with random numbers",
                        config->fresh);
    int rc = check_updates(config);
    if (rc)
        return rc;
    rc = check_parts(config);
    if (rc)
        return rc;
    if (config->overfit && config->overfit < config->batch)
        return an_error(AN_EINVAL, "--batch %d is more than the %d images of --overfit: use --batch %d or less",
                        config->batch, config->overfit, config->overfit);
    if (config->resized > 0 && config->no_random_crop)
        return an_error(AN_EINVAL, "--resized cuts at random places, --no-random-crop at the centre: leave one out");
    if (config->resized > 0 && config->mean == AN_MEAN_PIXEL)
        return an_error(AN_EINVAL, "--resized makes crops of every size, which the mean image does not lie under: add "
                                   "--mean channel");
    rc = check_stop_after(config);
    if (rc)
        return rc;
    an_schedule unused;
    return an_train_config_schedule(config, &(an_epochs){.images = 1, .batch = 1}, 1, &unused);
}

/* Images that ranks cannot share: the least that they could, at least as many. */
static int next_batch(int batch, int multiple)
{
    return (batch + multiple - 1) / multiple * multiple;
}

/* Of each rank's share the images are mixed in pairs, and parts are of even size. */
static int check_share(const an_train_config *config, int world)
{
    int share = config->batch / world, parts = 2 * config->accumulate;
    bool mixes = config->mixup > 0 || config->cutmix > 0;
    if (mixes && share % 2)
        return an_error(AN_EINVAL,
                        "--batch %d gives each of %d ranks %d images, but --mixup and --cutmix mix pairs: use --batch "
                        "%d, or another number of ranks",
                        config->batch, world, share, next_batch(config->batch, 2 * world));
    if (config->accumulate > 1 && share % parts)
        return an_error(
            AN_EINVAL,
            "--batch %d gives each of %d ranks %d images, which --accumulate %d divides into no equal parts "
            "of an even number: use --batch %d, or other parts",
            config->batch, world, share, config->accumulate, next_batch(config->batch, parts * world));
    return AN_OK;
}

int an_train_config_check_ranks(const an_train_config *config, int world)
{
    if (world == 1)
        return AN_OK;
    if (config->find_rate)
        return an_error(AN_EINVAL, "--find-lr measures in one process: start it without mpirun or srun");
    if (config->batch % world)
        return an_error(AN_EINVAL,
                        "--batch %d cannot be shared equally by %d ranks: use --batch %d, or another number "
                        "of ranks",
                        config->batch, world, next_batch(config->batch, world));
    return check_share(config, world);
}

int an_train_config_recipe(const an_train_config *config, an_buffer *out)
{
    an_train_config resolved = *config;
    resolved.last = (int)an_train_config_last(config);
    return an_options_write(an_train_recipe_spec(), &resolved, out);
}

/* Find the next "name = value" line at *at, end name and value in place with zeros and move *at behind it. False if
 * there is none. */
static bool next_line(char **at, char **name, char **value)
{
    while (**at) {
        char *line = *at, *end = line + strcspn(line, "\n");
        *at = *end ? end + 1 : end;
        *end = '\0';
        char *equals = strstr(line, " = ");
        if (!equals)
            continue;
        *equals = '\0';
        *name = line;
        *value = equals + 3;
        return true;
    }
    return false;
}

int an_train_config_parse(an_train_config *config, const char *lines, const char *where)
{
    char *copy = strdup(lines), *at = copy, *name, *value;
    if (!copy)
        return an_error(AN_ENOMEM, "out of memory reading %s", where);
    int rc = AN_OK;
    while (!rc && next_line(&at, &name, &value))
        rc = an_options_set(an_train_recipe_spec(), config, name, value, where);
    free(copy);
    return rc;
}

int an_train_recipe_parse(an_train_config *config, const char *lines, const char *where)
{
    const an_options *spec = an_train_recipe_spec();
    int rc = an_options_init(spec, config);
    for (const an_option *option = spec->options; !rc && (option->heading || option->name); option++)
        if (option->before)
            rc = an_options_set(spec, config, option->name, option->before, where);
    return rc ? rc : an_train_config_parse(config, lines, where);
}

int an_train_recipe_complete(const char *lines, const char *where, an_buffer *out)
{
    an_train_config config = {0};
    int rc = an_train_recipe_parse(&config, lines, where);
    if (rc)
        return rc;
    rc = an_train_config_recipe(&config, out);
    if (rc)
        return rc;
    return an_buffer_append(out, "", 1);
}

/* The value of the name wanted in lines, as a new string; NULL if it is absent. */
static char *lookup(const char *lines, const char *wanted)
{
    char *copy = strdup(lines), *at = copy, *name, *value, *found = NULL;
    while (copy && !found && next_line(&at, &name, &value))
        if (strcmp(name, wanted) == 0)
            found = strdup(value);
    free(copy);
    return found;
}

static int compare_one_way(const char *from, const char *to, bool forward, an_buffer *difference)
{
    char *copy = strdup(from), *at = copy, *name, *value;
    if (!copy)
        return an_error(AN_ENOMEM, "out of memory comparing recipes");
    int rc = AN_OK;
    while (rc >= 0 && next_line(&at, &name, &value)) {
        char *other = lookup(to, name);
        int failed = 0;
        if (forward && other && strcmp(other, value) != 0)
            failed = an_buffer_printf(difference, "  %s: %s -> %s\n", name, value, other);
        else if (!other)
            failed = an_buffer_printf(difference, "  %s: %s -> %s\n", name, forward ? value : "(not set)",
                                      forward ? "(not set)" : value);
        rc = failed < 0 ? failed : rc;
        free(other);
    }
    free(copy);
    return rc;
}

int an_train_recipe_compare(const char *before, const char *now, an_buffer *difference)
{
    size_t start = difference->size;
    int rc = compare_one_way(before, now, true, difference);
    if (!rc)
        rc = compare_one_way(now, before, false, difference);
    if (rc)
        return rc;
    return difference->size == start ? AN_OK : AN_END;
}

an_scale_kind an_train_config_scale(const an_train_config *config)
{
    if (config->scale != AN_SCALE_AUTO)
        return (an_scale_kind)config->scale;
    return config->init == AN_INIT_HE ? AN_SCALE_UNIT : AN_SCALE_PAPER;
}

/* A warm-up, however short, takes one step at least, which is one of the whole rate. */
static uint64_t warmup_steps(const an_train_config *config, const an_epochs *epochs)
{
    return (uint64_t)ceil(config->warmup_epochs * an_epochs_each(epochs));
}

an_last_kind an_train_config_last(const an_train_config *config)
{
    return config->last == AN_TRAIN_LAST_AUTO ? AN_LAST_CARRY : (an_last_kind)config->last;
}

int an_train_config_schedule(const an_train_config *config, const an_epochs *epochs, uint64_t total_steps,
                             an_schedule *out)
{
    *out = (an_schedule){.kind = (an_schedule_kind)config->schedule,
                         .rate = config->rate,
                         .divisor = config->rate_divisor,
                         .patience = config->patience,
                         .drops_max = config->rate_drops,
                         .power = config->power,
                         .span = *epochs,
                         .total_steps = total_steps,
                         .warmup_steps = warmup_steps(config, epochs)};
    return an_schedule_parse_epochs(out, config->rate_epochs);
}
