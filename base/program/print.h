/* What programs print for people. Names of files and classes may hold any bytes; whatever could control a terminal is
 * written as \xHH (base/text/utf8.h), but for newlines and tabs. Where a name must not begin a line of its own, or a
 * column, it is made an an_shown first. Machine-readable output (JSON, pictures) does not go through here. Any thread.
 * That writing failed is seen by who flushes the stream at the program's end. */
#ifndef AN_BASE_PROGRAM_PRINT_H
#define AN_BASE_PROGRAM_PRINT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* As printf does, on standard output. */
void an_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* As vfprintf does. */
void an_print_to(FILE *to, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));

#endif
