/* an-ingest --dry-run: tries a sample of the source and estimates size and duration. Writes nothing. */
#ifndef AN_INGEST_RUN_ESTIMATE_H
#define AN_INGEST_RUN_ESTIMATE_H

#include <stdint.h>

#include "base/buffer.h"
#include "ingest/run/config.h"

/* Append a description to out: what the source holds, size of the dataset, duration of the ingest. AN_EINVAL for
 * a stream. */
int an_ingest_estimate(const an_ingest_config *config, const char *source, an_buffer *out);

#endif
