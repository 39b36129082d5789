/* Blocks of payloads for tests of the decoder of batches, its host form, and what it should give: the samples that
 * augment/sample.h makes of the same records and draws. All failures end the test. */
#ifndef AN_TESTS_AUGMENT_CUDA_PAYLOADS_H
#define AN_TESTS_AUGMENT_CUDA_PAYLOADS_H

#include "augment/decoder.h"
#include "augment/sample.h"
#include "base/buffer.h"
#include "base/rng.h"

typedef enum { GREY, S444, S422, S420, SAMPLINGS } payload_kind;

/* Appends the payload of a picture of its own for each seed. */
void payload_make(payload_kind kind, uint32_t side, int quality, uint32_t seed, an_buffer *out);

/* A batch: a block that is filled sample by sample, in memory of exactly its size. */
typedef struct {
    uint32_t capacity, count;
    an_image_draw *draws;
    an_payload *places;
    an_buffer bytes; /* of all payloads, each aligned */
} payload_batch;

void payload_batch_start(payload_batch *b, uint32_t capacity);
void payload_batch_add(payload_batch *b, an_payload_kind kind, const void *payload, size_t size, an_image_draw draw);
void payload_batch_add_again(payload_batch *b, uint32_t sample, an_image_draw draw); /* the payload of another sample */
uint8_t *payload_batch_block(const payload_batch *b, size_t *size);                  /* the caller frees it */
void payload_batch_end(payload_batch *b);

/* Decodes a block by the kernels' host form. Returns what an_batch_decoder_result would. */
int payload_decode_host(const an_batch_decoder_options *options, const void *block, size_t size, uint32_t count,
                        void *samples, uint32_t *fault);

/* A sample as the host's loader makes it, or why it cannot. mean: as in options, or NULL. */
int payload_expect(const an_batch_decoder_options *options, const void *payload, size_t size, const an_image_draw *draw,
                   void *sample);
size_t payload_sample_bytes(const an_batch_decoder_options *options);

/* Any crop of a record, mirrored or not, with any shift. */
an_image_draw payload_draw(an_rng *rng, uint32_t side, uint32_t crop);

#endif
