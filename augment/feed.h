/* Decoding on a device, for programs that have no other business there: blocks of payloads (augment/payload.h) lie in
 * the host's memory, and the feed copies them to memory of its own on the device and has them decoded there. It belongs
 * to the decoder's module (augment/decoder.h), so it needs nothing but the driver either.
 *
 * A feed has places for batches, numbered from 0. While a batch is decoded in one place, the next is copied to another.
 *
 * Ownership. The caller owns the feed. Threads. One at a time uses a feed; its device becomes that thread's current
 * one. Failures. Those of augment/decoder.h. */
#ifndef AN_AUGMENT_FEED_H
#define AN_AUGMENT_FEED_H

#include "augment/decoder.h"

typedef struct an_batch_feed an_batch_feed;

typedef struct {
    an_batch_decoder_options decoder;
    uint32_t places; /* 1 or more */
    size_t block;    /* bytes of a block at most */
} an_batch_feed_options;

int an_batch_feed_create(an_batch_feed **out, const an_batch_feed_options *options);
void an_batch_feed_free(an_batch_feed *feed);             /* waits for its work; NULL is fine */
uint64_t an_batch_feed_memory(const an_batch_feed *feed); /* bytes that it holds on the device */

/* Memory of the host from which copies are fast, zeroed: for an_loader_options. The context is the feed, which must
 * outlive it. */
int an_batch_feed_alloc(void *feed, void **out, size_t size);
void an_batch_feed_release(void *feed, void *memory, size_t size);

/* Queue the copy of a block to a place, and its decoding there. The block must not change until an_batch_feed_wait for
 * the place. What was queued for the place before is waited for. */
int an_batch_feed_put(an_batch_feed *feed, uint32_t place, const void *block, size_t size, uint32_t count);

/* Queue the decoding of what lies in a place once more, without copying it. */
int an_batch_feed_again(an_batch_feed *feed, uint32_t place);

/* Wait for a place. If a sample was damaged of what is decoded by then, in any place: the code and message of
 * an_batch_decoder_result. */
int an_batch_feed_wait(an_batch_feed *feed, uint32_t place);

/* Copy the samples of a place to the host; waits for them. */
int an_batch_feed_read(an_batch_feed *feed, uint32_t place, void *samples);

#endif
