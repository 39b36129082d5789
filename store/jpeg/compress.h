/* The steps of writing an image as a JPEG file: check, start, write. For encode.c and for the coef encoder, which sets
 * up libjpeg-turbo the same way but takes the coefficients before they are entropy-coded. */
#ifndef AN_STORE_JPEG_COMPRESS_H
#define AN_STORE_JPEG_COMPRESS_H

#include <stdio.h> /* jpeglib.h needs it */

#include <jpeglib.h>

#include "store/jpeg/jpeg.h"

/* AN_EINVAL when a JPEG cannot have this size or quality, or the subsampling is none of the enum. */
int an_jpeg_check(const an_image *image, int quality, an_jpeg_subsampling subsampling);

/* Set up and begin; then write all rows and finish. Both must be called under an_jpeg_guard. */
void an_jpeg_start(struct jpeg_compress_struct *jpeg, const an_image *image, int quality,
                   an_jpeg_subsampling subsampling);
void an_jpeg_write(struct jpeg_compress_struct *jpeg, const an_image *image);

#endif
