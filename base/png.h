/* Writing PNG files: 8 bits a colour, no alpha. Any thread; nothing is kept between calls. */
#ifndef AN_BASE_PNG_H
#define AN_BASE_PNG_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

typedef enum {
    AN_PNG_RGB, /* three bytes a pixel: red, green, blue */
    AN_PNG_BGRX /* four bytes a pixel: blue, green, red, ignored (CAIRO_FORMAT_RGB24 on little-endian machines) */
} an_png_pixels;

/* Append a PNG file of the picture to out. stride: bytes from one row to the next. AN_ENOMEM; AN_EINTERNAL for what
 * libpng refuses, such as a side of 0. On failure out holds what it held. */
int an_png_write(const uint8_t *pixels, an_png_pixels format, uint32_t width, uint32_t height, size_t stride,
                 an_buffer *out);

#endif
