/* The manifest says what a dataset was made from and how. Runs with the same manifest write the same records; only a
 * run with the same manifest may continue an interrupted one. It holds no paths, so that a collection may move. */
#ifndef AN_INGEST_RUN_MANIFEST_PRIVATE_H
#define AN_INGEST_RUN_MANIFEST_PRIVATE_H

#include "ingest/run/config.h"
#include "ingest/sources/source.h"

/* *out: JSON text, one flat object with sorted keys; the caller frees it with free(). */
int an_ingest_manifest_make(const an_ingest_config *config, const an_source *source, char **out);

#endif
