/* Decoding on a device: a batch of payloads (augment/payload.h) becomes samples in the device's memory, the same bytes
 * that the host would make of the same records and draws (augment/sample.h).
 *
 * A decoder is a module of its own, a shared object that is loaded when it is asked for and needs nothing but the
 * device's driver. So others can use it without the network's libraries.
 *
 * Ownership. The caller owns the decoder, and the device memory that it hands over. Threads. One thread at a time uses
 * a decoder. Failures. AN_EUNSUPPORTED without module, driver or device, with the remedy; AN_EINVAL for options; the
 * device's own failures. A damaged payload is no failure of the call that queues the decoding: it shows in
 * an_batch_decoder_result. */
#ifndef AN_AUGMENT_DECODER_H
#define AN_AUGMENT_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "augment/payload.h"
#include "base/buffer.h"
#include "base/format.h"

typedef struct an_batch_decoder an_batch_decoder;

typedef struct {
    const char *device; /* "cuda:0" */
    uint32_t batch;     /* samples of a batch at most */
    uint32_t side;      /* pixels of a record's side */
    uint32_t crop;      /* of a sample's side, at most side */
    an_format format;  /* of the samples. With AN_DTYPE_U8 the bytes are delivered as decoded; mean, scale and deviation
                          are unused and shifts not applied */
    const float *mean; /* mean_side x mean_side x 3, RGB, cropped and mirrored like the image; of grey samples, which
                          have 1 channel, mean_side x mean_side x 1. Copied. NULL: none. an_sampler_mean makes it */
    uint32_t mean_side;  /* side, or 1: one colour for all pixels */
    double scale;        /* the values are those of augment/pixels/values.h, and nothing is mixed */
    double deviation[3]; /* RGB, above 0; grey samples: the first. All 0: nothing is divided */
} an_batch_decoder_options;

/* For programs that bring the module along: its file, instead of the search for it; NULL: none. What the environment
 * variable AN_DECODE_MODULE names goes before it. It has a meaning until the module is loaded with the first decoder.
 * Any thread. AN_EINVAL: the path is too long. */
int an_decoder_module_bring(const char *file);

int an_batch_decoder_create(an_batch_decoder **out, const an_batch_decoder_options *options);
void an_batch_decoder_free(an_batch_decoder *decoder);             /* waits for its work; NULL is fine */
size_t an_batch_decoder_bytes(const an_batch_decoder *decoder);    /* of one sample */
uint64_t an_batch_decoder_memory(const an_batch_decoder *decoder); /* bytes that it holds on the device */

/* Queue the decoding of a block of payloads on a stream of the device (a cudaStream_t). block and samples are device
 * memory, aligned to 16 bytes; block is size bytes as augment/payload.h describes; samples has room for count of them.
 * Both must stay until the work is done, block unchanged. The call neither waits nor allocates, and may be captured
 * into a graph. Successive calls must be ordered by the caller (one stream, or events). */
int an_batch_decoder_queue(an_batch_decoder *decoder, const void *block, size_t size, uint32_t count, void *samples,
                           void *stream);

/* Of the decodings whose work is done: the first damaged sample since the last call. AN_OK: none. AN_ECORRUPT: *sample
 * is its position in its batch, and the message says what is wrong, as the host's decoder would, without naming the
 * record. AN_EUNSUPPORTED: *sample has a form that devices do not decode. The pixels of such a sample are undefined.
 * Call it when the batch's work is done: it does not wait. */
int an_batch_decoder_result(an_batch_decoder *decoder, uint32_t *sample);

/* Whether a payload of a record is of a form that decoders take: any coef payload that the host decodes whose image is
 * side x side. For the loader, which decodes all else itself. */
bool an_batch_decoder_takes(const void *payload, size_t size, uint32_t side);

#endif
