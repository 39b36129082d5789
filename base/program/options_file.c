/* `name = value` files. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/program/options_private.h"

#define FILE_LIMIT ((size_t)1 << 20)

static char *trim(char *text)
{
    text += strspn(text, " \t\r");
    size_t size = strlen(text);
    while (size > 0 && strchr(" \t\r", text[size - 1]))
        size--;
    text[size] = '\0';
    return text;
}

/* A comment begins at a '#' that opens the line or follows a blank: names such as 'a#b' stay whole. */
static void cut_comment(char *text)
{
    for (char *at = text; (at = strchr(at, '#')); at++) {
        if (at == text || at[-1] == ' ' || at[-1] == '\t') {
            *at = '\0';
            return;
        }
    }
}

/* A file that is being read. first: for each row of the table the line that gave it, 0 if none has. */
typedef struct {
    const an_options *spec;
    void *target;
    int *first;
    int line;
} reading;

static int set(const reading *r, const char *name, const char *value, const char *where)
{
    const an_option *option = an_options_find(r->spec, name);
    int *first = option ? &r->first[option - r->spec->options] : NULL;
    if (first && *first)
        return an_error(AN_EINVAL, "%s: '%s' is given twice, in line %d before: give it once", where, name, *first);
    if (first)
        *first = r->line;
    return an_options_set(r->spec, r->target, name, value, where);
}

static int set_line(const reading *r, char *text, const char *where)
{
    cut_comment(text);
    text = trim(text);
    if (!*text)
        return AN_OK;
    char *equals = strchr(text, '=');
    if (!equals)
        return an_error(AN_EINVAL, "%s: 'name = value' expected, not '%s'", where, text);
    *equals = '\0';
    return set(r, trim(text), trim(equals + 1), where);
}

static int set_lines(const an_options *spec, void *target, char *text, const char *path)
{
    an_buffer where = {0};
    reading r = {.spec = spec, .target = target, .first = calloc(an_options_rows(spec) + 1, sizeof *r.first)};
    int rc = r.first ? AN_OK : an_error(AN_ENOMEM, "out of memory reading '%s'", path);
    for (char *next; !rc && text; text = next) {
        next = strchr(text, '\n');
        if (next)
            *next++ = '\0';
        where.size = 0;
        rc = an_buffer_printf(&where, "'%s', line %d", path, ++r.line);
        if (!rc)
            rc = set_line(&r, text, (char *)where.data);
    }
    an_buffer_free(&where);
    free(r.first);
    return rc;
}

int an_options_read_file(const an_options *spec, const char *path, void *target)
{
    an_buffer text = {0};
    int rc = an_file_read(path, FILE_LIMIT, &text);
    if (!rc)
        rc = an_buffer_append(&text, "", 1);
    if (!rc && strlen((char *)text.data) != text.size - 1)
        rc = an_error(AN_EINVAL, "'%s' is not a text file of 'name = value' lines", path);
    if (!rc)
        rc = set_lines(spec, target, (char *)text.data, path);
    an_buffer_free(&text);
    return rc;
}

/* The shortest text that reads back as the same number. */
static int write_double(const char *name, double value, an_buffer *out)
{
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return an_buffer_printf(out, "%s = %s\n", name, text);
}

static int write_string(const char *name, const char *value, an_buffer *out)
{
    if (!value)
        return AN_OK; /* an option that was not given is not in the file either */
    size_t size = strlen(value);
    bool edges = size > 0 && (strchr(" \t\r#", value[0]) || strchr(" \t\r", value[size - 1]));
    if (edges || strchr(value, '\n') || strstr(value, " #") || strstr(value, "\t#"))
        return an_error(AN_EINVAL,
                        "option '%s': '%s' cannot stand in a file; use a name without line breaks, outer "
                        "blanks and comment signs",
                        name, value);
    return an_buffer_printf(out, "%s = %s\n", name, value);
}

static const void *field(const an_option *option, const void *target)
{
    return (const char *)target + option->offset;
}

static int write_value(const an_option *option, const void *value, an_buffer *out)
{
    switch (option->type) {
    case AN_OPTION_FLAG:
        return an_buffer_printf(out, "%s = %s\n", option->name, *(const bool *)value ? "true" : "false");
    case AN_OPTION_INT:
        return an_buffer_printf(out, "%s = %d\n", option->name, *(const int *)value);
    case AN_OPTION_UINT64:
        return an_buffer_printf(out, "%s = %llu\n", option->name, (unsigned long long)*(const uint64_t *)value);
    case AN_OPTION_DOUBLE:
        return write_double(option->name, *(const double *)value, out);
    case AN_OPTION_STRING:
        return write_string(option->name, *(const char *const *)value, out);
    case AN_OPTION_CHOICE:
        return an_buffer_printf(out, "%s = %s\n", option->name, option->choices[*(const int *)value]);
    }
    return an_error(AN_EINTERNAL, "option '%s' has no known type", option->name);
}

int an_options_write(const an_options *spec, const void *target, an_buffer *out)
{
    int rc = AN_OK;
    for (const an_option *option = spec->options; !rc && !an_options_is_last(option); option++)
        if (!option->heading && !option->not_in_files && !option->old_flag)
            rc = write_value(option, field(option, target), out);
    return rc;
}
