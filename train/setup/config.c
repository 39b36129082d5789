#include "train/setup/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

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

int an_train_config_check(const an_train_config *config)
{
    if (config->resume && !config->run && strcmp(config->resume, "auto") == 0)
        return an_error(AN_EINVAL, "--resume auto looks for checkpoints in --run FOLDER: name the folder");
    if (config->tensorboard && !config->run)
        return an_error(AN_EINVAL, "--tensorboard writes into --run FOLDER: name the folder");
    if (config->resume && config->weights && strcmp(config->resume, "auto") != 0)
        return an_error(AN_EINVAL,
                        "--resume FILE and --weights exclude each other: both say where the weights come from");
    if (config->rate == 0)
        return an_error(AN_EINVAL, "--rate 0 learns nothing: give a rate above 0, such as 0.01");
    int rc = check_parts(config);
    if (rc)
        return rc;
    if (config->nesterov && config->momentum == 0)
        return an_error(AN_EINVAL,
                        "--nesterov changes nothing with --momentum 0: give a momentum above 0, such as 0.9");
    if (config->overfit && config->overfit < config->batch)
        return an_error(AN_EINVAL, "--batch %d is more than the %d images of --overfit: use --batch %d or less",
                        config->batch, config->overfit, config->overfit);
    an_schedule unused;
    return an_train_config_schedule(config, 1, 1, &unused);
}

int an_train_config_recipe(const an_train_config *config, an_buffer *out)
{
    return an_options_write(an_train_recipe_spec(), config, out);
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

int an_train_recipe_complete(const char *lines, const char *where, an_buffer *out)
{
    an_train_config config = {0};
    int rc = an_options_init(an_train_recipe_spec(), &config);
    if (rc)
        return rc;
    rc = an_train_config_parse(&config, lines, where);
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

int an_train_config_schedule(const an_train_config *config, uint64_t steps_per_epoch, uint64_t total_steps,
                             an_schedule *out)
{
    *out = (an_schedule){.kind = (an_schedule_kind)config->schedule,
                         .rate = config->rate,
                         .divisor = config->rate_divisor,
                         .patience = config->patience,
                         .drops_max = config->rate_drops,
                         .steps_per_epoch = steps_per_epoch,
                         .total_steps = total_steps};
    return an_schedule_parse_epochs(out, config->rate_epochs);
}
