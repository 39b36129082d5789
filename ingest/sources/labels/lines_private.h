/* Lines of a text file: classes, labels, lists. */
#ifndef AN_INGEST_SOURCES_LABELS_LINES_PRIVATE_H
#define AN_INGEST_SOURCES_LABELS_LINES_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

typedef struct {
    an_buffer text;
    char *rest;
    uint32_t number; /* of the line last given, from 1 */
} an_lines;

int an_lines_read(an_lines *lines, const char *path); /* the whole file; an_lines_free when done */
int an_lines_parse(an_lines *lines, const void *text, size_t size);
void an_lines_free(an_lines *lines);

/* The next line that is not empty and no '#' comment, without white space around it; valid until free. */
bool an_lines_next(an_lines *lines, char **line);

/* Cut "a TAB b" in two and return b, or "" if there is none. Without a tab the cut is at the first or the last space.
 */
char *an_line_cut_first(char *line);
char *an_line_cut_last(char *line);

#endif
