/* The replicas of a training: so many processes, its ranks, which MPI starts (mpirun, srun), on one host or several.
 * Each trains the same network on its share of every batch. A group is what a rank knows of the others: it moves small
 * values between them, adds up gradients (an_reducer), watches over them and ends them together.
 *
 * MPI and NCCL are modules (base/module/module.h) that are loaded when there is more than one rank; a program that was
 * not started by MPI needs neither. A NULL group stands for a single process: every function takes it, sums are the
 * values themselves, broadcasts and barriers do nothing.
 *
 * Threads. A group has a thread of its own, which alone calls MPI. It moves what others have queued, sends signs of
 * life, and notices when those of another rank stop. A second one watches it and the other processes of the host. All
 * functions but those of the reducer are called by the thread that trains; collectives (sum, gather, broadcast,
 * barrier) by all ranks in the same order.
 *
 * Failure. When one rank fails, all end. The first failure is the run's: "rank 2 on 'host-b': '/data/train': ...". It
 * is returned, with that message, by every function that has to wait for others, and by an_group_fail. A rank that is
 * killed, stopped or cut off is noticed because its signs of life stop. */
#ifndef AN_TRAIN_GROUP_GROUP_H
#define AN_TRAIN_GROUP_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "model/reducer.h"

typedef struct an_group an_group;

/* Called by a thread of the group. All may be NULL. */
typedef struct {
    void *context;
    /* What the user should know and is no failure, on rank 0: all have been waiting for a rank for long. */
    void (*note)(void *context, const char *text);
    /* The run has failed elsewhere: make the training thread return from whatever it waits for. */
    void (*interrupt)(void *context);
    /* The training thread did not come to an_group_fail in time: end the process now. speaks: an_group_speaks. */
    void (*give_up)(void *context, int rc, const char *message, bool speaks);
} an_group_observer;

typedef struct {
    double silence; /* seconds without a sign of life after which a rank counts as lost; 0: AN_GROUP_SILENCE */
    an_group_observer observer;
} an_group_options;

#define AN_GROUP_SILENCE 5.0

/* How many processes the environment says that a launcher started together, this one included; 1: none did. */
int an_group_launched(void);
/* Which of them this one is, as the environment says: for what is printed before the group is open. 0 where it does
 * not.
 */
int an_group_launched_rank(void);

/* Joins the others, if there are any; else *out is NULL. AN_EUNSUPPORTED: there are others, but this build has no
 * module for MPI, or no MPI is installed, or the launcher's is another one; the message says what to do. */
int an_group_open(an_group **out, const an_group_options *options);
/* Leaves: every rank must come, unless the run has failed. NULL is fine. */
void an_group_close(an_group *group);

int an_group_rank(const an_group *group);                   /* 0 to world - 1 */
int an_group_world(const an_group *group);                  /* 1 without a group */
int an_group_local_rank(const an_group *group);             /* among those of this host */
int an_group_local_world(const an_group *group);            /* ranks of this host */
const char *an_group_host(const an_group *group, int rank); /* "" without a group */
/* Appends "4 ranks on 2 hosts, Open MPI 4.1.4" for logs, without a newline. */
int an_group_describe(const an_group *group, an_buffer *out);

/* Collectives. All wait for the slowest rank. */
int an_group_sum(an_group *group, double *values, int count); /* in the order of ranks: the same bits on all of them */
int an_group_gather(an_group *group, const void *own, size_t size, void *all); /* all: world x size bytes */
int an_group_broadcast(an_group *group, void *data, size_t size);              /* from rank 0 */
int an_group_barrier(an_group *group);

/* What this rank is doing, for an_group_observer.note. */
typedef enum {
    AN_GROUP_STARTING,
    AN_GROUP_LOADING, /* it waits for images */
    AN_GROUP_TRAINING,
    AN_GROUP_VALIDATING,
    AN_GROUP_SAVING
} an_group_activity;
void an_group_doing(an_group *group, an_group_activity activity);

/* AN_OK, or the run's failure. Returns at once. */
int an_group_check(an_group *group);

/* This rank has failed with rc and the calling thread's message, or was told that another one has: tells all others,
 * and returns the code of the run's first failure with its message. Takes five seconds at most, and mostly a few
 * milliseconds: rank 0 has come, and so is about to report the failure, before the others return. A second call returns
 * the same. Without a group returns rc. */
int an_group_fail(an_group *group, int rc);
/* Whether this rank is the one that reports the run's failure: rank 0, or where that is lost, the first of each host.
 */
bool an_group_speaks(const an_group *group);

/* How gradients are added up. */
typedef struct {
    bool processors;       /* by MPI, in the host's memory; otherwise by NCCL, on CUDA devices */
    const char *devices;   /* of this rank, as an_exec_options.devices */
    bool bf16;             /* gradients travel as bf16; they are added up in fp32 */
    bool deterministic;    /* the same order of sums in every run. On processors it always is */
    uint64_t bucket_bytes; /* an_reducer.bucket_bytes */
} an_group_reduce_options;

/* The reducer of this rank, owned by the group: one. It must outlive the exec, and the group outlives both. All ranks
 * call it together. *out is NULL without a group. AN_EUNSUPPORTED where NCCL is needed and missing. */
int an_group_reducer(an_group *group, const an_group_reduce_options *options, const an_reducer **out);
/* Seconds that wait took since the last call of this function: what reduction cost beyond what backward hid; and bytes
 * that this rank sent. On devices that queue their work both are 0. */
void an_group_reduced(an_group *group, double *waited, uint64_t *sent);

#endif
