/* Shared by the files that implement base/program/options.h; nobody else includes it. */
#ifndef AN_BASE_PROGRAM_OPTIONS_PRIVATE_H
#define AN_BASE_PROGRAM_OPTIONS_PRIVATE_H

#include "base/program/options.h"

#define AN_OPTIONS_KEY_LONG 256 /* key of the option at position i is AN_OPTIONS_KEY_LONG + i, beyond all letters */

bool an_options_is_last(const an_option *option);

bool an_options_takes_value(const an_option *option);                       /* on a command line */
size_t an_options_rows(const an_options *spec);                             /* headings among them */
const an_option *an_options_find(const an_options *spec, const char *name); /* NULL: there is none */

/* Fail with AN_EINVAL for a name that is none, and suggest what may have been meant. dashes: "--", or "" in files. Of
 * several names that begin with it, which getopt_long cannot choose from, the message lists all. */
int an_options_unknown(const an_options *spec, const char *name, const char *dashes);

/* Store where the option's value comes from, if somebody wants to know. */
void an_options_set_origin(const an_option *option, void *target, an_option_origin origin);

/* Append what a value may be ("8 to 4096", "jpeg, coef"); nothing where anything goes. */
int an_options_describe(const an_option *option, an_buffer *out);

/* Set from text; AN_EINVAL's message calls the option by dashes and name. */
int an_options_assign(const an_option *option, void *target, const char *text, const char *dashes);

/* Write to standard output and flush it. AN_END once all is written: the command line asked for nothing else. */
int an_options_print_help(const an_options *spec);
int an_options_print_usage(const an_options *spec);
int an_options_print_version(const an_options *spec);

#endif
