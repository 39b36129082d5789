/* The manifest: what a dataset was made from and how. Two runs with the same manifest write the same records; a run
 * that continues an interrupted one must have the same. It knows no paths, so the same collection elsewhere counts as
 * the same. */
#ifndef AN_INGEST_RUN_MANIFEST_PRIVATE_H
#define AN_INGEST_RUN_MANIFEST_PRIVATE_H

#include "ingest/run/config.h"
#include "ingest/sources/source.h"

/* *out: canonical JSON text, one flat object; the caller frees it with free(). */
int an_ingest_manifest_make(const an_ingest_config *config, const an_source *source, char **out);

#endif
