#include "base/program/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/program/print.h"

static const char *const level_names[] = {"error", "warning", "info", "debug"};

/* Written by an_log_init before threads start, read-only afterwards. */
static const char *log_program = "an";
static an_log_level log_level = AN_LOG_INFO;
static bool log_terminal;

void an_log_init(const char *program, an_log_level level)
{
    log_program = program;
    log_level = level;
    log_terminal = isatty(STDERR_FILENO) == 1;
    const char *wanted = getenv("AN_LOG");
    for (int i = AN_LOG_ERROR; wanted && i <= AN_LOG_DEBUG; i++)
        if (strcmp(wanted, level_names[i]) == 0)
            log_level = (an_log_level)i;
}

void an_log(an_log_level level, const char *format, ...)
{
    if (level > log_level)
        return;
    va_list arguments;
    va_start(arguments, format);
    flockfile(stderr); /* lines of several threads stay whole */
    /* On a terminal the line replaces a progress line that may stand there. */
    fprintf(stderr, "%s%s: ", log_terminal ? "\r\033[K" : "", log_program);
    if (level != AN_LOG_INFO)
        fprintf(stderr, "%s: ", level_names[level]);
    an_print_to(stderr, format, arguments);
    fputc('\n', stderr);
    funlockfile(stderr);
    va_end(arguments);
}

void an_log_lines(an_log_level level, const char *text, size_t size)
{
    for (const char *end; size && (end = memchr(text, '\n', size)); text = end + 1) {
        an_log(level, "%.*s", (int)(end - text), text);
        size -= (size_t)(end - text) + 1;
    }
}
