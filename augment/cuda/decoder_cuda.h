/* The decoder of batches on CUDA devices: the functions of augment/decoder.h, without a module. Tests link it as it
 * is. */
#ifndef AN_AUGMENT_CUDA_DECODER_CUDA_H
#define AN_AUGMENT_CUDA_DECODER_CUDA_H

#include "augment/cuda/kernels/kernels.h"
#include "augment/decoder_module.h"

extern const an_decoder_api an_decoder_cuda;
extern const an_feed_api an_feed_cuda;

int an_decode_device(const an_batch_decoder *decoder); /* the number of its device */

/* As an_batch_decoder_queue, but damage is told in a report of the caller's: pinned memory that devices may write,
 * whose fault is AN_DECODE_NONE at first. */
int an_decode_queue(an_batch_decoder *decoder, const void *block, size_t size, uint32_t count, void *samples,
                    an_decode_report *report, void *stream);

/* What such a report tells, as an_batch_decoder_result; it is empty again afterwards. */
int an_decode_result(const an_batch_decoder *decoder, an_decode_report *report, uint32_t *sample);

/* The code and message for what a kernel reported, as the store's decoder would give them. */
int an_decode_explain(const an_decode_report *report, uint32_t side);

#endif
