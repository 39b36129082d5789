/* The data and the network of one configuration, opened: what training, --dry-run and --find-lr have in common. Used by
 * one thread.
 *
 * One of several ranks has its own session, for its share of each batch; functions that say so are called by all ranks
 * together, and rank 0's files and choices are everybody's. */
#ifndef AN_TRAIN_SETUP_SESSION_H
#define AN_TRAIN_SETUP_SESSION_H

#include "model/exec.h"
#include "train/group/group.h"
#include "train/setup/data.h"
#include "train/setup/decode_choice.h"
#include "train/setup/decoding.h"

typedef struct {
    const an_train_config *config;
    an_group *group;      /* NULL: a single process */
    an_train_share share; /* of each batch */
    an_train_data data;
    an_graph graph;
    an_choices choices;          /* of kernels; exec uses it, so it is freed after exec */
    an_buffer notes;             /* warnings for the user, a line each; no zero at the end */
    an_buffer remarks;           /* likewise, what is no reason to warn: the dry run prints it */
    an_buffer origin;            /* what an_session_start_weights took from --weights, one line; empty without it */
    an_buffer doubts;            /* warnings about that, a line each; no zero at the end */
    an_train_decoding *decoding; /* on exec's devices, which uses it; NULL: the loaders decode */
    an_decode_rates rates;       /* measured for --decode auto; 0: not measured */
    bool host_decodes;           /* what auto chose, although the devices could */
    an_exec *exec;               /* its parameters are not set: an_session_start_weights or a checkpoint does that */
    int processors;              /* for this rank's threads */
    int compute_threads, loader_threads;
    an_epochs epochs;
    uint64_t total_steps; /* that this run makes: as many as --steps allows of all_steps */
    uint64_t all_steps;   /* of all --epochs, which the schedule stretches over */
    uint64_t learning;    /* parameters that are not frozen */
} an_session;

/* All ranks call it together; group NULL: there are none. AN_EINVAL if ranks differ in program, options or data.
 * validations: sets to validate on, NULL-terminated; NULL: none. config must outlive the session. AN_EIO where the
 * machine lacks what a device or the precision needs; the message says what. It reads data and measures kernels, which
 * takes seconds and leaves nothing behind: programs call it under an_stop_at_once. */
int an_session_open(an_session *out, const an_train_config *config, an_group *group, const char *training,
                    const char *const *validations);
void an_session_close(an_session *session); /* zeroed is fine */

/* Count epochs and total_steps anew: config's --last has changed. */
void an_session_count_steps(an_session *session);

/* Set the parameters: to random numbers, or to those of --weights, which leaves the layers of --fresh random. How
 * images are prepared is not taken from there: that follows from the training set and the recipe, as in every run.
 * Where the two differ so much that the weights are of no use, doubts says so. */
int an_session_start_weights(an_session *session);
/* Set the parameters to random numbers, whatever --weights says: for measurements, before a checkpoint sets them. */
int an_session_start_random(an_session *session);

/* AN_EINVAL on all ranks if one has another program, recipe or data than rank 0. All ranks call it together. */
int an_session_compare(const an_session *session);

/* Whether the next function measures, and does not only return. Several ranks do not: their steps wait for each other.
 */
bool an_session_measures_decoding(const an_session *session);
/* For --decode auto, before the first loader: measure, and choose (decode_choice.h). step: the first of the run. The
 * parameters are set, and stay; their momentum is 0 afterwards. */
int an_session_choose_decoding(an_session *session, uint64_t step);

/* Where the records of one of the session's datasets are decoded: on the devices, if the session decodes there and the
 * records are of the training set's size, which decoders are made for. */
an_decode_place an_session_decodes(const an_session *session, const an_dataset *dataset);

/* Whether the host decodes what the devices could decode, as far as the dataset's manifest and their kind tell. */
bool an_session_could_decode(const an_session *session);

/* Shuffled and augmented batches without end, from a step of the whole run on. */
int an_session_loader(const an_session *session, uint64_t step, an_loader **out);

/* Append a few lines on data, network, processor and threads, for the beginning of a log. */
int an_session_describe(const an_session *session, an_buffer *out);

/* Append parameters, FLOP and memory of each layer and device, the kernels chosen, and the speed of a few steps on
 * blank images, queued as training queues them; of several ranks, the speed of this one without the sum of gradients.
 * With --json, parameters and speed as one line. Sets the parameters. */
int an_session_dry_run(an_session *session, an_buffer *out);

#endif
