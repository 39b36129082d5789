/* an-ingest --dry-run: what an ingest would take, from a sample of the source. Nothing is written. */
#ifndef AN_INGEST_RUN_ESTIMATE_H
#define AN_INGEST_RUN_ESTIMATE_H

#include <stdint.h>

#include "base/buffer.h"
#include "ingest/run/config.h"

/* Append a description to out: what the source holds, and the size and time of the dataset. AN_EUNSUPPORTED for a
 * stream. */
int an_ingest_estimate(const an_ingest_config *config, const char *source, an_buffer *out);

#endif
