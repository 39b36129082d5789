/* What the files of feeds on CUDA devices share. feed_cuda.c holds the DESIGN, makes and frees them, copies and
 * decodes; feed_lend_cuda.c lends samples. */
#ifndef AN_AUGMENT_CUDA_FEED_PRIVATE_H
#define AN_AUGMENT_CUDA_FEED_PRIVATE_H

#include <cuda_runtime_api.h>
#include <stdatomic.h>

#include "augment/cuda/decoder_cuda.h"

/* A stream that uses a place's samples. The event is made when a place has so many users for the first time, and says
 * what the stream had been given when the loan ended. */
typedef struct {
    cudaStream_t stream;
    cudaEvent_t over;
} an_feed_user;

typedef struct {
    void *block, *samples;
    size_t size;    /* of the block that lies there */
    uint32_t count; /* its samples; 0: none yet */
    cudaEvent_t arrived, made;
    an_decode_report *report; /* of what was decoded here */
    an_feed_user users[AN_FEED_STREAMS];
    uint32_t used; /* users; they count until the place is decoded anew */
} an_feed_place;

struct an_batch_feed {
    an_batch_decoder *decoder;
    int device;
    uint64_t memory;
    atomic_uint places; /* that are made; those who borrow read it while another thread grows the feed */
    uint32_t places_max;
    size_t room;    /* for a block */
    size_t samples; /* bytes of a place's */
    an_feed_place *place;
    an_decode_report *reports; /* pinned: places_max */
    cudaStream_t copying, decoding;
};

int an_feed_check(const an_batch_feed *feed, cudaError_t status, const char *attempt);
/* Make the feed's device the current one, and go back to the one that was. an_feed_leave returns rc if that is not 0.
 */
int an_feed_enter(const an_batch_feed *feed, int *before);
int an_feed_leave(const an_batch_feed *feed, int before, int rc);
int an_feed_check_place(const an_batch_feed *feed, uint32_t place);
int an_feed_make_event(const an_batch_feed *feed, cudaEvent_t *out);

/* Makes the stream that decodes wait for those who borrowed a place; they are forgotten. */
int an_feed_await_users(an_batch_feed *feed, an_feed_place *place);

/* The functions of feed.h. */
int an_feed_create(an_batch_feed **out, const an_batch_feed_options *options);
void an_feed_free(an_batch_feed *feed);
uint64_t an_feed_memory(const an_batch_feed *feed);
int an_feed_alloc(void *feed, void **out, size_t size);
void an_feed_release(void *feed, void *memory, size_t size);
int an_feed_grow(an_batch_feed *feed);
void *an_feed_samples(const an_batch_feed *feed, uint32_t place);
int an_feed_use(an_batch_feed *feed, uint32_t place, void *stream);
int an_feed_unuse(an_batch_feed *feed, uint32_t place);

#endif
