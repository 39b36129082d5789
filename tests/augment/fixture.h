/* A small dataset in a temporary folder, every codec in it, for the tests of this folder. */
#ifndef AN_TESTS_AUGMENT_FIXTURE_H
#define AN_TESTS_AUGMENT_FIXTURE_H

#include "store/dataset/dataset.h"
#include "store/image/image.h"

typedef struct {
    char folder[64], path[128];
    an_dataset *dataset;
} fixture;

/* count records of side x side pixels; record i is fixture_picture(i), labelled i % 10, in codecs[i % codec_count].
 * Failures end the test. */
void fixture_make(fixture *f, uint64_t count, uint32_t side, const an_codec *codecs, size_t codec_count);
/* The same with a manifest of one's own. */
void fixture_make_with(fixture *f, uint64_t count, uint32_t side, const an_codec *codecs, size_t codec_count,
                       const char *manifest);
void fixture_drop(fixture *f);

/* Smooth colours with some noise. image is set to side x side. */
void fixture_picture(uint64_t i, uint32_t side, an_image *image);

/* Change one byte of record i's payload in the file, and back. */
void fixture_flip_byte(const fixture *f, uint64_t i);
/* Any byte of the record, counted from its header's first. */
void fixture_flip_byte_at(const fixture *f, uint64_t i, uint32_t byte);

#endif
