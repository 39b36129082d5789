/* What a file format provides to picture.c: one constant per format, defined in the file of that format.
 * To add one: define its an_picture_format there, declare it here, add it to the table in picture.c. */
#ifndef AN_INGEST_PICTURE_PICTURE_PRIVATE_H
#define AN_INGEST_PICTURE_PICTURE_PRIVATE_H

#include "ingest/picture/picture.h"
#include "store/codec.h"
#include "store/jpeg/jpeg.h"

struct an_picture {
    an_picture_options options;
    an_jpeg_decoder *jpeg;
    an_decoder *records;
    an_resizer *resizer;
    an_image decoded; /* before resizing; reused */
    an_buffer scratch;
};

typedef struct {
    const char *name; /* for messages: "JPEG" */
    bool (*matches)(const uint8_t *data, size_t size);
    /* Decode bytes into picture->decoded; set in info, which is zeroed, what applies. AN_ECORRUPT or
     * AN_EUNSUPPORTED for an unusable file. */
    int (*decode)(an_picture *picture, const an_buffer *bytes, an_picture_info *info);
} an_picture_format;

extern const an_picture_format an_picture_jpeg, an_picture_png;

/* AN_EUNSUPPORTED, for an image with more pixels than pixels_max: adds to the message how the limit is set. */
int an_picture_beyond_limit(const an_picture *picture);

/* The format by the first bytes, never by the name; NULL for one that is not known. */
const an_picture_format *an_picture_format_of(const uint8_t *data, size_t size);

#endif
