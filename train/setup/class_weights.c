/* --class-weights: none, balanced, or a file. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

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

/* A recipe names a file with the hash of the weights that it gave: "weights.tsv @ 0123456789abcdef". */
#define MARK " @ "
#define MARKED_MAX 24 /* the mark, 16 digits and a zero */

/* Where the mark of such a name begins; NULL: it has none. */
static const char *mark_of(const char *option)
{
    size_t size = strlen(option), marked = strlen(MARK) + 16;
    const char *mark = size > marked ? option + size - marked : NULL;
    bool is = mark && strncmp(mark, MARK, strlen(MARK)) == 0 && strspn(mark + strlen(MARK), "0123456789abcdef") == 16;
    return is ? mark : NULL;
}

/* Appends the mark of the weights to the file's name, which has room for it. They must be those of the mark that option
 * has, if it has one. */
static int mark_weights(const char *option, const double *weights, int classes, char *name)
{
    char mark[MARKED_MAX];
    const char *wanted = mark_of(option);
    snprintf(mark, sizeof mark, MARK "%016" PRIx64, XXH3_64bits(weights, (size_t)classes * sizeof *weights));
    if (wanted && strcmp(wanted, mark) != 0)
        return an_error(AN_EINVAL,
                        "'%s' gives other weights than when the recipe was written: put the file back as it was, or "
                        "begin a new run with --class-weights '%s'",
                        name, name);
    strcat(name, mark);
    return AN_OK;
}

static int weights_from(const an_train_data *data, const char *option, char *name, double *weights)
{
    const char *mark = mark_of(option);
    strcpy(name, option);
    if (strcmp(option, "balanced") == 0) {
        balance(data, weights);
        return AN_OK;
    }
    if (mark)
        name[mark - option] = '\0';
    int rc = from_file(data, name, weights);
    return rc ? rc : mark_weights(option, weights, data->classes, name);
}

int an_train_class_weights(const an_train_data *data, const char *option, double **out, char **name)
{
    *out = NULL;
    *name = NULL;
    bool none = strcmp(option, "none") == 0;
    double *weights = calloc((size_t)data->classes, sizeof *weights);
    char *called = malloc(strlen(option) + MARKED_MAX);
    if (!weights || !called) {
        free(weights);
        free(called);
        return an_error(AN_ENOMEM, "out of memory for the weights of %d classes", data->classes);
    }
    strcpy(called, option);
    int rc = none ? AN_OK : weights_from(data, option, called, weights);
    if (rc || none)
        free(weights);
    else
        *out = weights;
    if (!rc) {
        *name = called;
        return AN_OK;
    }
    free(called);
    return an_error_prefix(rc, "--class-weights");
}
