/* JSON strings from text that may not be UTF-8: paths, class ids, reasons that quote them. */
#ifndef AN_INGEST_RUN_JSON_H
#define AN_INGEST_RUN_JSON_H

#include <jansson.h>

/* Escaped as base/text/utf8.h says, so nothing is lost. NULL: out of memory. */
json_t *an_json_text(const char *text);

#endif
