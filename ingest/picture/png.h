/* Reading PNG through libpng: every colour type, bit depth and interlacing becomes 8-bit RGB; alpha is laid over white.
 */
#ifndef AN_INGEST_PICTURE_PNG_H
#define AN_INGEST_PICTURE_PNG_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "store/image/image.h"

/* scratch: working memory, reused by the caller. AN_EUNSUPPORTED beyond pixels_max, AN_ECORRUPT for damaged files,
 * AN_ENOMEM. */
int an_png_decode(const uint8_t *data, size_t size, uint64_t pixels_max, an_buffer *scratch, an_image *out);

#endif
