/* Codec `yuv420`: planes of full-range JFIF YCbCr, chroma halved both ways. Internal to store; docs/record-format.md
 * specifies the bytes and the arithmetic. */
#ifndef AN_STORE_YUV420_H
#define AN_STORE_YUV420_H

#include "base/buffer.h"
#include "store/image/image.h"
#include "store/record.h"

size_t an_yuv420_size(uint32_t width, uint32_t height);

/* Append the planes to out. */
int an_yuv420_encode(const an_image *image, an_buffer *out);

/* The window, inside the record's size, to RGB: chroma upsampled by the triangle filter, as libjpeg-turbo does. scratch
 * is kept by the caller from call to call. */
int an_yuv420_decode(const an_record *record, uint32_t x, uint32_t y, uint32_t width, uint32_t height, uint8_t *out,
                     size_t stride, an_buffer *scratch);

#endif
