/* Turns options into an open source with named classes and the settings of the pipeline. Shared by a run and a dry run.
 */
#ifndef AN_INGEST_RUN_SETUP_PRIVATE_H
#define AN_INGEST_RUN_SETUP_PRIVATE_H

#include "ingest/run/config.h"
#include "ingest/run/pipeline.h"
#include "ingest/sources/source.h"

typedef struct {
    an_source *source;
    an_bad_limit limit;
    an_pipeline_options pipeline;
} an_setup;

/* Check and convert the options. Opens nothing. */
int an_setup_options(an_setup *setup, const an_ingest_config *config);

/* Afterwards: open the source and name its classes (--class-names, or classes.tsv in the source folder). */
int an_setup_source(an_setup *setup, const an_ingest_config *config, const char *path);

/* Show what the source has to say about itself, each line as a warning, once. */
void an_setup_show_notes(an_setup *setup);

void an_setup_free(an_setup *setup);

#endif
