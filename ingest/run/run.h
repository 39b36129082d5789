/* The ingest itself: source, pipeline, writer and report put together. */
#ifndef AN_INGEST_RUN_RUN_H
#define AN_INGEST_RUN_RUN_H

#include <stdint.h>

#include "base/buffer.h"
#include "ingest/run/config.h"
#include "ingest/run/pipeline.h"

typedef struct {
    an_pipeline_state state;
    uint64_t first; /* inputs done by earlier runs */
    uint32_t classes;
    double seconds;
    an_buffer report; /* path of the set-aside report, or empty */
} an_ingest_outcome;

/* AN_STOPPED: interrupted, the same call continues. outcome is filled as far as the run came; free it either way. */
int an_ingest_run(const an_ingest_config *config, const char *source, const char *destination,
                  an_ingest_outcome *outcome);
void an_ingest_outcome_free(an_ingest_outcome *outcome);

#endif
