/* --class-weights: none, balanced, or a file. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "train/setup/data.h"

#define FILE_MOST (64 << 20)

static void balance(const an_train_data *data, double *out)
{
    const an_index_entry *index = an_dataset_index(data->training);
    uint64_t count = data->subset ? data->subset_count : an_dataset_count(data->training);
    for (uint64_t i = 0; i < count; i++)
        out[index[data->subset ? data->subset[i] : i].label]++;
    for (int c = 0; c < data->classes; c++)
        out[c] = out[c] > 0 ? (double)count / (data->classes * out[c]) : 0;
}

static int label_of(const an_train_data *data, const char *id)
{
    for (int c = 0; c < data->classes; c++)
        if (strcmp(an_dataset_class(data->training, (uint32_t)c)->id, id) == 0)
            return c;
    return -1;
}

/* "class-id weight": the id may hold spaces. An error does not say where the line stands. */
static int line_take(const an_train_data *data, char *line, double *out)
{
    char *value = strrchr(line, ' '), *tab = strrchr(line, '\t'), *end = NULL;
    value = tab > value ? tab : value;
    if (!value)
        return an_error(AN_EINVAL, "'%s' is not a class and its weight, such as 'n01440764 2.5'", line);
    double weight = strtod(value + 1, &end);
    if (end == value + 1 || *end || !isfinite(weight) || weight < 0)
        return an_error(AN_EINVAL, "weight '%s' is impossible: give a number, 0 or more", value + 1);
    while (value > line && (value[-1] == ' ' || value[-1] == '\t'))
        value--;
    *value = '\0';
    int label = label_of(data, line);
    if (label < 0)
        return an_error(AN_EINVAL, "class '%s' is not in '%s'", line, an_dataset_path(data->training));
    if (out[label] >= 0)
        return an_error(AN_EINVAL, "class '%s' has a weight already", line);
    out[label] = weight;
    return AN_OK;
}

/* line without the white space at both ends; empty for a comment. */
static char *trimmed(char *line)
{
    line += strspn(line, " \t\r");
    for (size_t size = strlen(line); size && strchr(" \t\r", line[size - 1]); size--)
        line[size - 1] = '\0';
    if (*line == '#')
        *line = '\0';
    return line;
}

static int lines_take(const an_train_data *data, const char *path, char *text, double *out)
{
    int number = 0;
    for (char *line; (line = strsep(&text, "\n"));) {
        number++;
        line = trimmed(line);
        int rc = *line ? line_take(data, line, out) : AN_OK;
        if (rc)
            return an_error_prefix(rc, "'%s', line %d", path, number);
    }
    return AN_OK;
}

/* Classes that the file does not name weigh 1. */
static int from_file(const an_train_data *data, const char *path, double *out)
{
    an_buffer text = {0};
    for (int c = 0; c < data->classes; c++)
        out[c] = -1;
    int rc = an_file_read(path, FILE_MOST, &text);
    if (!rc)
        rc = an_buffer_append(&text, "", 1);
    if (!rc)
        rc = lines_take(data, path, (char *)text.data, out);
    for (int c = 0; c < data->classes; c++)
        out[c] = out[c] < 0 ? 1 : out[c];
    an_buffer_free(&text);
    return rc;
}

int an_train_class_weights(const an_train_data *data, const char *option, double **out)
{
    *out = NULL;
    if (strcmp(option, "none") == 0)
        return AN_OK;
    double *weights = calloc((size_t)data->classes, sizeof *weights);
    if (!weights)
        return an_error(AN_ENOMEM, "out of memory for the weights of %d classes", data->classes);
    int rc = AN_OK;
    if (strcmp(option, "balanced") == 0)
        balance(data, weights);
    else
        rc = from_file(data, option, weights);
    if (rc) {
        free(weights);
        return an_error_prefix(rc, "--class-weights");
    }
    *out = weights;
    return AN_OK;
}
