/* Decoding on a device, for programs that have no network there: blocks of payloads (augment/payload.h) lie in the
 * host's memory, and the feed copies them to memory of its own on the device and has them decoded there. It belongs to
 * the decoder's module (augment/decoder.h), so it needs nothing but the driver either.
 *
 * A feed has places for batches, numbered from 0. While a batch is decoded in one place, the next is copied to another.
 * The samples of a place can be read by the host, or lent to whoever works on the device: the borrower's streams wait
 * for the samples, and the place's next batch waits for what those streams were given until the loan ended. Both waits
 * take place on the device; the host waits for neither.
 *
 * Ownership. The caller owns the feed, and the samples of a place belong to the feed. Threads. One thread at a time
 * puts batches, grows the feed or waits for a place. Meanwhile other threads may borrow other places, one thread at a
 * time each. A thread's current device stays as it was. Failures. Those of augment/decoder.h. Damage is told for the
 * place in which the damaged payload was decoded, once its work is done. */
#ifndef AN_AUGMENT_FEED_H
#define AN_AUGMENT_FEED_H

#include "augment/decoder.h"

typedef struct an_batch_feed an_batch_feed;

typedef struct {
    an_batch_decoder_options decoder;
    uint32_t places;     /* 1 or more, made with the feed */
    uint32_t places_max; /* with those that an_batch_feed_grow makes; 0: places */
    size_t block;        /* bytes of a block at most */
} an_batch_feed_options;

int an_batch_feed_create(an_batch_feed **out, const an_batch_feed_options *options);
void an_batch_feed_free(an_batch_feed *feed);             /* waits for its work; NULL is fine */
uint64_t an_batch_feed_memory(const an_batch_feed *feed); /* bytes that it holds on the device */

/* Memory of the host from which copies are fast, zeroed: for an_loader_options. The context is the feed, which must
 * outlive it. */
int an_batch_feed_alloc(void *feed, void **out, size_t size);
void an_batch_feed_release(void *feed, void *memory, size_t size);

/* Make one more place; its number is the number of places so far. Allocating may wait for the device. AN_EINVAL: there
 * are places_max. AN_ENOMEM: nothing has changed. */
int an_batch_feed_grow(an_batch_feed *feed);

/* Queue the copy of a block to a place, and its decoding there: behind what was queued for the place before, and behind
 * the work of those who borrowed it. Waits for nothing. The block must not change until the place is done. */
int an_batch_feed_put(an_batch_feed *feed, uint32_t place, const void *block, size_t size, uint32_t count);

/* Queue the decoding of what lies in a place once more, without copying it. */
int an_batch_feed_again(an_batch_feed *feed, uint32_t place);

/* Wait until what was queued for a place is done. If a sample was damaged of what was decoded there since this was
 * last told: the code and message of an_batch_decoder_result, and its position in the batch in *sample, which may be
 * NULL. */
int an_batch_feed_wait(an_batch_feed *feed, uint32_t place, uint32_t *sample);
/* The same without waiting: AN_AGAIN if it is not done. */
int an_batch_feed_done(an_batch_feed *feed, uint32_t place, uint32_t *sample);

/* Copy the samples of a place to the host; waits for them. */
int an_batch_feed_read(an_batch_feed *feed, uint32_t place, void *samples);

/* Where the samples of a place lie on the device; the same for ever. */
void *an_batch_feed_samples(const an_batch_feed *feed, uint32_t place);

/* What is queued from now on on a stream (a cudaStream_t of the feed's device; NULL: the default stream) finds the
 * samples of the place finished. Until the loan ends the stream must exist and must not be captured. AN_EINVAL: it is
 * no stream of this device, or the place is used by AN_FEED_STREAMS streams already. */
#define AN_FEED_STREAMS 16
int an_batch_feed_use(an_batch_feed *feed, uint32_t place, void *stream);

/* The loan ends: the place's next batch waits for what the streams that use it have been given so far. A place that no
 * stream uses may be unused, too. */
int an_batch_feed_unuse(an_batch_feed *feed, uint32_t place);

#endif
