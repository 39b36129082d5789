/* A loader over the fixture and the hash of what it delivers. */
#ifndef AN_TESTS_AUGMENT_LOADER_SUPPORT_H
#define AN_TESTS_AUGMENT_LOADER_SUPPORT_H

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

/* The hash of everything that the loader delivers from its `skip`th batch on. */
uint64_t hash_from(const an_loader_options *options, uint64_t skip);

#endif
