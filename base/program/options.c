/* Sets single options of a table from text. options_parse.c reads command lines, options_file.c reads and writes files,
 * options_help.c writes help, options_suggest.c knows what unknown names may mean. */
#include "base/program/options.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/program/options_private.h"

/* Strings that were set, kept until the process ends: the targets point at them. */
typedef struct kept {
    struct kept *next;
    char text[];
} kept;
static kept *all_kept;

static void *field(const an_option *option, void *target)
{
    return (char *)target + option->offset;
}

static int parse_flag(const char *text, bool *out)
{
    *out = strcmp(text, "true") == 0;
    return *out || strcmp(text, "false") == 0 ? AN_OK : AN_EINVAL;
}

static bool in_range(const an_option *option, double value)
{
    return (option->min == 0 && option->max == 0) || (value >= option->min && value <= option->max);
}

static int parse_int(const an_option *option, const char *text, int *out)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < INT_MIN || value > INT_MAX || !in_range(option, (double)value))
        return AN_EINVAL;
    *out = (int)value;
    return AN_OK;
}

static int parse_uint64(const an_option *option, const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    /* strtoull takes "-1" for the largest value */
    if (errno || !isdigit((unsigned char)text[0]) || *end || !in_range(option, (double)value))
        return AN_EINVAL;
    *out = value;
    return AN_OK;
}

static int parse_double(const an_option *option, const char *text, double *out)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || !in_range(option, value))
        return AN_EINVAL;
    *out = value;
    return AN_OK;
}

static int parse_choice(const an_option *option, const char *text, int *out)
{
    for (int i = 0; option->choices[i]; i++) {
        if (strcmp(option->choices[i], text) == 0) {
            *out = i;
            return AN_OK;
        }
    }
    return AN_EINVAL;
}

static int keep_string(const char *text, const char **out)
{
    size_t size = strlen(text) + 1;
    kept *copy = malloc(sizeof *copy + size);
    if (!copy)
        return an_error(AN_ENOMEM, "out of memory: option value of %zu bytes", size);
    memcpy(copy->text, text, size);
    copy->next = all_kept;
    all_kept = copy;
    *out = copy->text;
    return AN_OK;
}

static int parse_value(const an_option *option, void *target, const char *text)
{
    switch (option->type) {
    case AN_OPTION_FLAG:
        return parse_flag(text, field(option, target));
    case AN_OPTION_INT:
        return parse_int(option, text, field(option, target));
    case AN_OPTION_UINT64:
        return parse_uint64(option, text, field(option, target));
    case AN_OPTION_DOUBLE:
        return parse_double(option, text, field(option, target));
    case AN_OPTION_STRING:
        return keep_string(text, field(option, target));
    case AN_OPTION_CHOICE:
        return parse_choice(option, text, field(option, target));
    }
    return an_error(AN_EINTERNAL, "option '%s' has no known type", option->name);
}

static int describe_range(const an_option *option, an_buffer *out)
{
    double type_max = option->type == AN_OPTION_INT ? INT_MAX : option->type == AN_OPTION_UINT64 ? 0x1p63 : 1e300;
    if (option->min == 0 && option->max == 0)
        return AN_OK;
    if (option->max >= type_max)
        return an_buffer_printf(out, "at least %.15g", option->min);
    return an_buffer_printf(out, "%.15g to %.15g", option->min, option->max);
}

int an_options_describe(const an_option *option, an_buffer *out)
{
    if (!option->choices)
        return describe_range(option, out);
    int rc = AN_OK;
    for (int i = 0; !rc && option->choices[i]; i++)
        rc = an_buffer_printf(out, "%s%s", i ? ", " : "", option->choices[i]);
    return rc;
}

