/* A whole ingest: opens source and writer, runs the pipeline, writes the report. */
#ifndef AN_INGEST_RUN_RUN_H
#define AN_INGEST_RUN_RUN_H

#include <stdint.h>

#include "base/buffer.h"
#include "ingest/run/config.h"
#include "ingest/run/pipeline.h"

typedef struct {
    an_pipeline_state state;
    uint64_t first; /* inputs done by interrupted runs before this one */
    uint32_t classes;
    double seconds;
    an_buffer report; /* path of the list of what was set aside, or empty */
} an_ingest_outcome;

/* AN_STOPPED: interrupted by a signal; the same call continues. outcome says how far the run came, even after an error;
 * always free it. */
int an_ingest_run(const an_ingest_config *config, const char *source, const char *destination,
                  an_ingest_outcome *outcome);
void an_ingest_outcome_free(an_ingest_outcome *outcome);

#endif
