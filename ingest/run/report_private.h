/* The list of what was set aside, as NDJSON: {"bytes":17,"path":"cat/3.jpg","reason":"empty file"}. Text
 * that is not UTF-8 is escaped as base/text/utf8.h says. */
#ifndef AN_INGEST_RUN_REPORT_PRIVATE_H
#define AN_INGEST_RUN_REPORT_PRIVATE_H

#include "store/dataset/dataset.h"
#include "store/dataset/writer.h"

/* Write "<destination>.rejected.ndjson" if anything was set aside; the file appears complete or not at all. *path: its
 * path, or empty if nothing was set aside. */
int an_ingest_report_write(an_writer *writer, const char *destination, an_buffer *path);

#endif
