/* The sets to validate on. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "train/setup/data_private.h"

static int open_one(an_train_data *data, const an_train_config *config, const char *path, an_dataset **out)
{
    uint32_t side = an_dataset_side(data->training);
    int rc = an_dataset_open(out, path);
    if (rc)
        return rc;
    rc = an_train_dataset_check(*out, config);
    if (rc)
        return rc;
    rc = an_train_class_check(*out, data->class_ids, an_dataset_path(data->training));
    if (rc || config->mean != AN_MEAN_PIXEL || an_dataset_side(*out) == side)
        return rc;
    return an_error(AN_EINVAL,
                    "'%s' holds %u px images, '%s' %u px: ingest both with one --size, or use --mean channel", path,
                    an_dataset_side(*out), an_dataset_path(data->training), side);
}

/* Where the last parts of a path begin. */
static const char *tail(const char *path, int parts)
{
    const char *at = path + strlen(path);
    while (at > path && (at[-1] != '/' || --parts > 0))
        at--;
    return at;
}

/* Whether another path ends in the same parts. */
static bool ambiguous(char *const *paths, int count, int number, int parts)
{
    for (int i = 0; i < count; i++)
        if (i != number && strcmp(tail(paths[i], parts), tail(paths[number], parts)) == 0)
            return true;
    return false;
}

static int refuse_twins(char *const *paths, int count)
{
    for (int i = 0; i < count; i++)
        for (int k = 0; k < i; k++)
            if (strcmp(paths[i], paths[k]) == 0)
                return an_error(AN_EINVAL, "'%s' is given twice: name each set to validate on once", paths[i]);
    return AN_OK;
}

/* As much of each path, from its end, as tells it from the others. */
static int name_all(an_train_set *sets, char *const *paths, int count)
{
    int rc = refuse_twins(paths, count);
    for (int i = 0; i < count && !rc; i++) {
        int parts = 1;
        while (ambiguous(paths, count, i, parts) && tail(paths[i], parts) > paths[i])
            parts++;
        sets[i].name = strdup(tail(paths[i], parts));
        if (!sets[i].name)
            rc = an_error(AN_ENOMEM, "out of memory for a name");
    }
    return rc;
}

static char *without_slashes(const char *path)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    return strndup(path, end);
}

static int open_all(an_train_data *data, const an_train_config *config, const char *const *paths)
{
    char *copies[AN_TRAIN_SETS_MAX];
    int rc = AN_OK, copied = 0;
    for (int i = 0; i < data->set_count && !rc; i++)
        rc = open_one(data, config, paths[i], &data->sets[i].dataset);
    while (!rc && copied < data->set_count) {
        copies[copied] = without_slashes(paths[copied]);
        if (copies[copied])
            copied++;
        else
            rc = an_error(AN_ENOMEM, "out of memory for a name");
    }
    if (!rc)
        rc = name_all(data->sets, copies, data->set_count);
    while (copied > 0)
        free(copies[--copied]);
    return rc;
}

int an_train_sets_open(an_train_data *data, const an_train_config *config, const char *const *paths)
{
    int count = 0;
    while (paths && paths[count])
        count++;
    if (count > AN_TRAIN_SETS_MAX)
        return an_error(AN_EINVAL, "%d sets to validate on: at most %d", count, AN_TRAIN_SETS_MAX);
    data->set_count = count;
    int rc = open_all(data, config, paths);
    data->validation = data->sets[0].dataset;
    return rc;
}

void an_train_sets_close(an_train_data *data)
{
    for (int i = 0; i < AN_TRAIN_SETS_MAX; i++) {
        an_dataset_free(data->sets[i].dataset);
        free(data->sets[i].name);
    }
}
