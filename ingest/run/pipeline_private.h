/* What the parts of the pipeline share: pipeline.c (the threads; read its DESIGN first) and pipeline_build.c. */
#ifndef AN_INGEST_RUN_PIPELINE_PRIVATE_H
#define AN_INGEST_RUN_PIPELINE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/error.h"
#include "base/queue.h"
#include "ingest/run/pipeline.h"

#define AN_PIPELINE_GROUP 1024u /* items whose statistics are merged, and may be committed, together */

typedef struct {
    uint64_t number;
    an_item item;
    an_recording made;
    an_error_state failure; /* code 0: none */
} an_pipeline_job;

typedef struct an_pipeline an_pipeline;

typedef struct {
    an_pipeline *owner;
    pthread_t thread;
    an_recorder *recorder;
    an_statistics_sums sums[2];
} an_pipeline_worker;

struct an_pipeline {
    an_source *source;
    an_writer *writer;
    an_statistics_sums *total;
    const an_pipeline_options *options;
    an_pipeline_state *state;

    an_pipeline_job *jobs, **pending;
    uint32_t job_count;
    an_queue *free_jobs, *work, *done;
    an_pipeline_worker *workers;
    int started;
    pthread_t lister;
    atomic_int running; /* workers */
    atomic_bool stop;
    uint64_t next; /* number to be written next */
    uint64_t commit_due_ns;
    an_error_state failure;    /* of writing or of a worker; the calling thread's */
    an_error_state told;       /* watch's wish to stop */
    an_error_state list_error; /* the lister's, read after it was joined */
};

/* The jobs with their queues, and the workers' tools; no thread runs yet. */
int an_pipeline_make_jobs(an_pipeline *p);
int an_pipeline_make_workers(an_pipeline *p);
void an_pipeline_free(an_pipeline *p); /* what it holds, also half built; no thread may run */

#endif
