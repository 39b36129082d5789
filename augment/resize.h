/* Resizing a decoded window to the crop: bilinear with antialiasing (a triangle whose width follows the scale, as
 * Pillow and torchvision do it), in integers, so that every machine gives the same bytes. */
#ifndef AN_AUGMENT_RESIZE_H
#define AN_AUGMENT_RESIZE_H

#include <stddef.h>
#include <stdint.h>

#include "augment/pixels.h"

typedef struct an_resize an_resize; /* tables and row buffers; one thread at a time */

/* For windows of at most side x side pixels to crop x crop. */
int an_resize_create(an_resize **out, uint32_t side, uint32_t crop, const an_pixels *pixels);
void an_resize_free(an_resize *resize); /* NULL is fine */

/* rgb: width x height pixels, rows width * 3 bytes apart. row is called with each of the crop rows from the top, as
 * crop * 3 bytes that are valid during the call. */
void an_resize_rows(an_resize *resize, const uint8_t *rgb, uint32_t width, uint32_t height,
                    void (*row)(void *context, uint32_t y, const uint8_t *rgb), void *context);

#endif
