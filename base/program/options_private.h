/* Shared by the files that implement base/program/options.h; nobody else includes it. */
#ifndef AN_BASE_PROGRAM_OPTIONS_PRIVATE_H
#define AN_BASE_PROGRAM_OPTIONS_PRIVATE_H

#include "base/program/options.h"

#define AN_OPTIONS_KEY_LONG 256 /* key of the option at position i is AN_OPTIONS_KEY_LONG + i, beyond all letters */

bool an_options_is_last(const an_option *option);

/* Append what a value may be ("8 to 4096", "jpeg, coef"); nothing where anything goes. */
int an_options_describe(const an_option *option, an_buffer *out);

/* Set from text; AN_EINVAL's message calls the option by dashes and name. */
int an_options_assign(const an_option *option, void *target, const char *text, const char *dashes);

/* Write to standard output and flush it. AN_END once all is written: the command line asked for nothing else. */
int an_options_print_help(const an_options *spec);
int an_options_print_usage(const an_options *spec);
int an_options_print_version(const an_options *spec);

#endif
