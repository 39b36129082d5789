/* Adding up gradients on CUDA devices, by NCCL.
 *
 * NCCL is loaded when it is first needed, and no header of its own is: the functions in use are declared here, with the
 * binary interface that NCCL 2 has kept. CUDA's streams are pointers to it, and so are they here.
 *
 * An an_nccl_sum is what a rank has of it: one communicator for each device of its list, each shared with the same
 * device of all other ranks. A communicator is made in the first queue of its device, because NCCL takes the device
 * that is the calling thread's current one. Made and freed by the thread that trains, which also calls open and queue;
 * check and stop are called by one other thread. */
#ifndef AN_TRAIN_GROUP_NCCL_PRIVATE_H
#define AN_TRAIN_GROUP_NCCL_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/module/module.h"
#include "model/reducer.h"
#include "train/group/group.h"

typedef enum {
    AN_NCCL_SUCCESS = 0,
    AN_NCCL_CUDA_ERROR = 1,
    AN_NCCL_SYSTEM_ERROR = 2,
    AN_NCCL_INVALID_ARGUMENT = 4,
    AN_NCCL_INVALID_USAGE = 5,
    AN_NCCL_REMOTE_ERROR = 6,
    AN_NCCL_IN_PROGRESS = 7
} an_nccl_result;
typedef enum { AN_NCCL_FLOAT32 = 7 } an_nccl_dtype;
typedef enum { AN_NCCL_SUM = 0 } an_nccl_op;
typedef struct {
    char internal[128];
} an_nccl_id;
typedef struct an_nccl_comm an_nccl_comm;

/* NCCL's functions; after loading, all are there. */
typedef struct {
    int version; /* 23007: 2.30.7 */
    an_nccl_result (*GetVersion)(int *version);
    an_nccl_result (*GetUniqueId)(an_nccl_id *id);
    an_nccl_result (*CommInitRank)(an_nccl_comm **out, int world, an_nccl_id id, int rank);
    an_nccl_result (*CommGetAsyncError)(an_nccl_comm *comm, an_nccl_result *out);
    an_nccl_result (*CommAbort)(an_nccl_comm *comm);
    an_nccl_result (*CommDestroy)(an_nccl_comm *comm);
    an_nccl_result (*AllReduce)(const void *from, void *to, size_t count, an_nccl_dtype dtype, an_nccl_op op,
                                an_nccl_comm *comm, void *stream);
    an_nccl_result (*GroupStart)(void);
    an_nccl_result (*GroupEnd)(void);
    const char *(*GetErrorString)(an_nccl_result result);
    const char *(*GetLastError)(an_nccl_comm *comm); /* of any communicator: NULL */
} an_nccl;

/* nccl_load.c. Loads NCCL, or returns what has been loaded before. AN_EUNSUPPORTED says what is missing, or that it is
 * too old. */
int an_nccl_load(const an_nccl **out);
/* "NCCL 2.30.7" */
#define AN_NCCL_TEXT 32
void an_nccl_name(int version, char out[AN_NCCL_TEXT]);
/* A failure with the call's subject, NCCL's text for the result and, if it has any, its last message. */
int an_nccl_failed(const an_nccl *nccl, an_nccl_result result, const char *subject);

/* What NCCL reads from the environment; what the user has set stays. Before the first other call of this process.
 * devices: as an_group_reduce_options.devices. */
int an_nccl_environment(bool deterministic, const char *devices);

/* What all ranks must have in common. */
typedef struct {
    uint64_t layout, buckets, bytes;
} an_nccl_shape;

#define AN_NCCL_DEVICES 2

typedef struct {
    int rank, world;
    int devices;                     /* of this rank's list */
    an_nccl_id ids[AN_NCCL_DEVICES]; /* of the communicators, the same on all ranks */
    uint64_t bucket_bytes;           /* an_reducer.bucket_bytes */
    /* Compares the shape with that of the others, once for each open, in the first queue: all ranks call it together.
     * A failure is that of the queue. */
    int (*compare)(void *context, const an_nccl_shape *own);
    void *context;
} an_nccl_members;

typedef struct an_nccl_sum an_nccl_sum;

int an_nccl_sum_make(an_nccl_sum **out, const an_nccl *nccl, const an_nccl_members *members);
/* The exec that used it is gone. NULL is fine. */
void an_nccl_sum_free(an_nccl_sum *sum);
const an_reducer *an_nccl_sum_reducer(const an_nccl_sum *sum);
/* AN_OK, or what went wrong in a communicator since: another process is gone, the network failed. Does not wait. */
int an_nccl_sum_check(an_nccl_sum *sum);
/* What is under way ends without result, so that whoever waits for a device comes back; queue fails from now on. Does
 * not wait: a thread of its own does. */
void an_nccl_sum_stop(an_nccl_sum *sum);

#endif
