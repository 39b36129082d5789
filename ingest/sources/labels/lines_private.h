/* The lines of a text file: class lists, label files, image lists. */
#ifndef AN_INGEST_SOURCES_LABELS_LINES_PRIVATE_H
#define AN_INGEST_SOURCES_LABELS_LINES_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

typedef struct {
    an_buffer text;
    char *rest;
    uint32_t number; /* of the line that was given last, counted from 1 */
} an_lines;

int an_lines_read(an_lines *lines, const char *path); /* the whole file; an_lines_free when done */
int an_lines_parse(an_lines *lines, const void *text, size_t size);
void an_lines_free(an_lines *lines);

/* *line: the next line that is neither empty nor a '#' comment, trimmed; it may be changed, and is valid until
 * an_lines_free. false after the last. */
bool an_lines_next(an_lines *lines, char **line);

/* Cut a line in two at its first (or last) tab, or space if it has no tab. line becomes the part before; the part after
 * is returned, "" if there is none. */
char *an_line_cut_first(char *line);
char *an_line_cut_last(char *line);

#endif
