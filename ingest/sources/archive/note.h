/* Notes of a source for the user: one a line, each ended by a newline. They quote names, which may hold any bytes. */
#ifndef AN_INGEST_SOURCES_ARCHIVE_NOTE_H
#define AN_INGEST_SOURCES_ARCHIVE_NOTE_H

#include "base/buffer.h"

/* Append a note. A control character in it, which could end the line or upset a terminal, becomes "?". */
int an_note(an_buffer *notes, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
