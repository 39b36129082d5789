/* The lines of a text file: class lists, label files, image lists. Lines end with LF or CRLF; a byte order mark of
 * UTF-8 in front is skipped. A line is a comment if it is "#" alone, or "#" before a blank or another "#", or if it
 * begins with
 * "#" and holds no tab. One that begins with "#" and holds a tab may be either: the callers decide, and none of them
 * drops it in silence. */
#ifndef AN_INGEST_SOURCES_LABELS_LINES_PRIVATE_H
#define AN_INGEST_SOURCES_LABELS_LINES_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

typedef struct {
    an_buffer text;
    char *rest;
    uint32_t number; /* of the line that was given last, counted from 1 */
    bool paths;      /* lines begin with paths: one that begins with "#" and holds a blank may be no comment either */
} an_lines;

/* The whole file; an_lines_free when done. AN_ECORRUPT: it is UTF-16, holds null bytes, or carriage returns elsewhere
 * than at the ends of lines. */
int an_lines_read(an_lines *lines, const char *path);
int an_lines_parse(an_lines *lines, const void *text, size_t size);
void an_lines_free(an_lines *lines);

/* *line: the next line that is neither empty nor a comment, trimmed; it may be changed, and is valid until
 * an_lines_free. false after the last. */
bool an_lines_next(an_lines *lines, char **line);

/* AN_ECORRUPT if the line may be a comment or not. */
int an_line_check_mark(const char *line);

/* Could a line of two columns be cut at several places: has it several tabs or, without a tab, several blanks? */
bool an_line_is_ambiguous(const char *line);

/* Cut a line in two at its first (or last) tab, or space if it has no tab. line becomes the part before; the part after
 * is returned, "" if there is none. */
char *an_line_cut_first(char *line);
char *an_line_cut_last(char *line);

/* Cut a line of class id and name. Without a tab, only a number or the id of a synset (n01440764) has a name behind the
 * blank: any other line is an id, which may hold blanks. */
char *an_line_cut_id(char *line);

#endif
