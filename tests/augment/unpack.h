/* Blocks of payloads (augment/payload.h), decoded on the host. Failures end the test. */
#ifndef AN_TESTS_AUGMENT_UNPACK_H
#define AN_TESTS_AUGMENT_UNPACK_H

#include "augment/loader.h"

/* The samples of a batch of payloads: count times crop x crop x 3 bytes, which the caller frees. Checks that the block
 * is what it promises: places within it, aligned, without overlap, and little between them. */
uint8_t *unpack_batch(const an_loader_options *options, const an_batch *batch);

/* Of the last batch that was unpacked. */
extern size_t unpacked_payloads, unpacked_samples; /* places of each kind */
extern size_t unpacked_bytes;                      /* of all payloads */

#endif
