/* Small inputs for the tests of train: a temporary folder and a dataset of coloured squares that a network learns in a
 * few steps. Failures end the test. */
#ifndef AN_TESTS_TRAIN_FIXTURE_H
#define AN_TESTS_TRAIN_FIXTURE_H

#include <stdint.h>

#include "base/buffer.h"
#include "train/setup/config.h"

#define FIXTURE_CROP 32 /* of the four-layer network */
#define FIXTURE_SIDE 36
#define FIXTURE_CLASSES 3

#define FIXTURE_PATHS 128

typedef struct {
    char root[256];
    char *path[FIXTURE_PATHS]; /* of fixture_path */
    int count;
} fixture;

void fixture_open(fixture *f);                          /* a fresh folder under TMPDIR */
void fixture_close(fixture *f);                         /* removes it and everything inside */
const char *fixture_path(fixture *f, const char *name); /* root/name; valid until fixture_close */
void fixture_remove(const char *path);                  /* a folder and everything inside */

void fixture_write(const char *path, const void *data, size_t size);
void fixture_read(const char *path, an_buffer *out);
void fixture_flip(const char *path, uint64_t offset); /* one bit of a file */

/* images raw RGB records of FIXTURE_CLASSES classes in turn; seed changes the noise. */
void fixture_dataset(const char *path, uint32_t images, uint32_t classes, uint32_t seed);

/* A configuration that trains on it in milliseconds: the small network, he initialisation, one thread each. */
void fixture_config(an_train_config *config);

#endif
