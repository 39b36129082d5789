/* Command-line options, declared once in a table. The table drives the parser, the help text and `name = value` files.
 * Values are stored into the caller's struct, at the offset that the row gives. Every program has -h, --help, --usage
 * and --version without a row; the help states ranges, choices, defaults and exit codes by itself. For the main thread,
 * before others start.
 *
 * An option is given once: a second time on the command line, or in one file, is an error. For unknown names the
 * message suggests what may have been meant: the name that other programs' word stands for, or the nearest one.
 *
 *     static const an_option options[] = {
 *         {.heading = "Records:"},
 *         {.name = "size", .key = 's', .type = AN_OPTION_INT, .metavar = "PIXELS", .min = 8, .max = 4096,
 *          .initial = "256", .offset = offsetof(config, size), .help = "side of the stored square image"},
 *         {0}};
 */
#ifndef AN_BASE_PROGRAM_OPTIONS_H
#define AN_BASE_PROGRAM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

typedef enum {
    AN_OPTION_FLAG,   /* bool; no argument; "false" initially. In files: true|false */
    AN_OPTION_INT,    /* int */
    AN_OPTION_UINT64, /* uint64_t */
    AN_OPTION_DOUBLE, /* double */
    AN_OPTION_STRING, /* const char *: points at a copy that lives as long as the process. Choices, if there are any,
                         are named in the help; other values are taken too, and the program checks them */
    AN_OPTION_CHOICE  /* int: position in the NULL-terminated choices */
} an_option_type;

/* Where an option's value comes from. Later ones take precedence. */
typedef enum { AN_ORIGIN_INITIAL, AN_ORIGIN_FILE, AN_ORIGIN_COMMAND_LINE } an_option_origin;

typedef struct {
    const char *heading; /* a line of its own in the help; other fields unused */
    const char *name;    /* long option, without dashes */
    int key;             /* short option letter, or 0 */
    an_option_type type;
    const char *metavar;
    const char *initial; /* default as it would be typed; NULL: zeroed (string: NULL) */
    double min, max;     /* inclusive range of numbers; ignored when both are 0 */
    const char *const *choices;
    size_t offset;
    size_t origin;     /* offset of an an_option_origin, which is set with the value; 0: nobody asks for it */
    bool not_in_files; /* means something on a command line only */
    const char *help;
    /* A CHOICE of "false" and "true" that was a flag of its own before an option with more choices took its place,
     * whose field it sets. Old files hold it, and command lines may name it without a value; help and written files
     * leave it out. It has no initial value and needs no help. */
    bool old_flag;
} an_option;

typedef struct {
    const char *program; /* "an-ingest" or "an-ingest info" */
    const char *usage;   /* "SOURCE DESTINATION"; several lines: several forms */
    const char *summary; /* above the options: what it does; wrapped, but lines that begin with a blank are kept */
    const char
        *epilogue; /* last, likewise; may be NULL: "Examples:\n  $ an-ingest ...". Exit codes come by themselves */
    const an_option *options;
    int arguments_min, arguments_max; /* positional; max -1: any number */
} an_options;

/* Fill target with the initial values. Fails only on a table that contradicts itself (AN_EINTERNAL). */
int an_options_init(const an_options *spec, void *target);

/* Parse argv over what target holds, and so over a file that was read before. Positional arguments: *arguments points
 * to a NULL-terminated array that lives until the process ends. AN_END: --help, --usage or --version was given and has
 * been printed; the program has nothing else to do and ends with success. On a bad option or value: AN_EINVAL with a
 * message that names the option, the value and what is allowed. */
int an_options_parse(const an_options *spec, int argc, char **argv, void *target, char ***arguments);

/* Set one option by name from text, as in a file. where names the origin in messages ("recipe 'x', line 3"). */
int an_options_set(const an_options *spec, void *target, const char *name, const char *value, const char *where);

/* Read `name = value` lines; '#' at the start of a line or after a blank starts a comment. Unknown names, bad values,
 * names given twice or of options that are not_in_files: AN_EINVAL naming file and line. */
int an_options_read_file(const an_options *spec, const char *path, void *target);

/* Print "name = value\n" for every option into out (a recipe that reproduces the run); strings that are NULL and
 * what is not_in_files are left out. AN_EINVAL if a string cannot stand in such a file. */
int an_options_write(const an_options *spec, const void *target, an_buffer *out);

#endif
