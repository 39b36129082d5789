/* Adding up gradients in the host's memory, by MPI.
 *
 * A bucket is cut into one piece for each rank, its owner, and each piece into segments that stay in a processor's
 * cache. For each segment the others send their values to the owner, which adds them up in the order of ranks in fp32
 * and sends back the sum. So all ranks get the same bits, however many messages are under way. With bf16, values and
 * sums travel rounded to bf16; the owner takes its own values as they are, and rounds its sum too.
 *
 * Where all ranks run on one host and see each other's gradients (reduce_share.c), no messages are needed: each owner
 * adds up its pieces in place, in all ranks' gradients (reduce_near.c). The bits are the same.
 *
 * Only so many segments of a bucket are under way at a time: AN_REDUCE_LANES of each owner. A rank never waits in one
 * owner's segments for another owner's, so ranks cannot wait for each other in a circle, and each bucket has memory of
 * its own, so ranks may queue buckets in different orders. */
#ifndef AN_TRAIN_GROUP_REDUCE_PRIVATE_H
#define AN_TRAIN_GROUP_REDUCE_PRIVATE_H

#include "train/group/group_private.h"

#define AN_REDUCE_LANES 2

typedef struct {
    float *values;
    uint32_t count;
} an_reduce_segment;

/* The place of a segment that is under way: the segments of an owner use its lanes in turn. */
typedef struct {
    bool busy;
    int missing;     /* messages */
    uint8_t *memory; /* of own segments: world - 1 segments that are received, then, with bf16, the sum that is sent; of
                        others', with bf16: the values that are sent, then the sum */
} an_reduce_lane;

/* Memory for gradients. It lies in one file of this rank, which has no name; the other ranks map all of that. */
typedef struct {
    uint8_t *memory;
    uint64_t offset, size; /* in the file */
} an_share_piece;

typedef struct {
    int file;    /* -1: none */
    bool broken; /* some pieces are not in the file */
    uint64_t size;
    an_share_piece *pieces;
    int count, capacity;
    uint8_t **others; /* world: their files, as mapped here; NULL: none */
    uint64_t mapped;  /* bytes of each */
    int world;
} an_share;

/* How often a bucket has been queued by a rank, and how often the rank has added up its pieces of it. Each rank writes
 * its own counts, and all read them. */
typedef struct {
    _Alignas(64) atomic_uint_fast64_t queued; /* a cache line: ranks do not disturb each other more than they must */
    atomic_uint_fast64_t summed;
} an_reduce_counts;

typedef enum { AN_BUCKET_IDLE, AN_BUCKET_QUEUED, AN_BUCKET_MOVING } an_bucket_state;

typedef struct {
    struct an_reduction *reduction;
    an_reduce_segment *segments; /* in order of owners */
    int count;
    int *first;            /* world + 1: the first segment of each owner */
    int *next;             /* world: the segment to begin next, of each owner */
    int tag;               /* of the first segment's messages; the others follow */
    int finished;          /* segments; near: own ones */
    an_reduce_lane *lanes; /* world x AN_REDUCE_LANES */
    uint8_t *memory;       /* of all lanes */
    size_t memory_size;
    uint64_t sent;         /* bytes that this rank sends, or gives through shared memory */
    uint64_t round;        /* near: how often it has been queued */
    an_bucket_state state; /* under the group's lock */
} an_reduce_bucket;

typedef struct an_reduction {
    an_group *group;
    an_share share;
    an_reduce_counts *counts; /* of each bucket, this rank's, in the shared memory; NULL: messages carry everything */
    bool bf16;
    uint32_t segment; /* most values of one */
    an_reduce_bucket *buckets;
    int count;
    int moving;         /* buckets; the group thread's own */
    atomic_int waiting; /* near: threads in wait */
    /* Under the group's lock. */
    int *queue, queued;
    int pending; /* near: buckets that are queued and not waited for */
    uint64_t waited_ns, sent;
} an_reduction;

/* reduce_layout.c */
int an_reduce_cut(an_reduction *r, an_reduce_bucket *out, const an_gradient_bucket *bucket, int tag);
void an_reduce_free(an_reduce_bucket *bucket);

/* reduce_move.c: the group's thread. */
void an_reduce_begin(an_group *group, an_reduce_bucket *bucket);

/* reduce_near.c */

/* All ranks together: whether they can do without messages. Sets counts. */
int an_near_open(an_reduction *r, const an_gradient_bucket *buckets, int count);
void an_near_queue(an_reduction *r, an_reduce_bucket *bucket); /* under the group's lock */
int an_near_wait(an_reduction *r, an_reduce_bucket *bucket);   /* under the group's lock */

/* reduce_share.c: the training thread, but an_share_place. */
bool an_share_possible(const an_group *group); /* the same on all ranks */
void an_share_begin(an_share *share);
int an_share_alloc(an_share *share, size_t size, void **out);
bool an_share_holds(const an_share *share, const void *memory, size_t size);
/* Maps what all ranks have allocated so far. *out: whether all could and want to. All ranks call it together, and all
 * have made the same allocations. */
int an_share_open(an_share *share, an_group *group, bool wanted, bool *out);
/* Where another rank has what this one has at `own`. */
void *an_share_place(const an_share *share, int rank, const void *own);
void an_share_end(an_share *share);

/* reduce_sum.c */

/* own[i] = the sum over ranks of value i, in their order. received: those of the others, world - 1, floats or bf16,
 * `apart` values from one to the next. */
void an_reduce_sum(float *own, const void *received, size_t apart, int rank, int world, size_t count, bool bf16);
/* The same in place and in all ranks' values. own: the rank that calls. */
void an_reduce_sum_near(float *const *values, int own, int world, size_t count, bool bf16);
void an_reduce_narrow(uint16_t *out, const float *in, size_t count);
void an_reduce_widen(float *out, const uint16_t *in, size_t count);

#endif
