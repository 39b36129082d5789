/* Makes a record of a source item: loads its bytes, makes the picture, encodes it. Whoever writes datasets uses it, so
 * the same file and options give the same bytes everywhere. Each thread has its own. */
#ifndef AN_INGEST_PICTURE_RECORDER_H
#define AN_INGEST_PICTURE_RECORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "ingest/picture/picture.h"
#include "ingest/sources/source.h"
#include "store/codec.h"

typedef struct {
    an_picture_options picture;
    an_codec_options codec;
    double raw_share; /* share of the records that are written as yuv420 instead */
    uint64_t seed;    /* for the choice of those */
} an_recorder_options;

#define AN_REASON_MAX 400

typedef struct {
    an_record_header header; /* an_writer_put fills in the checksum */
    an_buffer payload;
    bool rejected; /* the input is unusable and reason says why; all else but code is undefined */
    int code;      /* of a rejected input: AN_ECORRUPT, AN_EUNSUPPORTED or AN_ENOTFOUND */
    bool warned;   /* the JPEG decoder gave harmless warnings */
    bool passed;   /* the bytes or the coefficients of the source were kept */
    char reason[AN_REASON_MAX];
} an_recording;

typedef struct an_recorder an_recorder;

int an_recorder_create(an_recorder **out, const an_recorder_options *options);
void an_recorder_free(an_recorder *recorder); /* NULL is fine */

/* number: position of the item in the source. AN_OK with out->rejected set if the input is unusable; an error code if
 * the system or a library failed. */
int an_recorder_make(an_recorder *recorder, const an_item *item, uint64_t number, an_recording *out);

/* The same from the bytes of an image file in memory. */
int an_recorder_make_bytes(an_recorder *recorder, const void *bytes, size_t size, uint32_t label, uint64_t number,
                           an_recording *out);

/* The same from pixels that are decoded already. They are unusable only if they are too many. */
int an_recorder_make_pixels(an_recorder *recorder, const an_picture_pixels *pixels, uint32_t label, uint64_t number,
                            an_recording *out);

/* The pixels of the last item that was not rejected. */
const an_image *an_recorder_image(const an_recorder *recorder);

#endif
