/* Log lines of programs, on standard error: "an-train: warning: text". Library code does not log. Any thread may call
 * an_log; lines of several threads are never mixed. */
#ifndef AN_BASE_PROGRAM_LOG_H
#define AN_BASE_PROGRAM_LOG_H

#include <stddef.h>

typedef enum { AN_LOG_ERROR, AN_LOG_WARNING, AN_LOG_INFO, AN_LOG_DEBUG } an_log_level;

/* The program's name before each line and the most detailed level shown. AN_LOG=error|warning|info|debug in the
 * environment overrides the level. Call once, before threads start. */
void an_log_init(const char *program, an_log_level level);

void an_log(an_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Each line of a text, which ends with a newline unless it is empty, as a line of its own. */
void an_log_lines(an_log_level level, const char *text, size_t size);

#endif
