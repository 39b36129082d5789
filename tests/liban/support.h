/* A dataset for the tests of liban, opened through liban. */
#ifndef AN_TESTS_LIBAN_SUPPORT_H
#define AN_TESTS_LIBAN_SUPPORT_H

#include <an/loader.h>

#include "tests/augment/fixture.h"

#define SIDE 24u
#define RECORDS 101u
#define BATCH 8u

extern fixture set;
extern liban_dataset *dataset;
int setup(void **state);
int teardown(void **state);

liban_loader_options small(void); /* batches of 8 crops of 16 pixels from two threads */
liban_loader *start(const liban_loader_options *options);
liban_batch *take(liban_loader *loader); /* the next batch, which there must be */
void give(liban_batch *batch);

/* A hash of the batch's images, labels, indices and of what is drawn for mixing. */
uint64_t hash_of(const liban_batch *batch);
size_t sample_bytes(const liban_batch *batch);

/* The options are refused with this code and a message that holds these words. */
void refused(const liban_loader_options *options, int code, const char *words);
/* This thread's message holds the words. */
void message_has(const char *words);

#endif
