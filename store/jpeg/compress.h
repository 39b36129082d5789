/* How images become JPEG files, for what does a part of it itself. Internal to store. */
#ifndef AN_STORE_JPEG_COMPRESS_H
#define AN_STORE_JPEG_COMPRESS_H

#include <stdio.h> /* jpeglib.h wants it */

#include <jpeglib.h>

#include "store/jpeg/jpeg.h"

/* AN_EINVAL: not a size or a quality that a JPEG can have. */
int an_jpeg_check(const an_image *image, int quality);

/* Both under an_jpeg_guard: set up and begin, then write all rows and finish. */
void an_jpeg_start(struct jpeg_compress_struct *jpeg, const an_image *image, int quality,
                   an_jpeg_subsampling subsampling);
void an_jpeg_write(struct jpeg_compress_struct *jpeg, const an_image *image);

#endif
