/* How image batches lie in memory. The loader writes them so and the model reads them so; neither includes the other.
 */
#ifndef AN_BASE_FORMAT_H
#define AN_BASE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

typedef enum { AN_DTYPE_U8, AN_DTYPE_F32, AN_DTYPE_BF16, AN_DTYPE_F16 } an_dtype;
typedef enum { AN_LAYOUT_NHWC, AN_LAYOUT_NCHW } an_layout;

typedef struct {
    an_dtype dtype;
    an_layout layout;
    int channels; /* as stored: 3, or 4 with a zero channel for alignment */
} an_format;

/* The random choices made for one image: where its crop lay in the record, whether it is mirrored, and what is added to
 * each colour. Images handed over as bytes (AN_DTYPE_U8) are already cropped and mirrored. Whoever turns the bytes into
 * numbers needs x and y to subtract the right part of the mean image, and shift. */
typedef struct {
    float shift[3]; /* RGB */
    uint32_t x, y, flip;
} an_image_draw;

size_t an_dtype_size(an_dtype dtype);
const char *an_dtype_name(an_dtype dtype);
const char *an_layout_name(an_layout layout);

#endif
