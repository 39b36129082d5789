/* A loader over the fixture and the hash of what it delivers. */
#ifndef AN_TESTS_AUGMENT_LOADER_SUPPORT_H
#define AN_TESTS_AUGMENT_LOADER_SUPPORT_H

#include <xxhash.h>

#include "augment/loader.h"
#include "fixture.h"

#define SIDE 40u
#define RECORDS 203u
#define BATCH 16u
#define STEPS 12u /* whole batches of an epoch */

extern fixture set; /* RECORDS records, every codec in turn */
int setup(void **state);
int teardown(void **state);

an_loader_options plain(void); /* one epoch, everything random that there is */
an_loader *start(const an_loader_options *options);
size_t sample_bytes(const an_loader_options *options);

/* The same in u8, as devices take them. */
an_loader_options bytes_options(an_decode_place decode);

/* Of everything that the loader delivers from its `skip`th batch on: samples, labels, indices, numbers. 128 bits of
 * XXH3 do here what SHA-256 would, without another library: two different epochs share them by accident once in 2^128,
 * and nobody forges a batch. Payloads are decoded first (unpack.h), so that both modes give the same. */
typedef XXH128_hash_t digest;
digest digest_from(const an_loader_options *options, uint64_t skip);
bool same(digest a, digest b);

#endif
