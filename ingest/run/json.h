/* Text of unknown encoding (paths, class ids, reasons that quote them) as a JSON string. */
#ifndef AN_INGEST_RUN_JSON_H
#define AN_INGEST_RUN_JSON_H

#include <jansson.h>

/* Escaped as base/utf8.h says, so nothing is lost. NULL: out of memory. */
json_t *an_json_text(const char *text);

#endif