static const char *expected(const an_option *option)
{
    switch (option->type) {
    case AN_OPTION_FLAG:
        return "true or false";
    case AN_OPTION_INT:
    case AN_OPTION_UINT64:
        return "a whole number";
    case AN_OPTION_DOUBLE:
        return "a number";
    case AN_OPTION_STRING:
        return "text";
    case AN_OPTION_CHOICE:
        return "one of";
    }
    return "nothing";
}

int an_options_assign(const an_option *option, void *target, const char *text, const char *dashes)
{
    int rc = parse_value(option, target, text);
    if (rc != AN_EINVAL)
        return rc;
    an_buffer allowed = {0};
    rc = an_options_describe(option, &allowed);
    if (!rc)
        rc = an_error(AN_EINVAL, "'%s%s' is '%s' but must be %s%s%s", dashes, option->name, text, expected(option),
                      allowed.size > 0 ? ": " : "", allowed.size > 0 ? (char *)allowed.data : "");
    an_buffer_free(&allowed);
    return rc;
}

const an_option *an_options_find(const an_options *spec, const char *name)
{
    for (const an_option *option = spec->options; !an_options_is_last(option); option++)
        if (!option->heading && strcmp(option->name, name) == 0)
            return option;
    return NULL;
}

bool an_options_takes_value(const an_option *option)
{
    return option->type != AN_OPTION_FLAG && !option->old_flag;
}

bool an_options_is_last(const an_option *option)
{
    return !option->heading && !option->name;
}

size_t an_options_rows(const an_options *spec)
{
    size_t rows = 0;
    while (!an_options_is_last(&spec->options[rows]))
        rows++;
    return rows;
}

void an_options_set_origin(const an_option *option, void *target, an_option_origin origin)
{
    if (option->origin)
        *(an_option_origin *)(void *)((char *)target + option->origin) = origin;
}

static bool contradicts_itself(const an_options *spec, const an_option *option)
{
    for (const an_option *other = spec->options; other != option; other++)
        if (!other->heading && (strcmp(other->name, option->name) == 0 || (option->key && other->key == option->key)))
            return true;
    return option->key == 'h' || (!option->help && !option->old_flag) || option->min > option->max ||
           (option->type == AN_OPTION_CHOICE && (!option->choices || !option->choices[0]));
}

static void zero(const an_option *option, void *target)
{
    static const size_t sizes[] = {
        [AN_OPTION_FLAG] = sizeof(bool),     [AN_OPTION_INT] = sizeof(int),       [AN_OPTION_UINT64] = sizeof(uint64_t),
        [AN_OPTION_DOUBLE] = sizeof(double), [AN_OPTION_STRING] = sizeof(char *), [AN_OPTION_CHOICE] = sizeof(int)};
    memset(field(option, target), 0, sizes[option->type]);
}

int an_options_init(const an_options *spec, void *target)
{
    for (const an_option *option = spec->options; !an_options_is_last(option); option++) {
        if (option->heading)
            continue;
        if (contradicts_itself(spec, option))
            return an_error(AN_EINTERNAL, "options of %s: the entry of '%s' contradicts itself", spec->program,
                            option->name);
        if (option->old_flag)
            continue;
        zero(option, target);
        an_options_set_origin(option, target, AN_ORIGIN_INITIAL);
        if (option->initial && an_options_assign(option, target, option->initial, ""))
            return an_error_prefix(AN_EINTERNAL, "options of %s", spec->program);
    }
    return AN_OK;
}

int an_options_set(const an_options *spec, void *target, const char *name, const char *value, const char *where)
{
    const an_option *option = an_options_find(spec, name);
    int rc;
    if (!option)
        rc = an_options_unknown(spec, name, "");
    else if (option->not_in_files)
        rc = an_error(AN_EINVAL, "'%s' has no effect in a file: give --%s on the command line", name, name);
    else
        rc = an_options_assign(option, target, value, "");
    if (rc)
        return an_error_prefix(rc, "%s", where);
    an_options_set_origin(option, target, AN_ORIGIN_FILE);
    return AN_OK;
}
