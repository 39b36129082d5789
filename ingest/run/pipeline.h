/* Turns the items of a source into records of a dataset: decoded by many threads, written in the order of the source.
 */
#ifndef AN_INGEST_RUN_PIPELINE_H
#define AN_INGEST_RUN_PIPELINE_H

#include <stdint.h>

#include "ingest/picture/recorder.h"
#include "ingest/sources/source.h"
#include "store/dataset/writer.h"

typedef struct {
    an_recorder_options recorder;
    int threads;
} an_pipeline_options;

typedef struct {
    uint64_t consumed; /* items done, those of interrupted runs included */
    uint64_t images, set_aside;
    /* Of this run only: */
    uint64_t mended;        /* images that interrupted runs had set aside */
    uint64_t payload_bytes; /* stored */
    uint64_t warnings;      /* images with harmless warnings of the JPEG decoder */
    uint64_t passed;        /* images whose bytes or coefficients were kept */
} an_pipeline_state;

/* Called after each item, by the thread that called an_pipeline_run. A non-zero return stops the run: items that are
 * already listed are still written and committed, then the code is returned. */
typedef int (*an_pipeline_watch)(void *context, const an_pipeline_state *state);

/* Run from the writer's position to the end of the source, committing from time to time and at the end. What was set
 * aside before that position is tried again first, unless the source is a stream: images that are good now come next.
 * watch hears nothing of that. sums: those
 * given to an_writer_open. AN_STOPPED after a signal. After AN_OK, AN_STOPPED or a code from watch, everything up to
 * state->consumed is committed; after another error, everything up to the last commit. */
int an_pipeline_run(an_source *source, an_writer *writer, an_statistics_sums *sums, const an_pipeline_options *options,
                    an_pipeline_watch watch, void *context, an_pipeline_state *state);

#endif
