/* Shared by pipeline.c, which explains the threads at its top, and pipeline_build.c. */
#ifndef AN_INGEST_RUN_PIPELINE_PRIVATE_H
#define AN_INGEST_RUN_PIPELINE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/error.h"
#include "base/queue.h"
#include "ingest/run/again_private.h"
#include "ingest/run/pipeline.h"

#define AN_PIPELINE_GROUP 1024u /* items */

typedef struct {
    uint64_t number;   /* counts the jobs of a run of the threads */
    uint64_t position; /* of the item in the source */
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
    an_again *again; /* if not NULL, the threads work on these items instead of the source */
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
    atomic_int running; /* number of workers that have not left */
    atomic_bool stop;
    uint64_t next; /* number of the job to be written next */
    uint64_t commit_due_ns;
    an_error_state failure;    /* of a worker or of writing; used by the calling thread only */
    an_error_state told;       /* code by which watch stopped the run; likewise */
    an_error_state list_error; /* set by the lister, read after it was joined */
};

/* Make the jobs with their queues, and what each worker needs. They start no thread. */
int an_pipeline_make_jobs(an_pipeline *p);
int an_pipeline_make_workers(an_pipeline *p);
void an_pipeline_free(an_pipeline *p); /* frees what p holds, even if half built; no thread may run */

#endif
