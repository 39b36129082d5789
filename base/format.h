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
    int channels; /* as stored: 3, or 4 with a zero channel for alignment, or 1: grey */
} an_format;

/* The random choices made for one image: where its crop lay in the record, whether it is mirrored, what is added to
 * each colour, and what of another image is mixed into it. Images handed over as bytes (AN_DTYPE_U8) are already
 * cropped and mirrored. Whoever turns the bytes into numbers needs x and y to subtract the right part of the mean
 * image, and value = ((byte - mean) + shift) * (scale * factor), where scale may differ from colour to colour: it is
 * divided by the colour's deviation if one is given. Of a grey image, whose byte is
 * (19595 R + 38470 G + 7471 B + 32768) >> 16 of the decoded bytes, only red's shift, mean and deviation count.
 *
 * The image at position i of a batch is mixed with its partner, the one at position i ^ 1 (1 with 0, 3 with 2...), if
 * the batch holds that; otherwise nothing is mixed into it. Both are finished values: with mixup
 *     value = share * own + (1 - share) * partner          where box is empty
 * and with CutMix the pixels in the box are the partner's. Images mix whatever type they arrive in, so whoever delivers
 * them leaves that to the network's input. Make draws with AN_IMAGE_DRAW: all zeros would be a black image. */
typedef struct {
    float shift[3]; /* RGB */
    uint32_t x, y, flip;
    float factor;    /* 1: none */
    float share;     /* weight of the image's own label, 0 to 1; the partner's is 1 - share. 1: nothing is mixed */
    uint16_t box[4]; /* x0, y0, x1, y1 in pixels of the crop as the network sees it, x1 and y1 excluded; empty: all 0 */
} an_image_draw;

/* A draw of which only the named members differ from doing nothing. */
#define AN_IMAGE_DRAW(...) ((an_image_draw){.factor = 1, .share = 1, __VA_ARGS__})

size_t an_dtype_size(an_dtype dtype);
const char *an_dtype_name(an_dtype dtype);
const char *an_layout_name(an_layout layout);

#endif
