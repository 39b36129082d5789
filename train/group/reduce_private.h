/* Adding up gradients in the host's memory, by MPI.
 *
 * A bucket is cut into one piece for each rank, its owner, and each piece into segments that stay in a processor's
 * cache. For each segment the others send their values to the owner, which adds them up in the order of ranks in fp32
 * and sends back the sum. So all ranks get the same bits, however many messages are under way. With bf16, values and
 * sums travel rounded to bf16; the owner takes its own values as they are, and rounds its sum too.
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

typedef enum { AN_BUCKET_IDLE, AN_BUCKET_QUEUED, AN_BUCKET_MOVING } an_bucket_state;

typedef struct {
    struct an_reduction *reduction;
    an_reduce_segment *segments; /* in order of owners */
    int count;
    int *first;            /* world + 1: the first segment of each owner */
    int *next;             /* world: the segment to begin next, of each owner */
    int tag;               /* of the first segment's messages; the others follow */
    int finished;          /* segments */
    an_reduce_lane *lanes; /* world x AN_REDUCE_LANES */
    uint8_t *memory;       /* of all lanes */
    size_t memory_size;
    uint64_t sent;         /* bytes that this rank sends */
    an_bucket_state state; /* under the group's lock */
} an_reduce_bucket;

typedef struct an_reduction {
    an_group *group;
    bool bf16;
    uint32_t segment; /* most values of one */
    an_reduce_bucket *buckets;
    int count;
    int moving; /* buckets; the group thread's own */
    /* Under the group's lock. */
    int *queue, queued;
    uint64_t waited_ns, sent;
} an_reduction;

/* reduce_layout.c */
int an_reduce_cut(an_reduction *r, an_reduce_bucket *out, const an_gradient_bucket *bucket, int tag);
void an_reduce_free(an_reduce_bucket *bucket);

/* reduce_move.c: the group's thread. */
void an_reduce_begin(an_group *group, an_reduce_bucket *bucket);

/* reduce_sum.c */

/* own[i] = the sum over ranks of value i, in their order. received: those of the others, world - 1, segment values
 * apart. */
void an_reduce_sum(float *own, const float *received, size_t apart, int rank, int world, size_t count);
void an_reduce_sum_bf16(float *own, const uint16_t *received, size_t apart, int rank, int world, size_t count);
void an_reduce_narrow(uint16_t *out, const float *in, size_t count);
void an_reduce_widen(float *out, const uint16_t *in, size_t count);

#endif
