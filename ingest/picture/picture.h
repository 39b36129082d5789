/* Makes a square RGB image of a source item's bytes: finds the format, decodes, resizes, crops. Each thread has its
 * own. */
#ifndef AN_INGEST_PICTURE_PICTURE_H
#define AN_INGEST_PICTURE_PICTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "ingest/sources/source.h"
#include "store/image/image.h"
#include "store/image/resize.h"
#include "store/record.h"

/* The usual limit to a source image's pixels: pictures of 61 and 64 megapixels, the most that usual cameras make, are
 * below it. Decoding takes at most 9 bytes for each (a progressive JPEG without subsampling that is hardly made
 * smaller), 600 MB then. A macro, for help texts. */
#define AN_PICTURE_PIXELS_MAX 67108864

/* Raise it whenever a change makes the same input give other pixels or bytes. Manifests hold it. */
#define AN_PICTURE_VERSION 1

typedef struct {
    uint32_t side;
    an_filter filter;
    uint64_t pixels_max;       /* a larger source image is refused, before it is decoded */
    const char *pixels_option; /* what sets it, for the message; NULL: nothing does */
    bool accept_truncated;     /* keep images whose data ends early */
} an_picture_options;

typedef struct {
    int warnings; /* of the JPEG decoder: harmless ones, unless the image was cut and is kept all the same */

    /* Bytes that can be a record's payload as they are, in the codec fit_codec: a baseline 4:2:0 JPEG file, or another
     * dataset's record, of side x side. NULL otherwise. */
    const uint8_t *fit;
    size_t fit_size;
    an_codec fit_codec;
} an_picture_info;

/* Pixels that somebody else decoded: height rows of width * channels bytes, stride bytes apart. */
typedef struct {
    const uint8_t *data;
    uint32_t width, height; /* 1 or more */
    uint32_t channels;      /* 3: RGB, interleaved; 1: grey */
    size_t stride;
} an_picture_pixels;

typedef struct an_picture an_picture;

int an_picture_create(an_picture **out, const an_picture_options *options);
void an_picture_free(an_picture *picture); /* NULL is fine */

/* bytes: what an_item_load gave for item; info points into them. An unusable image is AN_ECORRUPT or AN_EUNSUPPORTED,
 * with the reason as the message. */
int an_picture_make(an_picture *picture, const an_item *item, const an_buffer *bytes, an_image *out,
                    an_picture_info *info);

/* The same from pixels. AN_EUNSUPPORTED if they are more than pixels_max. */
int an_picture_make_pixels(an_picture *picture, const an_picture_pixels *pixels, an_image *out);

#endif
