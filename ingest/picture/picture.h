/* From a source item's bytes to a square RGB image: sniff, decode, resize, crop. One per worker thread. */
#ifndef AN_INGEST_PICTURE_PICTURE_H
#define AN_INGEST_PICTURE_PICTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "ingest/sources/source.h"
#include "store/image/image.h"
#include "store/image/resize.h"
#include "store/record.h"

typedef struct {
    uint32_t side;
    an_filter filter;
    uint64_t pixels_max;   /* of a source image: guards against decompression bombs */
    bool accept_truncated; /* keep images whose data ends early */
} an_picture_options;

typedef struct {
    int warnings; /* the JPEG decoder's, harmless ones */

    /* The bytes, where they are fit to be a record's payload as they are: a baseline 4:2:0 JPEG file, or another
     * dataset's record, of side x side. NULL otherwise. */
    const uint8_t *fit;
    size_t fit_size;
    an_codec fit_codec;
} an_picture_info;

typedef struct an_picture an_picture;

int an_picture_create(an_picture **out, const an_picture_options *options);
void an_picture_free(an_picture *picture); /* NULL is fine */

/* bytes: what an_item_load gave for item. Codes for an unusable image: AN_ECORRUPT, AN_EUNSUPPORTED; the message is the
 * reason to record. */
int an_picture_make(an_picture *picture, const an_item *item, const an_buffer *bytes, an_image *out,
                    an_picture_info *info);

#endif
