/* Data and network of one configuration, ready to work: what training, --dry-run and --find-lr share. */
#ifndef AN_TRAIN_SETUP_SESSION_H
#define AN_TRAIN_SETUP_SESSION_H

#include "model/exec.h"
#include "train/setup/data.h"

typedef struct {
    const an_train_config *config;
    an_train_data data;
    an_graph graph;
    an_choices choices; /* of kernels: exec's, so it goes last */
    an_buffer notes;    /* what the user should know, a line each; not terminated */
    an_exec *exec;      /* parameters unset */
    int compute_threads, loader_threads;
    uint64_t steps_per_epoch, total_steps;
} an_session;

/* validation may be NULL. config must outlive the session. */
int an_session_open(an_session *out, const an_train_config *config, const char *training, const char *validation);
void an_session_close(an_session *session); /* zeroed is fine */

/* Random weights, or those of --weights. */
int an_session_start_weights(an_session *session);

/* Shuffled and augmented batches without end, from step on. */
int an_session_loader(const an_session *session, uint64_t step, an_loader **out);

/* Network, placement, data and threads in a few lines: for the head of a log. */
int an_session_describe(const an_session *session, an_buffer *out);

/* Parameters, memory and FLOP by layer and device, the kernels chosen, and the speed of a few steps on blank images. */
int an_session_dry_run(an_session *session, an_buffer *out);

#endif
