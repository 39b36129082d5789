/* an-ingest info: what a dataset holds, for people or as JSON. */
#ifndef AN_INGEST_COMMANDS_INFO_H
#define AN_INGEST_COMMANDS_INFO_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "store/dataset/dataset.h"

/* All that is known about the dataset. Reads the header of every record. The caller calls json_decref. */
int an_info_json(const an_dataset *dataset, json_t **out);

/* The same as text; classes: list every class with its count. */
int an_info_text(const an_dataset *dataset, bool classes, an_buffer *out);

/* The same for statistics alone. */
json_t *an_info_statistics_json(const an_statistics *s); /* NULL: out of memory */
int an_info_statistics_text(const an_statistics *s, an_buffer *out);

#endif
