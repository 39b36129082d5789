/* Source items to records of a dataset, in parallel, committed in order. */
#ifndef AN_INGEST_RUN_PIPELINE_H
#define AN_INGEST_RUN_PIPELINE_H

#include <stdint.h>

#include "ingest/run/recorder.h"
#include "ingest/sources/source.h"
#include "store/dataset/writer.h"

typedef struct {
    an_recorder_options recorder;
    int threads;
} an_pipeline_options;

typedef struct {
    uint64_t consumed; /* source items done, those of earlier runs included */
    uint64_t images, set_aside;
    uint64_t payload_bytes, warnings,
        passed; /* of this run: bytes stored, images with decoder warnings, copied as is */
} an_pipeline_state;

/* Called after each item; non-zero stops the run in good order: what is in flight is still written and committed, and
 * the code is returned. */
typedef int (*an_pipeline_watch)(void *context, const an_pipeline_state *state);

/* Run from the writer's position to the source's end, committing on the way and at the end. sums: the one given to
 * an_writer_open. AN_STOPPED after a signal. On AN_OK, AN_STOPPED and a code from watch everything up to
 * state->consumed is committed; on other errors what was committed before remains. */
int an_pipeline_run(an_source *source, an_writer *writer, an_statistics_sums *sums, const an_pipeline_options *options,
                    an_pipeline_watch watch, void *context, an_pipeline_state *state);

#endif
