/* The decoder from DCT coefficients to RGB pixels, for a window of an image: dequantisation, inverse DCT, chroma
 * upsampling, colour conversion. The pixels are those of libjpeg-turbo (JDCT_ISLOW, fancy upsampling) when it decodes
 * the whole image and the window is cut out afterwards, to the bit.
 *
 * The coefficients come from a source that the caller supplies: the scan of a JPEG file (store/jpeg) or the payload of
 * codec coef (store/coef). Both use the same decoder.
 *
 * A handle owns its working memory and is reused from image to image: once it has met the largest window, decoding
 * allocates nothing. It belongs to one thread at a time. Functions that can fail return the codes of base/error.h. */
#ifndef AN_STORE_IMAGE_PLANES_PLANES_H
#define AN_STORE_IMAGE_PLANES_PLANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "store/image/planes/blocks.h"

typedef struct {
    uint32_t x, y, width, height; /* inside the image, not empty: AN_EINVAL otherwise */
    bool flip;                    /* rows mirrored left to right */
} an_window;

/* Receives one finished row: y counts from 0 at the window's top; rgb holds width * 3 bytes, followed by at least 64
 * bytes that may be read, and is valid during the call. */
typedef void an_planes_row(void *context, uint32_t y, const uint8_t *rgb);

/* Where the coefficients come from. */
typedef struct {
    void *context;
    /* Fill the wanted rows of the next MCU row: those of luma from the top, then Cb, then Cr; called once for each MCU
     * row from the image's top to the window's end, also where no row is wanted. All of [first, end) must be written;
     * there is room for whole groups of AN_PLANES_GROUP blocks, and what lies behind `end` is undefined. An error or
     * outcome ends the decoding and is returned from an_planes_decode. */
    int (*next)(void *context, const an_blocks_row rows[AN_BLOCKS_MCU_ROWS]);
    bool in_range; /* every block is known to pass an_dct_in_range: no need to check */
} an_planes_source;

/* Where the pixels go: to `row`, or, if that is NULL, to rgb with rows stride bytes apart. */
typedef struct {
    uint8_t *rgb;
    size_t stride;
    an_planes_row *row;
    void *context; /* for row */
} an_planes_sink;

typedef struct an_planes an_planes;
int an_planes_create(an_planes **out, an_simd_tier tier); /* AN_EUNSUPPORTED where the processor lacks the tier */
void an_planes_free(an_planes *planes);                   /* NULL is fine */

/* Decode a window. `blocks` must have its quantisation tables, which are copied. Grey becomes R = G = B. AN_AGAIN: the
 * source is not known to be in range, and a block is not, so that decoders may differ on its pixels. After a failure
 * or AN_AGAIN the pixels are undefined. */
int an_planes_decode(an_planes *planes, const an_blocks *blocks, const an_planes_source *source,
                     const an_window *window, const an_planes_sink *sink);

#endif
