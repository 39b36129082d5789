/* An 8-bit RGB image in memory, rows of width * 3 bytes without padding. The image owns its pixels. Zero-initialise it,
 * and release it with an_image_free. */
#ifndef AN_STORE_IMAGE_IMAGE_H
#define AN_STORE_IMAGE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#define AN_IMAGE_SIDE_MAX 16384 /* pixels: the longest side that a record can have */

typedef struct {
    uint8_t *pixels; /* height x width x 3 */
    uint32_t width, height;
    size_t capacity; /* bytes allocated at pixels; reused by an_image_set_size */
} an_image;

/* Give the image a size; the contents become undefined. Allocates only when there is not enough room. */
int an_image_set_size(an_image *image, uint32_t width, uint32_t height);
void an_image_free(an_image *image);

#endif
