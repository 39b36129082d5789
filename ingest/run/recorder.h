/* From a source item to a record: load, picture, encode. One per worker thread. */
#ifndef AN_INGEST_RUN_RECORDER_H
#define AN_INGEST_RUN_RECORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "ingest/picture/picture.h"
#include "ingest/sources/source.h"
#include "store/codec.h"

typedef struct {
    an_picture_options picture;
    an_codec_options codec;
    double raw_share; /* of records written as yuv420 whatever codec says */
    uint64_t seed;    /* of that choice */
} an_recorder_options;

#define AN_REASON_MAX 400

typedef struct {
    an_record_header header; /* checksum not filled in */
    an_buffer payload;
    bool rejected; /* an unusable input: reason says why, the rest is undefined */
    bool warned;   /* harmless warnings of the JPEG decoder */
    bool passed;   /* the bytes or the coefficients of the source were kept */
    char reason[AN_REASON_MAX];
} an_recording;

typedef struct an_recorder an_recorder;

int an_recorder_create(an_recorder **out, const an_recorder_options *options);
void an_recorder_free(an_recorder *recorder); /* NULL is fine */

/* number: the item's place in the source's order. Unusable input is no failure: AN_OK, out->rejected. */
int an_recorder_make(an_recorder *recorder, const an_item *item, uint64_t number, an_recording *out);

/* The pixels of the last one that was not rejected. */
const an_image *an_recorder_image(const an_recorder *recorder);

#endif
