/* The centre square of an image, resampled with an antialiasing filter: support grows with the reduction, as in
 * Pillow's resize. Integer arithmetic throughout, so every SIMD tier gives the same bytes. */
#ifndef AN_INGEST_RESIZE_H
#define AN_INGEST_RESIZE_H

#include <stdint.h>

#include "store/image.h"

typedef enum { AN_FILTER_TRIANGLE, AN_FILTER_LANCZOS3, AN_FILTER_BOX } an_filter;

uint32_t an_filter_reach(an_filter filter); /* pixels on either side that it mixes at scale 1, rounded up */

typedef struct an_resizer an_resizer;

int an_resizer_create(an_resizer **out);
void an_resizer_free(an_resizer *resizer); /* NULL is fine */

/* Scale the centred square of in (its side: in's shorter side) to side x side. The filter may look at pixels outside
 * the square. An image that already is side x side is copied. */
int an_resizer_square(an_resizer *resizer, const an_image *in, uint32_t side, an_filter filter, an_image *out);

#endif
