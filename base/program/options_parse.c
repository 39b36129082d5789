/* Command lines, read with getopt_long: unlike argp's parser it says which argument was wrong. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/program/options_private.h"

enum { KEY_USAGE = 1 << 20, KEY_VERSION }; /* beyond every row's key */

/* What getopt_long wants, made from the table. */
typedef struct {
    struct option *longs;
    char *shorts;
    bool *given; /* for each row: it was there already */
} syntax;

static void syntax_free(syntax *s)
{
    free(s->longs);
    free(s->shorts);
    free(s->given);
}

static int syntax_make(const an_options *spec, syntax *s)
{
    static const struct option common[] = {{"help", no_argument, NULL, 'h'},
                                           {"usage", no_argument, NULL, KEY_USAGE},
                                           {"version", no_argument, NULL, KEY_VERSION},
                                           {0}};
    size_t rows = an_options_rows(spec);
    s->given = calloc(rows + 1, sizeof *s->given);
    s->longs = calloc(rows + 4, sizeof *s->longs);
    s->shorts = calloc(rows + 2, 2);
    if (!s->longs || !s->shorts || !s->given)
        return an_error(AN_ENOMEM, "out of memory: %zu options", rows);
    struct option *next = s->longs;
    char *letter = s->shorts;
    *letter++ = ':'; /* a missing argument is told apart from an unknown option */
    *letter++ = 'h';
    for (size_t i = 0; i < rows; i++) {
        const an_option *option = &spec->options[i];
        if (option->heading)
            continue;
        bool argument = an_options_takes_value(option);
        *next++ = (struct option){option->name, argument ? required_argument : no_argument, NULL,
                                  AN_OPTIONS_KEY_LONG + (int)i};
        if (option->key)
            *letter++ = (char)option->key;
        if (option->key && argument)
            *letter++ = ':';
    }
    memcpy(next, common, sizeof common);
    return AN_OK;
}

/* The option that getopt_long's result stands for. */
static const an_option *option_of(const an_options *spec, int key)
{
    if (key >= AN_OPTIONS_KEY_LONG)
        return &spec->options[key - AN_OPTIONS_KEY_LONG];
    for (const an_option *option = spec->options; !an_options_is_last(option); option++)
        if (!option->heading && option->key == key)
            return option;
    return NULL;
}

static int unknown_option(const an_options *spec, const char *argument)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(argument, "="), argument);
    return an_options_unknown(spec, name + strspn(name, "-"), "--");
}

static int bad_option(const an_options *spec, char **argv)
{
    const char *argument = argv[optind - 1];
    if (optopt >= AN_OPTIONS_KEY_LONG || optopt == 'h') /* the option is known, so "=value" was too much */
        return an_error(AN_EINVAL, "option '%.*s' takes no value", (int)strcspn(argument, "="), argument);
    if (optopt)
        return an_error(AN_EINVAL, "unknown option '-%c'; '%s --help' lists the options", optopt, spec->program);
    return unknown_option(spec, argument);
}

static int missing_value(const an_options *spec)
{
    const an_option *option = option_of(spec, optopt);
    an_buffer allowed = {0};
    int rc = an_options_describe(option, &allowed);
    if (!rc)
        rc = an_error(AN_EINVAL, "option '--%s' needs a value%s%s", option->name, allowed.size > 0 ? ": " : "",
                      allowed.size > 0 ? (char *)allowed.data : "");
    an_buffer_free(&allowed);
    return rc;
}

static int set_option(const an_options *spec, const an_option *option, bool *given, void *target)
{
    bool *before = &given[option - spec->options];
    if (*before)
        return an_error(AN_EINVAL, "option '--%s' is given twice: give it once", option->name);
    *before = true;
    int rc = an_options_assign(option, target, an_options_takes_value(option) ? optarg : "true", "--");
    if (rc)
        return rc;
    an_options_set_origin(option, target, AN_ORIGIN_COMMAND_LINE);
    return AN_OK;
}

static int take(const an_options *spec, int key, char **argv, bool *given, void *target)
{
    switch (key) {
    case 'h':
        return an_options_print_help(spec);
    case KEY_USAGE:
        return an_options_print_usage(spec);
    case KEY_VERSION:
        return an_options_print_version(spec);
    case '?':
        return bad_option(spec, argv);
    case ':':
        return missing_value(spec);
    default:
        return set_option(spec, option_of(spec, key), given, target);
    }
}

static int check_count(const an_options *spec, int count)
{
    if (count >= spec->arguments_min && (spec->arguments_max < 0 || count <= spec->arguments_max))
        return AN_OK;
    const char *usage = spec->usage && *spec->usage ? spec->usage : "none"; /* the first form is the one being parsed */
    return an_error(AN_EINVAL, "too %s arguments: %d given, expected %.*s; '%s --help' explains them",
                    count < spec->arguments_min ? "few" : "many", count, (int)strcspn(usage, "\n"), usage,
                    spec->program);
}

int an_options_parse(const an_options *spec, int argc, char **argv, void *target, char ***arguments)
{
    syntax s = {0};
    int rc = syntax_make(spec, &s), key;
    opterr = 0;
    optind = 0; /* glibc: start over, also if an earlier scan stopped halfway */
    while (!rc && (key = getopt_long(argc, argv, s.shorts, s.longs, NULL)) != -1)
        rc = take(spec, key, argv, s.given, target);
    syntax_free(&s);
    if (!rc)
        rc = check_count(spec, argc - optind);
    if (!rc && arguments)
        *arguments = argv + optind; /* getopt_long moved the positional ones to the end */
    return rc;
}
