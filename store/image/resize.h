/* Images resampled with an antialiasing filter: support grows with the reduction, as in Pillow's resize and
 * torchvision's. All arithmetic on pixels is in integers, so every SIMD tier gives the same
 * bytes.
 *
 * A resizer keeps weights and row buffers from image to image and belongs to one thread at a time. Functions that can
 * fail return the codes of base/error.h. */
#ifndef AN_STORE_IMAGE_RESIZE_H
#define AN_STORE_IMAGE_RESIZE_H

#include <stdint.h>

#include "store/image/image.h"

typedef enum { AN_FILTER_TRIANGLE, AN_FILTER_LANCZOS3, AN_FILTER_BOX } an_filter;

uint32_t an_filter_reach(an_filter filter); /* pixels that it mixes in on either side at scale 1, rounded up */

typedef struct an_resizer an_resizer;

int an_resizer_create(an_resizer **out);   /* takes the SIMD tier of an_cpu_simd() */
void an_resizer_free(an_resizer *resizer); /* NULL is fine */

/* After this, images of at most side x side pixels are scaled to size x size without allocating. */
int an_resizer_reserve(an_resizer *resizer, uint32_t side, uint32_t size, an_filter filter);

/* Scale the centred square of in (its side: in's shorter side) to side x side. The filter may look at pixels outside
 * the square. An image that already is side x side is copied. */
int an_resizer_square(an_resizer *resizer, const an_image *in, uint32_t side, an_filter filter, an_image *out);

/* Scale all of in (which is not reallocated) to width x height. row is called with each row from the top, as width * 3
 * bytes that are valid during the call. */
int an_resizer_rows(an_resizer *resizer, const an_image *in, uint32_t width, uint32_t height, an_filter filter,
                    void (*row)(void *context, uint32_t y, const uint8_t *rgb), void *context);

#endif
